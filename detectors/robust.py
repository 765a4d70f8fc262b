"""STL with weights: what deviates from the decomposition counts for less, and a missing point for nothing.

Each local line needs, at its place, the sums of the weights, of weights times distance and times its square, and of the
weighted points and these times distance: three products on the weights and two on the points, all of them banded.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from detectors.blocks import Floats
from detectors.decomposition import TILE, Decomposition, Linear, Spans, linear, low_pass
from detectors.loess import Banded, Lines, along, cycles
from detectors.selected import middle_two

_TRUST, _DOUBT = 0.001, 0.999
"""Within the first part of six median deviations a point has its full weight, beyond the second none."""

Bools: TypeAlias = NDArray[np.bool_]
Rows: TypeAlias = NDArray[np.intp]
Line: TypeAlias = tuple[Floats, Floats, Floats, Bools | None]
"""A local line is the first times the sum over points, less the second times that over points times distance, by the
third; and where no point is near."""


def robust(values: Floats, spans: Spans, inner: int = 2, outer: int = 15) -> Decomposition:
    """Decompose each row of `values` (series, time) robustly; NaN is a point of no weight.

    Without gaps it is what statsmodels' `STL(row, ..., robust=True).fit(inner, outer)` gives with the same spans and
    jumps; `outer` 0 is the plain decomposition. Where no point is near enough for a line, the row's mean stands.

    Raises:
        ValueError: a row is shorter than two periods, or a value is infinite.
    """
    seasonal, trend, rest, weights = np.empty((4, *values.shape))
    for rows, parts in _blocks(values, spans, inner, outer):
        for whole, part in zip((seasonal, trend, weights), parts, strict=True):
            whole[rows] = part
    np.subtract(values, seasonal, out=rest)
    rest -= trend
    return Decomposition(seasonal, trend, rest, weights)


def mean_period(values: Floats, spans: Spans, inner: int, outer: int) -> Floats:
    """The mean period of the seasonal part of each row, by the same; the rows are whole periods."""
    answer = np.empty((len(values), spans.period))
    for rows, (seasonal, _, _) in _blocks(values, spans, inner, outer, seasonal=True):
        answer[rows] = seasonal.reshape(len(seasonal), -1, spans.period).mean(axis=1)
    return answer


def _blocks(
    values: Floats, spans: Spans, inner: int, outer: int, *, seasonal: bool = False
) -> Iterator[tuple[Rows, tuple[Floats, ...]]]:
    """Seasonal parts, trends and weights of some rows at a time."""
    if values.shape[1] < 2 * spans.period:
        raise ValueError(f"{values.shape[1]} columns are not two periods of {spans.period}")
    if np.isinf(values).any():
        raise ValueError("a value is infinite")
    begin = linear(values.shape[1], spans, inner)
    plan = weighted(values.shape[1], spans)
    gaps = np.isnan(values).any(axis=1)
    for rows, first in ((np.flatnonzero(~gaps), begin), (np.flatnonzero(gaps), None)):
        for some in (rows[i : i + TILE] for i in range(0, len(rows), TILE)):
            block = np.zeros((TILE, values.shape[1]))
            block[: len(some)] = values[some]
            parts = plan.split(block, inner, outer, first, seasonal=seasonal)
            yield some, tuple(part[: len(some)] for part in parts)


class Phases:
    """Weighted local lines along the cycles of phases that have equally many, and at a cycle before and after them."""

    def __init__(self, phases: slice, count: int, span: int) -> None:
        loess = cycles(count, span)
        self.phases, self.count = phases, count
        self.sums = np.vstack([loess.weights, loess.weights * loess.off, loess.weights * loess.off**2])
        self.least = loess.least

    def of(self, cut: Floats) -> Floats:
        """Their part of what is cut into (series, cycle, phase)."""
        return cut[:, : self.count, self.phases]

    def lines(self, weights: Floats) -> Line:
        """The lines of weights (series, cycle, phase)."""
        sums = np.matmul(self.sums, weights)
        parts = self.count + 2
        return _line(sums[:, :parts], sums[:, parts : 2 * parts], sums[:, 2 * parts :], self.least)

    def smooth(self, weighed: Floats, plain: Floats, line: Line, out: Floats) -> None:
        """Write the smoothed phases; where no point is near, the plain ones, and at an end its neighbour."""
        parts = self.count + 2
        second, first, wide, lonely = line
        sums = np.matmul(self.sums[: 2 * parts], weighed)
        sums[:, :parts] *= second
        sums[:, parts:] *= first
        part = np.subtract(sums[:, :parts], sums[:, parts:], out=out[:, :parts, self.phases])
        part /= wide
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
    least: tuple[float, float]
    places: NDArray[np.intp]
    low: Banded
    trend_lines: Lines
    low_lines: Lines

    def split(
        self, values: Floats, inner: int, outer: int, begin: Linear | None, *, seasonal: bool = False
    ) -> tuple[Floats, Floats, Floats]:
        """The seasonal part, the trend and the weights of values (series, column).

        Where no point is missing, all weights are one to `begin` with, and the first turn is linear. Where only the
        `seasonal` part is wanted, the trend is the one before the last.
        """
        present = None if begin else ~np.isnan(values)
        filled = values if present is None else np.where(present, values, _mean(values)[:, None])
        weights = np.ones_like(values) if present is None else present.astype(np.float64)
        trend, season, rest = np.zeros_like(values), np.empty_like(values), np.empty_like(values)
        smooth = np.zeros((len(values), -(-self.columns // self.period) + 2, self.period))
        usual = None
        for turn in range(outer + 1):
            if turn:
                rest -= trend
                usual = _usual(np.abs(rest, out=rest), present, usual)
                weights = _believed(rest, present, usual)
            if begin and not turn:
                begin.split(values, season, trend, rest)
            else:
                trends = inner - 1 if seasonal and turn == outer else inner
                self._turn(filled, weights, (trend, season, rest, smooth), inner, trends)
        return season, trend, weights

    def _turn(
        self, values: Floats, weights: Floats, parts: tuple[Floats, Floats, Floats, Floats], inner: int, trends: int
    ) -> None:
        """The inner iterations with the same weights, of which so many end with a new trend.

        The `parts` change in place: the trend, the season, the values less the season, and the smoothed phases.
        """
        trend, season, rest, smooth = parts
        cut = self._cut(weights)
        lines = [phases.lines(phases.of(cut)) for phases in self.phases]
        line = self._trend_line(weights) if trends else None
        for turn in range(inner):
            np.subtract(values, trend, out=rest)
            self._smooth(rest, np.multiply(weights, rest, out=season), lines, smooth)
            whole = smooth.reshape(len(values), -1)
            low = self.low_lines.draw(self.low(whole[:, : self.columns + 2 * self.period], 1)[0], season)
            np.subtract(whole[:, self.period : self.period + self.columns], low, out=season)
            np.subtract(values, season, out=rest)
            if line and turn < trends:
                self._trend(rest, np.multiply(weights, rest, out=trend), line, trend)

    def _smooth(self, plain: Floats, weighed: Floats, lines: list[Line], out: Floats) -> None:
        """Write the smoothed phases."""
        plain, weighed = self._cut(plain), self._cut(weighed)
        for phases, line in zip(self.phases, lines, strict=True):
            phases.smooth(phases.of(weighed), phases.of(plain), line, out)

    def _trend_line(self, weights: Floats) -> Line:
        """The lines of the trend."""
        total, first, second = self.trend(weights, 3)
        return _line(total, first, second, self.least)

    def _trend(self, plain: Floats, weighed: Floats, line: Line, out: Floats) -> None:
        """Write the trend, which may be where the weighed points are."""
        second, first, wide, lonely = line
        at, more = self.trend(weighed, 2)
        at *= second
        more *= first
        at -= more
        at /= wide
        if lonely is not None:
            np.copyto(at, plain[:, self.places], where=lonely)
        self.trend_lines.draw(at, out)

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
        trend.least,
        trend.places.astype(np.intp) - 1,
        Banded(low_pass(columns, period, low)),
        *(Lines(columns, jump) for jump in spans.jumps),
    )


def _line(weight: Floats, first: Floats, second: Floats, least: tuple[float, float]) -> Line:
    """The local lines, by the sums of weights, of weights times distance and times its square.

    At distance 0 the line is `(second * sum(w x) - first * sum(w x distance)) / (weight * second - first**2)`, and the
    mean where all that is near lies together.
    """
    narrow, any_narrow = least
    wide = weight * second
    wide -= first * first
    if wide.min() > any_narrow:
        return second, first, wide, None
    together = wide <= narrow * weight * weight
    wide[together] = np.where(weight > 0, weight, 1.0)[together]
    first[together], second[together] = 0.0, 1.0
    return second, first, wide, weight <= 0


def _believed(off: Floats, present: Bools | None, usual: Floats) -> Floats:
    """The weights of points that are so far off, by what is usual for those that are there."""
    none = ~((usual > 0) & (usual < np.inf))
    part = np.divide(off, np.where(none, 1.0, usual)[:, None], out=off)
    weights = part * part
    np.subtract(1.0, weights, out=weights)
    weights *= weights
    np.copyto(weights, 1.0, where=part <= _TRUST)
    np.copyto(weights, 0.0, where=part > _DOUBT)
    weights[none] = 1.0
    return weights if present is None else weights * present


def _usual(off: Floats, present: Bools | None, last: Floats | None) -> Floats:
    """Six median deviations: three times the middle two; they are near the `last` ones."""
    there = np.full(len(off), off.shape[1]) if present is None else present.sum(axis=1)
    known = off if present is None else np.where(present, off, np.inf)
    return np.asarray(3.0 * middle_two(known, there, None if last is None else last / 3.0))


def _mean(values: Floats) -> Floats:
    """The mean of each row's points; 0 of none."""
    present = ~np.isnan(values)
    mean: Floats = np.where(present, values, 0.0).sum(axis=1) / np.maximum(present.sum(axis=1), 1)
    return mean
