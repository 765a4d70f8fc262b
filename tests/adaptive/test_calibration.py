"""One threshold is one rate of false alarms: whatever the noise, the step and the season."""

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray

from detectors.adaptive import Adaptive
from detectors.deviates import threshold
from tests.detectors.series import MONDAY, frame

Floats = NDArray[np.float64]
Noise = Callable[[Generator, tuple[int, int]], Floats]


def persistent(rng: Generator, shape: tuple[int, int]) -> Floats:
    values = rng.normal(size=shape)
    for t in range(1, shape[1]):
        values[:, t] += 0.9 * values[:, t - 1]
    return values


def bursts(rng: Generator, shape: tuple[int, int]) -> Floats:
    size = rng.pareto(2.5, shape) * 10
    return 100.0 + rng.normal(size=shape) + np.where(rng.random(shape) < 0.02, size, 0.0)


NOISES: dict[str, Noise] = {
    "normal": lambda rng, shape: rng.normal(100.0, 5.0, shape),
    "exponential": lambda rng, shape: rng.exponential(10.0, shape),
    "student": lambda rng, shape: rng.standard_t(3, shape),
    "counts": lambda rng, shape: rng.poisson(5.0, shape).astype(np.float64),
    "persistent": persistent,
    "bursts": bursts,
}


def alarms_a_week(scores: Floats, at: float, hour: int, weeks: float) -> float:
    """Hours with an alarm, for each series and week."""
    loud = np.abs(scores) >= at
    return float(loud.reshape(len(scores), -1, hour).any(axis=2).sum() / len(scores) / weeks)


@pytest.mark.parametrize("step", [5, 15, 60])
@pytest.mark.parametrize("noise", NOISES)
def test_the_rate_of_false_alarms_is_the_one_that_was_asked_for(noise: str, step: int) -> None:
    day = 24 * 60 // step
    rows, days = 24, 42
    values = NOISES[noise](np.random.default_rng(7), (rows, days * day))
    scores = Adaptive()(frame(values, MONDAY, timedelta(minutes=step))).score[:, 14 * day :]
    for asked in (1.0, 5.0):
        rate = alarms_a_week(scores, threshold(asked), 60 // step, (days - 14) / 7)
        assert rate <= 2.0 * asked
    assert alarms_a_week(scores, threshold(20.0), 60 // step, (days - 14) / 7) >= 2.0


def young(noise: str, asked: float) -> float:
    """Of the alarms that were asked for, how many times as many a series raises in its second and third day."""
    values = NOISES[noise](np.random.default_rng(7), (48, 3 * 288))
    return alarms_a_week(Adaptive()(frame(values)).score[:, 288:], threshold(asked), 12, 2 / 7) / asked


def test_a_series_is_hardly_louder_while_little_is_known_of_it() -> None:
    assert np.mean([young(noise, 0.33) for noise in NOISES]) <= 1.6


def test_equal_hours_of_small_counts_are_no_proof_that_none_is_larger() -> None:
    assert young("counts", 0.33) <= 2.5


def test_traffic_with_days_weeks_and_bursts_is_quiet() -> None:
    rng, day, days = np.random.default_rng(11), 288, 56
    time = np.arange(days * day)
    season = 1 + 0.5 * np.sin(2 * np.pi * time / day) + np.where(time // day % 7 >= 5, -0.2, 0.0)
    values = 1e6 * season * rng.lognormal(0.0, 0.1, (12, len(time)))
    values *= np.where(rng.random(values.shape) < 0.005, 2.0, 1.0)
    scores = Adaptive()(frame(values)).score[:, 21 * day :]
    assert alarms_a_week(scores, threshold(0.33), 12, 5.0) / 7 <= 0.07


def test_the_band_holds_the_points() -> None:
    values = np.random.default_rng(13).normal(100.0, 5.0, (8, 40 * 288))
    answer = Adaptive()(frame(values))
    inside = np.abs(values - answer.expected) <= threshold(1.0) * answer.spread
    assert inside[:, 14 * 288 :].mean() > 0.999
    assert np.nanmean(answer.spread) < 5 * 3
