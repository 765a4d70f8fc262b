"""What a day of the week adds to a day, hour by hour, from the three weeks before."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from detectors.blocks import Floats, median

WEEKS = 3
"""Of three same weekdays, one may be an incident."""

_LEAST = 2
"""So many of them must be known."""

Bools: TypeAlias = NDArray[np.bool_]


class Week:
    """Learns whole days (series, column), one after the other, and tells what the next one's weekday adds.

        off[d, hour] = median of x in that hour of the day d - median of x's hours in that week
        weekly[hour] = median over the 3 last same weekdays of off - median over the last 21 days of off,

    weighted 1-2-1 with the hours beside it and joined by lines. Weeks are those that end with the last day learned, so
    that each has every weekday once. Of three same weekdays, one that alone was odd at that hour is left out.
    """

    def __init__(self, rows: int, day: int) -> None:
        self.day, self.hours = day, max(n for n in range(1, 25) if day % n == 0)
        self.typical = np.full((WEEKS * 7, rows, self.hours), np.nan)
        self.odd = np.zeros(self.typical.shape, dtype=np.bool_)
        self.learned = 0

    def learn(self, values: Floats, odd: Bools) -> None:
        """Take the next day, and which of its points were odd."""
        hourly = len(values), self.hours, -1
        self.typical = np.concatenate([self.typical[1:], median(values.reshape(hourly), axis=2)[None]])
        much = odd.reshape(hourly).sum(axis=2) * 2 * self.hours > self.day
        self.odd = np.concatenate([self.odd[1:], much[None]])
        self.learned += 1

    def adds(self) -> Floats | None:
        """What the next day's weekday adds to each column of a day (series, column); None before there are 3 weeks."""
        if self.learned < WEEKS * 7:
            return None
        weeks = WEEKS, 7, *self.typical.shape[1:]
        off = self.typical.reshape(weeks) - self._level()[:, None]
        same, odd = off[:, 0], self.odd.reshape(weeks)[:, 0]
        same = np.where(odd & (odd.sum(axis=0) == 1), np.nan, same)
        more = median(same) - median(off.reshape(self.typical.shape))
        known = (~np.isnan(same)).sum(axis=0) >= _LEAST
        return self._drawn(np.where(known, np.nan_to_num(more), 0.0))

    def _level(self) -> Floats:
        """The median of each week's hours, (week, series, 1)."""
        weeks = np.moveaxis(self.typical.reshape(WEEKS, 7, *self.typical.shape[1:]), 1, 2)
        return median(weeks.reshape(*weeks.shape[:2], -1), axis=2)[..., None]

    def _drawn(self, hourly: Floats) -> Floats:
        """Lines between the middles of the hours, smoothed."""
        ends = np.concatenate([hourly[:, :1], hourly, hourly[:, -1:]], axis=1)
        knots = (ends[:, :-2] + 2 * hourly + ends[:, 2:]) / 4
        place = np.clip((np.arange(self.day) + 0.5) * self.hours / self.day - 0.5, 0, self.hours - 1)
        low = np.minimum(place.astype(np.intp), max(0, self.hours - 2))
        part = place - low
        return np.asarray(knots[:, low] * (1 - part) + knots[:, np.minimum(low + 1, self.hours - 1)] * part)
