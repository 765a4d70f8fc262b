"""Situations in which a plain detector cries wolf or sleeps, on each detector."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from detectors import CAP, Adaptive, Detector, Ewma, Seasonal, Stl, ZScore
from tests.detectors.series import DAY, MONDAY, STEP, frame, noise, office

HOUR = 12
DETECTORS = [ZScore(), ZScore(robust=True), Ewma(), Seasonal(), Stl(), Stl(robust=True), Stl(weekly=True)]
NAMES = ["zscore", "robust", "ewma", "seasonal", "stl", "robust stl", "weekly stl"]
each = pytest.mark.parametrize("detector", DETECTORS, ids=NAMES)
knows_the_week = pytest.mark.parametrize("detector", [Seasonal(), Stl(weekly=True)], ids=["seasonal", "stl"])

ADOPT_LATEST = {ZScore: 8 * HOUR, Ewma: 8 * HOUR, Seasonal: 28 * HOUR, Stl: 8 * HOUR}


def days(detector: Detector) -> int:
    return -(-detector.history // timedelta(days=1))


@each
def test_one_deviation_in_a_constant_series_is_loud_and_finite(detector: Detector) -> None:
    for level in (0.0, 0.1, 1e9):
        values = np.full(days(detector) * DAY, level)
        values[-5] += 1.0
        score = detector(frame(values)).score[0]
        assert 10 <= score[-5] <= CAP
        assert (np.abs(score[-4:]) < 1e-3).all()


@each
def test_a_drop_to_zero_alarms_at_its_onset_and_the_recovery_is_no_second_event(detector: Detector) -> None:
    values = noise(days(detector) + 2)
    onset = values.shape[1] - DAY
    values[0, onset : onset + 3 * HOUR] = 0.0
    score = detector(frame(values)).score[0]
    assert (score[onset : onset + 3 * HOUR] < -10).all()
    assert (np.abs(score[onset + 3 * HOUR :]) < 4.5).all()


@each
def test_a_shift_that_stays_becomes_the_normal(detector: Detector) -> None:
    values = noise(days(detector) + 4)
    onset = values.shape[1] - 3 * DAY
    values[0, onset:] += 60.0
    score = detector(frame(values)).score[0]
    assert (score[onset : onset + 4 * HOUR] > 10).all()
    assert (np.abs(score[onset + ADOPT_LATEST[type(detector)] :]) < 4.5).all()


@each
def test_the_way_back_from_a_long_shift_is_no_second_event(detector: Detector) -> None:
    long = ADOPT_LATEST[type(detector)] + 6 * HOUR
    values = noise(days(detector) + 4)
    onset = values.shape[1] - 3 * DAY
    values[0, onset : onset + long] += 60.0
    score = detector(frame(values)).score[0]
    assert (score[onset : onset + 4 * HOUR] > 10).all()
    assert (np.abs(score[onset + long :]) < 4.5).all()


@each
def test_after_the_way_back_a_new_kind_of_deviation_is_still_found(detector: Detector) -> None:
    long = ADOPT_LATEST[type(detector)] + 6 * HOUR
    values = noise(days(detector) + 4)
    onset = values.shape[1] - 3 * DAY
    values[0, onset : onset + long] += 60.0
    values[0, -3] += 150.0
    values[0, -2] -= 30.0
    score = detector(frame(values)).score[0]
    assert score[-3] > 5
    assert score[-2] < -5


@each
def test_a_shift_at_the_end_of_the_history_is_found_at_once(detector: Detector) -> None:
    values = noise(days(detector) + 1)
    values[0, -1] += 60.0
    assert detector(frame(values)).score[0, -1] > 10


@each
def test_gaps_neither_alarm_nor_count_as_zero(detector: Detector) -> None:
    values = noise(days(detector) + 3)
    values[0, -2 * DAY : -2 * DAY + 5 * HOUR] = np.nan
    values[0, -DAY::3] = np.nan
    score = detector(frame(values)).score[0]
    assert (np.isnan(score[-2 * DAY :]) == np.isnan(values[0, -2 * DAY :])).all()
    assert np.nanmax(np.abs(score)) < 5


@each
def test_a_series_that_starts_late_is_unknown_until_it_has_enough_points(detector: Detector) -> None:
    values = noise(days(detector) + 4)
    born = values.shape[1] - 4 * DAY + 77
    values[0, :born] = np.nan
    score = detector(frame(values)).score[0]
    warm = frame(values).periods(detector.warm_up)  # type: ignore[attr-defined]  # the built-in ones all have it
    assert np.isnan(score[: born + warm]).all()
    assert not np.isnan(score[born + warm :]).any()


@each
def test_the_verdict_does_not_depend_on_the_window_asked(detector: Detector) -> None:
    daily = isinstance(detector, Stl) and not detector.weekly
    values = office(days(detector) + 7.4, weekend=1.0 if daily else 0.3)
    asked = round(6.4 * DAY)
    whole = detector(frame(values)).score[0, -DAY:]
    short = detector(frame(values[:, asked:], MONDAY + asked * STEP)).score[0, -DAY:]
    np.testing.assert_allclose(short, whole, atol=0.2)


@each
def test_units_and_offsets_do_not_matter_to_real_shapes(detector: Detector) -> None:
    values = office(days(detector) + 1)
    values[0, -20:-10] = 0.0
    plain = detector(frame(values)).score
    for factor in (1e9, 1e-3):
        np.testing.assert_allclose(detector(frame(values * factor)).score, plain, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(detector(frame(values + 1e9)).score, plain, rtol=1e-3, atol=1e-3)


@each
def test_nights_of_zeros_are_quiet(detector: Detector) -> None:
    time = np.arange((days(detector) + 3) * DAY)
    night = time % DAY < 7 * HOUR
    values = np.where(night, 0.0, noise(days(detector) + 3, level=100.0, deviation=5.0)[0])
    score = detector(frame(values)).score[0, -2 * DAY :]
    limit = 1000.0 if isinstance(detector, Ewma) else 5.0  # an EWMA knows the last hours alone
    assert (np.abs(score) < limit).all()


def test_the_morning_after_a_night_of_zeros_is_no_alarm_and_its_absence_is() -> None:
    time = np.arange(36 * DAY)
    night = time % DAY < 7 * HOUR
    values = np.where(night, 0.0, noise(36, level=100.0, deviation=5.0)[0])
    values[-DAY + 10 * HOUR :] = 0.0
    score = Seasonal()(frame(values)).score[0, -DAY:]
    assert (np.abs(score[: 10 * HOUR]) < 5).all()
    assert (score[10 * HOUR : 23 * HOUR] < -5).all()  # after 23:00 it may be the night, an hour early


def test_a_season_that_gaps_leave_is_the_whole_season() -> None:
    values = office(9, weekend=1.0)
    values[0, : 7 * DAY][np.random.default_rng(4).random(7 * DAY) < 0.5] = np.nan
    expected = Stl()(frame(values)).expected[0, -DAY:]
    assert np.abs(expected - office(9, seed=9, weekend=1.0)[0, -DAY:]).mean() < 12


def test_a_window_of_two_days_is_enough() -> None:
    detector = Stl(window=timedelta(days=2), warm_up=timedelta(days=1))
    score = detector(frame(office(12, weekend=1.0))).score[0, -3 * DAY :]
    assert np.abs(score).max() < 5


def test_bursts_below_the_guard_hardly_move_a_robust_season() -> None:
    rng = np.random.default_rng(6)
    wave = 100.0 + 20.0 * np.sin(2 * np.pi * np.arange(15 * DAY) / DAY)
    values = np.tile(wave, (8, 1)) + rng.normal(0.0, 1.0, (8, len(wave)))
    values[rng.random(values.shape) < 0.1] += 4.0
    plain, robust = (
        np.abs(found.expected[:, -DAY:] - found.expected[:, -DAY:].mean() - wave[-DAY:] + 100.0).mean()
        for found in (Stl()(frame(values)), Stl(robust=True)(frame(values)))
    )
    assert robust < 0.75 * plain


@knows_the_week
def test_weekends_are_quiet_once_three_have_been_seen(detector: Detector) -> None:
    score = detector(frame(office(42))).score[0]
    assert np.nanmax(np.abs(score[28 * DAY :])) < 5


def test_where_no_week_is_asked_for_a_weekend_is_a_shift() -> None:
    score = Stl()(frame(office(42))).score[0]
    assert (np.abs(score[28 * DAY :]) > 5).sum() > 50


@knows_the_week
def test_one_saturday_s_outage_is_no_saturday_s_habit(detector: Detector) -> None:
    values = office(49)
    values[0, 40 * DAY + 6 * HOUR : 40 * DAY + 18 * HOUR] = 0.0
    score = detector(frame(values)).score[0]
    assert np.nanmax(score[40 * DAY + 6 * HOUR : 40 * DAY + 9 * HOUR]) < -5
    assert (np.abs(score[42 * DAY :]) > 5).sum() <= 2


def test_the_second_weekend_is_no_storm() -> None:
    score = np.abs(Seasonal()(frame(office(14))).score[0])
    first, second = score[5 * DAY : 7 * DAY], score[12 * DAY :]
    assert (first > 5).sum() > HOUR
    assert (second > 5).sum() < 6


@knows_the_week
def test_a_weekday_that_behaves_as_a_sunday_is_found(detector: Detector) -> None:
    values = office(38)
    values[0, 37 * DAY :] = office(42)[0, 41 * DAY :]
    score = detector(frame(values)).score[0, 37 * DAY :]
    assert score[10 * HOUR : 12 * HOUR].max() < -10


@pytest.mark.parametrize("clock", [HOUR, -HOUR])
def test_the_day_the_clocks_change_and_the_weeks_after_are_no_storm(clock: int) -> None:
    values = office(56)
    change = 41 * DAY  # a Sunday
    values[0, change:] = np.roll(values[0], clock)[change:]
    values[0, -3 * HOUR :] -= 150.0
    score = Seasonal()(frame(values)).score[0]
    assert (np.abs(score[change : -3 * HOUR]) > 5).sum() <= 3
    without = Seasonal(tolerance=timedelta(0))(frame(values)).score[0]
    assert (np.abs(without[change : -3 * HOUR]) > 5).sum() > 50


def test_an_outage_on_the_day_the_clocks_change_is_found() -> None:
    values = office(42)
    values[0, 41 * DAY :] = np.roll(values[0], HOUR)[41 * DAY :]
    values[0, 41 * DAY + 12 * HOUR : 41 * DAY + 13 * HOUR] = 0.0
    score = Seasonal()(frame(values)).score[0]
    assert (score[41 * DAY + 12 * HOUR : 41 * DAY + 13 * HOUR] < -5).all()


@pytest.mark.parametrize("start", [datetime(2026, 9, 7, 17, 35, tzinfo=UTC), datetime(1969, 12, 1, 0, 5, tzinfo=UTC)])
def test_slots_are_those_of_the_utc_day_wherever_the_frame_begins(start: datetime) -> None:
    first = int((start - start.replace(hour=0, minute=0)) / STEP)
    values = noise(36, deviation=1.0)
    slot = (np.arange(values.shape[1]) + first) % DAY
    values[0, slot == 0] += 50.0  # the first five minutes of every day
    values[0, slot == DAY - 1] -= 50.0  # and the last
    assert np.nanmax(np.abs(Seasonal()(frame(values, start)).score)) < 5.5
    late = values.copy()
    late[0, -DAY:] = np.roll(values[0], 1)[-DAY:]
    assert np.nanmax(np.abs(Seasonal()(frame(late, start)).score[0, -DAY:])) > 10


def test_a_job_of_one_slot_a_week_is_learned_and_one_that_moves_by_a_day_is_found() -> None:
    values = noise(42, deviation=1.0)
    job = 2 * DAY + 30
    values[0, job :: 7 * DAY] += 40.0
    assert np.nanmax(np.abs(Seasonal()(frame(values)).score[0, 28 * DAY :])) < 5
    values[0, 38 * DAY + 30] += 40.0
    assert Seasonal()(frame(values)).score[0, 38 * DAY + 30] > 10


def test_an_outage_that_returns_every_day_at_its_hour_is_found_every_day() -> None:
    values = noise(40)
    for day in range(35, 40):
        values[0, day * DAY + 10 * HOUR : day * DAY + 12 * HOUR] = 0.0
    score = Seasonal()(frame(values)).score[0]
    for day in range(35, 40):
        assert (score[day * DAY + 10 * HOUR : day * DAY + 12 * HOUR] < -5).all()


def test_a_growing_series_is_quiet() -> None:
    values = office(49) * np.linspace(1, 1.5, 49 * DAY)
    assert np.nanmax(np.abs(Seasonal()(frame(values)).score[0, 34 * DAY :])) < 5.5


def test_a_step_that_does_not_divide_a_day_is_refused() -> None:
    with pytest.raises(ValueError, match="step 0:07:00 does not divide a day"):
        Seasonal()(frame(np.zeros(10), step=timedelta(minutes=7)))


@pytest.mark.parametrize("minutes", [45, 60, 120, 480, 1440])
def test_steps_that_do_not_divide_an_hour_have_a_season_too(minutes: int) -> None:
    step = timedelta(minutes=minutes)
    count = 42 * timedelta(days=1) // step
    values = np.random.default_rng(1).normal(100, 2, count) + 50 * (np.arange(count) * minutes % 1440 > minutes)
    score = Seasonal()(frame(values, step=step)).score[0]
    assert not np.isnan(score[-5:]).any()
    assert np.abs(score[-timedelta(days=3) // step :]).max() < 6


@pytest.mark.parametrize("made", [ZScore, Ewma, Seasonal, Stl])
def test_settings_that_make_no_sense_are_refused(made: type[Ewma]) -> None:
    with pytest.raises(ValueError, match="not positive"):
        made(adopt=timedelta(0))
    with pytest.raises(ValueError, match="is not a positive number"):
        made(guard=0.0)


@pytest.mark.parametrize(
    ("made", "given", "told"),
    [
        (ZScore, {"window": 6, "warm_up": 12}, "warm_up 12h is longer than the window 6h,"),
        (Ewma, {"half_life": -1}, "half_life -1h is not"),
        (Seasonal, {"tolerance": -1}, "tolerance -1h is"),
        (Stl, {"window": 36}, "window 1d12h is not whole days"),
        (Adaptive, {"recent": 12}, "recent 12h is not between one day and memory 28d"),
        (Adaptive, {"warm_up": 250}, "warm_up 10d10h is not between nothing and recent 10d"),
    ],
)
def test_what_is_said_of_settings_has_durations_as_people_write_them(
    made: Callable[..., object], given: dict[str, int], told: str
) -> None:
    with pytest.raises(ValueError, match=rf"^{told}"):
        made(**{name: timedelta(hours=hours) for name, hours in given.items()})


def test_a_warm_up_longer_than_the_window_is_refused() -> None:
    for made, days in ((ZScore, 0.25), (Stl, 2)):
        with pytest.raises(ValueError, match="never holds it"):
            made(window=timedelta(days=days), warm_up=timedelta(days=3))
