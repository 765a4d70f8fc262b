"""Seasonal-trend decomposition by loess, of the days before each day."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from detectors.blocks import Floats, by_tiles, enough
from detectors.carried import Carried, full, packed, unpacked
from detectors.decomposition import TILE, Spans, ending
from detectors.duration import text
from detectors.frame import Frame
from detectors.guard import Bools, Guard, Rows
from detectors.robust import mean_period
from detectors.rolling import Moments
from detectors.running import border, parts
from detectors.scores import Scores
from detectors.settings import check
from detectors.week import WEEKS, Week

_DAY = timedelta(days=1)
_INNER = 5
_ROBUST = 1, 5
"""The inner iterations, and where the season is robust, the inner and the outer ones."""

_LAST = 3
"""The season is the mean of its last days: two fifths of the very last one are that day's own noise."""

_CYCLES = 15
"""The season is smoothed over so many days."""

_PLACES = 3
"""Loess is at every so many'th part of its span: by a tenth a robust season costs a quarter more, and scores are the
same to a hundredth of a deviation, root mean square."""

_YOUNG = (5,)
"""While the window is not full, the season is taken anew when it holds so many days."""


@dataclass(frozen=True)
class Stl:
    """Scores a point against the level of the last day plus the season that STL finds in the days before.

        season = the mean of the last three days of the seasonal part of STL over `window`, which ends at midnight
                 (UTC), less its mean; robust: its mean day
        level = mean(x) over the last day
        score = (x - level - season) / std(x - season, ddof=1), the deviation over the last day

    STL gets the values less the level that was expected of them, so that a shift of the level is none of the season.
    The spread is that of forecasts which were really made: each day's season comes from the days before it alone.

    `weekly`: for x above stands x less what the day's weekday adds to a day by the three weeks before, hour by hour
    (`detectors.week`). Without, or while there are no three weeks, a weekend that differs is a shift.

    `window`: whole days. Longer averages more days, and follows a new habit later. Before there are so many, the season
    is that of the first 5 days; the first scores come with the eighth.
    `robust`: for series with bursts too small for the guard: once the window is full, what is far off the decomposition
    counts for less in it, in 5 outer iterations of 1 inner one; many times the work. Of ten points at a time of day,
    which of two odd ones is believed may hang on a third; so the season is then the mean day of the window, which
    hardly moves by that.
    `warm_up`: this much of the window must have points.
    `guard`: a point farther off than this many deviations teaches neither the level nor the season: STL is given the
    mean of the other days at that time, as for a missing point. `adopt`: a shift that lasts this long is the new level;
    the one before it stays normal too for another day.

    `history` is the window, three days and `adopt`, after 22 days where it is `weekly`: more past changes no score of
    quiet data by 0.01 deviations.

    >>> import numpy as np
    >>> from datetime import UTC, datetime, timedelta
    >>> time = np.arange(18 * 24)
    >>> values = np.where(time % 24 < 9, 20.0, 100.0) + time % 5 - 2
    >>> values[-12] = 20.0  # noon as if it were night
    >>> frame = Frame(values[None], datetime(2026, 10, 1, tzinfo=UTC), timedelta(hours=1), ({},))
    >>> Stl()(frame).score.round()[0, -13:-10]
    array([  2., -47.,  -1.])

    Raises:
        ValueError: the frame's step does not divide a day, or leaves it fewer than two columns.

    Cleveland et al., "STL: A Seasonal-Trend Decomposition Procedure Based on Loess", J. Official Statistics 6(1), 1990.
    """

    window: timedelta = timedelta(days=10)
    robust: bool = False
    weekly: bool = False
    warm_up: timedelta = timedelta(days=2)
    guard: float = 5.0
    adopt: timedelta = timedelta(hours=6)

    def __post_init__(self) -> None:
        if self.window % _DAY or self.window < 2 * _DAY:
            raise ValueError(f"window {text(self.window)} is not whole days, at least two")
        check(self, window=self.window)

    @property
    def history(self) -> timedelta:
        """How much past before a point its score needs."""
        return self.window + 3 * _DAY + self.adopt + self.weekly * (7 * WEEKS + 1) * _DAY

    def recent(self, step: timedelta) -> timedelta:
        """How much past a resumed frame still needs: a day's part, and the day before it or what may be adopted."""
        return _DAY + max(_DAY, 2 * self.adopt + 2 * step)

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
        self, frame: Frame, first: int, midnight: int = 0, carried: Carried | None = None
    ) -> tuple[Scores, Carried]:
        day = _DAY // frame.step
        if _DAY % frame.step or day < 2:
            raise ValueError(
                f"step {text(frame.step)} leaves no daily season: take one that divides a day, as 5m, 15m or 1h"
            )
        guard, lead = Guard(self.guard, frame.periods(self.adopt), day), -frame.origin % day
        window, least, at = frame.periods(self.window), frame.periods(self.warm_up), border(midnight, day, lead)
        if carried:  # what is before is in there
            low = max(0, at - max(day, guard.reach))
            frame, first, lead, at = frame.since(low), first - low, lead - low, at - low

        def kernel(values: Floats, expected: Floats, spread: Floats, before: Carried) -> Carried:
            past = _Seasoned(values, day, self.window // _DAY, lead, self)
            ready = _ready(values, day, before, at)
            found = guard.run(past.error, ready, past, expected, spread, at, before)
            for begin, season in (*past.drawn.items(), *past.added.items()):
                here = expected[:, begin : begin + day]
                here += season[:, : here.shape[1]]
            unknown = ~_covered(values, window, least, before, at)[:, first:]
            unknown[:, : max(0, past.known + day - first)] = True
            for answer in (expected, spread):
                np.copyto(answer[:, first:], np.nan, where=unknown)
            if before or not midnight:
                return {}
            return {**found, **past.seasons(at, guard.reach), **_there(values, window, at)}

        return by_tiles(frame, day, kernel, first, carried)


def _there(values: Floats, window: int, column: int) -> Carried:
    """Of the columns before `column`: the points of the window, and how long ago the first of all was, -1 for never."""
    some = ~np.isnan(values[:, :column])
    age = np.where(some.any(axis=1), column - some.argmax(axis=1), -1)
    return {"there": packed(some, window), "age": age}


def _covered(values: Floats, window: int, least: int, past: Carried, at: int) -> Bools:
    """Whether the window before each column has points enough, where `past` says what there was before column `at`."""
    if not past:
        return enough(values, window, least, axis=1)
    covered = np.ones(values.shape, dtype=np.bool_)
    rows = np.flatnonzero(~full(past["there"], window) | np.isnan(values[:, at:]).any(axis=1))
    if len(rows):
        before = np.where(unpacked(past["there"][rows], window, window), 0.0, np.nan)
        some = np.concatenate([before, values[rows, at:]], axis=1)
        covered[rows, at:] = enough(some, window, least, axis=1)[:, window:]
    return covered


def _ready(values: Floats, day: int, past: Carried, at: int) -> Bools:
    """Whether the day before each column has some points, and the series is as old: else a night is the only level."""
    there = enough(values, day, max(2, day // 4), axis=1)
    if past and past["age"].min() >= day:
        return there  # of what comes, and no more is asked
    first = np.isnan(values).argmin(axis=1)  # 0 also of a series without a point, for which there are never enough
    if past:
        first = np.where(past["age"] < 0, first, at - past["age"])
    old: Bools = np.arange(values.shape[1]) >= first[:, None] + day
    return old & there


class _Seasoned:
    """The season of the days before, day by day, and the moments of the errors that it leaves.

    `taught` is what STL is given: NaN where nothing was learned; `drawn` are the seasons by the first column of a day,
    and `added` what its weekday adds.
    """

    def __init__(self, values: Floats, day: int, days: int, lead: int, settings: Stl) -> None:
        self.robust = settings.robust
        self.week = Week(len(values), day) if settings.weekly else None
        self.more: Floats | None = None
        self.given_more: Floats | None = None
        self.added: dict[int, Floats] = {}
        self.values, self.day, self.days, self.lead = values, day, days, lead
        self.error, self.taught = values.copy(), np.empty(values.shape)
        self.season = np.zeros((len(values), day))
        self.level = Moments(self.error, day, max(2, day // 8))
        self.known = values.shape[1]
        self.since = 0
        self.given: Floats | None = None
        self.drawn: dict[int, Floats] = {}
        self.stretch = slice(0, 0)
        self.shift: Floats | None = None

    def stretches(self) -> Iterator[tuple[int, int]]:
        """The days."""
        return parts(self.values.shape[1], self.day, self.lead, self.since)

    def carry(self, column: int, reach: int) -> Carried:
        """What the level learned."""
        return self.level.carry(column, reach)

    def resume(self, past: Carried, column: int, reach: int) -> None:
        """Have learned what was carried over; the season of the day that follows is known."""
        *before, self.given = np.moveaxis(past["seasons"], 1, 0)
        self.since, self.season, self.known = column, before[-1], column + int(past["known"][0])
        self._less(before, column)
        if self.week:
            *added, self.given_more = np.moveaxis(past["weekdays"], 1, 0)
            self._less(added, column)
        self.level.resume(past, column, reach)

    def _less(self, days: list[Floats], column: int) -> None:
        """Take the seasons of the days before `column` off what is left to the level."""
        for back, season in enumerate(reversed(days)):
            stop = column - back * self.day
            low = max(0, stop - self.day)
            self.error[:, low:stop] -= season[:, self.day - (stop - low) :]

    def seasons(self, column: int, reach: int) -> Carried:
        """The seasons of the days before `column` of which a level may learn, and of the day that begins there."""
        days = range(column - self.day * max(1, -(-reach // self.day)), column + 1, self.day)
        none = np.zeros((len(self.values), self.day))
        found = {"seasons": self.drawn, "weekdays": self.added} if self.week else {"seasons": self.drawn}
        carried = {name: np.stack([some.get(day, none) for day in days], axis=1) for name, some in found.items()}
        return {**carried, "known": np.full(len(self.values), self.known - column)}

    def enter(self, first: int, stop: int) -> None:
        """Begin a day with its season."""
        self.stretch = slice(first, stop)
        self.shift = self._refresh(first, stop)
        if self.known <= first:
            self.drawn[first] = self.season
            np.subtract(self.values[:, self.stretch], self.season[:, : stop - first], out=self.error[:, self.stretch])
        self.more = self.week.adds() if self.week and self.given_more is None else self.given_more
        if self.more is not None:
            self.added[first] = self.more
            self.error[:, self.stretch] -= self.more[:, : stop - first]
        self.level.enter(first, stop)

    def band(self, rows: Rows | slice, taken: Bools) -> tuple[Floats, Floats]:
        """What is expected of the errors."""
        centre, spread = self.level.band(rows, taken)
        if self.shift is not None:
            centre += self.shift[rows]
        return centre, spread

    def adopt(self, row: int, first: int, column: int) -> None:
        """Begin a new level."""
        self.level.adopt(row, first, column)

    def recall(self, row: int, column: int) -> None:
        """Exchange the level for the one laid aside."""
        self.level.recall(row, column)

    def leave(self, taken: Bools, expected: Floats) -> None:
        """Teach the day: what was taken of it, less its level and what its weekday adds."""
        if self.given is not None:  # no season comes after it
            return
        values, taught = self.values[:, self.stretch], self.taught[:, self.stretch]
        np.subtract(values, expected, out=taught)
        if self.more is not None:
            taught -= self.more[:, : taught.shape[1]]
        np.copyto(taught, np.nan, where=~taken)
        if self.week and taught.shape[1] == self.day:
            self.week.learn(values, ~taken & ~np.isnan(values))

    def _refresh(self, first: int, stop: int) -> Floats | None:
        """Take the season anew from the days before column `first`, the very first left out: it had no level.

        The answer is the mean of the seasons over the day before each column: where it is not 0, as on the first day of
        a season, the errors' mean is no level.
        """
        days = first // self.day - 1
        if self.given is not None:
            if self.known > first:
                return None
            season = self.given
        elif days < self.days and days not in _YOUNG:
            return None
        else:
            season = self._season(slice(first - min(days, self.days) * self.day, first))
            season -= season.mean(axis=1, keepdims=True)
        shift = np.zeros((len(season), stop - first))
        change = season[:, : stop - first - 1] - self.season[:, : stop - first - 1]
        np.cumsum(change, axis=1, out=shift[:, 1:])
        shift /= self.day
        self.season, self.known = season, min(self.known, first)
        return shift

    def _season(self, window: slice) -> Floats:
        """The season of a window, in which a gap has the mean of its time of day."""
        taught = self.taught[:, window]
        holes = np.flatnonzero(np.isnan(taught.sum(axis=1)))
        taught = taught.copy() if len(holes) else taught
        for rows in (holes[i : i + TILE] for i in range(0, len(holes), TILE)):
            some = taught[rows].reshape(len(rows), -1, self.day)
            gap = np.isnan(some)
            some[gap] = 0.0
            mean = some.sum(axis=1) / np.maximum(some.shape[1] - gap.sum(axis=1), 1)
            np.copyto(some, mean[:, None], where=gap)
            taught[rows] = some.reshape(len(rows), -1)
        spans = _spans(self.day)
        if self.robust and taught.shape[1] == self.days * self.day:  # of five points, which is odd is a guess
            return mean_period(taught, spans, *_ROBUST)
        return ending(taught.shape[1], spans, _INNER, min(_LAST, taught.shape[1] // self.day)).season(taught)


def _spans(day: int) -> Spans:
    """How STL smooths here; the trend of what is taught is next to nothing, so a few places tell it."""
    trend, low = (-(-span // _PLACES) for span in Spans(day, _CYCLES).spans)
    return Spans(day, _CYCLES, trend_jump=trend, low_pass_jump=low)
