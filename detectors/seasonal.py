"""Seasonal decomposition: level + daily and weekly season + residual, each day forecast from the days before it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from detectors import network
from detectors.blocks import Floats, by_rows, enough, median
from detectors.duration import text
from detectors.frame import Frame
from detectors.scores import RELATIVE_FLOOR, Scores
from detectors.settings import check

_DAY = timedelta(days=1)
_WEEKS = 3
"""The season comes from so many weeks: of three same weekdays, one may be an incident."""

_CENTRED = 3
"""A day's base is the median of the week that lies round it, this many days to each side."""

_SCALE_DAYS = 7
_AROUND = 2
"""The spread comes from the errors of so many days, and so many hours before and after."""

_OVERALL = 0.25
"""The part that the whole day has in it: an hour that is always 0 is not known to be exact."""

_COMMON = 0.25
"""Errors beyond the guard teach the spread once they are this part of all."""

_SUSPECT = 3.0
"""From so many spreads on a point gets the second look, fully from one more."""

_MEMORY_DAYS = 7
"""The second look knows the levels of so many days."""

_LONG_AWAY = 0.9
"""It knows yesterday's values when this part of the last day was off."""

Bools: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True)
class Seasonal:
    """Scores a point against the level of the last days plus what its time of day and day of the week add to it.

    Slots are those of the UTC day and of the week since 1970, wherever the frame begins. For the day D, from the days
    before it alone,

        daily[slot]  = median over the last 21 days of x[d, slot] - base[d]
        weekly[slot] = median over the 3 last same weekdays of x[d, slot] - base[d] - daily[slot], smoothed by hours;
                       one of the three that was an incident is left out; 0 while there are fewer than three
        base[d]      = median over the days d-3 to d+3 that are past of the day's median
        level        = median of the hourly medians of x - daily - weekly over the last `2 * adopt`
        expected     = level + daily[slot] + weekly[slot]
        spread**2    = mean square of the errors that these forecasts made in the last 7 days: three parts those
                       within 2 hours of this time of day, one part those of the whole day.

    The first score comes with the third day; until there are three weeks, the daily season stands alone.

    A point more than 3 spreads off gets a second look: it is measured from whatever is nearest among the slots
    `tolerance` earlier and later, the levels of the last 7 days, the same weekday's own values, and, once nearly all of
    the last day was off, yesterday's values. So the hour that a change of the clocks moves, the return from a long
    shift and the second weekend are no storms.

    `adopt`: a shift that lasts this long is the new level. `warm_up`: this much of the 21 days must have points.
    `tolerance`: how far a season may be early or late; an hour covers a change of the clocks, 0 is stricter.
    `guard`: an error of more spreads than this does not teach the spread, unless a quarter of the errors are such.

    `history` is 34 days with the default settings: more past changes no score of quiet data by 0.01 deviations.

    >>> import numpy as np
    >>> from datetime import UTC, datetime, timedelta
    >>> time = np.arange(34 * 24)
    >>> values = np.where(time % 24 < 9, 20.0, 100.0) + time % 5 - 2
    >>> values[-12] = 20.0  # noon as if it were night
    >>> frame = Frame(values[None], datetime(2026, 10, 1, tzinfo=UTC), timedelta(hours=1), ({},))
    >>> Seasonal()(frame).score.round()[0, -13:-10]
    array([  1., -48.,  -1.])

    Raises:
        ValueError: the frame's step does not divide a day.

    Cleveland et al., "STL: A Seasonal-Trend Decomposition Procedure Based on Loess", J. Official Statistics 6(1), 1990,
    for the decomposition; medians stand here for loess, and the past alone for both sides.
    """

    adopt: timedelta = timedelta(days=1)
    warm_up: timedelta = timedelta(days=2)
    tolerance: timedelta = timedelta(hours=1)
    guard: float = 5.0

    def __post_init__(self) -> None:
        check(self)
        if self.tolerance < timedelta(0):
            raise ValueError(f"tolerance {text(self.tolerance)} is negative")

    @property
    def history(self) -> timedelta:
        """How much past before a point its score needs."""
        return (7 * _WEEKS + _CENTRED + _SCALE_DAYS + 1) * _DAY + 2 * self.adopt

    def __call__(self, frame: Frame) -> Scores:
        """Score every point of the frame."""
        if _DAY % frame.step:
            raise ValueError(
                f"step {frame.step} does not divide a day, so there is no daily season: take 5m, 15m or 1h"
            )
        slots = _DAY // frame.step
        lead, time = frame.origin % slots, frame.values.shape[1]

        def kernel(values: Floats) -> tuple[Floats, Floats]:
            days = -(-(lead + time) // slots)
            x = np.full((days * slots, values.shape[1]), np.nan)
            x[lead : lead + time] = values
            expected, spread = _forecast(self, x.reshape(days, slots, -1))
            expected = expected.reshape(x.shape)[lead : lead + time]
            spread = spread.reshape(x.shape)[lead : lead + time]
            few = ~enough(values, 7 * _WEEKS * slots, frame.periods(self.warm_up))
            expected[few] = spread[few] = np.nan
            return expected, spread

        return by_rows(frame, kernel)


class _Season:
    """What is known at the start of a day: arrays (slot, series), levels not included.

    `usual` is expected; `others` are what a second look may also take for it.
    """

    def __init__(self, x: Floats, bases: "_Bases", odd: Bools, day: int, hours: int) -> None:
        first = max(0, day - 7 * _WEEKS)
        base = bases.before(first, day)
        self.base = base[-1]
        slots, rows = x.shape[1:]
        daily = np.empty((slots, rows))
        late = bases.late if first == 0 else 0  # where the first day has no points, it is left out for all at once
        for some, since in (*_parts(0, late, rows, 1), *_parts(late, slots, rows, 0)):
            daily[some] = median(x[first + since : day, some] - base[since:, None])
        same = slice((day - first) % 7, None, 7)  # day - 21, day - 14, day - 7
        weeks = x[first:day][same] - base[same][:, None]
        known = (~np.isnan(weeks)).sum(axis=0) == _WEEKS
        alone = odd[first:day][same]
        alone = alone & (alone.sum(axis=0) == 1)  # of three, one that was an incident is not what the day is like
        every = median(np.where(alone, np.nan, weeks)) if len(weeks) else np.full_like(daily, np.nan)
        self.usual = daily + _smooth(np.where(known, every - daily, np.nan), hours) if known.any() else daily
        self.others = [self.usual, np.where(known, every, np.nan), *(np.where(known, np.nan, w) for w in weeks)]


def _parts(first: int, stop: int, rows: int, since: int) -> Iterator[tuple[slice, int]]:
    """The slots, so many at a time that the days of some series stay in the cache; and what goes with all of them."""
    step = max(1, network.LANES // rows)
    return ((slice(a, min(a + step, stop)), since) for a in range(first, stop, step))


class _Bases:
    """The base of each day, by what is known of the days round it; `late` is the slot at which the first begins."""

    def __init__(self, x: Floats) -> None:
        days, slots, rows = x.shape
        typical = np.full((days + 2 * _CENTRED, rows), np.nan)
        here = np.where((~np.isnan(x)).sum(axis=1) * 2 >= slots, median(x, axis=1), np.nan)
        typical[_CENTRED : _CENTRED + days] = here
        around = np.lib.stride_tricks.sliding_window_view(typical, 2 * _CENTRED + 1, axis=0)
        self.known = [median(around[..., : _CENTRED + ahead], axis=2) for ahead in range(1, _CENTRED + 2)]
        some = ~np.isnan(x[0]).all(axis=1)
        self.late = int(some.argmax()) if some.any() else slots

    def before(self, first: int, day: int) -> Floats:
        """Those of the days from `first` on as they are known at the beginning of `day`; (day, series)."""
        ends = [max(first, day - _CENTRED), *(max(first, day - ahead) for ahead in range(_CENTRED - 1, -1, -1))]
        begins = [first, *ends[:-1]]
        return np.concatenate([self.known[-1 - i][a:b] for i, (a, b) in enumerate(zip(begins, ends, strict=True))])


def _forecast(settings: Seasonal, x: Floats) -> tuple[Floats, Floats]:
    """Forecast every day of x (day, slot, series) from the days before it."""
    days, slots, rows = x.shape
    hours = max(n for n in range(1, 25) if slots % n == 0)
    expected, spread = np.full_like(x, np.nan), np.full_like(x, np.nan)
    bases = _Bases(x)
    levels = _Levels(days, hours, rows, settings.adopt)
    errors = _Errors(days, hours, rows, settings.guard)
    odd = np.zeros(x.shape, dtype=np.bool_)
    hourly = median(x.reshape(days, hours, -1, rows), axis=2)
    look = _Look(x, hourly, levels, errors, round(settings.tolerance / (_DAY / slots)))
    for day in range(1, days):
        season = _Season(x, bases, odd, day, hours)
        levels.put(day, median((x[day] - season.usual).reshape(hours, -1, rows), axis=1), season.base)
        centre = season.usual + np.repeat(levels.level[day], slots // hours, axis=0)
        usual = np.repeat(errors.spread(day), slots // hours, axis=0)
        errors.put_away(day, x[day] - centre, usual)
        look.again(day, season, centre, usual)
        odd[day] = np.abs(x[day] - centre) > settings.guard * usual
        errors.put(day, x[day] - centre, odd[day])
        expected[day], spread[day] = centre, usual
    return expected, spread


class _Levels:
    """The level of each hour, from the hours before it."""

    def __init__(self, days: int, hours: int, rows: int, adopt: timedelta) -> None:
        self.hours, self.size = hours, max(1, round(2 * adopt / (_DAY / hours)))
        self.residual = np.full((self.size + days * hours, rows), np.nan)
        self.level = np.full((days, hours, rows), np.nan)

    def put(self, day: int, residual: Floats, base: Floats) -> None:
        """Take a day's hourly residuals; the level is `base` while there are too few of them."""
        first = day * self.hours
        self.residual[self.size + first : self.size + first + self.hours] = residual
        windows = np.stack([self.residual[first + h : first + h + self.size] for h in range(self.hours)], axis=1)
        few = (~np.isnan(windows)).sum(axis=0) * 2 < self.size
        self.level[day] = np.where(few, base, median(windows))


class _Errors:
    """The errors that forecasts really made: their squares by day and hour, and whether an hour was off."""

    def __init__(self, days: int, hours: int, rows: int, guard: float) -> None:
        self.hours, self.guard = hours, guard
        self.squares = np.zeros((2, days, hours, rows))
        self.counts = np.zeros((2, days, hours, rows))
        self.away = np.zeros((hours + days * hours, rows))

    def spread(self, day: int) -> Floats:
        """The usual error of each hour of a day."""
        past = slice(max(0, day - _SCALE_DAYS), day)
        squares, counts = self.squares[:, past].sum(axis=1), self.counts[:, past].sum(axis=1)
        around = min(_AROUND, (self.hours - 1) // 2)
        near = range(-around, around + 1)
        local = self._mean(
            sum(np.roll(squares, k, axis=1) for k in near), sum(np.roll(counts, k, axis=1) for k in near)
        )
        whole = self._mean(squares.sum(axis=1), counts.sum(axis=1))
        return np.sqrt(_OVERALL * whole + (1 - _OVERALL) * np.where(np.isnan(local), whole, local))

    @staticmethod
    def _mean(squares: Floats, counts: Floats) -> Floats:
        """The mean square of the near errors, or of all where far ones are common; index 0 holds the near, 1 all."""
        common = counts[0] < (1 - _COMMON) * counts[1]
        mean: Floats = np.where(common, squares[1], squares[0]) / np.where(common, counts[1], counts[0])
        return mean

    def put_away(self, day: int, error: Floats, usual: Floats) -> None:
        """Note which hours were off, by the first look."""
        far = (np.abs(error) > self.guard * usual).reshape(self.hours, -1, error.shape[1])
        first = (day + 1) * self.hours
        self.away[first : first + self.hours] = far.sum(axis=1) * 2 > far.shape[1]

    def long_away(self, day: int) -> Bools:
        """Whether nearly all the hours of the 24 before each hour of `day` were off; (hour, series)."""
        first = day * self.hours
        total = np.stack([self.away[first + h : first + h + self.hours].sum(axis=0) for h in range(self.hours)])
        answer: Bools = total >= _LONG_AWAY * self.hours
        return answer

    def put(self, day: int, error: Floats, odd: Bools) -> None:
        """Learn a day's errors, the odd ones apart."""
        there = ~np.isnan(error)
        for kind, taken in enumerate((there & ~odd, there)):
            square = np.where(taken, error * error, 0.0).reshape(self.hours, -1, error.shape[1])
            self.squares[kind, day] = square.sum(axis=1)
            self.counts[kind, day] = taken.reshape(square.shape).sum(axis=1)


@dataclass(frozen=True)
class _Look:
    """The second look at points that are far from what was expected."""

    x: Floats
    hourly: Floats
    levels: _Levels
    errors: _Errors
    shift: int

    def again(self, day: int, season: _Season, centre: Floats, usual: Floats) -> None:
        """Move `centre`, in place, to the nearest thing that a far point may also be."""
        off = np.abs(self.x[day] - centre)
        slot, row = np.nonzero(off > np.maximum(_SUSPECT * usual, RELATIVE_FLOOR * np.abs(centre)))
        if not len(slot):
            return
        slots = len(centre)
        hour = slot // (slots // self.levels.hours)
        past = self.levels.level[max(0, day - _MEMORY_DAYS) : day + 1][:, hour, row]
        shifts = {0, self.shift, -self.shift}
        shapes = np.stack([other[(slot + k) % slots, row] for other in season.others for k in sorted(shifts)])
        yesterday = np.where(self.errors.long_away(day)[hour, row], self.hourly[day - 1][hour, row], np.nan)
        ways = np.concatenate([(past[:, None] + shapes[None]).reshape(-1, len(slot)), yesterday[None]])
        far = np.abs(ways - self.x[day][slot, row])
        far[np.isnan(far)] = np.inf
        best = far.argmin(axis=0)[None]
        better = np.take_along_axis(far, best, axis=0)[0] < off[slot, row]
        slot, row = slot[better], row[better]
        usual, off = usual[slot, row], off[slot, row]
        part = np.clip(np.where(usual > 0, (off - _SUSPECT * usual) / usual, 1.0), 0.0, 1.0)
        nearest = np.take_along_axis(ways, best, axis=0)[0][better]
        centre[slot, row] += part * (nearest - centre[slot, row])


def _smooth(off: Floats, hours: int) -> Floats:
    """The hourly medians of a day (slot, series), weighted 1-2-1 and joined by lines; 0 where nothing is known."""
    slots, rows = off.shape
    knots = median(off.reshape(hours, -1, rows), axis=1)
    knots[np.isnan(knots)] = 0.0
    ends = np.concatenate([knots[:1], knots, knots[-1:]])
    knots = (ends[:-2] + 2 * knots + ends[2:]) / 4
    place = np.clip((np.arange(slots) + 0.5) * hours / slots - 0.5, 0, hours - 1)
    low = np.minimum(place.astype(np.intp), max(0, hours - 2))
    part = (place - low)[:, None]
    smooth: Floats = knots[low] * (1 - part) + knots[np.minimum(low + 1, hours - 1)] * part
    return smooth
