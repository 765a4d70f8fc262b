"""Situations in which a default cries wolf or sleeps; five minutes a step, the default's own threshold."""

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.adaptive import Adaptive
from detectors.deviates import threshold
from tests.detectors.series import DAY, frame, noise, office

HOUR = 12
LOUD = threshold(0.25)
LONG = 44

Floats = NDArray[np.float64]


def score(values: Floats) -> Floats:
    scores: Floats = Adaptive()(frame(values)).score[0]
    return scores


def alerts(scores: Floats) -> int:
    """Runs above the threshold, those less than an hour apart being one."""
    loud = np.flatnonzero(np.abs(scores) >= LOUD)
    return int((np.diff(loud, prepend=-DAY) > HOUR).sum())


def calm(seed: int = 0) -> Floats:
    values: Floats = noise(LONG, seed=seed)[0]
    return values


ONSET = (LONG - 4) * DAY


@pytest.mark.parametrize("hours", [1, 3, 10])
def test_an_outage_is_one_event_and_the_recovery_none(hours: int) -> None:
    values, last = calm(), ONSET + hours * HOUR
    values[ONSET:last] = 0.0
    scores = score(values)
    assert (scores[ONSET:last] < -2 * LOUD).all()
    assert alerts(scores[last:]) == 0


def test_a_shift_that_stays_is_one_event_and_the_normal_after_a_day() -> None:
    values = calm()
    values[ONSET:] += 60.0
    scores = score(values)
    assert (scores[ONSET : ONSET + 12 * HOUR] > LOUD).all()
    assert alerts(scores[ONSET:]) == 1
    assert (np.abs(scores[ONSET + 25 * HOUR :]) < LOUD).all()


def test_the_way_back_belongs_to_the_event() -> None:
    values = calm()
    values[ONSET : ONSET + 20 * HOUR] += 60.0
    assert alerts(score(values)[ONSET:]) == 1


def test_a_day_of_maintenance_is_no_storm_afterwards() -> None:
    values = calm()
    values[ONSET : ONSET + DAY] *= 0.3
    scores = score(values)
    assert scores[ONSET] < -LOUD
    assert alerts(scores[ONSET:]) <= 2


def test_a_new_daily_job_fades() -> None:
    values = calm()
    values[10 * DAY + 40 :: DAY] += 80.0
    jobs = score(values)[10 * DAY + 40 :: DAY]
    assert jobs[0] > 2 * LOUD
    assert (jobs[20:] < LOUD).all()


def test_counters_that_double_at_midnight_are_normal() -> None:
    values = calm()
    values.reshape(LONG, DAY)[:, -HOUR:] *= 2
    assert alerts(score(values)[20 * DAY :]) == 0


def test_a_flat_top_is_normal_and_a_point_beyond_it_is_found() -> None:
    values = np.minimum(office(LONG)[0], 260.0)
    assert alerts(score(values)[21 * DAY :]) == 0
    values[-5 * DAY + 12 * HOUR] = 330.0
    assert score(values)[-5 * DAY + 12 * HOUR] > LOUD


def test_alternating_days_are_normal() -> None:
    values = calm() * np.repeat(np.where(np.arange(LONG) % 2, 1.0, 3.0), DAY)
    assert alerts(score(values)[20 * DAY :]) == 0


def test_weekends_are_normal() -> None:
    assert alerts(score(office(LONG)[0])[21 * DAY :]) <= 1


def test_a_burst_train_is_normal_and_a_burst_of_twice_the_size_is_found() -> None:
    rng, values = np.random.default_rng(3), calm()
    values[rng.integers(0, len(values), 6 * LONG)] *= 4.0
    values[-100] = 100.0 + 4 * 300.0
    scores = score(values)
    assert alerts(scores[20 * DAY : -DAY]) <= 1
    assert scores[-100] > LOUD


def test_two_scales_in_one_series() -> None:
    values = calm()
    values[: 22 * DAY] *= 0.01
    values[-50] += 50.0
    scores = score(values)
    assert alerts(scores[30 * DAY : -DAY]) == 0
    assert scores[-50] > LOUD


def test_an_enormous_spike_hides_no_other() -> None:
    values = calm()
    values[ONSET - DAY] = 1e9
    values[ONSET] += 100.0
    values[ONSET + 50] += 40.0
    scores = score(values)
    assert scores[ONSET] > 1.5 * LOUD
    assert scores[ONSET + 50] > LOUD


def spiky(seed: int) -> Floats:
    """Office traffic with a spike of several times its level every six hours or so."""
    values: Floats = office(LONG, seed=seed)[0]
    rng = np.random.default_rng(seed)
    values[rng.random(values.size) < 1 / (6 * HOUR)] *= 4.0
    return values


@pytest.mark.parametrize("hour", [3, 11, 20])
def test_rises_hide_no_drop(hour: int) -> None:
    values, onset = spiky(seed=2), ONSET + hour * HOUR
    quiet = alerts(score(values)[onset - DAY : onset + DAY])
    values[onset : onset + HOUR] *= 0.1
    scores = score(values)
    assert (scores[onset + 2 : onset + HOUR] < -LOUD).all()
    assert alerts(scores[onset - DAY : onset + DAY]) == quiet + 1


def test_what_is_expected_is_not_learned_from_the_event_itself() -> None:
    values = calm()
    values[ONSET : ONSET + 10 * HOUR] *= 5.0
    scores = Adaptive()(frame(values))
    loud = ONSET + np.flatnonzero(scores.score[0, ONSET : ONSET + 10 * HOUR] >= LOUD)
    assert len(loud) > 9 * HOUR
    np.testing.assert_allclose(scores.expected[0, loud], 100.0, rtol=0.05)


def test_after_days_without_points_there_is_something_expected_wherever_there_is_a_score() -> None:
    values = calm()
    values[ONSET - 3 * DAY : ONSET] = np.nan
    scores = Adaptive()(frame(values))
    known = np.isfinite(scores.score[0, ONSET:])
    assert known.any()
    assert np.isfinite(scores.expected[0, ONSET:][known]).all()


@pytest.mark.parametrize("days", [0.2, 1, 3, 5, 6.1, 9, 12])
def test_a_history_of_any_length_is_scored(days: float) -> None:
    values = calm()[: round(days * DAY)]
    scores = score(values)
    assert scores.shape == values.shape
    assert np.isfinite(scores[2 * DAY :]).all()


def test_a_low_quarter_of_an_hour_is_normal_where_there_are_such_every_day() -> None:
    values = calm()
    for day in range(LONG):
        start = day * DAY + 8 * HOUR + (day * 5 % 7) * HOUR
        values[start : start + 6] = 10.0
    assert alerts(score(values)[-14 * DAY :]) == 0


@pytest.mark.parametrize("clock", [HOUR, -HOUR])
def test_the_clock_change_is_no_storm(clock: int) -> None:
    values = office(56)[0]
    change = 41 * DAY
    values[change:] = np.roll(values, clock)[change:]
    assert alerts(score(values)[change:]) <= 1


def test_a_month_of_zeros_and_then_traffic_is_one_event() -> None:
    values = calm()
    values[: 30 * DAY] = 0.0
    scores = score(values)
    assert scores[30 * DAY] > LOUD
    assert (np.abs(scores[: 30 * DAY]) < 1e-3)[2 * DAY :].all()
    assert alerts(scores[32 * DAY + HOUR :]) == 0


def test_nights_of_zeros_are_normal_and_a_day_of_zeros_is_not() -> None:
    values = np.where(np.arange(LONG * DAY) % DAY < 7 * HOUR, 0.0, calm())
    values[-DAY + 10 * HOUR :] = 0.0
    scores = score(values)
    assert alerts(scores[10 * DAY : -DAY + 10 * HOUR]) == 0
    assert (scores[-DAY + 10 * HOUR : -HOUR] < -LOUD).all()


def test_a_slow_ramp_is_found_before_it_is_over() -> None:
    values = calm()
    values[-5 * HOUR :] += np.linspace(0.0, 30.0, 5 * HOUR)
    assert (score(values)[-2 * HOUR :] > LOUD).any()


def test_a_sparse_series_does_not_cry_wolf() -> None:
    rng, shape = np.random.default_rng(5), LONG * DAY
    values = (rng.random(shape) < 0.01) * rng.exponential(50.0, shape)
    assert alerts(score(values)[10 * DAY :]) <= 3
    assert alerts(score(rng.poisson(0.2, shape).astype(np.float64))[10 * DAY :]) <= 8


def test_a_series_that_starts_late_is_unknown_for_a_day_and_then_quiet() -> None:
    values = calm()
    born = ONSET - 5 * DAY + 77
    values[:born] = np.nan
    scores = score(values)
    assert np.isnan(scores[: born + DAY - HOUR]).all()
    assert not np.isnan(scores[born + 2 * DAY :]).any()
    assert alerts(scores) <= 1


def test_gaps_neither_alarm_nor_count_as_zero() -> None:
    values = calm()
    values[ONSET : ONSET + 5 * HOUR] = np.nan
    values[ONSET + DAY :: 3] = np.nan
    scores = score(values)
    assert (np.isnan(scores[2 * DAY :]) == np.isnan(values[2 * DAY :])).all()
    assert alerts(scores[ONSET:]) == 0
