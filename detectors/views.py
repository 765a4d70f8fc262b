"""What a series' own past lets one expect of a point, seen in four ways.

Values are (series, time) on a calendar of whole days; every answer has that shape and uses earlier points only. All of
them are medians, of points or of short means, so that a short incident moves none of them.
"""

import numpy as np

from detectors.blocks import Floats, median
from detectors.calendar import Calendar


class Sums:
    """Running sums of each series, from which the mean of any stretch is one subtraction.

    They are of differences from the first point, so that a large constant costs no digits.
    """

    def __init__(self, values: Floats) -> None:
        present = ~np.isnan(values)
        self._first = np.take_along_axis(values, present.argmax(axis=1)[:, None], axis=1)
        self._sum = _from_zero(np.where(present, values - self._first, 0.0))
        counted = present[:1] if present.all() else present  # one row will do for all
        self._count = _from_zero(counted.astype(np.float64))

    def mean(self, width: int) -> Floats:
        """For every t, up to the number of columns, the mean of the points in [t - width, t); NaN where none is."""
        total, count = _stretch(self._sum, width), _stretch(self._count, width)
        total /= np.where(count > 0, count, np.nan)
        total += self._first
        return total


def _from_zero(increments: Floats) -> Floats:
    sums = np.zeros((len(increments), increments.shape[1] + 1))
    np.cumsum(increments, axis=1, out=sums[:, 1:])
    return sums


def _stretch(sums: Floats, width: int) -> Floats:
    """The sum over [t - width, t) for every t, the part before the first column being empty."""
    answer = sums.copy()
    answer[:, width:] -= sums[:, : sums.shape[1] - width]
    return answer


def recent(sums: Sums, width: int) -> Floats:
    """The middle one of the means over the last three stretches of `width` columns."""
    a = sums.mean(width)[:, :-1]
    b, c = (later(a, by) for by in (width, 2 * width))
    return np.fmax(np.fmin(a, b), np.fmin(np.fmax(a, b), c))


def later(values: Floats, by: int) -> Floats:
    """The values, each `by` columns later; the first ones NaN."""
    answer = np.full_like(values, np.nan)
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


def daily_level(sums: Sums, calendar: Calendar) -> Floats:
    """The median of the last 24 hourly means (of as many blocks as a day has), taken anew every block."""
    means = _block_means(sums, calendar.block)
    past = np.full((len(means), calendar.blocks, means.shape[1]), np.nan)
    for k in range(1, min(calendar.blocks, means.shape[1] - 1) + 1):
        past[:, k - 1, k:] = means[:, :-k]
    return np.repeat(median(past, axis=1), calendar.block, axis=1)


def daily_profile(sums: Sums, calendar: Calendar, days: int) -> Floats:
    """The median over the last `days` days of the mean in the same quarter of an hour."""
    means = _block_means(sums, calendar.slot)
    means = means.reshape(len(means), -1, calendar.day // calendar.slot)
    past = np.full((*means.shape, days), np.nan)
    for k in range(1, min(days, means.shape[1] - 1) + 1):
        past[:, k:, :, k - 1] = means[:, :-k]
    return np.repeat(median(past, axis=-1).reshape(len(means), -1), calendar.slot, axis=1)


def _block_means(sums: Sums, width: int) -> Floats:
    """The mean of each block of `width` columns."""
    return sums.mean(width)[:, width::width]
