"""One series against its group; an hour a step."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors import Frame, Labels, Peers
from detectors.laws import ALARM
from detectors.peers import _middle_of_others
from tests.detectors.series import MONDAY

Floats = NDArray[np.float64]

HOUR = timedelta(hours=1)
TIME = 21 * 24
LAST = slice(-4, None)
"""The hours in which things happen."""


def fleet(rows: int, seed: int = 0) -> Floats:
    """Machines of all sizes and kinds of noise, busy by day."""
    rng = np.random.default_rng(seed)
    busy = 1 + 2 * np.clip(np.sin(2 * np.pi * (np.arange(TIME) / 24 - 0.25)), 0, None)
    size, noise = 10 ** rng.uniform(2, 8, (rows, 1)), rng.uniform(0.02, 0.1, (rows, 1))
    return np.asarray(size * busy * (1 + noise * rng.standard_normal((rows, TIME))))


def frame(values: Floats, labels: tuple[Labels, ...] = ()) -> Frame:
    return Frame(values, MONDAY, HOUR, labels or tuple({"resource.labels.zone": "z"} for _ in values))


def score(values: Floats, labels: tuple[Labels, ...] = (), **settings: Any) -> Floats:
    """The scores of the last hours."""
    scores: Floats = Peers(**settings)(frame(values, labels)).score[:, LAST]
    return scores


@pytest.mark.parametrize("rows", [3, 5, 12, 40])
@pytest.mark.parametrize("times", [0.0, 0.3, 3.0, 10.0])
def test_what_happens_to_all_is_small_and_what_happens_to_one_is_large(rows: int, times: float) -> None:
    every, one = fleet(rows), fleet(rows)
    every[:, LAST] *= times
    one[1, LAST] *= 1 + 4 * (times - 1)
    together, alone = np.abs(score(every)), np.abs(score(one))
    assert np.quantile(together, 0.95) < ALARM
    assert np.quantile(np.delete(alone, 1, axis=0), 0.95) < ALARM
    assert alone[1].min() > ALARM


def test_one_that_stays_behind_is_the_odd_one() -> None:
    values = fleet(20)
    values[np.arange(20) != 7, LAST] *= 10
    scores = score(values)
    assert (scores.argmin(axis=0) == 7).all()
    assert (scores[7] < -2).all()


def test_the_unit_of_each_series_does_not_matter() -> None:
    values = fleet(6)
    factor = 10.0 ** np.arange(-3, 3)[:, None]
    np.testing.assert_allclose(score(values * factor), score(values), rtol=1e-6)


def test_a_group_of_one_or_two_says_nothing() -> None:
    labels = tuple({"resource.labels.zone": zone} for zone in ("a", "b", "b", "c", "c", "c"))
    assert np.isfinite(score(fleet(6), labels)).all(axis=1).tolist() == [False, False, False, True, True, True]
    assert score(np.empty((0, TIME))).shape == (0, 4)


def test_a_point_with_fewer_than_two_others_has_no_score() -> None:
    values = fleet(4)
    values[:2, -1] = np.nan
    values[0, -2] = np.nan
    scores = score(values)
    assert np.isnan(scores[:, -1]).all()
    assert np.isfinite(scores[:, -2]).tolist() == [False, True, True, True]


@pytest.mark.parametrize(
    ("by", "grouped"),
    [
        (("zone",), "aaabbb"),
        (("resource.labels.zone",), "aaabbb"),
        (("prefix",), "wdwdwd"),
        (("zone", "prefix"), "123456"),
        ((), "aaaaaa"),
        (("nobody",), "aaaaaa"),
    ],
)
def test_labels_make_groups(by: tuple[str, ...], grouped: str) -> None:
    """The scores are those of the groups alone."""
    names = ("web-1", "db-x7", "web-2", "db-y8", "web-3", "db-z9")
    labels = tuple(
        {"resource.labels.zone": zone, "metric.labels.instance_name": name}
        for zone, name in zip("aaabbb", names, strict=True)
    )
    values = fleet(6)
    wanted = np.full((6, 4), np.nan)
    for group in set(grouped):
        rows = [row for row, name in enumerate(grouped) if name == group]
        wanted[rows] = score(values[rows], by=())
    np.testing.assert_array_equal(score(values, labels, by=by), wanted)


def test_idle_machines_that_wake_at_once_are_one_thing_and_one_of_them_another() -> None:
    every, one = np.zeros((8, TIME)), np.zeros((8, TIME))
    every[:, LAST] = np.arange(1, 9)[:, None]
    one[1, LAST] = 5.0
    assert np.abs(score(every)).max() < 1
    assert score(one)[1].min() > 100
    assert (np.delete(score(one), 1, axis=0) == 0).all()


def test_nothing_is_said_of_a_series_that_stands_still_but_for_now_and_then() -> None:
    values = fleet(5)
    values[2] = np.where(np.arange(TIME) % 10 == 3, 7.0, 0.0)
    assert np.isnan(score(values)[2]).all()


def test_a_machine_that_stays_away_is_the_normal_after_half_a_window() -> None:
    values = fleet(8)
    values[3, -8 * 24 :] *= 3
    scores = np.abs(Peers()(frame(values)).score[3])
    assert scores[-8 * 24 : -8 * 24 + 24].min() > ALARM
    assert np.median(scores[-24:]) < 2


def test_the_middle_of_the_others_is_that_of_plain_loops() -> None:
    rng = np.random.default_rng(2)
    values = rng.integers(-3, 4, (7, 60)).astype(float)
    values[rng.random(values.shape) < 0.4] = np.nan
    fast = _middle_of_others(values)
    for row, column in np.ndindex(values.shape):
        others = sorted(x for x in np.delete(values[:, column], row).tolist() if not np.isnan(x))
        if len(others) < 2:
            assert np.isnan(fast[row, column])
            continue
        low, high = others[(len(others) - 1) // 2], others[len(others) // 2]
        assert fast[row, column] == min(max(0.0, low), high)


def test_a_window_of_no_time_is_named() -> None:
    with pytest.raises(ValueError, match="window 30m is under an hour"):
        Peers(window=timedelta(minutes=30))
