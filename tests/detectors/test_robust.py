"""The robust decomposition against statsmodels', and with gaps against a slow twin of plain loops."""

import numpy as np
import pytest
from numpy.typing import NDArray
from statsmodels.tsa.seasonal import STL

from detectors.decomposition import Spans, stl
from detectors.robust import mean_period, robust
from tests.detectors.stl_twin import decompose
from tests.detectors.test_decomposition import CASES, traffic

Floats = NDArray[np.float64]
PARTS = ("seasonal", "trend", "weights")


def spiky(rows: int, columns: int, period: int) -> Floats:
    values = traffic(rows, columns, period)
    values[np.random.default_rng(5).random(values.shape) < 0.05] *= 4
    return values


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("turns", [(2, 15), (1, 5), (5, 0)])
def test_without_gaps_it_is_that_of_statsmodels(name: str, turns: tuple[int, int]) -> None:
    columns, spans = CASES[name]
    if columns == 2 * spans.period and turns[1]:
        pytest.skip("two points are a line: the rest, by which points are believed, is rounding")
    values = spiky(3, columns, spans.period)
    parts = robust(values, spans, *turns)
    trend, low = spans.spans
    for i, row in enumerate(values):
        jumps = {"trend_jump": spans.jumps[0], "low_pass_jump": spans.jumps[1]}
        made = STL(row, spans.period, spans.seasonal, trend, low, robust=turns[1] > 0, **jumps)
        wanted = made.fit(inner_iter=turns[0], outer_iter=turns[1])
        for part in PARTS:
            np.testing.assert_allclose(getattr(parts, part)[i], getattr(wanted, part), rtol=0, atol=1e-9 * 400)


def test_a_constant_is_believed_wholly() -> None:
    parts = robust(np.full((1, 50), 7.0), Spans(12))
    np.testing.assert_allclose(parts.trend, 7.0, rtol=1e-12)
    assert parts.rest + parts.seasonal + parts.trend == pytest.approx(7.0)


def gaps() -> dict[str, Floats]:
    rng = np.random.default_rng(3)
    whole = spiky(1, 103, 12)[0]
    holes = np.where(rng.random(103) < 0.3, np.nan, whole)
    phase, late, end = whole.copy(), whole.copy(), whole.copy()
    phase[5::12] = np.nan
    late[:50] = np.nan
    end[90:] = np.nan
    return {"holes": holes, "a phase that never comes": phase, "late": late, "ended": end, "an offset": holes + 1e6}


@pytest.mark.parametrize("name", gaps())
@pytest.mark.parametrize("turns", [(2, 3), (5, 0)])
def test_a_gap_has_no_weight(name: str, turns: tuple[int, int]) -> None:
    row, spans = gaps()[name], Spans(12, 7, trend_jump=3, low_pass_jump=2)
    parts = robust(row[None], spans, *turns)
    wanted = decompose(row.tolist(), spans, *turns)
    size = np.nanmax(np.abs(row))
    for part, one in zip(PARTS, wanted, strict=True):
        np.testing.assert_allclose(getattr(parts, part)[0], one, rtol=0, atol=1e-9 * size)
    assert np.isnan(parts.rest[0])[np.isnan(row)].all()
    assert (parts.weights[0][np.isnan(row)] == 0).all()


def test_what_stands_in_a_gap_does_not_matter() -> None:
    values = spiky(2, 120, 12)
    values[1, 40:55] = np.nan
    whole = robust(values, Spans(12), 2, 3)
    np.testing.assert_array_equal(robust(values[1:], Spans(12), 2, 3).seasonal[0], whole.seasonal[1])
    np.testing.assert_array_equal(robust(values[::-1], Spans(12), 2, 3).trend[0], whole.trend[1])
    np.testing.assert_allclose(robust(values[:1], Spans(12), 5, 0).trend, stl(values[:1], Spans(12)).trend, rtol=1e-11)


def test_rows_with_gaps_and_without_are_each_what_they_are_alone() -> None:
    values = spiky(40, 60, 12)
    values[::3, 7:11] = np.nan
    whole = robust(values, Spans(12), 1, 5)
    for row in (0, 1, 20, 39):
        for part in PARTS:
            alone = getattr(robust(values[row : row + 1], Spans(12), 1, 5), part)[0]
            np.testing.assert_array_equal(getattr(whole, part)[row], alone)


def test_nothing_at_all_is_zero() -> None:
    parts = robust(np.full((1, 30), np.nan), Spans(12))
    assert (parts.seasonal == 0).all()
    assert (parts.trend == 0).all()


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="23 columns are not two periods of 12"):
        robust(np.zeros((1, 23)), Spans(12))
    with pytest.raises(ValueError, match="infinite"):
        robust(np.full((1, 30), np.inf), Spans(12))


@pytest.mark.parametrize("turns", [(1, 5), (2, 3)])
def test_the_mean_period_is_that_of_the_seasonal_part(turns: tuple[int, int]) -> None:
    values = spiky(20, 60, 12)
    values[3, 7:12] = np.nan
    wanted = robust(values, Spans(12), *turns).seasonal.reshape(20, -1, 12).mean(axis=1)
    np.testing.assert_array_equal(mean_period(values, Spans(12), *turns), wanted)
