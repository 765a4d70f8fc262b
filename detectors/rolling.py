"""Rolling statistics of a level that some points do not belong to."""

import numpy as np
from numpy.typing import NDArray

from detectors.blocks import Floats, median
from detectors.guard import Rows

_REFRESH = 256
"""Running sums are added up afresh this often, about the mean they have then: rounding does not pile up."""

_UPDATES = 12
"""The median and the MAD are taken anew this many times a window."""

_MAD = 1.482602218505602
"""The standard deviation of normal noise, in its median absolute deviations."""

_MEAN_AD = 1.2533141373155001
"""The same in its mean absolute deviations, sqrt(pi / 2)."""


class Window:
    """The last `size` columns of a block, and which level each of their points belongs to (0: nobody learned it).

    `origin` is the first column's place on the UTC grid: what is done now and then is done at fixed times of it, not
    of the frame. A level of fewer than `least` points says nothing.
    """

    def __init__(self, values: Floats, size: int, least: int, origin: int) -> None:
        self.values, self.size, self.least, self.origin = values, size, least, origin
        self.level = np.zeros(values.shape, dtype=np.int32)
        self.newest = np.ones(values.shape[1], dtype=np.int32)
        self.active = self.newest.copy()
        self.aside = np.zeros_like(self.newest)

    def learn(self, column: int, taken: NDArray[np.bool_]) -> None:
        """Put the points of `column` in the active level where `taken`."""
        np.multiply(self.active, taken, out=self.level[column])

    def adopt(self, column: int, first: int, rows: Rows) -> None:
        """Begin a new level of `rows` with the points from `first` to `column` that nobody learned."""
        self.newest[rows] += 1
        self.aside[rows], self.active[rows] = self.active[rows], self.newest[rows]
        level, values = self.level[first : column + 1, rows], self.values[first : column + 1, rows]
        self.level[first : column + 1, rows] = np.where((level == 0) & ~np.isnan(values), self.newest[rows], level)

    def recall(self, rows: Rows) -> None:
        """Exchange the active level of `rows` for the one laid aside."""
        self.aside[rows], self.active[rows] = self.active[rows], self.aside[rows]

    def points(self, first: int, stop: int, rows: Rows | slice) -> Floats:
        """The active level's points in columns `first` to `stop - 1`, NaN for all others; (time, rows)."""
        taken = slice(max(0, first), stop)
        return np.where(self.level[taken, rows] == self.active[rows], self.values[taken, rows], np.nan)

    def due(self, column: int, every: int) -> bool:
        """Whether `column` is one at which a thing is done that is done `every` so many columns."""
        return (self.origin + column) % every == 0


class Moments:
    """The mean and the standard deviation of the window, from running sums about a centre."""

    def __init__(self, past: Window) -> None:
        rows = past.values.shape[1]
        self.past = past
        self.count, self.first, self.second = np.zeros(rows), np.zeros(rows), np.zeros(rows)
        self.centre = _first(past.values)

    def at(self, column: int) -> tuple[Floats, Floats]:
        """The mean and the standard deviation of the window before `column`."""
        gone = column - 1 - self.past.size
        if self.past.due(column, _REFRESH):
            mean = self.centre + np.where(self.count > 0, self.first / self.count, 0.0)
            self._recount(gone + 1, column, slice(None), mean)
        elif gone >= 0:
            self._drop(gone)
        mean = self.first / self.count
        variance = (self.second - self.first * mean) / (self.count - 1)
        mean += self.centre
        mean[self.count < self.past.least] = np.nan
        return mean, np.sqrt(np.maximum(variance, 0.0))

    def learn(self, column: int, taken: NDArray[np.bool_]) -> None:
        """Learn the points of `column` where `taken`."""
        self.past.learn(column, taken)
        off = np.where(taken, self.past.values[column] - self.centre, 0.0)
        self.first += off
        off *= off
        self.second += off
        self.count += taken

    def adopt(self, column: int, first: int, rows: Rows) -> None:
        """Begin a new level of `rows` with the points since `first` that nobody learned."""
        self.past.adopt(column, first, rows)
        self._begin(column - self.past.size, column + 1, rows)

    def recall(self, column: int, rows: Rows) -> None:
        """Exchange the active level of `rows` for the one laid aside."""
        self.past.recall(rows)
        self._begin(column - self.past.size, column, rows)

    def _drop(self, column: int) -> None:
        member = self.past.level[column] == self.past.active
        off = np.where(member, self.past.values[column] - self.centre, 0.0)
        self.first -= off
        off *= off
        self.second -= off
        self.count -= member

    def _begin(self, first: int, stop: int, rows: Rows) -> None:
        """Add up a level that was not active: about one of its points, then about the mean that this gives."""
        points = self.past.points(first, stop, rows)
        self._recount(first, stop, rows, _first(points))
        self._recount(first, stop, rows, self.centre[rows] + self.first[rows] / np.maximum(self.count[rows], 1.0))

    def _recount(self, first: int, stop: int, rows: Rows | slice, centre: Floats) -> None:
        """Add up anew, about `centre`."""
        off = self.past.points(first, stop, rows)
        off -= centre
        there = ~np.isnan(off)
        off[~there] = 0.0
        self.count[rows], self.centre[rows] = there.sum(axis=0), centre
        self.first[rows] = _down(off)
        off *= off
        self.second[rows] = _down(off)


class Medians:
    """The median of the window and 1.4826 times its MAD, taken anew a number of times a window."""

    def __init__(self, past: Window) -> None:
        rows = past.values.shape[1]
        self.past, self.every = past, max(1, past.size // _UPDATES)
        self.centre, self.spread = np.full(rows, np.nan), np.full(rows, np.nan)

    def at(self, column: int) -> tuple[Floats, Floats]:
        """The median and the scaled MAD of the window before the last update."""
        if self.past.due(column, self.every):
            self._recount(column, slice(None))
        return self.centre, self.spread

    def learn(self, column: int, taken: NDArray[np.bool_]) -> None:
        """Learn the points of `column` where `taken`."""
        self.past.learn(column, taken)

    def adopt(self, column: int, first: int, rows: Rows) -> None:
        """Begin a new level of `rows` with the points since `first` that nobody learned."""
        self.past.adopt(column, first, rows)
        self._recount(column + 1, rows)

    def recall(self, column: int, rows: Rows) -> None:
        """Exchange the active level of `rows` for the one laid aside."""
        self.past.recall(rows)
        self._recount(column, rows)

    def _recount(self, column: int, rows: Rows | slice) -> None:
        points = self.past.points(column - self.past.size, column, rows)
        if not len(points):
            return
        centre = median(points)
        off = np.abs(points - centre)
        spread = _MAD * median(off)
        count = (~np.isnan(off)).sum(axis=0)
        mean_off = _MEAN_AD * _down(np.nan_to_num(off)) / count
        centre[count < self.past.least] = np.nan
        self.centre[rows], self.spread[rows] = centre, np.where(spread > 0, spread, mean_off)


def _first(values: Floats) -> Floats:
    """The first point of each row, 0 where there is none."""
    if not len(values):
        return np.zeros(values.shape[1])
    first: Floats = values[np.isnan(values).argmin(axis=0), np.arange(values.shape[1])]
    return np.where(np.isnan(first), 0.0, first)


def _down(values: Floats) -> Floats:
    """The sum along time, in the order of time: numpy adds a single row in another order than several."""
    wide = np.repeat(values, 2, axis=1) if values.shape[1] == 1 else values
    total: Floats = wide.sum(axis=0)[: values.shape[1]]
    return total
