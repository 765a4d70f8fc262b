"""Reading block by block: the same rows as at once, each served once, whatever the pages."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from threading import Event, Semaphore

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors import Frame
from job.errors import Failed
from job.ratio import RATIOS
from job.sources import Scattered, blocks
from job.sources.derived import Derived
from job.sources.joined import key
from job.sources.monitoring import grid, streams
from job.sources.monitoring.decode import Points
from job.sources.monitoring.facts import COARSE_AFTER
from job.sources.monitoring.flow import collected, pieces
from job.sources.monitoring.streams import flowing
from tests.monitoring.fixtures import DAY, GAUGE, NODE, SENT, minutes, query, source, vm
from tests.monitoring_server import Metric, MonitoringServer

ID = "resource.labels.instance_id"
WINDOW = grid.Window(0, 600, 60)


def together(frames: list[Frame]) -> Frame:
    rows = sorted(
        (key(labels), values.tobytes())
        for frame in frames
        for labels, values in zip(frame.labels, frame.values, strict=True)
    )
    values = np.array([np.frombuffer(row) for _, row in rows]).reshape(len(rows), -1)
    return Frame(values, frames[0].start, frames[0].step, tuple(dict(labels) for labels, _ in rows))


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("calls", [1, 8])
@pytest.mark.parametrize("metric", [SENT, NODE, GAUGE], ids=lambda metric: metric.kind)
@pytest.mark.parametrize(("page", "rows"), [(1, 4), (7, 3), (100, 100)])
def test_blocks_are_the_rows_of_the_frame(
    server: MonitoringServer, metric: Metric, grouped: bool, calls: int, page: int, rows: int
) -> None:
    label = ID if metric is not NODE else "resource.labels.node_name"
    for n in range(23):
        values = 60.0 * np.arange(1, 8) * (n + 1)
        values[n % 8 : n % 3 * 3] = np.nan
        server.add(metric, {label: f"{n * 7919}"}, values, DAY)
    wanted = query(metric, split_by=label, group_by=(label,) if grouped else ())
    whole = source(server, calls=1).read(wanted, minutes(1), minutes(6))
    server.page_size, served, server.points = page, server.points, 0
    found = list(blocks(source(server, calls=calls), wanted, minutes(1), minutes(6), rows))
    assert server.points == served
    assert max(len(frame.labels) for frame in found) <= rows
    assert min(len(frame.labels) for frame in found) > 0
    again = together(found)
    assert (again.values.tobytes(), again.labels) == (whole.values.tobytes(), whole.labels)
    assert {(frame.start, frame.end) for frame in found} == {(minutes(1), minutes(6))}


@pytest.mark.parametrize("label", ["", ID])
def test_blocks_of_a_window_past_full_resolution_are_its_rows(server: MonitoringServer, label: str) -> None:
    for n in range(40):
        server.add(SENT, {ID: f"{n * 7919}"}, 60.0 * np.arange(1, 101) * (n + 1), DAY)
    server.now = DAY + COARSE_AFTER + timedelta(minutes=60)
    wanted = query(SENT, split_by=label)
    whole = source(server, calls=1).read(wanted, minutes(20), minutes(90))
    served, server.points = server.points, 0
    found = list(blocks(source(server), wanted, minutes(20), minutes(90), 4))
    assert server.points == served
    assert max(len(frame.labels) for frame in found) <= 4
    again = together(found)
    assert (again.values.tobytes(), again.labels) == (whole.values.tobytes(), whole.labels)


@pytest.mark.parametrize("few", [3, 1000])
def test_blocks_of_a_ratio_are_its_rows(server: MonitoringServer, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "FEW", few)
    size = RATIOS["derived.netanomaly/vm/sent_packet_size"]
    for n in range(40):
        server.add(SENT, vm(n * 7919), 60_000.0 * np.arange(1, 9) * (n + 1), DAY)
        server.add(replace(SENT, type=size.bottom), vm(n * 7919), 6000.0 * np.arange(1, 9), DAY)
    assert size.top == SENT.type
    reader = source(server)
    derived = Derived(reader, reader, shares=True)
    (wanted,) = derived.metrics(("derived.netanomaly/vm/sent_packet_size",))
    whole = derived.read(wanted, minutes(1), minutes(6))
    served, server.points = server.points, 0
    found = list(derived.blocks(wanted, minutes(1), minutes(6), 7))
    assert server.points == served
    assert len(whole.labels) == 40
    again = together(found)
    assert (again.values.tobytes(), again.labels) == (whole.values.tobytes(), whole.labels)


def test_a_metric_without_series_has_no_blocks(server: MonitoringServer) -> None:
    server.metric(SENT)
    assert list(blocks(source(server), query(SENT, split_by=ID), DAY, minutes(5), 3)) == []


def lot(*series: tuple[str, list[int]]) -> Points:
    ends = np.array([end for _, stamps in series for end in stamps], np.int64)
    counts = np.array([len(stamps) for _, stamps in series])
    return Points(tuple((("a", name),) for name, _ in series), counts, ends, ends.astype(np.float64))


def place(points: Iterable[Points]) -> grid.Block:
    return grid.aligned(points, WINDOW, 60, rate=False)


@given(st.lists(st.integers(1, 10), min_size=1, max_size=6), st.data())
def test_a_series_cut_anywhere_is_one_row(sizes: list[int], data: st.DataObject) -> None:
    every = [(f"{n}", 60 * (stamp + 1)) for n, size in enumerate(sizes) for stamp in range(size)]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(every)))) | {0, len(every)})
    lots = []
    for low, high in pairwise(cuts):
        names = list(dict.fromkeys(name for name, _ in every[low:high]))
        lots.append(lot(*((name, [s for n, s in every[low:high] if n == name]) for name in names)))
    made = list(collected(pieces(lots, place), 2, WINDOW.columns))
    assert [name for block in made for ((_, name),) in block.keys] == [f"{n}" for n in range(len(sizes))]
    assert [int(np.isfinite(row).sum()) for block in made for row in block.values] == sizes
    assert all(len(block.keys) <= 2 for block in made)


def test_a_series_that_comes_back_is_not_told_as_two() -> None:
    with pytest.raises(Scattered):
        list(pieces([lot(("x", [60])), lot(("y", [60])), lot(("x", [120]))], place))


def test_the_error_of_one_task_is_raised_and_ends_the_others() -> None:
    ended: list[str] = []

    def endless(stop: Event) -> Iterator[int]:
        yield 1
        stop.wait()
        ended.append("other")

    def failing(_: Event) -> Iterator[int]:
        yield 2
        raise Failed("no")

    with pytest.raises(Failed, match="no"):
        list(flowing([endless, failing], Semaphore(2)))
    assert ended == ["other"]


def test_who_wants_no_more_ends_the_tasks() -> None:
    yielded: list[int] = []

    def counting(_: Event) -> Iterator[int]:
        for n in range(1, 1000):
            yielded.append(n)
            yield n

    flow = flowing([counting, counting], Semaphore(1))
    next(flow)
    flow.close()  # type: ignore[attr-defined]  # a generator
    assert len(yielded) < 10
