"""The sequential guard: what deviates far does not teach the baseline, unless it stays.

Each series has an active level, which learns, and at most one remembered level. A point farther than `limit` spreads
from the active level teaches nothing. When such points have gone on for `adopt`, they become the active level and the
old one is remembered for `memory`; a point inside the remembered level's band is normal and makes that level the
active one again. So a shift is one event, with an end, and the way back is none.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from detectors.blocks import Floats
from detectors.scores import RELATIVE_FLOOR

_FORGIVE = 4
"""An ordinary point takes back this many far ones: a shift is adopted when four points in five are far."""

Rows = NDArray[np.intp]


class Baseline(Protocol):
    """The level that learns; all arrays have one entry a series."""

    def at(self, column: int) -> tuple[Floats, Floats]:
        """What is expected of `column`, and its spread, from the points learned before it."""

    def learn(self, column: int, taken: NDArray[np.bool_]) -> None:
        """Learn the points of `column` where `taken`."""

    def adopt(self, column: int, first: int, rows: Rows) -> None:
        """Lay the level of `rows` aside; learn a new one from the points since `first` that nobody learned."""

    def recall(self, column: int, rows: Rows) -> None:
        """Exchange the active level of `rows` for the one that was laid aside."""


@dataclass(frozen=True)
class Guard:
    """How far is far (spreads), and after how many columns a shift is adopted, and a level forgotten."""

    limit: float
    adopt: int
    memory: int

    def run(self, values: Floats, ready: NDArray[np.bool_], baseline: Baseline) -> tuple[Floats, Floats]:
        """Walk through `values` (time, series) in order; give what was expected and the spread, NaN unless `ready`."""
        expected, spread = np.empty_like(values), np.empty_like(values)
        past = _Past(values.shape[1])
        present = ~np.isnan(values)
        everyone: NDArray[np.bool_] = np.all(ready, axis=1)
        for j, x in enumerate(values):
            centre, usual = past.held(j, *baseline.at(j))
            if not everyone[j]:
                centre = np.where(ready[j], centre, np.nan)
            expected[j], spread[j] = centre, usual
            taken = present[j]
            far = np.abs(x - centre) > self.limit * usual
            if far.any():
                away = self._far(j, x, np.flatnonzero(far), past, baseline, expected[j], spread[j])
                taken = taken.copy()
                taken[away] = False
            baseline.learn(j, taken)
            if past.restless:
                past.forgive(taken)
                self._adopt(j, past, baseline, expected[j], spread[j])
        spread[np.isnan(expected)] = np.nan
        return expected, spread

    def _far(
        self, j: int, x: Floats, rows: Rows, past: "_Past", baseline: Baseline, expected: Floats, spread: Floats
    ) -> Rows:
        """Go back to the remembered level where the point is near it; count and give the rows that are near neither."""
        rounding = RELATIVE_FLOOR * np.maximum(np.abs(x[rows]), np.abs(expected[rows]))
        rows = rows[np.abs(x[rows] - expected[rows]) > self.limit * rounding]
        near = (past.until[rows] > j) & (
            np.abs(x[rows] - past.centre[rows])
            <= self.limit * np.maximum(past.spread[rows], RELATIVE_FLOOR * np.abs(past.centre[rows]))
        )
        back: Rows = rows[near]
        away: Rows = rows[~near]
        past.count(away)
        if len(back):
            now = expected[back], spread[back]
            expected[back], spread[back] = past.centre[back], past.spread[back]
            past.hold(back, past.centre[back], past.spread[back], j + self.memory)
            past.remember(back, *now, j + self.memory)
            baseline.recall(j, back)
        return away

    def _adopt(self, j: int, past: "_Past", baseline: Baseline, expected: Floats, spread: Floats) -> None:
        rows = past.stayed(self.adopt)
        if len(rows):
            past.remember(rows, expected[rows], spread[rows], j + self.memory)
            past.hold(rows, np.full(len(rows), np.nan), spread[rows], j + self.memory)
            baseline.adopt(j, max(0, j + 1 - self.adopt - self.adopt // _FORGIVE), rows)


class _Past:
    """What the guard knows of each series: how long it is away, the level it remembers, and what it holds on to."""

    def __init__(self, rows: int) -> None:
        self.away = np.zeros(rows, dtype=np.int64)
        self.restless = False
        self.centre, self.spread, self.until = np.full(rows, np.nan), np.full(rows, np.nan), np.full(rows, -1)
        self.held_to = -1
        self.held_centre, self.held_spread, self.held_until = np.full(rows, np.nan), np.zeros(rows), np.full(rows, -1)

    def held(self, j: int, centre: Floats, spread: Floats) -> tuple[Floats, Floats]:
        """The baseline with what it has too few points for: a fresh level is not known to be calmer than the old."""
        if self.held_to <= j:
            return centre, spread
        holds = self.held_until > j
        missing = holds & np.isnan(centre)
        least = np.where(holds, self.held_spread, 0.0)
        return np.where(missing, self.held_centre, centre), np.where(missing, least, np.maximum(spread, least))

    def hold(self, rows: Rows, centre: Floats, spread: Floats, until: int) -> None:
        """Let the baseline of `rows` be no narrower than `spread`, and be `centre` while it has none of its own."""
        self.held_centre[rows], self.held_spread[rows], self.held_until[rows] = centre, spread, until
        self.held_to = until

    def remember(self, rows: Rows, centre: Floats, spread: Floats, until: int) -> None:
        """Keep a level beside the active one."""
        self.centre[rows], self.spread[rows], self.until[rows] = centre, spread, until

    def count(self, rows: Rows) -> None:
        """Another point of `rows` is far from every level."""
        self.away[rows] += 1
        self.restless = self.restless or len(rows) > 0

    def forgive(self, taken: NDArray[np.bool_]) -> None:
        """An ordinary point makes up for some far ones."""
        self.away[taken] = np.maximum(self.away[taken] - _FORGIVE, 0)
        self.restless = bool(self.away.any())

    def stayed(self, adopt: int) -> Rows:
        """The rows that have been away for `adopt` points; their count begins again."""
        rows = np.flatnonzero(self.away >= adopt)
        self.away[rows] = 0
        return rows
