"""The event scorer against a slow twin of plain loops, and what must hold whatever the data."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job.backtest.events import EventScore, score_events

FLAGS = st.lists(st.integers(0, 200), max_size=30)
WINDOWS = st.lists(st.tuples(st.integers(0, 190), st.integers(1, 30)).map(lambda w: (w[0], w[0] + w[1])), max_size=5)
COOLDOWN = st.integers(1, 40)
GRACE = st.integers(0, 40)


def twin(windows: list[tuple[int, int]], flagged: list[int], cooldown: int, grace: int) -> EventScore:
    delays: list[float | None] = []
    for start, end in windows:
        inside = [stamp for stamp in flagged if start <= stamp < end]
        delays.append(min(inside) - start if inside else None)
    false, last = 0, None
    for stamp in sorted(flagged):
        if any(start <= stamp < end + min(grace, end - start) for start, end in windows):
            continue
        if last is None or stamp - last >= cooldown:
            false, last = false + 1, stamp
    return EventScore(tuple(delays), false)


@settings(deadline=None)
@given(WINDOWS, FLAGS, COOLDOWN, GRACE)
def test_it_says_what_plain_loops_say(
    windows: list[tuple[int, int]], flagged: list[int], cooldown: int, grace: int
) -> None:
    assert score_events(windows, flagged, cooldown, grace) == twin(windows, flagged, cooldown, grace)


@settings(deadline=None)
@given(WINDOWS, FLAGS, COOLDOWN, GRACE, st.integers(-1000, 1000), st.randoms())
def test_order_repetition_and_epoch_of_the_flags_do_not_matter(
    windows: list[tuple[int, int]], flagged: list[int], cooldown: int, grace: int, by: int, random: Random
) -> None:
    mixed = [stamp + by for stamp in flagged * 2]
    random.shuffle(mixed)
    moved = [(start + by, end + by) for start, end in windows]
    assert score_events(moved, mixed, cooldown, grace) == score_events(windows, flagged, cooldown, grace)


@settings(deadline=None)
@given(WINDOWS, FLAGS, COOLDOWN, st.integers(0, 220))
def test_one_flag_more_never_loses_a_window(
    windows: list[tuple[int, int]], flagged: list[int], cooldown: int, more: int
) -> None:
    before, after = (score_events(windows, stamps, cooldown) for stamps in (flagged, [*flagged, more]))
    for late, early in zip(before.delays, after.delays, strict=True):
        assert late is None or (early is not None and early <= late)
    if any(start <= more < end for start, end in windows):
        assert after.false_alarms == before.false_alarms


@settings(deadline=None)
@given(WINDOWS, COOLDOWN)
def test_flagging_everything_catches_everything_and_pays_for_all_the_time(
    windows: list[tuple[int, int]], cooldown: int
) -> None:
    told = score_events(windows, list(range(1000)), cooldown)
    assert told.caught == told.windows
    assert told.false_alarms >= (1000 - 220) // cooldown


@settings(deadline=None)
@given(WINDOWS, FLAGS, COOLDOWN)
def test_precision_recall_and_f1_go_together(windows: list[tuple[int, int]], flagged: list[int], cooldown: int) -> None:
    told = score_events(windows, flagged, cooldown)
    precision, recall, f1 = told.precision, told.recall, told.f1
    if precision and recall:
        assert f1 == pytest.approx(2 * precision * recall / (precision + recall))
    else:
        assert not f1
    assert (recall is None) == (not windows)
    assert (precision is None) == (told.caught + told.false_alarms == 0)


def test_series_add_up() -> None:
    one, two = score_events([(0, 10)], [3], 5), score_events([(0, 10), (20, 30)], [15, 19, 21], 5)
    both = one + two
    assert (both.windows, both.caught, both.false_alarms, both.delays) == (3, 2, 1, (3.0, None, 1.0))
    assert (both.precision, both.recall, both.f1) == (2 / 3, 2 / 3, 2 / 3)


def test_the_tail_of_an_event_is_no_longer_than_the_event() -> None:
    flagged = [0, 1, 2, 3, 4, 5]
    assert score_events([(0, 2)], flagged, cooldown=1, grace=100).false_alarms == 2
    assert score_events([(0, 2)], flagged, cooldown=1, grace=1).false_alarms == 3


@pytest.mark.parametrize(("windows", "cooldown", "said"), [([(5, 5)], 1, "does not end"), ([(0, 5)], 0, "cooldown 0")])
def test_what_is_no_time_is_named(windows: list[tuple[int, int]], cooldown: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        score_events(windows, [1], cooldown)
