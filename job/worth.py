"""Which hits are large enough to tell, and when it is certain that they are no chance."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from detectors import Frame
from job.opinion import Opinion
from job.outage import BEFORE
from job.policy import Policy
from job.units import grain

WAKE = timedelta(hours=3)
"""So long after a deviation, what goes the other way may be the way back from it."""

SURE = 6.0
"""A count that is off by fewer deviations of its own counting noise is never told."""


def worth(frame: Frame, opinion: Opinion, policy: Policy, unit: str, first: int) -> tuple[Opinion, Counter[str]]:
    """The opinion with only the hits that are large enough to tell, and how many judged ones each rule held back."""
    side, suppressed, at_once = opinion.side.copy(), Counter[str](), grain(unit)
    hits = np.nonzero(side)
    values, expected = frame.values[hits], opinion.expected[hits]
    off, judged = (values - expected) * side[hits], hits[1] >= first
    with np.errstate(invalid="ignore"):
        small = {
            "contradicted": ~(off > 0),  # so is what has no expected value
            "min_absolute": off < policy.min_absolute,
            "min_relative": off < policy.min_relative * np.abs(expected),
            "min_volume": np.fmax(np.abs(values), np.abs(expected)) < policy.min_volume,
        }
    if policy.counting and at_once:
        period = frame.step.total_seconds() / at_once
        small["counting"] = _counting(values * period, expected * period) < SURE
    worth = np.ones(len(off), dtype=np.bool_)
    for rule, too_small in small.items():
        suppressed[rule] = int(np.count_nonzero(worth & too_small & judged))
        worth &= ~too_small
    side[hits] *= worth
    for row in np.flatnonzero((side > 0).any(axis=1) & (side < 0).any(axis=1)).tolist():
        back = _returning(side[row], frame.values[row], frame.periods(WAKE), frame.periods(BEFORE))
        suppressed["return"] += sum(column >= first for column in back)
        side[row, back] = 0
    return replace(opinion, side=side), suppressed


def _returning(side: NDArray[np.int8], values: NDArray[np.float64], wake: int, day: int) -> list[int]:
    """The hits of one row that only lead back, from a deviation just before, towards where the day before it was."""
    back: list[int] = []
    began, last, way = 0, -wake - 1, 0  # of the deviation before
    for column in np.flatnonzero(side).tolist():
        if side[column] == -way and column - last <= wake:
            before = slice(max(0, began - day), began)
            usual = values[before][side[before] == 0]
            if np.isfinite(usual).any() and way * values[column] >= np.nanmin(way * usual):  # not beyond it
                back.append(column)
                continue
        if side[column] != way or column - last > wake:
            began = column
        last, way = column, int(side[column])
    return back


def _counting(counted: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far a count is from the expected one, in deviations of what comes one by one and at random.

    Anscombe, "The Transformation of Poisson, Binomial and Negative-Binomial Data", Biometrika 35, 1948.
    """
    root, usual = (np.sqrt(np.fmax(number, 0.0) + 3 / 8) for number in (counted, expected))
    return np.asarray(2 * np.abs(root - usual))


def certainty(side: NDArray[np.int8], score: NDArray[np.float64], policy: Policy) -> NDArray[np.bool_]:
    """Where it is certain, by what was known then, that an event is on: M hits of one side in N periods, or a loud."""
    periods = policy.persistence.periods
    with np.errstate(invalid="ignore"):
        certain = (side != 0) & (np.abs(score) >= policy.loud * policy.cut)
    for way in (1, -1):
        hit = side == way
        recent = np.cumsum(hit, axis=1, dtype=np.int32)
        recent[:, periods:] -= recent[:, :-periods].copy()
        certain |= hit & (recent >= policy.persistence.hits)
    return np.asarray(certain)
