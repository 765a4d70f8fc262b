"""What a series' own past lets one expect of a point, seen in four ways.

Values are (series, time) on a calendar of whole days; every answer has that shape and uses earlier points only. All of
them are medians, of points or of short means, so that a short incident moves none of them.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from detectors import network
from detectors.blocks import Floats, median, sorted_median
from detectors.calendar import Calendar

_WEEK, _FORTNIGHT = 7, 14
"""In days."""

_WEEKS, _LEAST = 4, 2
"""A weekly profile is the median of so many weeks, and of so many at the least."""

_CLEARLY = 0.05
"""The weekly profile is taken where its errors were smaller by so much of both: of each day as a part, so that an odd
day decides nothing."""


class Sums:
    """Running sums of each series, from which the mean of any stretch is one subtraction.

    They are of differences from the first point, so that a large constant costs no digits.
    """

    def __init__(self, values: Floats) -> None:
        missing = np.isnan(values)
        self._first = np.take_along_axis(values, missing.argmin(axis=1)[:, None], axis=1)
        off = values - self._first
        counted = missing[:1]  # one row will do for all
        if missing.any():
            np.copyto(off, 0.0, where=missing)
            counted = counted if (missing == counted).all() else missing
        self._sum = _from_zero(off)
        self._count = _from_zero((~counted).astype(np.float64))

    def __len__(self) -> int:
        """How many series there are."""
        return len(self._sum)

    def mean(self, width: int) -> Floats:
        """For every t, up to the number of columns, the mean of the points in [t - width, t); NaN where none is."""
        return self._mean(_stretch(self._sum, width), _stretch(self._count, width))

    def means(self, width: int) -> Floats:
        """The mean of each block of `width` columns; NaN where it has no point."""
        ends = (part[:, ::width] for part in (self._sum, self._count))
        return self._mean(*(end[:, 1:] - end[:, :-1] for end in ends))

    def _mean(self, total: Floats, count: Floats) -> Floats:
        total /= np.where(count > 0, count, np.nan)
        total += self._first
        return total


def _from_zero(increments: Floats) -> Floats:
    sums = np.zeros((len(increments), increments.shape[1] + 1))
    np.cumsum(increments, axis=1, out=sums[:, 1:])
    return sums


def _stretch(sums: Floats, width: int) -> Floats:
    """The sum over [t - width, t) for every t, the part before the first column being empty."""
    answer = np.empty_like(sums)
    answer[:, :width] = sums[:, :width]
    np.subtract(sums[:, width:], sums[:, : max(0, sums.shape[1] - width)], out=answer[:, width:])
    return answer


def recent(sums: Sums, width: int) -> Floats:
    """The middle one of the means over the last three stretches of `width` columns."""
    a = sums.mean(width)[:, :-1]
    b, c = (later(a, by) for by in (width, 2 * width))
    low, high = np.fmin(a, b), np.fmax(a, b)
    np.fmin(high, c, out=high)
    return np.fmax(low, high, out=low)


def later(values: Floats, by: int) -> Floats:
    """The values, each `by` columns later; the first ones NaN."""
    answer = np.empty_like(values)
    answer[:, :by] = np.nan
    answer[:, by:] = values[:, :-by]
    return answer


def lasting(deviations: Floats, width: int) -> Floats:
    """The mean deviation of the last `width` columns, the present one among them."""
    return Sums(deviations).mean(width)[:, 1:]


def before(deviations: Floats, width: int) -> tuple[Floats, Floats]:
    """The sum and the number of the points in the `width` columns before each column."""
    present = ~np.isnan(deviations)
    sums = (_from_zero(part) for part in (np.where(present, deviations, 0.0), present.astype(np.float64)))
    total, count = (_stretch(part, width)[:, :-1] for part in sums)
    return total, count


def maxima(deviations: Floats, width: int) -> Floats:
    """The largest deviation of each block of `width` columns; NaN where it has no point."""
    largest = deviations[:, ::width].copy()
    for k in range(1, width):
        np.fmax(largest, deviations[:, k::width], out=largest)
    return largest


def least(values: Floats, width: int) -> Floats:
    """The least of the `width` points before each column, infinite for no columns; NaN where none is known."""
    if not width:
        return np.full_like(values, np.inf)
    answer = later(values, 1)
    for by in range(2, width + 1):
        np.fmin(answer[:, by:], values[:, :-by], out=answer[:, by:])
    return answer


def highest(profile: Floats, calendar: Calendar, reach: int) -> Floats:
    """The largest of each day's profile within `reach` columns, round the ends of the day; in whole slots."""
    slots = profile[:, :: calendar.slot].reshape(len(profile), -1, calendar.day // calendar.slot)
    most = slots.shape[2]
    beside = min(reach // calendar.slot, most // 2)
    largest, size = np.concatenate([slots[:, :, most - beside :], slots, slots[:, :, :beside]], axis=2), 1
    while 2 * size <= 2 * beside + 1:  # of two slots, of four, of eight ...
        largest, size = np.fmax(largest[:, :, :-size], largest[:, :, size:]), 2 * size
    answer = np.fmax(largest[:, :, :most], largest[:, :, largest.shape[2] - most :])
    return np.repeat(answer.reshape(len(profile), -1), calendar.slot, axis=1)


def daily_level(sums: Sums, calendar: Calendar) -> Floats:
    """The median of the last 24 hourly means (of as many blocks as a day has), taken anew every block."""
    means = sums.means(calendar.block)
    return np.repeat(_moving_median(means[:, :-1], calendar.blocks), calendar.block, axis=1)


def profile(sums: Sums, calendar: Calendar, days: int) -> Floats:
    """What was usual in the same quarter of an hour: of the last `days` days, or of that day of the last weeks.

    Of the week where that was nearer to what came in the last fortnight.
    """
    means = sums.means(calendar.slot).reshape(len(sums), -1, calendar.day // calendar.slot)
    answer = _moving_median(means[:, :-1], days)
    if means.shape[1] > _LEAST * _WEEK:
        _by_week(answer, means)
    return np.repeat(answer.reshape(len(sums), -1), calendar.slot, axis=1)


def _by_week(profile: Floats, means: Floats) -> None:
    """Put the weekly profile in the place of the daily one on days before which it was nearer for a fortnight.

    Both are (series, days, slots).
    """
    begin = _LEAST * _WEEK
    weekly, late = _weekly(means), means[:, begin:]
    off = np.abs(late - profile[:, begin:]), np.abs(late - weekly)
    unknown = np.isnan(off[0] + off[1])
    for one in off if unknown.any() else ():
        one[unknown] = 0.0
    daily, week = (one.sum(axis=2) for one in off)
    both = daily + week
    lead = Sums((daily - week) / np.where(both > 0, both, np.nan)).mean(_FORTNIGHT)[:, :-1]
    row, day = np.nonzero(lead > _CLEARLY)
    better = weekly[row, day]
    profile[row, day + begin] = np.where(np.isnan(better), profile[row, day + begin], better)


def _weekly(means: Floats) -> Floats:
    """The median of the same day of the last weeks, from the first day on that has enough of them before it."""
    parts = []
    for count in range(_LEAST, _WEEKS + 1):
        days = range(means.shape[1])[count * _WEEK : (count + 1) * _WEEK if count < _WEEKS else None]
        weeks = np.stack([means[:, days.start - n * _WEEK : days.stop - n * _WEEK] for n in range(1, count + 1)])
        parts.append(median(weeks))
        missing = np.isnan(weeks)
        if missing.any():
            parts[-1][np.count_nonzero(missing, axis=0) > count - _LEAST] = np.nan
    return np.concatenate(parts, axis=1)


def _moving_median(values: Floats, width: int) -> Floats:
    """The median of the last `width` values along the second axis, before each of them and after the last.

    Two windows, one after the other, have all but one value in common: only what lies in the middle of those is sought,
    and the one value is put among them.
    """
    rows, count, *lanes = values.shape
    pairs = count // 2 + 1
    past = np.full((rows, 2 * pairs + width, *lanes), np.nan)
    past[:, width : width + count] = values
    answer = np.empty((rows, 2 * pairs, *lanes))
    windows = np.moveaxis(sliding_window_view(past, width, axis=1), -1, 0)[:, :, :-1]
    if 2 < width <= network.MOST:
        ends = sorted({(width - 1) // 2 - 1, (width - 1) // 2, width // 2})
        steps = network.ordered(windows[1:, :, ::2], tuple(ends))
        for place in range(2):
            one = past[:, place * width :][:, : 2 * pairs : 2]
            low, high = (np.minimum(np.maximum(one, less), more) for less, more in (steps[:2], steps[-2:]))
            network.between(low, high, answer[:, place::2])
    else:
        answer[:] = np.nan
    holes = np.isnan(answer)
    answer[holes] = sorted_median(windows[:, holes], 0)
    return answer[:, : count + 1]
