"""Rolling statistics of a level that some points do not belong to."""

from collections.abc import Iterator

import numpy as np

from detectors.blocks import Floats
from detectors.carried import Carried, packed, unpacked
from detectors.guard import ALL, Bools, Rows
from detectors.running import Pairs, begun, earliest, moments, parts, running

_LOST = 1e-6
"""Sums of squares that fall below this part of what they were are added up afresh."""

_UPDATES = 12
"""The median and the MAD are taken anew this many times a window."""

_MAD = 1.482602218505602
"""The standard deviation of normal noise, in its median absolute deviations."""

_MEAN_AD = 1.2533141373155001
"""The same in its mean absolute deviations, sqrt(pi / 2)."""


class Window:
    """The points of the active level and of the one laid aside, NaN elsewhere; `size` columns are the window.

    Column j of the frame is column `size + j` here, so that `before(j)` is the window before it.
    """

    def __init__(self, values: Floats, size: int) -> None:
        rows, time = values.shape
        self.values, self.size = values, size
        self.active = np.full((rows, size + time), np.nan)
        self.aside: dict[int, Floats] = {}
        self.learned: dict[int, Bools] = {}
        self.begin = np.zeros(rows, dtype=np.intp)
        self.first = self.stop = self.since = 0

    def carry(self, column: int, reach: int) -> Carried:
        """Which points of the columns before `column` each level learned, and whether a level is laid aside."""
        count = max(self.size, reach)
        there = slice(max(0, self.size + column - count), self.size + column)
        active = ~np.isnan(self.active[:, there])
        aside, learned, laid = np.zeros_like(active), active.copy(), np.zeros(len(active), dtype=np.bool_)
        for row, level in self.aside.items():
            aside[row], laid[row] = ~np.isnan(level[there]), True
        for row, some in self.learned.items():
            learned[row] |= some[there]
        bits = {"active": active, "aside": aside, "learned": learned}
        return {"laid": laid, **{name: packed(each, count) for name, each in bits.items()}}

    def resume(self, carried: Carried, column: int, reach: int) -> None:
        """Have learned what was carried over."""
        self.since, count = column, max(self.size, reach)
        active = unpacked(carried["active"], count, column)
        points = self.values[:, column - active.shape[1] : column]
        there = slice(self.size + column - active.shape[1], self.size + column)
        self.active[:, there] = np.where(active, points, np.nan)
        for row in np.flatnonzero(carried["laid"]).tolist():
            aside, learned = (unpacked(carried[name][[row]], count, column)[0] for name in ("aside", "learned"))
            self.aside[row] = np.full_like(self.active[row], np.nan)
            self.aside[row][there] = np.where(aside, points[row], np.nan)
            self.learned[row] = np.zeros(self.active.shape[1], dtype=np.bool_)
            self.learned[row][there] = learned

    def enter(self, first: int, stop: int) -> None:
        """Begin a stretch."""
        self.first, self.stop = first, stop
        self.begin[:] = first

    def before(self, column: int, rows: Rows | slice = ALL) -> Floats:
        """The active level's points in the window before `column`."""
        return self.active[rows, column : column + self.size]

    def put(self, rows: Rows | slice, taken: Bools) -> tuple[Floats, bool]:
        """Let the active level learn the points `taken` of the stretch, from its last change on.

        Its points there, and whether none is known to be missing.
        """
        stretch = slice(self.size + self.first, self.size + self.stop)
        points, whole = self.values[rows, self.first : self.stop], bool(taken.all())
        if not whole:
            points = np.where(taken, points, np.nan)
        if (self.begin[rows] > self.first).any():
            since = np.arange(self.first, self.stop) >= self.begin[rows][:, None]
            points, whole = np.where(since, points, self.active[rows, stretch]), False
        self.active[rows, stretch] = points
        return points, whole

    def recall(self, row: int, column: int) -> None:
        """Exchange the active level for the one laid aside, from `column` on, which it learns."""
        self._lay_aside(row, column, self.aside[row])
        self.active[row, self.size + column] = self.values[row, column]

    def adopt(self, row: int, first: int, column: int) -> None:
        """Begin a new level, after `column`, with the points since `first` that no level learned."""
        learned = ~np.isnan(self.active[row]) | self.learned.get(row, False)
        fresh = np.full_like(self.active[row], np.nan)
        since = slice(self.size + first, self.size + column + 1)
        fresh[since] = np.where(learned[since], np.nan, self.values[row, first : column + 1])
        self._lay_aside(row, column + 1, fresh)

    def _lay_aside(self, row: int, column: int, level: Floats) -> None:
        """Make `level` the active one from `column` on."""
        self.active[row, self.size + column :] = np.nan  # what was tried there is not learned
        old = self.active[row].copy()
        self.learned[row] = ~np.isnan(old) | self.learned.get(row, False)
        self.aside[row], self.active[row] = old, level
        self.begin[row] = column


class Moments:
    """The mean and the standard deviation of the window before each column; NaN of fewer than `least` points.

    A stretch is as long as the window; one begins at column `lead`. The sums over the window are those over the stretch
    before, about a centre known then, plus what has come and less what has gone since. Where what has gone was so large
    that rounding would show, nothing is subtracted: the rest of the old stretch and the part of the new one are added
    up.
    """

    def __init__(self, values: Floats, size: int, least: int, lead: int = 0) -> None:
        self.window, self.least, self.lead = Window(values, size), least, lead
        self.centre = earliest(values)
        self.gone: Pairs = np.empty((0, 0), dtype=np.complex128)

    def stretches(self) -> Iterator[tuple[int, int]]:
        """The columns, a window at a time."""
        return parts(self.window.values.shape[1], self.window.size, self.lead, self.window.since)

    def carry(self, column: int, reach: int) -> Carried:
        """What was learned, and the centre of the stretch before."""
        return {**self.window.carry(column, reach), "centre": begun(self.centre, self.window.values, column)}

    def resume(self, past: Carried, column: int, reach: int) -> None:
        """Have learned what was carried over."""
        self.window.resume(past, column, reach)
        self.centre = np.where(np.isnan(past["centre"]), self.centre, past["centre"])

    def enter(self, first: int, stop: int) -> None:
        """Begin a stretch: centre on the one before."""
        self.window.enter(first, stop)
        before = self.window.before(first)
        self.full = not np.isnan(before).any()
        self.centre = _mean(before, self.centre, whole=self.full)
        self.gone = moments(before, self.centre, whole=self.full)

    def band(self, rows: Rows | slice, taken: Bools) -> tuple[Floats, Floats]:
        """The mean and the standard deviation of the window before each column of the stretch."""
        points, whole = self.window.put(rows, taken)
        come, gone = moments(points, self.centre[rows], whole=whole), self.gone[rows]
        count = self._count(rows, points, whole=whole)
        begin = gone.sum(axis=1)
        total = running(begin, come[:, :-1], gone[:, : points.shape[1] - 1])
        mean, square = _summary(total, count)
        lost = square < _LOST * begin.imag[:, None]
        if lost.any():
            some = np.flatnonzero(lost.any(axis=1))
            exact = self._afresh(
                np.arange(len(self.centre))[rows][some], points[some], np.broadcast_to(count, lost.shape)[some]
            )
            for part, better in zip((mean, square), exact, strict=True):
                part[some] = np.where(lost[some], better, part[some])
        square /= count - 1
        np.maximum(square, 0.0, out=square)
        mean += self.centre[rows][:, None]
        if count.min() < self.least:
            mean[np.broadcast_to(count < self.least, mean.shape)] = np.nan
        return mean, np.sqrt(square, out=square)

    def adopt(self, row: int, first: int, column: int) -> None:
        """Begin a new level with the points since `first` that no level learned."""
        self.window.adopt(row, first, column)
        self._changed(row)

    def recall(self, row: int, column: int) -> None:
        """Exchange the active level for the one laid aside."""
        self.window.recall(row, column)
        self._changed(row)

    def leave(self, _: Bools, __: Floats) -> None:
        """What was put last was learned."""

    def _afresh(self, rows: Rows, points: Floats, count: Floats) -> tuple[Floats, Floats]:
        """The same with nothing subtracted: the old stretch from its end backwards, the new one onwards."""
        before = self.window.before(self.window.first, rows)
        centre = middle(before)[0]  # one huge point does not draw it away from all others
        old = running(0.0, moments(before[:, ::-1], centre))[:, :0:-1]
        total = running(0.0, moments(points, centre))[:, :-1]
        total += old[:, : points.shape[1]]
        mean, square = _summary(total, count)
        mean += (centre - self.centre[rows])[:, None]
        return mean, square

    def _count(self, rows: Rows | slice, points: Floats, *, whole: bool) -> Floats:
        """How many points the window before each column holds; one row where none is missing."""
        width, size = points.shape[1], self.window.size
        if whole and self.full:
            return np.full((1, width), float(size))
        here, before = ~np.isnan(points), ~np.isnan(self.window.before(self.window.first, rows))
        change = here.astype(np.int32)
        change -= before[:, :width]
        count = np.empty(points.shape)
        count[:, 0] = 0.0
        np.cumsum(change[:, :-1], axis=1, out=count[:, 1:])
        count += before.sum(axis=1)[:, None]
        return count

    def _changed(self, row: int) -> None:
        rows = np.array([row])
        first = self.window.first
        known = self.window.active[rows, first : self.window.begin[row] + self.window.size]
        before = self.window.before(first, rows)
        self.centre[rows] = _mean(known, earliest(known))
        self.full = False
        self.gone[rows] = moments(before, self.centre[rows])


class Medians:
    """The median of the window and 1.4826 times its MAD, taken anew a number of times a window.

    They are taken at fixed times of the UTC grid, of which `origin` is the first column's place. A level of fewer than
    `least` points says nothing.
    """

    def __init__(self, values: Floats, size: int, least: int, origin: int) -> None:
        self.window, self.least, self.origin = Window(values, size), least, origin
        self.every = stretch(size)
        self.centre, self.spread = np.full(len(values), np.nan), np.full(len(values), np.nan)

    def stretches(self) -> Iterator[tuple[int, int]]:
        """The columns between two updates."""
        return parts(self.window.values.shape[1], self.every, -self.origin % self.every, self.window.since)

    def carry(self, column: int, reach: int) -> Carried:
        """What was learned; of that, the medians are taken anew."""
        return self.window.carry(column, reach)

    def resume(self, past: Carried, column: int, reach: int) -> None:
        """Have learned what was carried over."""
        self.window.resume(past, column, reach)

    def enter(self, first: int, stop: int) -> None:
        """Begin a stretch with an update."""
        self.window.enter(first, stop)
        if (self.origin + first) % self.every == 0:
            self._recount(first, ALL)

    def band(self, rows: Rows | slice, taken: Bools) -> tuple[Floats, Floats]:
        """The median and the scaled MAD of the window before the last update, for the whole stretch."""
        self.window.put(rows, taken)
        width = taken.shape[1]
        centre, spread = self.centre[rows][:, None], self.spread[rows][:, None]
        return np.repeat(centre, width, axis=1), np.repeat(spread, width, axis=1)

    def adopt(self, row: int, first: int, column: int) -> None:
        """Begin a new level with the points since `first` that no level learned."""
        self.window.adopt(row, first, column)
        self._recount(column + 1, np.array([row]))

    def recall(self, row: int, column: int) -> None:
        """Exchange the active level for the one laid aside."""
        self.window.recall(row, column)
        self._recount(column, np.array([row]))

    def leave(self, _: Bools, __: Floats) -> None:
        """What was put last was learned."""

    def _recount(self, column: int, rows: Rows | slice) -> None:
        centre, spread, count = middle(self.window.before(column, rows))
        centre[count < self.least] = np.nan
        self.centre[rows], self.spread[rows] = centre, spread


def stretch(size: int) -> int:
    """How many columns lie between two updates of the medians of a window."""
    return max(1, size // _UPDATES)


def middle(points: Floats) -> tuple[Floats, Floats, Floats]:
    """The median of each row, 1.4826 times its MAD (1.2533 times the mean deviation where that is 0), and the count."""
    ordered = points.copy(order="C")
    ordered.sort(axis=1)  # NaN sorts to the end
    size = ordered.shape[1]
    count = np.full(len(points), float(size))
    low, high = (size - 1) // 2, size // 2
    centre = ordered[:, low] + (ordered[:, high] - ordered[:, low]) / 2
    near, far = _nearest(ordered, centre, low + 1), _nearest(ordered, centre, high + 1)
    spread = near + (far - near) / 2
    holes = np.flatnonzero(np.isnan(ordered[:, -1]))
    if len(holes):
        some = ordered[holes]
        count[holes] = size - np.isnan(some).sum(axis=1)
        centre[holes] = _among(some, count[holes])
        off = np.abs(some - centre[holes, None])
        off.sort(axis=1)
        spread[holes] = _among(off, count[holes])
    spread *= _MAD
    flat = np.flatnonzero(spread == 0)
    if len(flat):
        off = np.nan_to_num(np.abs(points[flat] - centre[flat, None]))
        spread[flat] = _MEAN_AD * np.cumsum(off, axis=1)[:, -1] / count[flat]
    return centre, spread, count


def _among(ordered: Floats, count: Floats) -> Floats:
    """The median of the first `count` of each row; NaN of none."""
    row, whole = np.arange(len(ordered)), count.astype(np.intp)
    low, high = ordered[row, np.maximum(whole - 1, 0) // 2], ordered[row, np.minimum(whole // 2, ordered.shape[1] - 1)]
    centre: Floats = low + (high - low) / 2
    return centre


def _nearest(ordered: Floats, centre: Floats, count: int) -> Floats:
    """How far the `count`-th nearest of sorted points is from `centre`: no run of so many has nearer ends."""
    stop = ordered.shape[1] - count + 1
    reach: Floats = np.maximum(centre[:, None] - ordered[:, :stop], ordered[:, count - 1 :] - centre[:, None])
    nearest: Floats = reach.min(axis=1)
    return nearest


def _summary(total: Pairs, count: Floats) -> tuple[Floats, Floats]:
    """The mean, and the sum of squares about it, of sums and sums of squares."""
    mean: Floats = total.real / count
    square: Floats = mean * total.real
    np.subtract(total.imag, square, out=square)
    return mean, square


def _mean(points: Floats, about: Floats, *, whole: bool = False) -> Floats:
    """The mean of each row's points, added up about `about`, which it is where there are none."""
    off = points - about[:, None]
    if whole:
        return np.asarray(about + off.sum(axis=1) / points.shape[1])
    missing = np.isnan(off)
    off[missing] = 0.0
    count = points.shape[1] - missing.sum(axis=1)
    mean: Floats = about + off.sum(axis=1) / np.maximum(count, 1)
    return mean
