"""A source that remembers answers as the source that it is round."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import Frame
from job.errors import Failed
from job.sources.joined import alive, joined
from job.sources.recent import Recent
from job.sources.synthetic import Synthetic
from tests.job.work import RECEIVED, SENT, Watched, failing

START = datetime(2026, 11, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
BARE = Synthetic(step=HOUR, vms=7, seed=5)
QUERIES = BARE.metrics((SENT, RECEIVED, "router.googleapis.com/nat/dropped_sent_packets_count"))


def assert_same(one: Frame, other: Frame) -> None:
    assert (one.start, one.step, one.labels) == (other.start, other.step, other.labels)
    np.testing.assert_array_equal(one.values, other.values)


windows = st.lists(st.tuples(st.sampled_from(QUERIES), st.integers(0, 60), st.integers(1, 60)), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(windows)
def test_any_windows_in_any_order(asked: list[tuple[object, int, int]]) -> None:
    recent = Recent(BARE)
    for query, first, length in asked:
        window = (START + first * HOUR, START + (first + length) * HOUR)
        assert_same(recent.read(query, *window), BARE.read(query, *window))  # type: ignore[arg-type]  # a Query


def test_only_what_is_new_is_read() -> None:
    watched = Watched(BARE)
    recent = Recent(watched)
    for first, last in ((0, 10), (4, 14), (4, 14), (6, 12), (20, 24)):
        recent.read(QUERIES[0], START + first * HOUR, START + last * HOUR)
    hours = [((start - START) // HOUR, (end - START) // HOUR) for _, start, end in watched.reads]
    assert hours == [(0, 10), (10, 14), (6, 12), (20, 24)]


def test_a_failed_read_leaves_nothing_behind() -> None:
    watched = Watched(BARE)
    recent = Recent(watched)
    recent.read(QUERIES[0], START, START + 10 * HOUR)
    watched.before = failing(SENT, Failed("no"))
    with pytest.raises(Failed):
        recent.read(QUERIES[0], START, START + 20 * HOUR)
    watched.before = lambda *_: None
    window = (START + 5 * HOUR, START + 20 * HOUR)
    assert_same(recent.read(QUERIES[0], *window), BARE.read(QUERIES[0], *window))


def test_series_come_and_go() -> None:
    """A series of only one of the frames has no points in the other; one without any is left out."""
    early = Frame(np.array([[1.0, 2.0], [np.nan, np.nan]]), START, HOUR, ({"a": "2"}, {"a": "3"}))
    late = Frame(np.array([[5.0]]), START + 2 * HOUR, HOUR, ({"a": "1"},))
    both = alive(joined([early, late]))
    assert both.labels == ({"a": "1"}, {"a": "2"})
    np.testing.assert_array_equal(both.values, [[np.nan, np.nan, 5.0], [1.0, 2.0, np.nan]])
