"""The EWMA control chart: an exponentially weighted mean and variance, one step ahead."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

import numpy as np

from detectors.blocks import Floats, by_tiles, enough
from detectors.carried import Carried, packed, unpacked
from detectors.frame import Frame
from detectors.guard import Bools, Guard, Rows
from detectors.running import begun, border, earliest, moments, parts, running, weighted
from detectors.scores import Scores
from detectors.settings import check

_HALVINGS = 10
_STRETCH = 256
_GROWTH = 8
"""A stretch has at most so many columns, and its weights grow by at most so many doublings."""

_MOST = 32.0
"""A column is taken for no more half-lives than this: beyond it, a deviation of one point is all there is."""

_ROUNDING = 1e-12
"""Weights that leave less than this for a second point have none."""

State: TypeAlias = tuple[Floats, Floats, Floats, Floats]
"""Of each series: the mean; the sums of the weights, of their squares and of the weighted squared deviations."""


@dataclass(frozen=True)
class Ewma:
    """Scores a point against the exponentially weighted mean and deviation of the points before it.

    With `b = 2 ** (-step / half_life)` and weights `w_i = b ** (age of point i)`,

        mean = sum(w x) / sum(w)
        variance = sum(w (x - mean)**2) / (sum(w) - sum(w**2) / sum(w))
        score = (x - mean) / sqrt(variance), before x is learned.

    Both sums start empty, so the mean needs no start-up correction by `1 - b**n` and the variance is unbiased from the
    second point on. Every column ages the weights, with a point or without.

    `half_life`: shorter follows the level faster and trusts fewer points. Below a dozen steps the deviation is a guess
    and false alarms multiply; much above 6h it no longer follows the day.
    `warm_up`: this much of the `2 * warm_up` before a point must have points, else its score is NaN.
    `guard`: a point farther off than this many deviations teaches nothing. `adopt`: a shift that lasts this long is the
    new normal; the level before it stays normal too for another `2 * warm_up`.

    `history` is ten half-lives and what the guard remembers: more past changes no score of quiet data by 0.01
    deviations.

    >>> import numpy as np
    >>> from datetime import UTC, datetime, timedelta
    >>> values = np.tile([9.0, 11.0], 150)[None]
    >>> values[0, -1] = 30.0
    >>> frame = Frame(values, datetime(2026, 11, 22, tzinfo=UTC), timedelta(minutes=5), ({},))
    >>> Ewma()(frame).score.round(1)[0, -2:]
    array([-1., 20.])

    Roberts, "Control Chart Tests Based on Geometric Moving Averages", Technometrics 1(3), 1959;
    Finch, "Incremental calculation of weighted mean and variance", 2009.
    """

    half_life: timedelta = timedelta(hours=6)
    warm_up: timedelta = timedelta(hours=12)
    guard: float = 5.0
    adopt: timedelta = timedelta(hours=6)

    def __post_init__(self) -> None:
        check(self, half_life=self.half_life)

    @property
    def history(self) -> timedelta:
        """How much past before a point its score needs."""
        return max(_HALVINGS * self.half_life, 2 * self.warm_up) + self.adopt

    def recent(self, step: timedelta) -> timedelta:
        """How much past a resumed frame still needs: a stretch, and what says whether there is enough or is adopted."""
        return (_STRETCH + 2) * step + 2 * max(self.warm_up + step, self.adopt)

    def __call__(self, frame: Frame) -> Scores:
        """Score every point of the frame."""
        return self._scored(frame, 0)[0]

    def late(self, frame: Frame, first: int) -> Scores:
        """The scores of the columns from `first` on."""
        return self._scored(frame, first)[0]

    def carry(self, frame: Frame, first: int, midnight: int) -> tuple[Scores, Carried]:
        """The scores of the columns from `first` on, and what those from `midnight` on need of the past."""
        return self._scored(frame, first, midnight)

    def resume(self, carried: Carried, frame: Frame, midnight: int) -> Scores:
        """The scores of the columns from `midnight` on, of a frame that begins `recent` before them."""
        return self._scored(frame, midnight, midnight, carried)[0]

    def _scored(
        self, frame: Frame, first: int, midnight: int = 0, past: Carried | None = None
    ) -> tuple[Scores, Carried]:
        memory = 2 * frame.periods(self.warm_up)
        guard = Guard(self.guard, frame.periods(self.adopt), memory)
        ages = min(frame.step / self.half_life, _MOST)
        lead = -frame.origin % stretch(ages)
        at = border(midnight, stretch(ages), lead)
        if past:  # what is before is in there
            low = max(0, at - max(memory, guard.reach))
            frame, first, lead, at = frame.since(low), first - low, lead - low, at - low

        def kernel(values: Floats, expected: Floats, spread: Floats, past: Carried) -> Carried:
            ready = enough(values, memory, max(2, frame.periods(self.warm_up)), axis=1)
            return guard.run(values, ready, Weighted(values, ages, lead), expected, spread, at, past)

        return by_tiles(frame, stretch(ages), kernel, first, past)


class Weighted:
    """The exponentially weighted mean and deviation of the points before each column; `ages` half-lives are a column.

    A stretch is short enough for weights that grow with time, from 1 at its first column: running sums of the weights,
    of their squares, and of the points and their squares about the mean that the stretch began with. One begins at
    column `lead`.
    """

    def __init__(self, values: Floats, ages: float, lead: int = 0) -> None:
        rows = len(values)
        self.values, self.ages, self.lead, self.since = values, ages, lead, 0
        self.level: State = earliest(values), np.zeros(rows), np.zeros(rows), np.zeros(rows)
        self.aside: dict[int, State] = {}
        self.learned = np.zeros(values.shape, dtype=np.bool_)
        self.begin = np.zeros(rows, dtype=np.intp)  # the column that the level has come to
        self.stretch = slice(0, 0)
        self.come, self.gained = np.zeros(rows, dtype=np.complex128), np.zeros(rows, dtype=np.complex128)

    def stretches(self) -> Iterator[tuple[int, int]]:
        """The columns, in parts over which the weights do not grow beyond 2**8."""
        return parts(self.values.shape[1], stretch(self.ages), self.lead, self.since)

    def carry(self, column: int, reach: int) -> Carried:
        """Both levels, and which of the last points were learned."""
        aside = np.full((len(self.values), len(self.level)), np.nan)
        for row, level in self.aside.items():
            aside[row] = np.concatenate(level)
        learned = packed(self.learned[:, max(0, column - reach) : column], reach)
        level = begun(self.level[0], self.values, column), *self.level[1:]
        return {"level": np.stack(level, axis=1), "aside": aside, "learned": learned}

    def resume(self, past: Carried, column: int, reach: int) -> None:
        """Have learned what was carried over."""
        self.since = column
        mean, weight, squares, off = past["level"].T.copy()
        self.level = np.where(np.isnan(mean), self.level[0], mean), weight, squares, off
        for row in np.flatnonzero(~np.isnan(past["aside"][:, 0])).tolist():
            mean, weight, squares, off = past["aside"][row][:, None].copy()
            self.aside[row] = mean, weight, squares, off
        self.learned[:, max(0, column - reach) : column] = unpacked(past["learned"], reach, column)

    def enter(self, first: int, stop: int) -> None:
        """Begin a stretch."""
        self.stretch = slice(first, stop)
        self.begin[:] = first
        self.tried = np.zeros((len(self.values), stop - first), dtype=np.bool_)

    def band(self, rows: Rows | slice, taken: Bools) -> tuple[Floats, Floats]:
        """The mean and the deviation before each column of the stretch."""
        growth = 2.0 ** (self.ages * np.arange(1, taken.shape[1] + 1))
        since = self.begin[rows] - self.stretch.start
        if since.any():
            taken = taken & (np.arange(len(growth)) >= since[:, None])
        self.tried[rows] = taken
        mean, weight, squares, off = self._begun(rows, since)
        whole = bool(taken.all())
        weights = np.empty((1 if whole else len(taken), len(growth)), dtype=np.complex128)
        np.multiply(growth, taken[: len(weights)], out=weights.real)
        np.multiply(growth, weights.real, out=weights.imag)
        weights = running(0.0, weights)
        self.gained[rows], weights = weights[:, -1], weights[:, :-1]
        total = weight + weights.real
        rest = squares + weights.imag
        rest /= total
        np.subtract(total, rest, out=rest)
        values = self.values[rows, self.stretch]
        points = moments(values if whole else np.where(taken, values, np.nan), mean[:, 0], whole=whole)
        begin = np.zeros(len(off), dtype=np.complex128)
        begin.imag = off[:, 0]
        points = running(begin, weighted(points, growth))
        self.come[rows], points = points[:, -1], points[:, :-1]
        step = points.real / total
        variance = step * points.real
        np.subtract(points.imag, variance, out=variance)
        variance /= rest
        np.maximum(variance, 0.0, out=variance)
        step += mean
        step[~(rest > _ROUNDING * total)] = np.nan
        return step, np.sqrt(variance, out=variance)

    def adopt(self, row: int, first: int, column: int) -> None:
        """Begin a new level with the points since `first` that no level learned; its clock begins there."""
        self.aside[row] = self._upto(row, column + 1)
        fresh = slice(first, column + 1)
        values = self.values[row : row + 1, fresh]
        use = ~(self.learned[row : row + 1, fresh] | np.isnan(values))
        self.learned[row, fresh] |= use[0]
        nothing = np.zeros(1)
        self._put(
            row, _after((earliest(np.where(use, values, np.nan)), nothing, nothing, nothing), values, use, self.ages)
        )
        self.begin[row] = column + 1

    def recall(self, row: int, column: int) -> None:
        """Exchange the active level for the one laid aside, whose clock goes on where it stopped."""
        back, self.aside[row] = self.aside[row], self._upto(row, column)
        here = slice(column, column + 1)
        self.learned[row, here] = True
        self._put(row, _after(back, self.values[row : row + 1, here], self.learned[row : row + 1, here], self.ages))
        self.begin[row] = column + 1

    def leave(self, _: Bools, __: Floats) -> None:
        """Learn the stretch."""
        self.learned[:, self.stretch] |= self.tried
        changed = np.flatnonzero(self.begin > self.stretch.start)
        for row in changed.tolist():
            self._put(row, self._upto(row, self.stretch.stop))
        late = [part[changed] for part in self.level]
        self.level = self._left()
        for part, kept in zip(self.level, late, strict=True):
            part[changed] = kept

    def _left(self) -> State:
        """The level at the end of the stretch, by what its last band added up."""
        mean, weight, squares, _ = self.level
        fade = 2.0 ** (-self.ages * (self.stretch.stop - self.stretch.start))
        total = weight + self.gained.real
        step = np.where(total > 0, self.come.real / total, 0.0)
        off = np.maximum(self.come.imag - self.come.real * step, 0.0)
        return mean + step, total * fade, (squares + self.gained.imag) * fade * fade, off * fade

    def _begun(self, rows: Rows | slice, since: Rows) -> State:
        """The level of `rows` as if it had come to the first column of the stretch, in the weights of that column."""
        mean, weight, squares, off = (part[rows][:, None] for part in self.level)
        if since.any():
            growth = 2.0 ** (self.ages * since[:, None])
            weight, squares, off = weight * growth, squares * growth * growth, off * growth
        return mean, weight, squares, off

    def _upto(self, row: int, column: int) -> State:
        """The level of `row` once it has come to `column`, which is in this stretch or its end."""
        mean, weight, squares, off = (part[row : row + 1] for part in self.level)
        part = slice(self.begin[row], column)
        tried = slice(part.start - self.stretch.start, column - self.stretch.start)
        use = self.tried[row : row + 1, tried]
        self.learned[row, part] |= use[0]
        return _after((mean, weight, squares, off), self.values[row : row + 1, part], use, self.ages)

    def _put(self, row: int, level: State) -> None:
        for whole, part in zip(self.level, level, strict=True):
            whole[row] = part[0]


def stretch(ages: float) -> int:
    """How many columns a stretch has."""
    return max(1, min(_STRETCH, int(_GROWTH / ages)))


def _after(level: State, values: Floats, use: Bools, ages: float) -> State:
    """The level when it has learned the points `use` of further columns, all of which age it."""
    mean, weight, squares, off = level
    columns = values.shape[1]
    growth = 2.0 ** (ages * np.arange(1 - columns, 1))
    weights = np.where(use, growth, 0.0)
    points = weighted(moments(np.where(use, values, np.nan), mean), growth)
    first = points.sum(axis=1)
    fade = 2.0 ** (-ages * columns)
    total = weight * fade + weights.sum(axis=1)
    weights *= weights
    step = np.where(total > 0, first.real / total, 0.0)
    rest = np.maximum(off * fade + first.imag - first.real * step, 0.0)
    return mean + step, total, squares * fade * fade + weights.sum(axis=1), rest
