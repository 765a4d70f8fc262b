"""Rows in blocks: bounded memory, and time-major arrays in which one column of all series lies together."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from detectors.frame import Frame
from detectors.scores import Scores, score

Floats: TypeAlias = NDArray[np.float64]
Kernel: TypeAlias = Callable[[Floats], tuple[Floats, Floats]]
"""Takes values as (time, series), gives the expected values and the spreads in the same shape."""

_POINTS = 2**21
_ROWS = 512


def by_rows(frame: Frame, kernel: Kernel) -> Scores:
    """Score a frame by running `kernel` on blocks of its rows.

    A block has at least two rows: numpy adds up a single one in another order, and what is said of a series must not
    depend, to the last bit, on its neighbours.
    """
    count, time = frame.values.shape
    expected = np.full((count, time), np.nan)
    spread = np.full((count, time), np.nan)
    width = max(2, min(_ROWS, _POINTS // max(1, time)))
    for first in range(0, count if time else 0, width):
        rows = frame.values[first : first + width]
        block = np.full((time, max(2, len(rows))), np.nan)
        block[:, : len(rows)] = rows.T
        with np.errstate(all="ignore"):  # NaN is "nothing known" throughout, and 0/0 is one of the ways to it
            centre, usual = kernel(block)
        expected[first : first + width] = centre[:, : len(rows)].T
        spread[first : first + width] = usual[:, : len(rows)].T
    return score(frame.values, expected, spread)


def enough(values: Floats, window: int, least: int) -> NDArray[np.bool_]:
    """Whether the `window` columns before each column hold at least `least` points; (time, series)."""
    seen = np.zeros((len(values) + 1, values.shape[1]), dtype=np.int64)
    np.cumsum(~np.isnan(values), axis=0, out=seen[1:])
    before = seen[:-1].copy()
    before[window:] -= seen[: max(0, len(values) - window)]
    answer: NDArray[np.bool_] = before >= least
    return answer


def median(values: Floats, axis: int = 0) -> Floats:
    """The median of the points that are there; NaN where there is none."""
    ordered = np.moveaxis(np.sort(values, axis=axis), axis, 0)  # NaN sorts to the end
    count = len(ordered) - np.isnan(ordered).sum(axis=0)
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0)[None] // 2, axis=0)[0]
    high = np.take_along_axis(ordered, np.minimum(count, len(ordered) - 1)[None] // 2, axis=0)[0]
    middle: Floats = low + (high - low) / 2
    return middle
