"""Rows in blocks: bounded memory, and time-major arrays in which one column of all series lies together."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from detectors import carried, network
from detectors.carried import Carried
from detectors.frame import Frame
from detectors.scores import Scores, score

Floats: TypeAlias = NDArray[np.float64]
Kernel: TypeAlias = Callable[[Floats], tuple[Floats, Floats]]
"""Takes values as (time, series), gives the expected values and the spreads in the same shape."""
Writer: TypeAlias = Callable[[Floats, Floats, Floats, Carried], Carried]
"""Takes values as (series, time), writes the expected values and the spreads to the other two.

It is given what was carried over of these series, if anything was, and answers what is to be.
"""

_POINTS = 2**21
_ROWS = 1024
"""A block has at most so many points, 16 MB an array, and rows: more rows share the cost of a step in time."""

_TILE = 128 * 288
"""So many points are scored at once, as of 128 series a day of five minutes: arrays that stay in the cache."""

_MANY = 512
"""From so many lanes on, their medians are worth a network."""


def by_rows(frame: Frame, kernel: Kernel) -> Scores:
    """Score a frame by running `kernel` on blocks of its rows.

    A block has at least two rows: numpy adds up a single one in another order, and what is said of a series must not
    depend, to the last bit, on its neighbours.
    """
    count, time = frame.values.shape
    answer = Scores(*np.empty((3, count, time)))
    width = max(2, min(_ROWS, _POINTS // max(1, time)))
    for first in range(0, count if time else 0, width):
        rows = frame.values[first : first + width]
        block = np.full((time, max(2, len(rows))), np.nan)
        block[:, : len(rows)] = rows.T
        with np.errstate(all="ignore"):  # NaN is "nothing known" throughout, and 0/0 is one of the ways to it
            expected, spread = kernel(block)
        here = slice(first, first + len(rows))
        answer.expected[here], answer.spread[here] = expected.T[: len(rows)], spread.T[: len(rows)]
        _score(frame.values, answer, here)
    return answer


def _score(values: Floats, answer: Scores, rows: slice) -> None:
    """Write the scores of these rows, of which the rest is written; a few at a time, as small arrays are used again."""
    tile = max(1, _TILE // max(1, values.shape[1]))
    for i in range(rows.start, rows.stop, tile):
        some = slice(i, min(i + tile, rows.stop))
        answer.score[some] = score(values[some], answer.expected[some], answer.spread[some]).score


def by_tiles(
    frame: Frame, stretch: int, kernel: Writer, first: int = 0, past: Carried | None = None
) -> tuple[Scores, Carried]:
    """Score the columns from `first` on by running `kernel` on few enough rows for the cache; and what it carries over.

    `stretch` is how many columns the kernel works on at a time, `past` what was carried over to it.
    """
    count, time = frame.values.shape
    answer, found = Scores(*np.empty((3, count, max(0, time - first)))), list[Carried]()
    tile = 2 * _TILE if past else _TILE  # what is gone on from is one short stretch, of which most is to begin
    width = max(1, min(tile // stretch, _ROWS, _POINTS // max(1, time)))
    work = np.empty((2, min(width, count), time))
    for low in range(0, count if time else 0, width):
        rows = slice(low, min(low + width, count))
        expected, spread = work[:, : rows.stop - low]
        with np.errstate(all="ignore"):
            found.append(kernel(frame.values[rows], expected, spread, carried.cut(past or {}, rows)))
        answer.expected[rows], answer.spread[rows] = expected[:, first:], spread[:, first:]
        _score(frame.values[:, first:], answer, rows)
    return answer, carried.stacked(found)


def enough(values: Floats, window: int, least: int, axis: int = 0) -> NDArray[np.bool_]:
    """Whether the `window` columns before each column hold at least `least` points; time goes along `axis`."""
    if not np.isnan(values).any():
        known = np.minimum(np.arange(values.shape[axis]), window) >= least
        return np.broadcast_to(np.expand_dims(known, 1 - axis), values.shape)
    seen = np.zeros((values.shape[axis] + 1, values.shape[1 - axis]), dtype=np.int32)
    seen = seen if axis == 0 else np.zeros(seen.shape[::-1], dtype=np.int32).T
    np.cumsum(~np.isnan(np.moveaxis(values, axis, 0)), axis=0, out=seen[1:])
    before = seen[:-1].copy(order="K")
    before[window:] -= seen[: max(0, len(before) - window)]
    return np.moveaxis(before >= least, 0, axis)


def median(values: Floats, axis: int = 0) -> Floats:
    """The median of the points that are there; NaN where there is none."""
    lanes = np.moveaxis(values, axis, 0)
    if not len(lanes):
        return np.full(lanes.shape[1:], np.nan)
    if len(lanes) > network.MOST or lanes[0].size < _MANY:
        return sorted_median(values, axis)
    middle = network.middle(lanes)
    holes = np.isnan(middle)
    if holes.any():
        middle[holes] = sorted_median(lanes[:, holes], 0)
    return middle


def sorted_median(values: Floats, axis: int) -> Floats:
    """The same, lane by lane."""
    ordered = np.moveaxis(values, axis, -1).copy(order="C")  # lanes that lie together sort twice as fast
    ordered.sort(axis=-1)
    size = ordered.shape[-1]
    if not np.isnan(ordered[..., -1:]).any():  # NaN sorts to the end
        low, high = ordered[..., (size - 1) // 2], ordered[..., size // 2]
    else:
        count = size - np.isnan(ordered).sum(axis=-1, keepdims=True)
        low = np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, axis=-1)[..., 0]
        high = np.take_along_axis(ordered, np.minimum(count // 2, size - 1), axis=-1)[..., 0]
    middle: Floats = low + (high - low) / 2
    return middle
