"""The guard: what deviates far does not teach the baseline, unless it stays.

Each series has an active level, which learns, and at most one remembered level. A point farther than `limit` spreads
from the active level teaches nothing. When such points have gone on for `adopt`, they become the active level and the
old one is remembered for `memory`; a point inside the remembered level's band is normal and makes that level the
active one again. So a shift is one event, with an end, and the way back is none.

The columns are walked in stretches. Within one, which points are far depends on which earlier ones were: all are taken
to teach at first, and those that prove far are left out until nothing changes. Each round settles at least one more
column for good, and no column looks at a later one, so this is the answer of a walk point by point. A series whose
level changes in the middle of a stretch goes on from there alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from detectors.blocks import Floats
from detectors.carried import Carried
from detectors.scores import RELATIVE_FLOOR

_FORGIVE = 4
"""An ordinary point takes back this many far ones: a shift is adopted when four points in five are far."""

Bools: TypeAlias = NDArray[np.bool_]
Rows: TypeAlias = NDArray[np.intp]
ALL = slice(None)


class Baseline(Protocol):
    """The level that learns, a stretch of columns at a time; arrays are (series, column of the stretch)."""

    def stretches(self) -> Iterable[tuple[int, int]]:
        """The columns, in order and in parts `[first, stop)`; those from where it was resumed on."""

    def carry(self, column: int, reach: int) -> Carried:
        """What the stretches from `column` on need of those before; a new level learns of `reach` columns."""

    def resume(self, past: Carried, column: int, reach: int) -> None:
        """Go on from `column` with what was carried over to it."""

    def enter(self, first: int, stop: int) -> None:
        """Begin a stretch, whose values it may still change; all before it is learned."""

    def band(self, rows: Rows | slice, taken: Bools) -> tuple[Floats, Floats]:
        """What is expected of each column and its spread, where so much of the stretch before it is learned.

        Columns up to a change of the level in this stretch may hold anything.
        """

    def adopt(self, row: int, first: int, column: int) -> None:
        """Lay the level aside; learn a new one from the points of `[first, column]` that no level learned."""

    def recall(self, row: int, column: int) -> None:
        """Exchange the active level for the one laid aside, which learns the point of `column`."""

    def leave(self, taken: Bools, expected: Floats) -> None:
        """End the stretch, of which so much was learned at last, and this was expected."""


@dataclass(frozen=True)
class Guard:
    """How far is far (spreads), and after how many columns a shift is adopted, and a level forgotten."""

    limit: float
    adopt: int
    memory: int

    @property
    def reach(self) -> int:
        """So many columns back a shift that is adopted may have begun."""
        return self.adopt + self.adopt // _FORGIVE

    def run(
        self,
        values: Floats,
        ready: Bools,
        baseline: Baseline,
        expected: Floats,
        spread: Floats,
        at: int = 0,
        carried: Carried | None = None,
    ) -> Carried:
        """Walk through `values` (series, time) in order; write what was expected and the spread, NaN unless `ready`.

        The answer is what is carried over to column `at`, where a stretch begins. With what was carried there, the walk
        begins there, too.
        """
        past, found = _Past(len(values)), carried or {}
        if carried:
            past.resume(carried, at)
            baseline.resume(carried, at, self.reach)
        for first, stop in baseline.stretches():
            if first == at and not carried:
                found = {**past.carry(at), **baseline.carry(at, self.reach)}
            part = slice(first, stop)
            baseline.enter(first, stop)
            stretch = _Stretch(self, baseline, past, values[:, part], ready[:, part], first)
            stretch.walk(expected[:, part], spread[:, part])
        return found


class _Past:
    """What the guard knows of each series: how long it is away, the level it remembers, and what it holds on to."""

    def __init__(self, rows: int) -> None:
        self.away = np.zeros(rows, dtype=np.int64)
        self.centre, self.spread, self.until = np.full(rows, np.nan), np.full(rows, np.nan), np.full(rows, -1)
        self.held_to = -1
        self.held_centre, self.held_spread, self.held_until = np.full(rows, np.nan), np.zeros(rows), np.full(rows, -1)

    def carry(self, column: int) -> Carried:
        """All of it, by times from `column` on."""
        return {
            "away": self.away.copy(),
            "other": np.stack([self.centre, self.spread, self.held_centre, self.held_spread], axis=1),
            "until": np.stack([self.until, self.held_until], axis=1) - column,
        }

    def resume(self, carried: Carried, column: int) -> None:
        """Be what was carried over."""
        self.away = carried["away"].copy()
        self.centre, self.spread, self.held_centre, self.held_spread = carried["other"].T.copy()
        self.until, self.held_until = carried["until"].T + column
        self.held_to = int(self.held_until.max(initial=-1))

    def hold(self, row: int, centre: float, spread: float, until: int) -> None:
        """Let the baseline be no narrower than `spread`, and be `centre` while it has none of its own."""
        self.held_centre[row], self.held_spread[row], self.held_until[row] = centre, spread, until
        self.held_to = max(self.held_to, until)

    def remember(self, row: int, centre: float, spread: float, until: int) -> None:
        """Keep a level beside the active one."""
        self.centre[row], self.spread[row], self.until[row] = centre, spread, until

    def held(self, rows: Rows | slice, columns: NDArray[np.intp], centre: Floats, spread: Floats) -> None:
        """Give the band, in place, what it has too few points for: a fresh level is not known to be calmer."""
        if self.held_to <= columns[0]:
            return
        holds = self.held_until[rows][:, None] > columns
        missing = holds & np.isnan(centre)
        least = np.where(holds, self.held_spread[rows][:, None], 0.0)
        np.maximum(spread, least, out=spread)
        np.copyto(spread, least, where=missing)
        np.copyto(centre, np.broadcast_to(self.held_centre[rows][:, None], centre.shape), where=missing)


class _Stretch:
    """The walk through one stretch."""

    def __init__(self, guard: Guard, baseline: Baseline, past: _Past, x: Floats, ready: Bools, first: int) -> None:
        self.guard, self.baseline, self.past, self.x, self.first = guard, baseline, past, x, first
        self.unready = None if ready.all() else ~ready
        self.present = ~np.isnan(x)
        self.taken, self.far = self.present.copy(), np.zeros(x.shape, dtype=np.bool_)
        self.places = np.arange(x.shape[1])
        self.columns = first + self.places

    def walk(self, expected: Floats, spread: Floats) -> None:
        """Write what was expected of the stretch, and let the baseline learn it."""
        self._settle(ALL, np.zeros(len(self.x), dtype=np.intp), expected, spread)
        rows = np.flatnonzero(self.far.any(axis=1) | (self.past.away > 0))
        begin = np.zeros(len(rows), dtype=np.intp)
        while len(rows):
            rows, begin = self._change(rows, begin, expected, spread)
            if len(rows):
                self._settle(rows, begin, expected, spread)
        np.copyto(spread, np.nan, where=np.isnan(expected))
        self.baseline.leave(self.taken, expected)

    def _settle(self, rows: Rows | slice, begin: Rows, expected: Floats, spread: Floats) -> None:
        """Find which points of `rows` from `begin` on are far from what the ordinary ones before them teach."""
        for turn in count():
            far = self._look(rows, begin, expected, spread)
            differs = far != self.far[rows]
            changed = np.flatnonzero(differs.any(axis=1))
            if not len(changed):
                return
            rows, far, begin, differs = (
                np.arange(len(self.x))[rows][changed],
                far[changed],
                begin[changed],
                differs[changed],
            )
            if turn % 2:  # perhaps it stays away, which would be found a few points at a time
                far |= self.present[rows] & (self.places > differs.argmax(axis=1)[:, None])
            since = self.places >= begin[:, None]
            self.taken[rows] = np.where(since, self.present[rows] & ~far, self.taken[rows])
            self.far[rows] = far

    def _look(self, rows: Rows | slice, begin: Rows, expected: Floats, spread: Floats) -> Bools:
        """Which points are far when those taken now have taught; write the band by which they are."""
        centre, usual = self.baseline.band(rows, self.taken[rows])
        self.past.held(rows, self.columns, centre, usual)
        if self.unready is not None:
            centre[self.unready[rows]] = np.nan
        far = self._is_far(self.x[rows], centre, usual)
        if begin.any():
            since = self.places >= begin[:, None]
            far &= since
            centre, usual = np.where(since, centre, expected[rows]), np.where(since, usual, spread[rows])
        expected[rows], spread[rows] = centre, usual
        return far

    def _is_far(self, x: Floats, centre: Floats, usual: Floats) -> Bools:
        """Whether a point is beyond the limit, and by more than rounding."""
        off = x - centre
        np.abs(off, out=off)
        far = off > self.guard.limit * usual
        if far.any():
            rounding = RELATIVE_FLOOR * np.maximum(np.abs(x[far]), np.abs(centre[far]))
            far[far] = off[far] > self.guard.limit * rounding
        return far

    def _change(self, rows: Rows, begin: Rows, expected: Floats, spread: Floats) -> tuple[Rows, Rows]:
        """Count how long `rows` are away, and change the level where it is due; the rows that go on, and from where."""
        far, taken = self.far[rows], self.taken[rows]
        near = self._near(rows, far)
        away = self._away(rows, begin, far, taken)
        back, adopted = _earliest(near), _earliest(away >= self.guard.adopt)
        event = np.minimum(back, adopted)
        changes = event < self.x.shape[1]
        self.past.away[rows[~changes]] = away[~changes, -1]
        for i in np.flatnonzero(changes):
            row, j = int(rows[i]), int(event[i])
            band = float(expected[row, j]), float(spread[row, j])
            if back[i] == j:
                before = int(away[i, j - 1]) if j > begin[i] else int(self.past.away[row])
                expected[row, j], spread[row, j] = self._recall(row, j, band)
                self.past.away[row] = max(before - _FORGIVE, 0)
            else:
                self._adopt(row, j, band)
            self.taken[row, j + 1 :], self.far[row] = self.present[row, j + 1 :], False
        goes_on = changes & (event + 1 < self.x.shape[1])
        return rows[goes_on], event[goes_on] + 1

    def _near(self, rows: Rows, far: Bools) -> Bools:
        """Which far points are inside the band of the remembered level."""
        if not (self.past.until[rows] > self.first).any():
            return np.zeros_like(far)
        centre, spread = self.past.centre[rows][:, None], self.past.spread[rows][:, None]
        limit = self.guard.limit * np.maximum(spread, RELATIVE_FLOOR * np.abs(centre))
        near = np.abs(self.x[rows] - centre) <= limit
        near &= self.past.until[rows][:, None] > self.columns
        near &= far
        answer: Bools = near
        return answer

    def _away(self, rows: Rows, begin: Rows, far: Bools, taken: Bools) -> NDArray[np.int64]:
        """For each column, the far points so far less those that ordinary ones took back: max(before + step, 0)."""
        step = far.astype(np.int64) - _FORGIVE * (taken & (self.places >= begin[:, None]))
        step[:, 0] += self.past.away[rows]
        total = np.cumsum(step, axis=1)
        away: NDArray[np.int64] = total - np.minimum(np.minimum.accumulate(total, axis=1), 0)
        return away

    def _recall(self, row: int, column: int, band: tuple[float, float]) -> tuple[float, float]:
        """Go back to the remembered level, whose band it answers."""
        past, until = self.past, self.first + column + self.guard.memory
        centre, spread = float(past.centre[row]), float(past.spread[row])
        past.hold(row, centre, spread, until)
        past.remember(row, *band, until)
        self.baseline.recall(row, self.first + column)
        self.taken[row, column] = True
        return centre, spread

    def _adopt(self, row: int, column: int, band: tuple[float, float]) -> None:
        """Take what has stayed away for the new level."""
        until = self.first + column + self.guard.memory
        self.past.remember(row, *band, until)
        self.past.hold(row, np.nan, band[1], until)
        self.past.away[row] = 0
        self.baseline.adopt(row, max(0, self.first + column + 1 - self.guard.reach), self.first + column)


def _earliest(there: Bools) -> Rows:
    """The first column of each row where it holds; the number of columns where there is none."""
    first: Rows = np.where(there.any(axis=1), there.argmax(axis=1), there.shape[1])
    return first
