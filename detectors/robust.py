"""STL with weights: what deviates from the decomposition counts for less, and a missing point for nothing.

Each local line needs, at its place, the sums of the weights, of weights times distance and times its square, and of the
weighted points and these times distance: three products on the weights and two on the points, all of them banded.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from detectors.blocks import Floats
from detectors.decomposition import TILE, Decomposition, Linear, Spans, linear, low_pass
from detectors.loess import NARROW, Banded, Lines, along, cycles

_TRUST, _DOUBT = 0.001, 0.999
"""Within the first part of six median deviations a point has its full weight, beyond the second none."""

Bools: TypeAlias = NDArray[np.bool_]
Line: TypeAlias = tuple[Floats, Floats, Bools | None]
"""What a local line is of the sums over points, less what of those over points times distance; where none is near."""


def robust(values: Floats, spans: Spans, inner: int = 2, outer: int = 15) -> Decomposition:
    """Decompose each row of `values` (series, time) robustly; NaN is a point of no weight.

    Without gaps it is what statsmodels' `STL(row, ..., robust=True).fit(inner, outer)` gives with the same spans and
    jumps; `outer` 0 is the plain decomposition. Where no point is near enough for a line, the row's mean stands.

    Raises:
        ValueError: a row is shorter than two periods, or a value is infinite.
    """
    if values.shape[1] < 2 * spans.period:
        raise ValueError(f"{values.shape[1]} columns are not two periods of {spans.period}")
    if np.isinf(values).any():
        raise ValueError("a value is infinite")
    begin = linear(values.shape[1], spans, inner)
    plan = weighted(values.shape[1], spans)
    seasonal, trend, rest, weights = np.empty((4, *values.shape))
    gaps = np.isnan(values).any(axis=1)
    for rows, first in ((np.flatnonzero(~gaps), begin), (np.flatnonzero(gaps), None)):
        for some in (rows[i : i + TILE] for i in range(0, len(rows), TILE)):
            block = np.zeros((TILE, values.shape[1]))
            block[: len(some)] = values[some]
            for whole, part in zip((seasonal, trend, weights), plan.split(block, inner, outer, first), strict=True):
                whole[some] = part[: len(some)]
    np.subtract(values, seasonal, out=rest)
    rest -= trend
    return Decomposition(seasonal, trend, rest, weights)


class Phases:
    """Weighted local lines along the cycles of phases that have equally many, and at a cycle before and after them."""

    def __init__(self, phases: slice, count: int, span: int) -> None:
        loess = cycles(count, span)
        self.phases, self.count = phases, count
        self.sums = np.vstack([loess.weights, loess.weights * loess.off, loess.weights * loess.off**2])

    def of(self, cut: Floats) -> Floats:
        """Their part of what is cut into (series, cycle, phase)."""
        return cut[:, : self.count, self.phases]

    def lines(self, weights: Floats) -> Line:
        """The lines of weights (series, cycle, phase)."""
        sums = np.matmul(self.sums, weights)
        parts = self.count + 2
        return _line(sums[:, :parts], sums[:, parts : 2 * parts], sums[:, 2 * parts :], self.count)

    def smooth(self, weighed: Floats, plain: Floats, line: Line, out: Floats) -> None:
        """Write the smoothed phases; where no point is near, the plain ones, and at an end its neighbour."""
        parts = self.count + 2
        level, slope, lonely = line
        sums = np.matmul(self.sums[: 2 * parts], weighed)
        part = out[:, :parts, self.phases]
        np.multiply(sums[:, :parts], level, out=part)
        sums[:, parts:] *= slope
        part -= sums[:, parts:]
        if lonely is not None:
            np.copyto(part[:, 1:-1], plain, where=lonely[:, 1:-1])
            np.copyto(part[:, 0], part[:, 1], where=lonely[:, 0])
            np.copyto(part[:, -1], part[:, -2], where=lonely[:, -1])


@dataclass(frozen=True, eq=False)
class Weighted:
    """What robust STL needs for series of one length."""

    columns: int
    period: int
    phases: tuple[Phases, ...]
    trend: Banded
    places: NDArray[np.intp]
    low: Banded
    trend_lines: Lines
    low_lines: Lines

    def split(self, values: Floats, inner: int, outer: int, begin: Linear | None) -> tuple[Floats, Floats, Floats]:
        """The seasonal part, the trend and the weights of values (series, column).

        Where no point is missing, all weights are one to `begin` with, and the first turn is linear.
        """
        present = None if begin else ~np.isnan(values)
        filled = values if present is None else np.where(present, values, _mean(values)[:, None])
        weights = np.ones_like(values) if present is None else present.astype(np.float64)
        trend, season, rest = np.zeros_like(values), np.empty_like(values), np.empty_like(values)
        smooth = np.zeros((len(values), -(-self.columns // self.period) + 2, self.period))
        for turn in range(outer + 1):
            if turn:
                weights = _believed(np.abs(rest, out=rest), present)
            if begin and not turn:
                begin.split(values, season, trend, rest)
                continue
            self._turn(filled, weights, trend, season, (smooth, rest), inner)
            np.subtract(filled, season, out=rest)
            rest -= trend
        return season, trend, weights

    def _turn(
        self, values: Floats, weights: Floats, trend: Floats, season: Floats, room: tuple[Floats, Floats], inner: int
    ) -> None:
        """The inner iterations with the same weights: trend and season change in place, the room is for work."""
        smooth, work = room
        cut = self._cut(weights)
        lines = [phases.lines(phases.of(cut)) for phases in self.phases]
        total, first, second = self.trend(weights, 3)
        level, slope, lonely = _line(total, first, second, self.columns)
        for _ in range(inner):
            part = np.subtract(values, trend, out=work)
            plain, weighed = self._cut(part), self._cut(np.multiply(weights, part, out=season))
            for phases, line in zip(self.phases, lines, strict=True):
                phases.smooth(phases.of(weighed), phases.of(plain), line, smooth)
            whole = smooth.reshape(len(values), -1)
            low = self.low_lines.draw(self.low(whole[:, : self.columns + 2 * self.period], 1)[0], season)
            np.subtract(whole[:, self.period : self.period + self.columns], low, out=season)
            np.subtract(values, season, out=work)
            at, more = self.trend(np.multiply(weights, work, out=trend), 2)
            at *= level
            more *= slope
            at -= more
            if lonely is not None:
                np.copyto(at, work[:, self.places], where=lonely)
            self.trend_lines.draw(at, trend)

    def _cut(self, values: Floats) -> Floats:
        """The values as (series, cycle, phase), zeros after the end."""
        if self.columns % self.period == 0:
            return values.reshape(len(values), -1, self.period)
        cut = np.zeros((len(values), -(-self.columns // self.period), self.period))
        cut.reshape(len(values), -1)[:, : self.columns] = values
        return cut


@lru_cache(maxsize=8)
def weighted(columns: int, spans: Spans) -> Weighted:
    """The plan for series of so many columns."""
    period = spans.period
    count, more = divmod(columns, period)
    longer = (Phases(slice(0, more), count + 1, spans.seasonal),) if more else ()
    phases = (*longer, Phases(slice(more, None), count, spans.seasonal))
    trend, low = (along(columns, span, jump) for span, jump in zip(spans.spans, spans.jumps, strict=True))
    return Weighted(
        columns,
        period,
        phases,
        Banded(trend.weights, trend.weights * trend.off, trend.weights * trend.off**2),
        trend.places.astype(np.intp) - 1,
        Banded(low_pass(columns, period, low)),
        *(Lines(columns, jump) for jump in spans.jumps),
    )


def _line(weight: Floats, first: Floats, second: Floats, columns: int) -> Line:
    """The local lines, by the sums of weights, of weights times distance and times its square.

    At distance 0 the line is `(second * sum(w x) - first * sum(w x distance)) / (weight * second - first**2)`, and the
    mean where all that is near lies together.
    """
    lonely = None if weight.min() > 0 else weight <= 0
    wide = weight * second
    wide -= first * first
    least = (NARROW * (columns - 1)) ** 2
    if wide.min() <= least * weight.max() ** 2:
        narrow = wide <= least * weight * weight
        wide[narrow], first[narrow] = 1.0, 0.0
        second[narrow] = 1.0 / np.where(weight > 0, weight, 1.0)[narrow]
    np.divide(1.0, wide, out=wide)
    second *= wide
    first *= wide
    return second, first, lonely


def _believed(off: Floats, present: Bools | None) -> Floats:
    """The weights of points that are so far off, by the median of those that are there."""
    usual = _usual(off, present)
    none = ~((usual > 0) & (usual < np.inf))
    part = np.divide(off, np.where(none, 1.0, usual)[:, None], out=off)
    weights = part * part
    np.subtract(1.0, weights, out=weights)
    weights *= weights
    np.copyto(weights, 1.0, where=part <= _TRUST)
    np.copyto(weights, 0.0, where=part > _DOUBT)
    weights[none] = 1.0
    return weights if present is None else weights * present


def _usual(off: Floats, present: Bools | None) -> Floats:
    """Six median deviations: three times the middle two, which are one where there is an odd number of them."""
    size = off.shape[1]
    if present is None:
        half = size // 2
        ordered = np.partition(off, half, axis=1)  # one place alone is found by vectors, two are not
        high = ordered[:, half]
        total: Floats = 3.0 * (high + (high if size % 2 else ordered[:, :half].max(axis=1)))
        return total
    ordered = np.where(present, off, np.inf)
    ordered.sort(axis=1)
    count, row = present.sum(axis=1), np.arange(len(off))
    middle: Floats = ordered[row, np.minimum(count // 2, size - 1)]
    middle += ordered[row, np.maximum(count - count // 2 - 1, 0)]
    return 3.0 * middle


def _mean(values: Floats) -> Floats:
    """The mean of each row's points; 0 of none."""
    present = ~np.isnan(values)
    mean: Floats = np.where(present, values, 0.0).sum(axis=1) / np.maximum(present.sum(axis=1), 1)
    return mean
