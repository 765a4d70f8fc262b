"""Incidents go where they may, are as large as they say, and leave everything else alone."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors import Frame
from job.backtest.inject import KINDS, Place, Rules, deviations, inject, noise, places, rounds

START = datetime(2026, 11, 1, tzinfo=UTC)
STEP = timedelta(minutes=30)
DAY = 48


def frame(rows: int = 3, days: int = 20) -> Frame:
    rng = np.random.default_rng(1)
    return of(100 + rng.standard_normal((rows, days * DAY)))


def of(values: NDArray[np.float64]) -> Frame:
    return Frame(values, START, STEP, tuple({"metric.labels.name": f"s{row}"} for row in range(len(values))))


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**40),
    spacing=st.integers(0, 200),
    warm_up=st.integers(0, 200),
    first=st.integers(0, 300),
    barred=st.lists(st.tuples(st.integers(-20, 1000), st.integers(1, 60)).map(lambda s: (s[0], sum(s))), max_size=4),
)
def test_places_keep_their_distance_and_touch_nothing_barred(
    seed: int, spacing: int, warm_up: int, first: int, barred: list[tuple[int, int]]
) -> None:
    values = frame().values.copy()
    values[1, :150] = np.nan
    rules = Rules(spacing=spacing * STEP, warm_up=warm_up * STEP, seed=seed)
    found, _ = places(of(values), first, rules, {"labelled": {0: barred[:2], 1: barred}, "muted": {0: barred[2:]}})
    for row in range(3):
        mine = [place for place in found if place.row == row]
        born = 150 if row == 1 else 0
        assert all(place.start >= max(first, born + max(1, warm_up)) for place in mine)
        assert all(0 <= place.start < place.stop <= values.shape[1] for place in mine)
        assert all(after.start - before.stop >= spacing for before, after in pairwise(mine))
        if row < 2:
            assert not any(place.start < end and begin < place.stop for place in mine for begin, end in barred)


@pytest.mark.parametrize(("minutes", "spike", "outage"), [(1, 15, 60), (5, 3, 12), (30, 1, 3), (60, 1, 3)])
def test_an_outage_takes_as_many_periods_as_make_one(minutes: int, spike: int, outage: int) -> None:
    step = timedelta(minutes=minutes)
    shape = Frame(np.ones((1, 30 * timedelta(days=1) // step)), START, step, ({"metric.labels.name": "s"},))
    for name, periods in (("spike", spike), ("zero", outage), ("absent", outage)):
        found, _ = places(shape, 0, Rules(kinds=(KINDS[name],)), {})
        assert {place.stop - place.start for place in found} == {periods}
        assert KINDS[name].long(step) == periods * step


def test_the_same_seed_the_same_places_whatever_other_series_there_are() -> None:
    rules = Rules(seed=7)
    every, _ = places(frame(), 0, rules, {})
    assert every == places(frame(), 0, rules, {})[0]
    assert [p for p in every if p.row < 2] == places(frame(rows=2), 0, rules, {})[0]
    assert every != places(frame(), 0, Rules(seed=8), {})[0]
    assert every != places(frame(), 0, rules, {}, key=("another metric",))[0]
    assert len({place.start % DAY for place in every}) > 6, "every hour of the day is met"


def test_all_kinds_take_turns() -> None:
    every, _ = places(frame(rows=12), 0, Rules(), {})
    counts = [sum(place.kind.name == name for place in every) for name in KINDS]
    assert max(counts) - min(counts) <= 6
    assert min(counts) >= 5
    for row in range(12):
        mine = [place.kind.name for place in every if place.row == row]
        assert len(set(mine)) == min(len(mine), len(KINDS))


def test_what_is_at_zero_or_has_no_points_gets_none_and_is_counted() -> None:
    values = frame().values.copy()
    values[1] = 0.0
    values[2, DAY * 5 :] = np.nan
    every, skipped = places(of(values), 0, Rules(), {})
    assert {(p.row, p.kind.name) for p in every if p.row == 1} == {(1, "absent")}
    assert all(place.start < DAY * 5 for place in every if place.row == 2)
    assert set(skipped) == {"at zero", "without points"}
    assert len(every) + skipped.total() == 3 * len([p for p in every if p.row == 0])


@pytest.mark.parametrize(
    ("kind", "size", "factors"),
    [
        ("spike", 3, [3, 3, 3, 3]),
        ("drop", 4, [0.25, 0.25, 0.25, 0.25]),
        ("shift", 1.5, [1.5, 1.5, 1.5, 1.5]),
        ("ramp", 3, [1.5, 2, 2.5, 3]),
        ("zero", np.inf, [0, 0, 0, 0]),
        ("absent", np.inf, [np.nan, np.nan, np.nan, np.nan]),
    ],
)
def test_an_incident_is_as_large_as_it_says_and_changes_nothing_else(
    kind: str, size: float, factors: list[float]
) -> None:
    before = frame()
    kept = before.values.copy()
    after = inject(before, [(Place(1, 10, 14, KINDS[kind]), size)])
    np.testing.assert_allclose(after.values[1, 10:14], kept[1, 10:14] * factors)
    np.testing.assert_array_equal(before.values, kept)
    rest = after.values.copy()
    rest[1, 10:14] = kept[1, 10:14]
    np.testing.assert_array_equal(rest, kept)
    assert (after.labels, after.start, after.step) == (before.labels, before.start, before.step)


def test_units_do_not_matter_and_nothing_becomes_infinite() -> None:
    every = [(Place(0, 10, 14, KINDS["ramp"]), 5.0), (Place(2, 3, 9, KINDS["spike"]), 2.0)]
    one, large = inject(frame(), every), inject(of(frame().values * 1024), every)
    np.testing.assert_array_equal(large.values, one.values * 1024)
    assert np.isfinite(inject(of(np.full((3, 20), 1e308)), every).values).all()


@settings(deadline=None)
@given(st.integers(0, 30), st.lists(st.sampled_from([1.5, 2.0, 3.0, 5.0]), min_size=1, max_size=4, unique=True))
def test_in_as_many_replays_every_place_has_every_size_once(count: int, sizes: list[float]) -> None:
    kinds = list(KINDS.values())
    every = [Place(n, 0, 1, kinds[n % len(kinds)], turn=n * n) for n in range(count)]
    replays = list(rounds(every, sizes, len(sizes)))
    for place in every:
        had = [size for replay in replays for put, size in replay if put == place]
        assert sorted(had) == (sorted(sizes) if place.kind.sized else [np.inf])
    for replay in replays:
        put = [place for place, _ in replay]
        assert len(put) == len(set(put))


def test_noise_is_what_is_left_beside_the_daily_profile() -> None:
    rng = np.random.default_rng(5)
    values = 1000 + 400 * np.sin(np.arange(40 * DAY) * 2 * np.pi / DAY) + 20 * rng.standard_normal((2, 40 * DAY))
    values[0, 100:110] = 1e6
    values[1, :77] = np.nan
    np.testing.assert_allclose(noise(of(values)), 20, rtol=0.1)
    assert deviations(values[0, :4], 2 * values[0, :4], 20.0) == pytest.approx(50, rel=0.2)
    assert deviations(values[0, :4], np.full(4, np.nan), 20.0) is None
    assert deviations(values[0, :4], values[0, :4], 0.0) is None
