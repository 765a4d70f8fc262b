"""The fast kernels against their slow twins, on awkward arrays."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from detectors import Ewma, ZScore
from detectors.blocks import enough, median
from tests.detectors import twins
from tests.detectors.series import STEP, frame

Floats = NDArray[np.float64]
WINDOW, ADOPT = 24, 6


def zoo() -> dict[str, Floats]:
    rng = np.random.default_rng(11)
    calm = rng.normal(10, 1, 150)
    holes = np.where(rng.random(150) < 0.3, np.nan, calm)
    late = calm.copy()
    late[:60] = np.nan
    shifts = calm.copy()
    shifts[60:75] += 30
    shifts[100:140] -= 25
    spikes = calm.copy()
    spikes[[40, 41, 70, 99]] += 50
    flip = calm + 30 * (np.arange(150) // 10 % 2)
    gap = shifts.copy()
    gap[66:69], gap[80:112] = np.nan, np.nan
    return {
        "calm": calm,
        "holes": holes,
        "all missing": np.full(150, np.nan),
        "late": late,
        "shifts": shifts,
        "spikes": spikes,
        "flip": flip,
        "gap": gap,
        "ties": np.round(calm),
        "flat": np.full(150, 0.1),
        "flat and a step": np.where(np.arange(150) < 80, 0.0, 1.0),
        "counts": rng.poisson(0.3, 150).astype(float),
        "large offset": shifts + 1e9,
        "tiny": shifts * 1e-12,
        "negative": -shifts,
        "a huge first point": np.where(np.arange(150) == 1, 1e12, calm),
        "huge points that leave": np.where(np.arange(150) % 60 < 2, 1e9 * calm, calm),
        "one point": np.where(np.arange(150) == 70, 5.0, np.nan),
        "one column": calm[:1],
        "no column": calm[:0],
    }


ROWS = zoo()
each = pytest.mark.parametrize("name", ROWS)
zscore = ZScore(window=WINDOW * STEP, warm_up=WINDOW // 2 * STEP, adopt=ADOPT * STEP)
ewma = Ewma(half_life=8 * STEP, warm_up=WINDOW // 2 * STEP, adopt=ADOPT * STEP)


def agree(detector: ZScore | Ewma, summary: twins.Summary, values: Floats) -> None:
    bands = twins.walk(values.tolist(), summary, detector.guard, ADOPT, WINDOW, WINDOW // 2)
    wanted = np.array(bands).reshape(len(values), 2).T
    scores = detector(frame(values))
    size = np.nanmax(np.abs(values), initial=0.0)
    np.testing.assert_allclose(scores.expected[0], wanted[0], rtol=1e-9, atol=1e-9 * size)
    np.testing.assert_allclose(scores.spread[0], wanted[1], rtol=1e-6, atol=1e-9 * size)


@each
def test_the_rolling_moments_are_those_of_the_window(name: str) -> None:
    agree(zscore, twins.rolling(WINDOW, ADOPT // 2), ROWS[name])


@each
def test_the_exponential_moments_are_those_of_the_weights(name: str) -> None:
    agree(ewma, twins.exponential(2 ** (-1 / 8)), ROWS[name])


awkward = st.one_of(
    st.sampled_from([0.0, 1.0, 2.0, 50.0, float("nan")]), st.floats(-100, 100).map(lambda x: round(x, 2))
)


runs = st.lists(st.tuples(st.sampled_from([0.0, 40.0, 80.0, float("nan")]), st.integers(1, 40)), max_size=8)
jitter = np.random.default_rng(12).normal(0, 1, 320)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(runs)
def test_any_sequence_of_levels_has_the_twins_scores(levels: list[tuple[float, int]]) -> None:
    xs = np.array([level for level, length in levels for _ in range(length)])
    xs = xs + jitter[: len(xs)]
    agree(zscore, twins.rolling(WINDOW, ADOPT // 2), xs)
    agree(ewma, twins.exponential(2 ** (-1 / 8)), xs)


@pytest.mark.parametrize("period", [3, 4, 5, 6])
def test_a_shift_that_ordinary_points_interrupt_has_the_twins_scores(period: int) -> None:
    time = np.arange(150)
    xs = 10 + jitter[:150] + 40 * ((time > 60) & (time % period != 0))
    agree(zscore, twins.rolling(WINDOW, ADOPT // 2), xs)
    agree(ewma, twins.exponential(2 ** (-1 / 8)), xs)


@pytest.mark.parametrize("back", range(85, 97))
def test_a_level_is_remembered_exactly_as_long_as_it_says(back: int) -> None:
    time = np.arange(110)  # the shift at 60 is adopted with column 65, and the old level kept for 24 columns from there
    xs = 10 + jitter[:110] + 40 * ((time >= 60) & (time < back))
    agree(zscore, twins.rolling(WINDOW, ADOPT // 2), xs)
    agree(ewma, twins.exponential(2 ** (-1 / 8)), xs)
    assert (abs(zscore(frame(xs)).score[0, back]) > 5) == (back >= 65 + WINDOW)


@settings(max_examples=30, deadline=None, derandomize=True)  # a point just on the limit may go either way
@given(st.lists(awkward, max_size=90))
def test_any_series_has_the_twin_s_zscore(xs: list[float]) -> None:
    agree(zscore, twins.rolling(WINDOW, ADOPT // 2), np.array(xs, dtype=float))


@settings(max_examples=30, deadline=None, derandomize=True)  # a point just on the limit may go either way
@given(st.lists(awkward, max_size=90))
def test_any_series_has_the_twin_s_ewma(xs: list[float]) -> None:
    agree(ewma, twins.exponential(2 ** (-1 / 8)), np.array(xs, dtype=float))


@each
def test_a_robust_baseline_is_the_median_and_the_mad_of_the_last_update(name: str) -> None:
    values = ROWS[name]
    values = (
        np.where(np.abs(values - np.nanmedian(values)) > 10, np.nan, values) if np.isfinite(values).any() else values
    )
    scores = ZScore(robust=True, window=WINDOW * STEP, guard=1e9, warm_up=12 * STEP)(frame(values))
    origin = frame(values).origin
    for j in np.flatnonzero(~np.isnan(scores.expected[0])):
        stop = j - (origin + j) % (WINDOW // 12)
        past = [x for x in values[max(0, stop - WINDOW) : stop] if not np.isnan(x)]
        centre = twins.middle(past)
        off = [abs(x - centre) for x in past]
        spread = 1.482602218505602 * twins.middle(off) or 1.2533141373155001 * sum(off) / len(off)
        assert scores.expected[0, j] == pytest.approx(centre, rel=1e-12)
        assert scores.spread[0, j] == pytest.approx(spread, rel=1e-6, abs=1e-9 * abs(centre))


def test_rows_that_do_not_lie_together_and_many_blocks_give_the_same() -> None:
    row = [v for v in ROWS.values() if len(v) == 150]
    values = np.array([row[i % len(row)] for i in range(1100)])
    for detector in (zscore, ewma):
        whole = detector(frame(values)).score
        np.testing.assert_array_equal(whole[: len(row)], whole[len(row) : 2 * len(row)])
        np.testing.assert_array_equal(detector(frame(np.asfortranarray(values))).score, whole)
        np.testing.assert_array_equal(detector(frame(np.repeat(values, 2, axis=1)[:, ::2])).score, whole)
        np.testing.assert_array_equal(detector(frame(values[::-1])).score, whole[::-1])


@given(hnp.arrays(np.float64, (7, 3, 2), elements=awkward), st.integers(0, 2))
def test_the_median_leaves_missing_points_out(values: Floats, axis: int) -> None:
    wanted = np.apply_along_axis(lambda lane: twins.middle(lane.tolist()), axis, values)
    np.testing.assert_allclose(median(values, axis=axis), wanted, rtol=1e-12)


@given(hnp.arrays(np.float64, st.tuples(st.integers(0, 12), st.integers(1, 3)), elements=awkward), st.integers(1, 15))
def test_enough_counts_the_points_of_the_window_before(values: Floats, window: int) -> None:
    wanted = [(~np.isnan(values[max(0, j - window) : j])).sum(axis=0) >= 2 for j in range(len(values))]
    np.testing.assert_array_equal(enough(values, window, 2), np.array(wanted).reshape(values.shape))


def test_an_infinity_is_refused() -> None:
    with pytest.raises(ValueError, match="infinity"):
        ZScore()(frame([[1.0, np.inf]]))


def test_huge_values_neither_warn_nor_become_infinite() -> None:
    values = np.tile([1e300, -1e300, 1e-300, 3e307], 100)
    for detector in (zscore, ewma, ZScore(robust=True)):
        assert not np.isinf(detector(frame(values, step=timedelta(minutes=5))).score).any()
