"""Frames for the tests of the detectors: five minutes a step, a Monday's midnight at the start."""

from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from detectors import Frame

MONDAY = datetime(2026, 9, 7, tzinfo=UTC)
STEP = timedelta(minutes=5)
DAY = 288


def frame(values: object, start: datetime = MONDAY, step: timedelta = STEP) -> Frame:
    array = np.atleast_2d(np.asarray(values, dtype=np.float64))
    return Frame(array, start, step, tuple({} for _ in array))


def noise(
    days: float, rows: int = 1, seed: int = 0, level: float = 100.0, deviation: float = 3.0
) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(level, deviation, (rows, round(days * DAY)))


def office(days: float, seed: int = 0, weekend: float = 0.3) -> NDArray[np.float64]:
    """Traffic with busy days, quiet nights, and weekends at a third; one series, beginning on a Monday."""
    time = np.arange(round(days * DAY))
    busy = np.clip(np.sin(2 * np.pi * (time / DAY - 0.25)), 0, None)
    week = np.where(time // DAY % 7 >= 5, weekend, 1.0)
    return np.atleast_2d(100 + 200 * busy * week + np.random.default_rng(seed).normal(0, 4, len(time)))
