"""Seasonal against its slow twin."""

from datetime import timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors import Seasonal
from detectors.blocks import enough
from tests.detectors.seasonal_twin import seasonal
from tests.detectors.series import MONDAY, frame

Floats = NDArray[np.float64]


def zoo(slots: int, days: int = 30) -> dict[str, Floats]:
    rng = np.random.default_rng(21)
    time = np.arange(slots * days)
    wave = 20 * np.sin(2 * np.pi * time / slots) * np.where(time // slots % 7 >= 5, 0.3, 1)
    calm = 100 + wave + rng.normal(0, 1, len(time))
    outages = calm.copy()
    outages[9 * slots : 9 * slots + slots // 4] = 0
    outages[23 * slots + 5 : 25 * slots + 3] = 0
    shifts = calm.copy()
    shifts[12 * slots + 3 : 15 * slots] += 40
    shifts[25 * slots :] -= 40
    holes = shifts.copy()
    holes[rng.random(len(time)) < 0.3] = np.nan
    holes[17 * slots : 19 * slots + slots // 2] = np.nan
    late = calm.copy()
    late[: 11 * slots + 4] = np.nan
    return {
        "calm": calm,
        "outages": outages,
        "shifts": shifts,
        "holes": holes,
        "late": late,
        "clock": np.where(time >= 22 * slots, np.roll(calm, slots // 24), calm),
        "noisy from a day on": calm + np.where(time >= 20 * slots, rng.normal(0, 30, len(time)), 0),
        "ties": np.round(calm / 5) * 5,
        "flat": np.where(time == 26 * slots + 3, 8.0, 7.1),
        "all missing": np.full(len(time), np.nan),
        "large offset": shifts + 1e9,
    }


@pytest.mark.parametrize("slots", [24, 48, 32])
@pytest.mark.parametrize("name", zoo(24))
def test_the_forecast_is_that_of_the_definition(name: str, slots: int) -> None:
    values = zoo(slots)[name]
    step = timedelta(days=1) / slots
    detector = Seasonal()
    shift = round(detector.tolerance / step)
    wanted = np.array(seasonal(values.reshape(-1, slots).tolist(), 1.0, detector.guard, shift)).T
    wanted[:, ~enough(values[:, None], 21 * slots, 2 * slots)[:, 0] | np.isnan(wanted[0])] = np.nan
    scores = detector(frame(values, MONDAY, step))
    size = np.nanmax(np.abs(values), initial=1.0)
    np.testing.assert_allclose(scores.expected[0], wanted[0], rtol=1e-9, atol=1e-9 * size)
    said = ~np.isnan(wanted[0])
    np.testing.assert_allclose(scores.spread[0][said], wanted[1][said], rtol=1e-6, atol=1e-9 * size)
