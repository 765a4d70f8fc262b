"""STL, the seasonal-trend decomposition by loess, of many series at once.

Without robustness and gaps, STL is a linear map of the series. With loess at every jump-th column and lines between,
all that its inner iterations hand on are the trend and the low-pass at those few places; so the iterations are one
matrix from the points to these, worked out once for a length and a period.

Cleveland et al., "STL: A Seasonal-Trend Decomposition Procedure Based on Loess", J. Official Statistics 6(1), 1990.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from detectors.blocks import Floats
from detectors.loess import Banded, Lines, Loess, along, cycles

TILE = 16
"""So many series stay in the cache, and always so many: a matrix product of another shape rounds otherwise."""

_MANY = 128
"""The same where only the last period is wanted."""

_JUMP = 10
"""Loess at every so many'th part of its span, if nothing else is asked."""


@dataclass(frozen=True, eq=False)
class Decomposition:
    """The parts of each series, which add up to its values; `weights` tells how far each point was believed."""

    seasonal: Floats
    trend: Floats
    rest: Floats
    weights: Floats


@dataclass(frozen=True)
class Spans:
    """How STL smooths: the period, and spans and jumps in columns; spans are odd.

    `seasonal` counts cycles. Where `trend` is None, it is the smallest odd number of at least
    1.5 * period / (1 - 1.5 / seasonal); `low_pass` the smallest odd one above the period; a jump the tenth of its span.

    Raises:
        ValueError: a span is even or below 3, it does not exceed the period where it must, or a jump is below 1.
    """

    period: int
    seasonal: int = 7
    trend: int | None = None
    low_pass: int | None = None
    trend_jump: int | None = None
    low_pass_jump: int | None = None

    def __post_init__(self) -> None:
        if self.period < 2:
            raise ValueError(f"period {self.period} is not at least 2 columns")
        for name, span, least in (("seasonal", self.seasonal, 3), *self._long()):
            if span % 2 == 0 or span < least:
                raise ValueError(f"{name} {span} is not an odd number of at least {least}")
        if min(self.jumps) < 1:
            raise ValueError(f"a jump of {min(self.jumps)} is not at least 1 column")

    def _long(self) -> tuple[tuple[str, int, int], ...]:
        trend, low = self.spans
        return ("trend", trend, self.period + 1), ("low_pass", low, self.period + 1)

    @property
    def spans(self) -> tuple[int, int]:
        """The spans of the trend and of the low-pass."""
        trend = int(np.ceil(1.5 * self.period / (1 - 1.5 / self.seasonal))) if self.trend is None else self.trend
        low = self.period + 1 if self.low_pass is None else self.low_pass
        return trend + (self.trend is None and trend % 2 == 0), low + (self.low_pass is None and low % 2 == 0)

    @property
    def jumps(self) -> tuple[int, int]:
        """The jumps of the trend and of the low-pass."""
        trend, low = (-(-span // _JUMP) for span in self.spans)
        return self.trend_jump or trend, self.low_pass_jump or low


def stl(values: Floats, spans: Spans, inner: int = 5) -> Decomposition:
    """Decompose each row of `values` (series, time), which has no gaps, without robustness.

    What statsmodels' `STL(row, period, ...).fit(inner_iter=inner)` gives with the same spans and jumps.

    Raises:
        ValueError: a row is shorter than two periods, or a point is missing.
    """
    if values.shape[1] < 2 * spans.period:
        raise ValueError(f"{values.shape[1]} columns are not two periods of {spans.period}")
    if not np.isfinite(values).all():
        raise ValueError("a point is missing or infinite")
    plan = linear(values.shape[1], spans, inner)
    seasonal, trend, rest = np.empty((3, *values.shape))
    for first in range(0, len(values), TILE):
        rows = slice(first, first + TILE)
        plan.split(values[rows], seasonal[rows], trend[rows], rest[rows])
        rest[rows] -= trend[rows]
    return Decomposition(seasonal, trend, rest, np.broadcast_to(np.float64(1.0), values.shape))


def several(
    values: Floats, spans: Sequence[Spans], fit: Callable[[Floats, Spans], Decomposition] = stl, turns: int = 2
) -> tuple[list[Floats], Decomposition]:
    """Decompose by several periods together, the shortest first, as a day and a week: MSTL.

    Each season in turn is that of the values less all other seasons, `turns` times over. The answer has the season of
    each span, and their sum with the last trend and rest. It is what statsmodels' `MSTL` gives. `fit` decomposes by one
    period: where points are missing, `robust`.

    Bandara, Hyndman and Bergmeir, "MSTL: A Seasonal-Trend Decomposition Algorithm for Time Series with Multiple
    Seasonal Patterns", 2021.
    """
    seasons = [np.zeros(values.shape) for _ in spans]
    left = values.copy()
    for _ in range(turns if len(spans) > 1 else 1):
        for i, one in enumerate(spans):
            left += seasons[i]
            found = fit(left, one)
            seasons[i] = found.seasonal
            left -= seasons[i]
    total: Floats = np.sum(seasons, axis=0)
    return seasons, Decomposition(total, found.trend, left - found.trend, found.weights)


def _filled(rows: Floats, size: int) -> Floats:
    """The rows, and as many of zeros as a block has more."""
    if len(rows) == size:
        return rows
    block = np.zeros((size, rows.shape[1]))
    block[: len(rows)] = rows
    return block


class Subseries:
    """The smoothing of each phase of the period along its cycles, with a cycle before and one after.

    The first `more` phases have a cycle more than the others where the length is no whole number of periods.
    """

    def __init__(self, columns: int, period: int, span: int) -> None:
        self.columns, self.period = columns, period
        self.count, self.more = divmod(columns, period)
        self.short = cycles(self.count, span).matrix
        self.long = cycles(self.count + 1, span).matrix if self.more else self.short

    def smooth(self, values: Floats, ends: bool = True) -> Floats:
        """The smoothed phases of values (series, column), put together again.

        With the `ends`, a period longer at each: (series, columns + 2 periods).
        """
        rows, cycles = (slice(None), self.count + 3) if ends else (slice(1, -1), self.count + 1)
        columns = self.columns + 2 * self.period * ends
        if not self.more:
            cut = values.reshape(len(values), self.count, self.period)
            whole: Floats = np.matmul(self.short[rows], cut)
            return whole.reshape(len(values), columns)
        cut = np.zeros((len(values), self.count + 1, self.period))
        cut.reshape(len(values), -1)[:, : self.columns] = values
        out = np.empty((len(values), cycles, self.period))
        out[:, :, : self.more] = self.long[rows] @ cut[:, :, : self.more]
        out[:, :-1, self.more :] = self.short[rows] @ cut[:, :-1, self.more :]
        return out.reshape(len(values), -1)[:, :columns]

    def after(self, rows: Floats) -> Floats:
        """The rows of a matrix that is applied to what `smooth` gives, as a matrix that is applied to the values."""
        padded = np.zeros((len(rows), self.count + 3, self.period))
        padded.reshape(len(rows), -1)[:, : rows.shape[1]] = rows
        out = np.zeros((len(rows), self.count + 1, self.period))
        out[:, :, : self.more] = self.long.T @ padded[:, :, : self.more] if self.more else 0.0
        out[:, :-1, self.more :] = self.short.T @ padded[:, :-1, self.more :]
        return out.reshape(len(rows), -1)[:, : self.columns]


def low_pass(columns: int, period: int, loess: Loess) -> Floats:
    """Loess of the moving averages over a period, a period and three columns; of columns + 2 periods, as a matrix."""
    mean = np.ones(period) / period
    average = np.convolve(np.convolve(mean, mean), np.ones(3) / 3)
    answer = np.zeros((len(loess.places), columns + 2 * period))
    for row, line in zip(answer, loess.matrix, strict=True):
        used = np.flatnonzero(line)
        first, stop = used[0], used[-1] + 1
        row[first : stop + 2 * period] = np.convolve(line[first:stop], average)
    return answer


@dataclass(frozen=True, eq=False)
class Linear:
    """All inner iterations of STL as matrices, from the points to the trend and the low-pass at their places.

    With P the smoothing along the cycles, `trend_of` what the trend is of x - P x and `low_of` what the low-pass is of
    P x, all iterations are the small matrix `iterated` of these two: to the trends before the last iteration and after
    it, and to the low-pass. Of one iteration, `once`, there is no trend before.
    """

    subseries: Subseries
    trend: Lines
    low: Lines
    trend_of: Banded
    low_of: Banded
    iterated: Floats
    once: bool

    def split(self, values: Floats, seasonal: Floats, trend: Floats, rest: Floats) -> None:
        """Write the parts of values (series, column), which are no more than a tile; the rest has the trend in it."""
        size, (_, columns) = len(values), values.shape
        x, period = _filled(values, TILE), self.subseries.period
        smooth = self.subseries.smooth(x)
        season = smooth[:, period : period + columns]
        at = np.hstack([self.trend_of(x - season, 1)[0], self.low_of(smooth, 1)[0]]) @ self.iterated
        before, last, low = np.split(at[:size], [self.trend_of.places, 2 * self.trend_of.places], axis=1)
        work = self.low.draw(low, np.empty(values.shape))
        np.subtract(season[:size], work, out=seasonal)
        if not self.once:
            seasonal -= self.subseries.smooth(self.trend.draw(before, work), ends=False)
        self.trend.draw(last, trend)
        np.subtract(values, seasonal, out=rest)


@lru_cache(maxsize=8)
def linear(columns: int, spans: Spans, inner: int) -> Linear:
    """The plan for series of so many columns."""
    steps = _Steps(columns, spans)
    places, lows = len(steps.trend.places), len(steps.low.places)
    before, last = steps.iterated(np.eye(places), inner)
    first = np.hstack([np.eye(places), steps.trend_of_low])  # the trend after the first iteration, of the two
    before, last = before @ first, last @ first
    low = np.hstack([np.zeros((lows, places)), np.eye(lows)]) - steps.low_of_trend @ before
    return Linear(
        steps.subseries,
        *steps.lines,
        Banded(steps.trend.matrix),
        Banded(steps.low_pass),
        np.ascontiguousarray(np.vstack([before, last, low]).T),
        inner == 1,
    )


@dataclass(frozen=True, eq=False)
class Ending:
    """The mean of the season's last periods, as matrices: of the phases they smooth, and of the points beside that."""

    subseries: Subseries
    phases: Floats
    matrix: Floats
    lines: Floats

    def season(self, values: Floats) -> Floats:
        """The mean of the last periods of the seasonal part of values (series, column) that are whole periods."""
        period, cycles = self.subseries.period, self.subseries.count
        answer = np.empty((len(values), period))
        for first in range(0, len(values), _MANY):
            block = _filled(values[first : first + _MANY], _MANY)
            season = (block @ self.matrix) @ self.lines
            season += np.matmul(self.phases, block.reshape(_MANY, cycles, period))
            answer[first : first + _MANY] = season[: len(answer) - first]
        return answer


@lru_cache(maxsize=8)
def ending(columns: int, spans: Spans, inner: int, last: int = 1) -> Ending:
    """The plan for series of so many columns, whole periods, of which the mean of the `last` is wanted."""
    steps = _Steps(columns, spans)
    low_of = steps.subseries.after(steps.low_pass)
    wide = np.pad(steps.trend.matrix, ((0, 0), (spans.period, spans.period)))
    first = steps.trend.matrix - steps.subseries.after(wide) + steps.trend_of_low @ low_of
    before, _ = steps.iterated(first, inner)
    at_low = low_of - steps.low_of_trend @ before
    low_drawn = _mean_of_last(steps.lines[1].matrix(len(steps.low.places)), spans.period, last)
    used = np.flatnonzero(low_drawn.any(axis=0))
    smooth = steps.subseries.smooth(np.ascontiguousarray(steps.drawn.T), ends=False)
    return Ending(
        steps.subseries,
        steps.subseries.short[-1 - last : -1].mean(axis=0),
        np.ascontiguousarray(np.vstack([before, at_low[used]]).T),
        -np.vstack([_mean_of_last(smooth.T, spans.period, last).T, low_drawn[:, used].T]),
    )


def _mean_of_last(drawn: Floats, period: int, last: int) -> Floats:
    """The mean of the last periods of each column of a matrix (column of the series, place)."""
    return np.asarray(drawn[-last * period :].reshape(last, period, -1).mean(axis=0))


class _Steps:
    """What an iteration consists of: `lines` join the places of the trend and of the low-pass."""

    def __init__(self, columns: int, spans: Spans) -> None:
        period = spans.period
        self.subseries = Subseries(columns, period, spans.seasonal)
        self.trend, self.low = (along(columns, *both) for both in zip(spans.spans, spans.jumps, strict=True))
        self.lines = Lines(columns, spans.jumps[0]), Lines(columns, spans.jumps[1])
        self.low_pass = low_pass(columns, period, self.low)
        self.drawn = self.lines[0].matrix(len(self.trend.places))
        phases = self.subseries.smooth(np.ascontiguousarray(self.drawn.T))  # of each place of the trend
        self.low_of_trend = self.low_pass @ phases.T
        self.trend_of_low = self.trend.matrix @ self.lines[1].matrix(len(self.low.places))
        self.again = self.trend.matrix @ phases[:, period : period + columns].T - self.trend_of_low @ self.low_of_trend

    def iterated(self, first: Floats, inner: int) -> tuple[Floats, Floats]:
        """The trend before the last iteration and after it, by the one after the first."""
        before, last = np.zeros_like(first), first
        for _ in range(inner - 1):
            before, last = last, first + self.again @ last
        return before, last
