"""What is resumed from what was carried over is a whole call to the bit, on awkward series and at odd settings."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from detectors import Detector, Ewma, Frame, Stl, ZScore
from detectors.carried import cut, packed, stacked, unpacked
from detectors.detector import Resumable

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
START = datetime(2026, 2, 27, 5, 30, tzinfo=UTC)

DETECTORS = [
    ZScore(),
    ZScore(window=2 * DAY, adopt=9 * HOUR),
    ZScore(robust=True),
    ZScore(window=6 * HOUR, warm_up=3 * HOUR, adopt=8 * HOUR),
    Ewma(),
    Ewma(half_life=HOUR / 2, warm_up=2 * HOUR, adopt=5 * HOUR),
    Stl(),
    Stl(window=3 * DAY, adopt=30 * HOUR),
    Stl(weekly=True),
    Stl(robust=True),
    Stl(weekly=True),
]


def awkward(detector: Detector, step: timedelta, seed: int) -> Frame:
    """Days and nights with shifts, spikes, gaps, births and deaths at random, more and more of them row by row."""
    rng, rows = np.random.default_rng(seed), 12
    time = -(-(detector.history + 2 * DAY + 5 * HOUR) // step)
    values = 50 + 5 * np.sin(2 * np.pi * np.arange(time) / (DAY / step)) + rng.normal(0, 1, (rows, time))
    for row in range(rows):
        for _ in range(row):
            at, length = rng.integers(0, time), rng.integers(1, -(-12 * HOUR // step))
            values[row, at : at + length] += rng.choice([-40, 15, 40, np.nan])
    values[-1, : rng.integers(0, time)] = np.nan
    values[-2, rng.integers(0, time) :] = np.nan
    values[-3] = np.nan
    return Frame(values, START, step, tuple({"row": str(n)} for n in range(rows)))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("step", [timedelta(minutes=15), HOUR], ids=str)
@pytest.mark.parametrize("detector", DETECTORS, ids=repr)
def test_what_is_resumed_is_a_whole_call(detector: Resumable, step: timedelta, seed: int) -> None:
    frame = awkward(detector, step, seed)
    midnight = frame.values.shape[1] - frame.periods(DAY)
    midnight -= (frame.origin + midnight) % frame.periods(DAY)
    _, carried = detector.carry(frame.columns(0, midnight + 1), midnight - 7, midnight)
    whole = detector(frame.columns(0, midnight + frame.periods(DAY)))
    low = max(0, midnight - frame.periods(detector.recent(step)))
    for stop in (midnight + 1, midnight + 9, midnight + frame.periods(DAY)):
        again = detector.resume(carried, frame.columns(low, stop), midnight - low)
        for name in ("expected", "spread", "score"):
            wanted = getattr(whole, name)[:, midnight:stop]
            np.testing.assert_array_equal(getattr(again, name), wanted, err_msg=f"{name} to {stop}")


@pytest.mark.parametrize(("columns", "count"), [(0, 5), (3, 5), (5, 5), (30, 17), (30, 1)])
def test_bits_are_the_last_columns(columns: int, count: int) -> None:
    there = np.random.default_rng(columns).random((4, columns)) < 0.5
    bits = packed(there, count)
    assert bits.shape == (4, -(-count // 8))
    padded = np.concatenate([np.zeros((4, count), dtype=np.bool_), there], axis=1)
    for wanted in (count, min(count, 2)):
        np.testing.assert_array_equal(unpacked(bits, count, wanted), padded[:, columns + count - wanted :])


def test_rows_are_cut_and_put_together_again() -> None:
    carried = {"a": np.arange(5), "b": np.arange(10.0).reshape(5, 2)}
    again = stacked([cut(carried, slice(0, 2)), cut(carried, np.array([2, 3, 4]))])
    assert again.keys() == carried.keys()
    assert all(np.array_equal(again[name], array) for name, array in carried.items())
    assert stacked([]) == {}
