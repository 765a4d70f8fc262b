"""What lies beyond the day and the profile, on one side and for a while."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.adaptive import Adaptive
from detectors.beyond import Beyond, Side
from detectors.calendar import Calendar
from detectors.deviates import threshold
from tests.detectors.series import MONDAY, frame

Floats = NDArray[np.float64]
STEP = timedelta(minutes=15)
DAY = 96


def known(values: Sequence[float]) -> list[float]:
    return [value for value in values if not np.isnan(value)]


@pytest.mark.parametrize("way", [-1, 1])
def test_distances_are_those_of_plain_loops(way: int) -> None:
    rng = np.random.default_rng(5)
    values, level, profile = (rng.normal(100.0, spread, (2, 3 * DAY)) for spread in (9.0, 1.0, 3.0))
    profile = np.repeat(profile[:, ::4], 4, axis=1)
    values[0, 7:9] = level[1, :5] = np.nan
    side = Side(way, timedelta(minutes=45), timedelta(hours=1), 0.5)
    some = frame(values, MONDAY, STEP)
    got = Beyond.of(side, some, Calendar.of(some), values, level, profile, past=5)
    for row in range(2):
        limits, off = [], []
        for t in range(3 * DAY):
            day = t - t % DAY
            near = [profile[row, day + (t + by) % DAY] for by in range(-4, 5)]
            limits.append(way * max(known([way * x for x in (*near, level[row, t])])))
            off.append(max(way * (values[row, t] - limits[t]), 0.0))
            least = min(known(off[max(0, t - 2) : t + 1]), default=np.nan)
            wanted = np.nan if np.isnan(off[t]) else least
            assert got.distance[row, t] == pytest.approx(wanted, nan_ok=True), (row, t)
        np.testing.assert_allclose(got.limit[row], limits)
        nearer = np.array([min(known([way * level[row, t], way * profile[row, t]])) for t in range(3 * DAY)])
        apart = way * values[row] - nearer
        hours = [max(0.0, *known(apart[t : t + 4].tolist())) for t in range(0, 3 * DAY, 4)]
        for hour in range(5, len(hours)):
            assert got.usual[row, 4 * hour] == pytest.approx(np.mean(hours[hour - 5 : hour]))


def bursty(rows: int = 12, days: int = 42) -> Floats:
    rng = np.random.default_rng(3)
    burst = np.where(rng.random((rows, days * 288)) < 0.01, rng.uniform(1.0, 3.0, (rows, days * 288)), 0.0)
    return np.asarray(1e6 * rng.lognormal(0.0, 0.05, burst.shape) * (1 + burst))


def told(values: Floats) -> NDArray[np.bool_]:
    first = 41 * 288
    return np.asarray((np.abs(Adaptive().late(frame(values, MONDAY), first).score) > threshold(0.33)).any(axis=1))


def test_a_rise_that_stays_is_told_beside_higher_bursts() -> None:
    values = bursty()
    assert not told(values).any()
    values[:, -100:-88] *= 1.8
    assert told(values).all()


def test_a_fall_that_stays_is_told_beside_higher_bursts() -> None:
    values = bursty()
    values[:, -100:-88] *= 0.3
    assert told(values).all()
