"""Ratios and the metrics that they are of, read together: every point once, and the same bytes as one by one."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from detectors import Frame
from job import memory
from job.commands.check import check
from job.commands.prepare import prepare
from job.config import Settings
from job.plan import mine
from job.presets import PRESETS
from job.query import Query
from job.ratio import RATIOS
from job.run import Task, run
from job.slices import Outcome, rounds
from job.sources.derived import Derived
from job.sources.joined import stacked
from job.sources.synthetic import Synthetic
from job.store.folder import Folder
from tests.cached.world import Lines
from tests.monitoring_server import Metric, MonitoringServer
from tests.monitoring_server.filters import parse
from tests.monitoring_server.server import Fault

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)
STEP = timedelta(minutes=15)
START = NOW.replace(hour=0) - 15 * DAY
VM = {spec.type.rpartition("/")[2]: spec.type for spec in PRESETS["vm"]}
MACHINES = 9


@pytest.fixture(scope="module")
def running() -> Iterator[MonitoringServer]:
    """Nine machines that send as much as they receive; yesterday one lost most of what it would have received."""
    with MonitoringServer(now=NOW) as made:
        for n in range(MACHINES):
            rng = np.random.default_rng(n)
            time = np.arange(16 * 96)
            packets = 9e5 * (2 + np.sin(2 * np.pi * time / 96)) * rng.gamma(50, 1 / 50, len(time))
            for name, type_ in VM.items():
                values = packets * (700 if "bytes" in name else 1) * rng.gamma(3000, 1 / 3000, len(time))
                if n == 7 and "received" in name:
                    values[14 * 96 + 50 : 14 * 96 + 60] *= 0.4
                labels = {"resource.labels.instance_id": f"{100 + 7 * n}", "resource.labels.zone": "z"}
                metric = Metric(type_, unit="By" if "bytes" in name else "1", sample=900, labels=("instance_name",))
                made.add(metric, labels | {"metric.labels.instance_name": f"vm-{n}"}, np.round(values), START)
        yield made


@pytest.fixture
def server(running: MonitoringServer) -> Iterator[MonitoringServer]:
    yield running
    running.faults.clear()


def ran(
    server: MonitoringServer, output: Path, tasks: int = 1, now: datetime = NOW, **given: Any
) -> tuple[int, list[Outcome], Lines]:
    """How many points the tasks of a run were served, what came of their slices, and their log."""
    plain: dict[str, Any] = {
        "source": "monitoring",
        "project": "p",
        "monitoring_endpoint": server.endpoint,
        "detectors": ("zscore",),
        "step": STEP,
        "output": str(output),
        "retry_for": "1s",
    }
    log, server.now, server.points, outcomes = Lines(), now, 0, list[Outcome]()
    for index in range(tasks):
        job, every, _ = prepare(Settings.model_validate(plain | given), {}, now, log)
        outcomes += run(job, mine(every, index, tasks), Task("e", index, tasks))
    return server.points, outcomes, log


def objects(output: Path) -> dict[str, bytes]:
    store = Folder(output)
    found = {name: store.get(name) for folder in ("anomalies/", "series/") for name in store.names(folder)}
    return {name: there.data for name, there in found.items() if there}


def test_by_default_ratios_are_scored_and_no_point_is_read_for_them(server: MonitoringServer, tmp_path: Path) -> None:
    alone, _, _ = ran(server, tmp_path / "metrics", metrics=("vm",))
    apart, _, _ = ran(server, tmp_path / "ratios", metrics=("vm-derived",))
    found, outcomes, log = ran(server, tmp_path / "both")
    assert {outcome.status for outcome in outcomes} == {"done"}
    assert found == apart == alone > 0
    assert objects(tmp_path / "both") == objects(tmp_path / "metrics") | objects(tmp_path / "ratios")
    ratio = [a for o in outcomes if o.slice.query.metric.endswith("/sent_per_received") for a in o.anomalies]
    assert {a.labels["instance_name"] for a in ratio} == {"vm-7"}
    assert log.of("read.apart") == []


@pytest.mark.parametrize("tasks", [2, 5])
def test_tasks_read_what_belongs_together_and_none_what_another_reads(
    server: MonitoringServer, tmp_path: Path, tasks: int
) -> None:
    one, _, _ = ran(server, tmp_path / "one", parts=5, hours=6)
    several, _, _ = ran(server, tmp_path / "several", tasks, parts=5, hours=6)
    assert objects(tmp_path / "one") == objects(tmp_path / "several") != {}
    assert one == several


def test_shares_are_as_large_as_the_memory_and_change_nothing(
    server: MonitoringServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, _, _ = ran(server, tmp_path / "plain")
    monkeypatch.setattr(memory, "JOINED", 10**9)
    assert memory.joined(1 << 30, 1000) == memory.LEAST
    small, outcomes, _ = ran(server, tmp_path / "small")
    assert {outcome.status for outcome in outcomes} == {"done"}
    assert small == plain
    assert objects(tmp_path / "small") == objects(tmp_path / "plain")


def test_where_one_metric_cannot_be_read_the_others_are_judged_all_the_same(
    server: MonitoringServer, tmp_path: Path
) -> None:
    server.faults.append(Fault(code=grpc.StatusCode.INTERNAL, times=10_000, match="sent_packets_count"))
    _, outcomes, log = ran(server, tmp_path / "out")
    failed = {outcome.slice.query.metric for outcome in outcomes if outcome.status == "failed"}
    assert failed == {VM["sent_packets_count"], "derived.netanomaly/vm/sent_packet_size"}
    assert {outcome.status for outcome in outcomes} == {"done", "failed"}
    assert len(log.of("read.apart")) == 1


def test_from_a_cache_ratios_take_what_has_not_settled_from_their_metrics(
    server: MonitoringServer, tmp_path: Path
) -> None:
    for hour in range(2):
        now = NOW + hour * timedelta(hours=1)
        alone, _, _ = ran(server, tmp_path / "alone", now=now, metrics=("vm",), cache="on")
        both, _, log = ran(server, tmp_path / "both", now=now, cache="on")
        assert both == alone > 0
        assert log.of("cache.ignored") == []
    ran(server, tmp_path / "plain", now=now)
    assert objects(tmp_path / "both") == objects(tmp_path / "plain")


def test_over_a_cache_ratios_wait_until_their_metrics_are_kept(server: MonitoringServer, tmp_path: Path) -> None:
    plain = {"source": "monitoring", "project": "p", "monitoring_endpoint": server.endpoint, "output": str(tmp_path)}
    job, every, _ = prepare(Settings.model_validate({**plain, "cache": "on"}), {}, NOW, Lines())
    first, last = ([{piece.query.metric for piece in some} for some in groups] for groups in rounds(job, every))
    assert sorted(map(sorted, first)) == sorted([name] for name in VM.values())
    assert sorted(map(sorted, last)) == sorted([name] for name in RATIOS if "/vm/" in name)
    job, every, _ = prepare(Settings.model_validate(plain), {}, NOW, Lines())
    assert [len({piece.query for piece in some}) for groups in rounds(job, every) for some in groups] == [8]


def test_what_is_checked_is_what_is_read(
    server: MonitoringServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"source": "monitoring", "project": "p", "monitoring_endpoint": server.endpoint, "output": str(tmp_path)}
    assert check(Settings.model_validate(given), {}, NOW) == 0
    said = capsys.readouterr().out.splitlines()
    assert sorted(line.split()[2] for line in said[:-1]) == sorted(VM.values())
    assert all(f"{MACHINES} series in the last hour" in line for line in said[:-1])


def test_detectors_that_compare_series_have_each_metric_whole(server: MonitoringServer, tmp_path: Path) -> None:
    given: dict[str, Any] = {"detectors": ("zscore", "peers")}
    _, outcomes, log = ran(server, tmp_path / "out", **given)
    assert {outcome.status for outcome in outcomes} == {"done"}
    assert len({outcome.slice.query for outcome in outcomes}) == 8
    assert log.of("read.apart") == []


@pytest.mark.parametrize("metrics", [(), ("vm",), (VM["sent_bytes_count"],)])
def test_each_metric_is_read_once_whatever_is_asked(metrics: tuple[str, ...]) -> None:
    plain, reads = Synthetic(vms=8, step=STEP), list[tuple[str, str]]()

    class Sharing(Synthetic):
        """Made-up machines that can be asked for by filters."""

        def read(self, query: Query, start: datetime, end: datetime) -> Frame:
            reads.append((query.metric, query.filter))
            whole, wanted = plain.read(replace(query, filter=""), start, end), parse(query.filter)
            return whole.rows(np.flatnonzero([wanted(labels) for labels in whole.labels]))

    source = Sharing(vms=8, step=STEP)
    derived = Derived(source, source, shares=True)
    queries = derived.metrics((*metrics, "vm-derived"))
    assert derived.joins(queries)
    found = list(derived.together(queries, NOW - DAY, NOW, most=3))
    assert len(reads) == len(set(reads))
    assert {metric for metric, _ in reads} == set(VM.values())
    assert len(found) > 2 * len(queries), "in several shares"
    assert {query for query, _ in found} == set(queries)
    for query in queries:
        whole = stacked([frame for each, frame in found if each == query])
        other = Derived(plain, plain).read(query, NOW - DAY, NOW)
        np.testing.assert_array_equal(whole.values, other.values)
        assert whole.labels == other.labels


def test_every_ratio_is_of_one_family_with_its_metrics() -> None:
    plain = Synthetic(vms=4)
    derived = Derived(plain, plain)
    queries = derived.metrics(("vm", "nat", "vpn", "derived"))
    families = derived.families(queries)
    assert {families[query] for query in queries if query.metric in RATIOS} == {"vm", "nat", "vpn"}
    ratios = [query for query in queries if query.metric in RATIOS]
    assert {families[query] for query in derived.asked(ratios)} == {"vm", "nat", "vpn"}
    others = [query for query in queries if query not in families]
    assert {query.metric.rpartition("/")[2] for query in others} == {"new_connections_count"}
