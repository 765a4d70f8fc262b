"""The band is what the score does not find odd: a flag begins at its ends, and it has the rate that was asked for."""

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors import Adaptive, Banded, ZScore
from detectors.crossing import crossing
from detectors.detector import banded
from detectors.deviates import threshold
from job.policy import Persistence, Policy
from job.rows import scored
from tests.detectors.series import DAY, MONDAY, frame, office

Floats = NDArray[np.float64]

DAYS = 16
POLICY = Policy(false_alarms=0.33, min_relative=0.0, absence="ignore", persistence=Persistence(hits=1, periods=1))


def holed(days: int) -> Floats:
    values: Floats = office(days)[0]
    values[np.random.default_rng(1).random(len(values)) < 0.2] = np.nan
    return values


SERIES: dict[str, Callable[[], Floats]] = {
    "office": lambda: office(DAYS)[0],
    "holes": lambda: holed(DAYS),
    "young": lambda: office(3)[0],
    "heavy": lambda: np.random.default_rng(2).standard_t(3, DAYS * DAY),
    "counts": lambda: np.random.default_rng(3).poisson(0.3, DAYS * DAY).astype(np.float64),
    "shifted": lambda: office(DAYS)[0] + np.where(np.arange(DAYS * DAY) > (DAYS - 1) * DAY, 1e4, 0.0),
    "huge": lambda: office(DAYS)[0] + 1e9,
}


def rows(values: Floats) -> dict[str, Floats]:
    """What `netanomaly score` writes for the values."""
    return scored(frame(values), np.arange(len(values)), {"adaptive": Adaptive()}, POLICY)


@pytest.mark.parametrize("name", SERIES)
def test_just_inside_is_not_flagged_and_just_outside_is(name: str) -> None:
    values = SERIES[name]()
    answer = rows(values)
    for place in np.random.default_rng(4).integers(2 * DAY, len(values), 4).tolist():
        lower, expected, upper = (float(answer[key][place]) for key in ("lower", "expected", "upper"))
        assert lower <= expected <= upper
        nudge = 1e-6 * (upper - lower)
        for value, flag in ((upper + nudge, 1), (upper - nudge, 0), (lower - nudge, 1), (lower + nudge, 0)):
            if value <= 0 <= lower:  # the band of what is never negative ends there
                continue
            one = values[: place + 1].copy()
            one[place] = value
            again = rows(one)
            assert again["is_anomaly"][place] == flag
            assert again["upper"][place] == pytest.approx(upper, rel=1e-9), "the band does not hang on the value"


def test_a_flat_line_is_its_own_band() -> None:
    answer = rows(np.full(4 * DAY, 7.1))
    assert (answer["lower"][2 * DAY :] == 7.1).all()
    assert (answer["upper"][2 * DAY :] == 7.1).all()


@pytest.mark.parametrize("step", [5, 60])
def test_points_lie_outside_as_often_as_was_asked_for(step: int) -> None:
    day, days, asked = 24 * 60 // step, 35, 5.0
    values = np.random.default_rng(5).normal(100.0, 1.0, (16, days * day))
    lower, upper = Adaptive().band(frame(values, MONDAY, timedelta(minutes=step)), threshold(asked), 14 * day)
    outside = (values[:, 14 * day :] < lower) | (values[:, 14 * day :] > upper)
    hours = outside.reshape(16, -1, max(1, 60 // step)).any(axis=2)
    assert 0.5 * asked <= hours.mean() * 168 <= 1.5 * asked


def test_the_band_is_as_narrow_as_the_noise_allows() -> None:
    values = np.random.default_rng(6).normal(100.0, 1.0, (4, DAYS * DAY))
    lower, upper = Adaptive().band(frame(values), threshold(0.33), (DAYS - 2) * DAY)
    assert 4.0 < np.median(upper - lower) / 2 < 5.5, "of so many points a week, every third week one is 4.4 off"


def test_only_columns_that_are_asked_for() -> None:
    values = frame(office(DAYS))
    whole, some = Adaptive().band(values, 3.0), Adaptive().band(values, 3.0, 1000)
    for one, other in zip(whole, some, strict=True):
        np.testing.assert_array_equal(one[:, 1000:], other)


def test_who_has_no_band_of_its_own_says_none() -> None:
    assert isinstance(Adaptive(), Banded)
    assert banded(ZScore(), frame(office(3)), 6.0).lower is None


def test_a_band_begins_where_it_is_asked_for() -> None:
    seen = frame(office(3))
    whole, answer = (banded(Adaptive(), seen, 3.0, first) for first in (0, 2 * DAY))
    assert whole.lower is not None
    assert answer.lower is not None
    assert (answer.lower < answer.expected).all()
    np.testing.assert_array_equal(answer.lower, whole.lower[:, 2 * DAY :])


def test_crossings_of_what_is_straight_bent_or_broken() -> None:
    places = np.array([1.0, 1e9 + 0.25, 1e-12, np.nan, 3.0, 2.0])

    def function(values: Floats, at: NDArray[np.intp]) -> Floats:
        off = values - places[at]
        sharp = np.where(at == 4, np.sign(off) + 0.5, np.tanh(off * 1e3) + off**3)
        return np.where(at == 5, -1.0, sharp)

    inside, outside = np.full(6, -1.0), np.array([9.0, 2e9, 1.0, 1.0, 9.0, 9.0])
    got = crossing(function, inside, outside)
    assert got[:3] == pytest.approx(places[:3], rel=1e-9, abs=1e-9)
    assert np.isnan(got[3])
    assert got[4] == pytest.approx(3.0), "a step has no zero"
    assert got[5] == 9.0, "where it is never crossed it is the end"
    swapped = crossing(lambda values, at: -function(values, at), outside[:3], inside[:3])
    assert swapped == pytest.approx(places[:3], rel=1e-9, abs=1e-9)
