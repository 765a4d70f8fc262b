"""The decomposition against statsmodels', on awkward lengths and values."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from statsmodels.tsa.seasonal import MSTL, STL

from detectors.decomposition import Spans, ending, several, stl

Floats = NDArray[np.float64]


def traffic(rows: int, columns: int, period: int, seed: int = 0) -> Floats:
    rng = np.random.default_rng(seed)
    time = np.arange(columns)
    wave = 20 * np.sin(2 * np.pi * time / period + rng.random((rows, 1)) * 6)
    values: Floats = 100 + wave + 0.05 * time + rng.normal(0, 5, (rows, columns))
    return values


def oracle(row: Floats, spans: Spans, inner: int) -> Any:
    trend, low = spans.spans
    jumps = {"trend_jump": spans.jumps[0], "low_pass_jump": spans.jumps[1]}
    made = STL(row, period=spans.period, seasonal=spans.seasonal, trend=trend, low_pass=low, **jumps)
    return made.fit(inner_iter=inner, outer_iter=0)


CASES = {
    "whole periods": (96, Spans(12)),
    "a part of a period": (103, Spans(12)),
    "hardly two periods": (24, Spans(12)),
    "two periods and one": (25, Spans(12)),
    "spans longer than the series": (60, Spans(12, 35, 101, 51)),
    "no jumps": (96, Spans(12, trend_jump=1, low_pass_jump=1)),
    "jumps that end on the last column": (97, Spans(12, trend_jump=4, low_pass_jump=8)),
    "jumps longer than the series": (50, Spans(12, trend_jump=200, low_pass_jump=200)),
    "the shortest period": (31, Spans(2, 3)),
    "five minutes of two days": (700, Spans(288)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("inner", [1, 2, 5])
def test_the_parts_are_those_of_statsmodels(name: str, inner: int) -> None:
    columns, spans = CASES[name]
    values = traffic(3, columns, spans.period)
    parts = stl(values, spans, inner)
    for i, row in enumerate(values):
        wanted = oracle(row, spans, inner)
        for got, part in ((parts.seasonal, wanted.seasonal), (parts.trend, wanted.trend), (parts.rest, wanted.resid)):
            np.testing.assert_allclose(got[i], part, rtol=0, atol=1e-12 * np.abs(row).max())


@pytest.mark.parametrize("change", [lambda x: x * 1e-12, lambda x: x + 1e9, np.round, lambda x: x * 0 + 7])
def test_awkward_values_too(change: object) -> None:
    values = change(traffic(2, 100, 12))  # type: ignore[operator]  # mypy does not see through the parameters
    parts = stl(values, Spans(12))
    for i, row in enumerate(values):
        np.testing.assert_allclose(
            parts.seasonal[i], oracle(row, Spans(12), 5).seasonal, atol=1e-11 * np.abs(row).max()
        )


def test_a_day_and_a_week_together_are_those_of_statsmodels() -> None:
    values = traffic(2, 400, 12) + 10 * (np.arange(400) % 84 > 60)
    spans = [Spans(12, 11, trend_jump=3, low_pass_jump=3), Spans(84, 15, trend_jump=3, low_pass_jump=3)]
    for turns in (1, 2):
        seasons, parts = several(values, spans, turns=turns)
        for i, row in enumerate(values):
            more = {"trend_jump": 3, "low_pass_jump": 3, "inner_iter": 5, "outer_iter": 0}
            wanted = MSTL(row, periods=(12, 84), windows=(11, 15), iterate=turns, stl_kwargs=more).fit()
            np.testing.assert_allclose(np.array(seasons)[:, i].T, wanted.seasonal, rtol=0, atol=1e-10)
            np.testing.assert_allclose(parts.trend[i], wanted.trend, rtol=0, atol=1e-10)
        np.testing.assert_allclose(parts.seasonal + parts.trend + parts.rest, values, rtol=1e-12)


def test_rows_do_not_depend_on_their_neighbours_or_on_how_they_lie() -> None:
    values = traffic(300, 100, 12)
    whole = stl(values, Spans(12))
    for some in (slice(7, 8), slice(200, 290), slice(None, None, -1)):
        for name in ("seasonal", "trend", "rest"):
            np.testing.assert_array_equal(getattr(stl(values[some], Spans(12)), name), getattr(whole, name)[some])
    spread = np.repeat(values, 2, axis=1)[:, ::2]
    np.testing.assert_array_equal(stl(spread, Spans(12)).trend, whole.trend)
    np.testing.assert_array_equal(stl(np.asfortranarray(values), Spans(12)).trend, whole.trend)


@pytest.mark.parametrize("columns", [24, 96])
def test_the_last_period_alone_is_that_of_the_whole(columns: int) -> None:
    values = traffic(130, columns, 12)
    for spans in (Spans(12), Spans(12, 15), Spans(12, trend_jump=1, low_pass_jump=1)):
        whole = stl(values, spans).seasonal[:, -12:]
        np.testing.assert_allclose(ending(columns, spans, 5).season(values), whole, rtol=0, atol=1e-11)
        np.testing.assert_array_equal(
            ending(columns, spans, 5).season(values[129:]), ending(columns, spans, 5).season(values)[129:]
        )
        mean = stl(values, spans).seasonal[:, -24:].reshape(130, 2, 12).mean(axis=1)
        np.testing.assert_allclose(ending(columns, spans, 5, 2).season(values), mean, rtol=0, atol=1e-11)


def test_what_comes_in_is_not_changed_and_no_rows_give_none() -> None:
    values = traffic(2, 100, 12)
    before = values.copy()
    stl(values, Spans(12))
    np.testing.assert_array_equal(values, before)
    assert stl(values[:0], Spans(12)).trend.shape == (0, 100)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="23 columns are not two periods of 12"):
        stl(np.zeros((1, 23)), Spans(12))
    for settings in (
        {"period": 1},
        {"period": 12, "seasonal": 8},
        {"period": 12, "trend": 11},
        {"period": 12, "low_pass": 14},
    ):
        with pytest.raises(ValueError, match="is not"):
            Spans(**settings)
    with pytest.raises(ValueError, match="missing or infinite"):
        stl(np.full((1, 30), np.nan), Spans(12))
