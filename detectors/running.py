"""Running sums along time; a series' sum depends on nothing but the series, and on no later point.

Two sums run as one of complex numbers, which takes as long as one alone: the processor waits for each addition.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from detectors.blocks import Floats

Pairs: TypeAlias = NDArray[np.complex128]


def running(begin: Pairs | float, pairs: Pairs, gone: Pairs | float = 0.0) -> Pairs:
    """`begin` and the first k pairs of each row, less those gone, added up; k from 0 on: there is a column more."""
    total = np.empty((len(pairs), pairs.shape[1] + 1), dtype=np.complex128)
    total[:, 0] = begin
    np.subtract(pairs, gone, out=total[:, 1:])
    return np.cumsum(total, axis=1, out=total)


def moments(points: Floats, centre: Floats, *, whole: bool = False) -> Pairs:
    """How far each point is from its row's centre, and the square of that; 0 where there is none, unless all are."""
    pairs = np.empty(points.shape, dtype=np.complex128)
    off = np.subtract(points, centre[:, None], out=pairs.real)
    if not whole:
        np.copyto(off, 0.0, where=np.isnan(off))
    np.multiply(off, off, out=pairs.imag)
    return pairs


def weighted(pairs: Pairs, weights: Floats) -> Pairs:
    """The pairs, changed in place, times the weight of their column."""
    numbers = pairs.view(np.float64)
    numbers *= np.repeat(weights, 2)
    return pairs


def earliest(values: Floats) -> Floats:
    """The first point of each row, 0 where there is none."""
    if not values.shape[1]:
        return np.zeros(len(values))
    if not np.isnan(values[:, 0]).any():
        return values[:, 0].copy()
    first: Floats = values[np.arange(len(values)), np.isnan(values).argmin(axis=1)]
    return np.where(np.isnan(first), 0.0, first)


def begun(known: Floats, values: Floats, column: int) -> Floats:
    """What is known of each row at a column, NaN where there was no point before: what comes may have changed it."""
    return np.where(np.isnan(values[:, :column]).all(axis=1), np.nan, known)


def parts(time: int, size: int, first: int = 0, since: int = 0) -> Iterator[tuple[int, int]]:
    """The columns `[a, b)` of parts of `size`, of which one begins at `first`; those from column `since` on."""
    lead = since + (first - since) % size
    borders = [*([since] if lead > since else []), *range(lead, time, size), time]
    return ((a, min(b, time)) for a, b in pairwise(borders) if a < min(b, time))


def border(column: int, size: int, first: int = 0) -> int:
    """The beginning of the part that holds a column."""
    return max(0, column - (column - first) % size)
