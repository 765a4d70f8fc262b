"""From the logarithm of a probability to usual deviations, and from a threshold to a rate of alarms and back."""

from functools import cache

import numpy as np

from detectors.blocks import Floats

HOURS_A_WEEK = 168

_NODES = 8192
_END = 64.0
"""The table's last node is at a probability of exp(-4096)."""


def deviates(log_probability: Floats | float) -> Floats:
    """How many deviations from zero, at least, a normal value lies with that probability.

    Read from a table over the root of -log P, in which the answer is nearly straight: right to 1e-4.
    """
    table, steps = _table()
    place = np.array(log_probability, dtype=np.float64)
    np.negative(place, out=place)
    np.minimum(place, _END**2, out=place)
    np.sqrt(place, out=place)
    place *= _NODES / _END
    node = np.fmin(place, _NODES - 1).astype(np.intp)
    place -= node
    place *= steps[node]
    place += table[node]
    return place


def log_probability(threshold: float) -> float:
    """The logarithm of the probability that a normal value is at least so many deviations from zero."""
    from scipy.special import log_ndtr

    return float(log_ndtr(-abs(threshold)) + np.log(2.0))


def alarms_a_week(threshold: float) -> float:
    """How many false alarms a week a calm series raises at `threshold`, for a score that is calibrated by the hour.

    >>> round(alarms_a_week(3.0), 2)
    0.45
    """
    from scipy.special import ndtr

    return float(HOURS_A_WEEK * 2 * ndtr(-abs(threshold)))


def threshold(alarms: float) -> float:
    """The threshold at which a calm series raises that many false alarms a week; the inverse of `alarms_a_week`.

    >>> round(threshold(0.5), 2)
    2.97

    Raises:
        ValueError: `alarms` is not more than 0 and less than 168, one for each hour.
    """
    from scipy.special import ndtri

    if not 0 < alarms < HOURS_A_WEEK:
        raise ValueError(f"{alarms} alarms a week is not between 0 and {HOURS_A_WEEK}, one for each hour")
    return float(-ndtri(alarms / HOURS_A_WEEK / 2))


@cache
def _table() -> tuple[Floats, Floats]:
    """The deviates at all nodes, and by how much the next one is more."""
    from scipy.special import ndtri_exp

    roots = np.linspace(0.0, _END, _NODES + 1)
    values: Floats = -ndtri_exp(-(roots**2) - np.log(2.0))
    return values, np.diff(values)
