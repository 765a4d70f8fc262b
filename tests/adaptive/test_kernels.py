"""Each fast kernel against plain loops, on awkward arrays."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import exp, log, log1p

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import log_ndtr

from detectors import Frame, tail, views
from detectors.calendar import Calendar
from detectors.deviates import alarms_a_week, deviates, threshold

Floats = NDArray[np.float64]


def awkward(rows: int, time: int, seed: int = 0) -> Floats:
    """Noise, noise with holes, a long gap, zeros, a constant, nothing, ties, a large offset."""
    rng = np.random.default_rng(seed)
    values = rng.normal(10.0, 3.0, (rows, time))
    values[1, rng.random(time) < 0.4] = np.nan
    values[2, time // 4 : time // 2] = np.nan
    values[3] = 0.0
    values[4] = 7.1
    values[5] = np.nan
    values[6] = np.round(values[6] / 4)
    values[7] += 1e9
    return values


def known(points: Sequence[float] | Floats) -> list[float]:
    return [float(x) for x in points if not np.isnan(x)]


def mean_before(row: Floats, last: int, width: int) -> float:
    points = known(row[max(0, last - width) : max(0, last)])
    return float(np.mean(points)) if points else np.nan


def middle(points: list[float]) -> float:
    there = known(points)
    return float(np.median(there)) if there else np.nan


def fits(largest: Floats, every: int, window: int, share: float, least: int, day: int, odd: float = 0.0) -> tail.Tail:
    """The tails by one law, at all moments."""
    (found,) = tail.Hours(largest, day, least).fits(every, window, [tail.Law(share, odd)])
    return found


@pytest.mark.parametrize("width", [1, 3, 50, 121, 150, 500])
def test_the_mean_of_a_stretch(width: int) -> None:
    values = awkward(8, 120)
    got = views.Sums(values).mean(width)
    wanted = [[mean_before(row, t, width) for t in range(121)] for row in values]
    np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("width", [1, 4])
def test_the_recent_level_is_the_middle_of_three_means(width: int) -> None:
    values = awkward(8, 60)[[0, 3, 4, 6, 7]]
    got = views.recent(views.Sums(values), width)
    for row, line in zip(values, got, strict=True):
        for t in range(3 * width, 60):
            means = [mean_before(row, t - by, width) for by in (0, width, 2 * width)]
            assert line[t] == pytest.approx(middle(means), rel=1e-9, abs=1e-9)


def test_the_daily_level_is_the_median_of_a_day_of_hourly_means() -> None:
    calendar = Calendar(day=48, block=2, slot=1, lead=0)
    values = awkward(8, 48 * 4)
    got = views.daily_level(views.Sums(values), calendar)
    for row, line in zip(values, got, strict=True):
        means = [mean_before(row, 2 * (k + 1), 2) for k in range(96)]
        for t in range(2, len(line)):
            assert line[t] == pytest.approx(middle(means[max(0, t // 2 - 24) : t // 2]), nan_ok=True)


def test_the_daily_profile_is_the_median_of_the_same_quarter_of_earlier_days() -> None:
    calendar = Calendar(day=12, block=4, slot=3, lead=0)
    values = awkward(8, 12 * 9)
    got = views.profile(views.Sums(values), calendar, 3)
    for row, line in zip(values, got, strict=True):
        for t in range(len(line)):
            slot = t // 3
            past = [mean_before(row, 3 * (slot - 4 * k + 1), 3) for k in (1, 2, 3) if slot >= 4 * k]
            assert line[t] == pytest.approx(middle(past), nan_ok=True)


def weeks(weekend: float, days: int = 70) -> tuple[Calendar, Floats, Floats]:
    """Noise about a daily wave, which is times `weekend` on two days of seven, and the wave itself."""
    calendar = Calendar(day=48, block=2, slot=2, lead=0)
    t = np.arange(48 * days)
    wave = (100 + 30 * np.sin(2 * np.pi * t / 48)) * np.where(t // 48 % 7 >= 5, weekend, 1.0)
    return calendar, wave + np.random.default_rng(4).normal(size=(3, len(t))), wave


def test_the_profile_is_that_of_the_weeks_day_once_that_is_nearer() -> None:
    calendar, values, wave = weeks(0.4)
    off = np.abs(views.profile(views.Sums(values), calendar, 10) - wave).reshape(3, -1, 48).mean(axis=2)
    assert off[:, 12:14].min() > 30  # of one week nobody can say that it will come again
    assert off[:, 20:].max() < 2  # its first Saturday shows it


def test_where_all_days_are_alike_the_profile_is_the_daily_one() -> None:
    calendar, values, _ = weeks(1.0)
    sums = views.Sums(values)
    means = values.reshape(3, -1, 24, 2).mean(axis=3)
    daily = np.stack([np.median(means[:, d - 10 : d], axis=1) for d in range(30, 70)], axis=1)
    got = views.profile(sums, calendar, 10).reshape(3, -1, 24, 2)[:, 30:, :, 0]
    assert np.mean(np.isclose(got, daily)) > 0.98


def test_one_enormous_day_does_not_take_the_week_out_of_the_profile() -> None:
    calendar, values, wave = weeks(0.4)
    values[:, 48 * 50 : 48 * 51] *= 1e6
    off = np.abs(views.profile(views.Sums(values), calendar, 10) - wave).reshape(3, -1, 48).mean(axis=2)
    assert off[:, 51:].max() < 2


def test_the_mean_deviation_of_late_counts_the_present_point() -> None:
    values = awkward(8, 40)
    wanted = [[mean_before(row, t + 1, 5) for t in range(40)] for row in values]
    np.testing.assert_allclose(views.lasting(values, 5), wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("width", [0, 1, 3])
def test_the_least_of_the_points_before_leaves_out_the_present_one(width: int) -> None:
    values = awkward(8, 60)
    got = views.least(values, width)
    for row, line in zip(values, got, strict=True):
        for t in range(60):
            wanted = min(known(row[max(0, t - width) : t]), default=np.nan if width else np.inf)
            assert line[t] == pytest.approx(wanted, nan_ok=True)


@pytest.mark.parametrize("reach", [1, 2, 4, 5, 48])
def test_the_highest_of_a_profile_is_sought_round_the_ends_of_its_own_day(reach: int) -> None:
    calendar = Calendar(day=24, block=4, slot=2, lead=0)
    slots = np.random.default_rng(3).normal(10.0, 3.0, (3, 3 * 12))
    slots[1, 5:9] = np.nan
    got = views.highest(np.repeat(slots, 2, axis=1), calendar, reach)
    near = min(reach // 2, 6)
    for row, line in zip(slots, got, strict=True):
        for k in range(len(row)):
            day = 12 * (k // 12)
            there = known([row[day + (k + by) % 12] for by in range(-near, near + 1)])
            np.testing.assert_array_equal(line[2 * k : 2 * k + 2], max(there, default=np.nan))


def test_the_largest_of_an_hour() -> None:
    values = np.abs(awkward(8, 60))
    got = views.maxima(values, 5)
    for row, line in zip(values, got, strict=True):
        for block in range(12):
            wanted = max(known(row[block * 5 : block * 5 + 5]), default=np.nan)
            assert line[block] == pytest.approx(wanted, nan_ok=True)


def slow_fit(past: Floats, daily: Floats, share: float, odd: float) -> tuple[float, float, float, float]:
    there = sorted(known(past), reverse=True)
    wanted = max(1, round(share * len(there)))
    start = there[min(wanted, len(past) - 1)] if wanted < len(there) else -1.0
    excess = [x - start for x in there[: max(1, round(share * len(past)))] if x > start]
    days = sorted((x - start for x in daily), reverse=True)
    limit = tail._CAP * days[1] if len(days) > 1 and days[1] > 0 else np.inf
    capped = [min(x, limit) for x in excess] or [0.0]
    mean = sum(capped) / len(capped)
    twice = limit / tail._CAP * tail._SHAPELY
    plain = [min(x, twice) for x in capped]
    square = (sum(plain) / len(plain)) ** 2
    variance = sum(x * x for x in plain) / len(plain) - square
    heavy = min(tail._HEAVIEST, max(0.0, (1 - square / variance) / 2)) if variance > 0 else 0.0
    unsure = round(odd * len(there))
    if unsure < len(excess):  # of an exponential law, the largest of which are only known to be no less than the rest
        surely = min(mean, sum(min(x, excess[unsure]) for x in excess) / (len(excess) - unsure))
        mean = mean ** (1 - tail._SURELY) * surely**tail._SURELY
    return start, max(len(excess), 0.5) / len(there), (1 - heavy) * mean, heavy + 1 / (len(excess) or wanted)


@pytest.mark.parametrize("odd", [0.0, 0.02, 0.1])
@pytest.mark.parametrize(("every", "window", "share"), [(6, 8 * 24, 0.15), (24, 3 * 24, 0.5), (5, 30, 0.05)])
def test_the_tails_of_the_largest(every: int, window: int, share: float, odd: float) -> None:
    day, least = 24, 20
    largest = np.abs(awkward(8, 10 * day))
    largest[0, 100] = 1e6
    got = fits(largest, every, window, share, least, day, odd)
    for i, row in enumerate(largest):
        for k in range(got.start.shape[1]):
            fitted = got.start[i, k], got.share[i, k], got.scale[i, k], got.shape[i, k]
            first, block = max(0, every * k - window), every * k
            past = row[first:block]
            if len(known(past)) < least:
                assert np.isnan(fitted).all()
                continue
            days = [row[d * day : min(block, (d + 1) * day)] for d in range(10) if first <= d * day < block]
            daily = np.array([max(known(one), default=-1.0) for one in days])
            assert fitted == pytest.approx(slow_fit(past, daily, share, odd), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("every", [6, 24])
def test_tails_by_several_laws_at_once_and_at_some_moments_are_those_of_each(every: int) -> None:
    largest = np.abs(awkward(8, 14 * 24))
    hours = tail.Hours(largest, 24, 20)
    day = 24 // every
    narrow, wide = tail.Law(0.05, until=9 * day), tail.Law(0.3, 0.02)
    some = hours.fits(every, 72, [narrow, wide], 5 * day + 1)
    (longer,) = hours.fits(every, 240, [tail.Law(0.4)])
    for got, (window, law), part in zip(
        [*some, longer],
        [(72, narrow), (72, wide), (240, tail.Law(0.4))],
        [slice(5 * day + 1, 9 * day), slice(5 * day + 1, None), slice(None)],
        strict=True,
    ):
        alone = fits(largest, every, window, law.share, 20, 24, law.odd)
        for name in tail.Tail.__annotations__:
            np.testing.assert_array_equal(getattr(got, name), getattr(alone, name)[:, part])


def test_of_fewer_maxima_than_are_enough_each_logarithm_counts_by_a_part() -> None:
    past = np.random.default_rng(2).exponential(size=(1, 24 * 12))
    past[0, 24 * 3 : 24 * 5] = np.nan
    (plain,), (unsure,) = (tail.Hours(past, 24, 12, some).fits(24, 240, [tail.Law(0.2)]) for some in (0, 192))
    for deviation in (0.5, 2.0, 5.0):
        one, other = (tail.log_probability(np.full((1, 12), deviation), (t, t), 1)[0] for t in (plain, unsure))
        for day in range(1, 12):
            known = 24 * min(max(min(day, 3), day - 2), 8)
            part = (1 + tail._UNSURE / 192) / (1 + tail._UNSURE / known)
            assert other[day] == pytest.approx(part * one[day]), (deviation, day)
    assert part == 1, "of as many as are enough nothing is taken off"


def test_one_enormous_hour_hardly_widens_the_tail_and_one_a_day_does() -> None:
    past = np.abs(np.random.default_rng(2).normal(size=(1, 24 * 29)))

    def scale() -> float:
        return float(fits(past, 24, 24 * 28, 0.15, 24, 24).scale[0, -1])

    calm = scale()
    past[0, 100] = 1e9
    assert scale() < 2.5 * calm
    past[0, 5::24] = 1e9
    assert scale() > 1e6 * calm


def test_the_size_of_a_few_incidents_teaches_less_than_their_number() -> None:
    past = np.random.default_rng(2).exponential(size=(1, 24 * 29))

    def scale(odd: float) -> float:
        return float(fits(past, 24, 24 * 28, 0.2, 24, 24, odd).scale[0, -1])

    assert scale(0.02) == pytest.approx(scale(0.0), rel=0.1), "without incidents both are the same"
    past[0, 24 * np.arange(5) + 7] *= 100
    assert scale(0.02) < 0.7 * scale(0.0)


def test_a_tail_knows_only_hours_before_it() -> None:
    largest = np.abs(awkward(8, 96))
    whole = fits(largest, 6, 48, 0.2, 10, 24)
    largest[:, 48:] = 1e6
    cut = fits(largest, 6, 48, 0.2, 10, 24)
    for name in tail.Tail.__annotations__:
        np.testing.assert_array_equal(getattr(cut, name)[:, :9], getattr(whole, name)[:, :9])
    assert np.isnan(whole.start[:, 0]).all()


def test_the_probability_falls_straight_then_as_a_power_and_in_the_end_as_an_exponential() -> None:
    one = tail.Tail(*(np.array([[x]]) for x in (2.0, 0.15, 0.5, 0.2)))
    two = tail.Tail(*(np.array([[x]]) for x in (3.0, 0.1, 0.7, 0.1)))
    got = tail.log_probability(np.array([[0.0, 1.0, 2.5, 9.0, 40.0, np.nan]]), (one, two), 6)[0]

    def alone(x: float, start: float, share: float, scale: float, shape: float) -> float:
        if x <= start:
            return log(share) * x / start
        last = start + scale / shape * (exp(shape * (log(share) - tail._RAREST)) - 1)
        power = log(share) - log1p(shape * (min(x, last) - start) / scale) / shape
        return power - max(x - last, 0.0) / (scale + shape * (last - start))

    for x, log_p in zip((0.0, 1.0, 2.5, 9.0, 40.0), got, strict=False):
        assert log_p == pytest.approx((alone(x, 2.0, 0.15, 0.5, 0.2) + alone(x, 3.0, 0.1, 0.7, 0.1)) / 2)
    assert np.isnan(got[5])
    for p in (-1.0, -5.0, -30.0):
        far = tail.quantile(p, (one, two))[0, 0]
        logs = [
            alone(far, *(float(x) for x in (t.start[0, 0], t.share[0, 0], t.scale[0, 0], t.shape[0, 0])))
            for t in (one, two)
        ]
        assert max(logs) == pytest.approx(min(p, max(logs))), "no more probable than that"


def test_deviates_are_those_of_the_normal_law() -> None:
    for z in (0.0, 0.01, 0.5, 1.0, 3.0, 8.0, 37.0, 80.0):
        log_p = log_ndtr(-z) + log(2.0)
        assert deviates(np.array([log_p]))[0] == pytest.approx(z, abs=1e-3)
    assert deviates(np.array([-1e9]))[0] == deviates(np.array([-4096.0]))[0]
    assert np.isnan(deviates(np.array([np.nan]))[0])


def test_a_rate_of_alarms_and_its_threshold_are_inverse() -> None:
    for alarms in (0.01, 0.3, 1.0, 10.0, 100.0):
        assert alarms_a_week(threshold(alarms)) == pytest.approx(alarms)
    assert alarms_a_week(2.0) == pytest.approx(168 * 2 * exp(log_ndtr(-2.0)))
    for wrong in (0.0, -1.0, 168.0):
        with pytest.raises(ValueError, match="one for each hour"):
            threshold(wrong)


@pytest.mark.parametrize(
    ("step", "day", "block", "slot"),
    [(60, 1440, 60, 15), (300, 288, 12, 3), (900, 96, 4, 1), (3600, 24, 1, 1), (7200, 12, 1, 1), (420, 206, 103, 103)],
)
def test_a_calendar_divides_the_day(step: int, day: int, block: int, slot: int) -> None:
    frame = Frame(np.zeros((1, 5)), datetime(2026, 3, 1, 5, 0, tzinfo=UTC), timedelta(seconds=step), ({},))
    calendar = Calendar.of(frame)
    assert (calendar.day, calendar.block, calendar.slot) == (day, block, slot)
    if 86_400 % step == 0:
        assert calendar.lead == 5 * 3600 // step
    assert calendar.whole(frame.values).shape[1] % day == 0


@pytest.mark.parametrize("lead", [0, 5])
def test_a_series_is_born_on_the_first_day_with_a_point(lead: int) -> None:
    calendar = Calendar(day=12, block=4, slot=3, lead=lead)
    values = np.full((5, 40), np.nan)
    for row, column in enumerate([0, 12 - lead, 23 - lead, 39]):
        values[row, column] = 1.0
    wanted = [0, 12 - lead, 12 - lead, (39 + lead) // 12 * 12 - lead, 40]
    assert calendar.births(values).tolist() == wanted
    assert calendar.births(values[:, :0]).tolist() == [0] * 5
