"""One query over several streams: the same frame, no series asked for twice, and many pages at once."""

import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.errors import NotAllowed
from job.query import ALPHABET, Query, share
from job.sources.monitoring import source as monitoring
from job.sources.monitoring.streams import MOST, dividing
from tests.monitoring.fixtures import DAY, GAUGE, NODE, SENT, minutes, query, source
from tests.monitoring_server import Fault, Metric, MonitoringServer

ID = "resource.labels.instance_id"
VALUES = st.text() | st.text(ALPHABET + "\n-Z", max_size=4)


COUNTS = st.integers(2, MOST)


def pattern(wanted: set[int], count: int) -> str:
    found = re.search(r'full_match\("(.*)"\)', share(query(SENT, split_by=ID), wanted, count).filter, re.DOTALL)
    assert found
    return found[1]


@given(VALUES, COUNTS)
def test_every_value_is_in_exactly_one_share(value: str, count: int) -> None:
    assert [bool(re.fullmatch(pattern({one}, count), value)) for one in range(count)].count(True) == 1


@given(VALUES, COUNTS, st.sets(st.integers(0, MOST - 1), min_size=1))
def test_several_shares_are_what_each_is(value: str, count: int, wanted: set[int]) -> None:
    wanted = {one % count for one in wanted}
    alone = any(re.fullmatch(pattern({one}, count), value) for one in wanted)
    assert bool(re.fullmatch(pattern(wanted, count), value)) == alone


@pytest.mark.parametrize("count", [2, 3, 4, 5, 8, 10, 16])
@pytest.mark.parametrize(
    "values", [range(10**6, 10**6 + 1000), [f"web-{n:03}" for n in range(1000)]], ids=["id", "name"]
)
def test_numbers_fall_evenly(values: list[object], count: int) -> None:
    for one in range(count):
        there = sum(bool(re.fullmatch(pattern({one}, count), str(value))) for value in values)
        assert 1000 / count - 10 <= there <= 1000 / count + 10


def test_a_users_filter_stays_whole() -> None:
    found = share(query(SENT, split_by=ID, filter='a = "1" OR b = "2"'), {3}, 8).filter
    assert found.startswith('(a = "1" OR b = "2") AND (')


def fill(server: MonitoringServer, metric: Metric, series: int = 23, points: int = 7) -> Query:
    label = ID if "instance_id" in next(iter(metric.resources.values())) else "resource.labels.node_name"
    for n in range(series):
        server.add(metric, {label: f"{n * 7919}"}, 60.0 * np.arange(1, points + 1) * (n + 1), DAY)
    return query(metric, split_by=label)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("metric", [SENT, NODE, GAUGE], ids=lambda metric: metric.kind)
def test_many_streams_read_what_one_reads(server: MonitoringServer, metric: Metric, parts: int, grouped: bool) -> None:
    wanted = fill(server, metric)
    wanted = replace(wanted, group_by=(wanted.split_by,) if grouped else (), parts=parts, part=parts - 1)
    server.page_size = 5
    alone, together = source(server, calls=1), source(server, calls=8)
    frame = alone.read(wanted, minutes(1), minutes(6))
    served, server.points = server.points, 0
    again = together.read(wanted, minutes(1), minutes(6))
    assert server.points == served, "a point was served twice, or not at all"
    assert (again.values.tobytes(), again.labels) == (frame.values.tobytes(), frame.labels)
    assert len(frame.labels) == (23 if parts == 1 else len([n for n in range(23) if n * 7919 % 100 % 3 == 2]))


def test_few_series_take_two_calls_at_first_and_one_ever_after(server: MonitoringServer) -> None:
    wanted, reader = fill(server, SENT), source(server)
    assert len(reader.read(wanted, DAY, minutes(4)).labels) == 23
    assert server.calls["ListTimeSeries"] == 2
    assert len(reader.read(wanted, minutes(4), minutes(7)).labels) == 23
    assert server.calls["ListTimeSeries"] == 3


def test_many_series_are_read_side_by_side(server: MonitoringServer) -> None:
    wanted, reader = fill(server, SENT), source(server)
    server.page_size = 5
    reader.read(wanted, DAY, minutes(7))
    reader._rows[wanted] = 10**6
    server.gate = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(reader.read, wanted, DAY, minutes(7))
        assert server.crowd(8)
        server.gate.set()
        assert len(reading.result().labels) == 23
    assert server.peak == 8


def test_a_long_window_is_not_asked_for_its_size(server: MonitoringServer) -> None:
    wanted, reader = fill(server, SENT, points=1500), source(server)
    server.gate = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(reader.read, wanted, DAY, minutes(1500))
        assert server.crowd(8)
        server.gate.set()
        assert reading.result().values.shape == (23, 1500)


@pytest.mark.parametrize(
    "settings", [{"split_by": ""}, {"split_by": ID, "group_by": ("resource.labels.zone",)}], ids=["no label", "torn"]
)
def test_what_cannot_be_split_is_read_in_one_piece(server: MonitoringServer, settings: dict[str, object]) -> None:
    fill(server, SENT)
    source(server).read(query(SENT, **settings), DAY, minutes(7))
    assert server.calls["ListTimeSeries"] == 1


def test_the_refusal_of_one_stream_ends_the_others(server: MonitoringServer) -> None:
    wanted, reader = fill(server, SENT, points=50), source(server)
    server.page_size = 3
    server.faults = [Fault(grpc.StatusCode.PERMISSION_DENIED, page=2)]
    with pytest.raises(NotAllowed, match=r"monitoring\.timeSeries\.list"):
        reader.read(wanted, DAY, minutes(50))
    assert server.calls["ListTimeSeries"] < 23 * 50 / 3 / 2


def test_the_next_page_is_on_its_way_while_one_is_taken_apart(server: MonitoringServer) -> None:
    came = []

    @contextmanager
    def meter(stage: str) -> Iterator[None]:
        if stage == "decode":
            came.append(server.called(2))
        yield

    wanted = fill(server, SENT)
    server.page_size = 23 * 7 // 2 + 1
    assert len(source(server, calls=1, meter=meter).read(wanted, DAY, minutes(7)).labels) == 23
    assert came == [True, True]


def machines(count: int, **more: Callable[[int], str]) -> list[dict[str, str]]:
    plain = {"resource.type": lambda _: "gce_instance", "resource.labels.project_id": lambda _: "p"}
    return [{name: value(n) for name, value in {**plain, **more}.items()} for n in range(count)]


def test_series_are_shared_out_by_the_label_in_whose_last_characters_they_differ_most() -> None:
    zone, name = {"resource.labels.zone": lambda n: f"z-{'abc'[n % 3]}"}, {"metric.labels.name": lambda n: f"web-{n}"}
    both, some = machines(40, **zone, **name), machines(40, **zone)
    assert dividing(both, ()) == "metric.labels.name"
    assert dividing(machines(40, **zone, **name, **{ID: lambda n: f"{n % 20}"}), ()) == ID, "good enough"
    assert dividing(both, ["resource.labels.zone"]) == dividing(some, ()) == "resource.labels.zone"
    assert dividing([*both, *machines(1)], ()) == "", "a filter by a label leaves out what lacks it"
    assert dividing(machines(40), ()) == dividing([], ()) == dividing(both, ["resource.labels.project_id"]) == ""


def test_what_no_setting_splits_is_read_side_by_side_by_the_label_that_does(
    server: MonitoringServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitoring, "LONG", 50)
    monkeypatch.setattr(monitoring, "PAGE", 100)
    fill(server, SENT, points=60)
    wanted, reader = query(SENT), source(server)
    whole = source(server, calls=1).read(wanted, DAY, minutes(60))
    served, server.points, server.requests = server.points, 0, []
    for _ in range(2):
        found = list(reader.blocks(wanted, DAY, minutes(60), 100))
        assert sorted(np.vstack([one.values for one in found]).tolist()) == sorted(whole.values.tolist())
    assert server.points == 2 * served
    asked = [request for request in server.requests if "ListTimeSeries" in type(request).__name__]
    assert [request.view for request in asked].count(1) == 1, "what divides them is asked once"
    assert len({request.filter for request in asked}) == 1 + 8


class Many(dict[Query, int]):
    """Says of every query that it has very many series."""

    def get(self, *_: Any) -> Any:
        return 10**6


@pytest.mark.parametrize("parts", [2, 3, 4, 8, 12])
def test_no_stream_of_a_part_is_empty(server: MonitoringServer, parts: int) -> None:
    wanted, reader = fill(server, SENT, series=400, points=3), source(server)
    reader._rows = Many()
    frames = [reader.read(replace(wanted, parts=parts, part=part), DAY, minutes(3)) for part in range(parts)]
    assert sum(len(frame.labels) for frame in frames) == 400
    assert (server.empty, server.calls["ListTimeSeries"]) == (0, 8 * parts)


def test_shares_in_turn_are_read_over_streams_of_which_few_are_empty(server: MonitoringServer) -> None:
    wanted = fill(server, NODE, series=400, points=3)
    wanted, reader = replace(wanted, group_by=(wanted.split_by,)), source(server)
    reader._rows = Many()
    assert sum(len(one.labels) for one in reader.blocks(wanted, minutes(1), minutes(2), 1000)) == 400
    assert server.empty <= 3, "a seventeenth of a hundred endings is five or six"
