"""Local linear regression at a few places, as weights and as matrices."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from detectors.blocks import Floats

_NEAR, _FAR = 0.001, 0.999
"""Points nearer than the first part of the reach have the full weight, those beyond the second none."""

_WIDE = 12
"""So many columns has what a product is with: of neighbouring places, few enough that they share most points."""

NARROW = 0.001
"""No line is fitted through points that lie within this part of the whole; their mean is taken."""


@dataclass(frozen=True, eq=False)
class Loess:
    """Local lines through `columns` points at `places`, which count from 1 as the points do.

    `weights` are the tricube weights (place, column); `off` is how far each column is from each place, or 0.
    """

    columns: int
    places: Floats
    weights: Floats
    off: Floats

    @property
    def least(self) -> tuple[float, float]:
        """How much spread points must have for a line, as a part and for weights as these.

        The spread is the sum of the weights times that of their squared distances from their mean, and the part is one
        of the squared sum of the weights.
        """
        part = (NARROW * (self.columns - 1)) ** 2
        return part, float(part * self.weights.sum(axis=1).max() ** 2)

    @property
    def matrix(self) -> Floats:
        """What the smoothed values at the places are, linearly, of the points."""
        weights = self.weights / self.weights.sum(axis=1, keepdims=True)
        centre = (weights * self.off).sum(axis=1, keepdims=True)
        spread = (weights * (self.off - centre) ** 2).sum(axis=1, keepdims=True)
        wide = np.sqrt(spread) > NARROW * (self.columns - 1)
        slope = np.where(wide, -centre / np.where(wide, spread, 1.0), 0.0)
        line: Floats = weights * (1.0 + slope * (self.off - centre))
        return line


def along(columns: int, span: int, jump: int) -> Loess:
    """Lines of `span` points (odd) at every `jump`-th column and the last."""
    jump = min(jump, columns - 1) or 1
    regular = np.arange(0, columns, jump)
    first = np.clip(regular - (span - 1) // 2, 0, max(0, columns - span))
    if regular[-1] != columns - 1:
        regular, first = np.append(regular, columns - 1), np.append(first, first[-1])
    places: Floats = regular.astype(np.float64) + 1.0
    return _local(columns, span, places, first)


def cycles(columns: int, span: int) -> Loess:
    """Lines at every column, and at the ones before the first and after the last."""
    last = max(0, columns - span)
    first = np.clip(np.arange(-1, columns + 1) - (span - 1) // 2, 0, last)
    return _local(columns, span, np.arange(columns + 2.0), first)


def _local(columns: int, span: int, places: Floats, first: NDArray[np.intp]) -> Loess:
    """Lines at `places`, each through the `span` points from the column `first` on, or all where there are fewer."""
    number = np.arange(1.0, columns + 1.0)
    left, right = first + 1.0, np.minimum(first + span, columns)
    reach: Floats = np.maximum(places - left, right - places)
    if span > columns:
        reach = reach + (span - columns) // 2
    off = number - places[:, None]
    part = np.abs(off) / reach[:, None]
    weights = 1.0 - part * part * part
    weights *= weights * weights
    weights[part <= _NEAR] = 1.0
    outside = (part > _FAR) | (number < left[:, None]) | (number > right[:, None])
    weights[outside] = 0.0
    return Loess(columns, places, weights, np.where(outside, 0.0, off))


@lru_cache(maxsize=32)
def _ramp(steps: int) -> Floats:
    """The points of a line, its last left out, of its two ends."""
    part = np.arange(steps) / steps
    return np.stack([1.0 - part, part])


@dataclass(frozen=True)
class Lines:
    """Straight lines between places, the inverse of taking every `jump`-th column of `columns`, and the last."""

    columns: int
    jump: int

    def draw(self, values: Floats, out: Floats) -> Floats:
        """Write the lines through `values` (series, place) to `out` (series, column)."""
        jump = min(self.jump, self.columns - 1) or 1
        if jump == 1:
            out[:] = values
            return out
        whole, rest = divmod(self.columns - 1, jump)
        ends = np.empty((len(values), whole, 2))  # the lines as products of these: far faster than by broadcasting
        ends[:, :, 0], ends[:, :, 1] = values[:, :whole], values[:, 1 : whole + 1]
        np.matmul(ends, _ramp(jump), out=out[:, : whole * jump].reshape(len(out), whole, jump))
        out[:, whole * jump] = values[:, whole]
        if rest:
            np.matmul(values[:, None, whole:], _ramp(rest), out=out[:, None, whole * jump : -1])
            out[:, -1] = values[:, -1]
        return out

    def matrix(self, places: int) -> Floats:
        """The same as a matrix (column, place)."""
        return self.draw(np.eye(places), np.empty((places, self.columns))).T


class Banded:
    """Matrices (place, column) of one band, of which the first few are applied to (series, column)."""

    def __init__(self, *matrices: Floats) -> None:
        self.places, self.groups = len(matrices[0]), []
        size = max(1, _WIDE // len(matrices))
        for first in range(0, self.places, size):
            rows = slice(first, min(first + size, self.places))
            used = np.flatnonzero(matrices[0][rows].any(axis=0))
            columns = slice(used[0], used[-1] + 1)
            self.groups.append((rows, columns, np.hstack([m[rows, columns].T for m in matrices])))

    def __call__(self, values: Floats, count: int) -> Floats:
        """The products with the first `count` matrices, (matrix, series, place)."""
        out = np.empty((count, len(values), self.places))
        for rows, columns, matrix in self.groups:
            width = rows.stop - rows.start
            some = values[:, columns] @ matrix[:, : count * width]
            for kind in range(count):
                out[kind, :, rows] = some[:, kind * width : (kind + 1) * width]
        return out
