"""From what was found to what is said of it."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from job.backtest.labels import Window
from job.backtest.summary import Demands, Summary, summarise
from job.backtest.trial import Found, Plain, Trial

HOUR = timedelta(hours=1)
START = datetime(2026, 11, 1, tzinfo=UTC)
SIZES = (2.0, 3.0, 5.0)
ONE = Window("a", START, START + HOUR)
TWO = Window("b", START, START + HOUR)


def found(series: int, place: int, size: float, late: int | None, kind: str = "spike") -> Found:
    delay = None if late is None else late * HOUR
    return Found("d", series, kind, size, 2 * size, START + place * HOUR, delay)


def summary(every: list[Found], plain: list[Plain] | None = None, windows: tuple[Window, ...] = ()) -> Summary:
    trial = Trial(found=every, plain=plain or [], tested=Counter({"d": 24 * 7 * 3}))
    return summarise(trial, "d", HOUR, SIZES, windows)


def test_recall_and_delay_by_kind_and_size() -> None:
    every = [found(0, n, 3.0, late) for n, late in enumerate([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, None, None])]
    told = summary([*every, found(0, 99, np.inf, 1, "zero"), found(0, 50, 2.0, None)])
    two, three, zero = told.cells
    assert [(c.kind, c.size, c.incidents, c.caught) for c in (two, three, zero)] == [
        ("spike", 2.0, 1, 0),
        ("spike", 3.0, 12, 10),
        ("zero", np.inf, 1, 1),
    ]
    assert (three.delay(0.5), three.delay(0.9), two.delay(0.5)) == (5 * HOUR, 9 * HOUR, None)
    assert (three.deviations, told.over(3.0).incidents, told.over(3.0).caught) == (6.0, 13, 11)


@pytest.mark.parametrize(
    ("caught", "smallest"),
    [
        ([{2, 3, 5}, {3, 5}, {5}], 3),  # the middle one of three places
        ([{3, 5}, set()], 3),  # half of the places are enough
        ([{2, 3}, set()], np.inf),  # a small one caught by luck: the larger was missed
        ([{2, 3, 5}], 2),
    ],
)
def test_the_smallest_change_is_caught_with_every_larger_one_at_half_of_the_places(
    caught: list[set[int]], smallest: float
) -> None:
    every = [found(4, n, size, 1 if size in told else None) for n, told in enumerate(caught) for size in SIZES]
    assert summary(every).smallest == {4: smallest}


def test_the_smallest_change_is_not_known_where_some_sizes_were_not_tried() -> None:
    assert summary([found(4, 0, 2.0, 1), found(4, 0, 5.0, 1)]).smallest == {}


def test_false_alarms_are_a_week_and_series() -> None:
    told = summary([], [Plain("d", 0, 4, {}), Plain("d", 1, 2, {}), Plain("other", 1, 50, {})])
    assert (told.false_alarms, told.weeks, told.rate, told.each) == (6, 3.0, 2.0, {0: 4, 1: 2})


def test_a_window_of_several_series_counts_once_and_is_caught_by_any_of_them() -> None:
    plain = [Plain("d", 0, 1, {ONE: None, TWO: None}), Plain("d", 1, 0, {ONE: 3.0}), Plain("d", 2, 0, {ONE: 2.0})]
    told = summary([], plain, (ONE, TWO)).labelled
    assert told is not None
    assert (told.delays, told.false_alarms, told.precision, told.recall) == ((2.0, None), 1, 0.5, 0.5)


@pytest.mark.parametrize(
    ("demands", "said"),
    [
        (Demands(min_recall=0.5, at_size=3), []),
        (Demands(min_recall=0.6, at_size=3), ["recall of incidents of 3x or more and of outages is 0.5; at least 0.6"]),
        (Demands(min_recall=1, at_size=5), []),
        (Demands(max_false_alarms=2), []),
        (Demands(max_false_alarms=1.9), ["false alarms a week and series is 2; at most 1.9"]),
        (Demands(min_f1=0.1), ["F1 of the labelled windows is not known"]),
    ],
)
def test_demands(demands: Demands, said: list[str]) -> None:
    every = [found(0, 0, 3.0, None), found(0, 0, 5.0, 1), found(0, 0, 2.0, None)]
    unmet = demands.unmet(summary(every, [Plain("d", 0, 6, {})]))
    assert len(unmet) == len(said)
    assert all(words in sentence for words, sentence in zip(said, unmet, strict=True))
