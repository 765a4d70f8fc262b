"""The setting `cache`, and whole runs with and without it against a Cloud Monitoring over loopback."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from job.commands.prepare import prepare
from job.config import Settings
from job.errors import ConfigError
from job.plan import mine
from job.run import Task, run
from job.sources.cached import Cached
from job.sources.derived import Derived
from job.store.folder import Folder
from tests.cached.world import DAY, HOUR, MONDAY, Lines
from tests.monitoring_server import Metric, MonitoringServer

STEP = timedelta(minutes=15)
NOW = MONDAY + 30 * DAY + 15 * HOUR
SENT = Metric("compute.googleapis.com/instance/network/sent_bytes_count", sample=900, labels=("instance_name",))
LOAD = Metric("custom.googleapis.com/load", kind="GAUGE", value="DOUBLE", unit="1", sample=900)
COUNT = Metric("custom.googleapis.com/total", kind="CUMULATIVE", sample=900, delay=60)


@pytest.fixture
def server() -> Iterator[MonitoringServer]:
    with MonitoringServer(now=NOW) as running:
        rng = np.random.default_rng(3)
        for n in range(3):
            time = np.arange(31 * 96)
            values = np.round(1e7 * (n + 1) * (2 + np.sin(2 * np.pi * time / 96)) * rng.gamma(300, 1 / 300, len(time)))
            values[29 * 96 + 20 * n : 29 * 96 + 20 * n + 6] *= 9
            values[rng.random(len(values)) < 0.02] = np.nan
            labels = {"resource.labels.instance_id": f"{n}", "resource.labels.zone": "z"}
            running.add(SENT, labels, values, MONDAY)
            running.add(LOAD, labels, values / 7e6, MONDAY)
            # The last comes but every second time, which its descriptor does not say.
            sparse = np.where(np.arange(len(time)) % (1 + n // 2), np.nan, np.nancumsum(values))
            running.add(COUNT, labels, sparse, MONDAY)
        yield running


def ran(
    server: MonitoringServer, output: Path, now: datetime = NOW, size: int | None = None, **given: Any
) -> tuple[int, Lines]:
    """How many points a run was served, and its log; the anomalies are in the output."""
    plain: dict[str, Any] = {
        "source": "monitoring",
        "project": "p",
        "metrics": (SENT.type, LOAD.type, COUNT.type),
        "monitoring_endpoint": server.endpoint,
        "step": STEP,
        "output": str(output),
    }
    log, server.now, server.points = Lines(), now, 0
    job, every, _ = prepare(Settings.model_validate(plain | given), {}, now, log)
    if isinstance(kept := job.reader.reader if isinstance(job.reader, Derived) else job.reader, Cached):
        kept.size = size
    outcomes = run(job, mine(every, 0, 1), Task("e", 0, 1))
    assert {outcome.status for outcome in outcomes} <= {"done", "kept", "complete"}
    return server.points, log


def anomalies(output: Path) -> dict[str, bytes]:
    store = Folder(output)
    found = {name: store.get(name) for name in store.names("anomalies/")}
    return {name: there.data for name, there in found.items() if there}


def test_hourly_runs_write_the_same_with_and_without_and_the_warm_ones_read_little(
    server: MonitoringServer, tmp_path: Path
) -> None:
    outputs = [tmp_path / "with", tmp_path / "without"]
    served = []
    for hour in range(3):
        now = NOW + hour * HOUR
        served.append([ran(server, out, now, 1, cache=c)[0] for out, c in zip(outputs, ("on", "off"), strict=True)])
        assert anomalies(outputs[0]) == anomalies(outputs[1])
    assert any(anomalies(outputs[0]).values())
    assert sum("/of3/02/" in name for name in Folder(outputs[0]).names("history/")) > 5
    assert served[0][0] <= served[0][1] + 9 * 96, "whole days are read, so that they can be kept"
    assert served[1][0] * 20 < served[1][1]
    assert served[2][0] * 20 < served[2][1]


def test_a_backfill_writes_the_same_from_a_warm_cache(server: MonitoringServer, tmp_path: Path) -> None:
    window: dict[str, Any] = {"from": MONDAY + 26 * DAY, "to": MONDAY + 30 * DAY}
    plain, _ = ran(server, tmp_path / "plain", cache="off", **window)
    ran(server, tmp_path / "cold", cache=str(tmp_path / "kept"), **window)
    warm, log = ran(server, tmp_path / "warm", cache=str(tmp_path / "kept"), **window)
    assert anomalies(tmp_path / "plain") == anomalies(tmp_path / "cold") == anomalies(tmp_path / "warm")
    assert warm == 0 < plain
    assert log.of("cache.ignored") == log.of("cache.off") == []
    assert not list(Folder(tmp_path / "warm").names("history/"))
    assert list(Folder(tmp_path / "kept").names("history/"))


def test_a_ratio_writes_the_same_from_shares_of_what_is_kept(server: MonitoringServer, tmp_path: Path) -> None:
    received = Metric(SENT.type.replace("sent", "received"), sample=900, labels=("instance_name",))
    for n in range(3):
        values = np.full(31 * 96, 1e7)
        values[29 * 96 + 50 : 29 * 96 + 56] /= 8
        server.add(received, {"resource.labels.instance_id": f"{n}", "resource.labels.zone": "z"}, values, MONDAY)
    metrics: dict[str, Any] = {"metrics": ("derived.netanomaly/vm/sent_per_received",)}
    ran(server, tmp_path / "without", cache="off", **metrics)
    for _ in range(2):
        ran(server, tmp_path / "with", NOW, 1, cache="on", **metrics)
    assert anomalies(tmp_path / "with") == anomalies(tmp_path / "without")
    assert any(anomalies(tmp_path / "with").values())


def prepared(output: Path, **given: Any) -> Any:
    return prepare(Settings.model_validate({"output": str(output), "metrics": "vm", **given}), {}, NOW, Lines())[
        0
    ].reader


def test_only_monitoring_is_remembered_and_only_if_asked(tmp_path: Path) -> None:
    monitoring = {"source": "monitoring", "project": "p"}
    assert not isinstance(prepared(tmp_path / "out", **monitoring), Cached)
    kept = prepared(tmp_path / "out", **monitoring, cache="on")
    assert isinstance(kept, Cached)
    assert kept.store.url == str(tmp_path / "out")
    assert prepared(tmp_path / "out", **monitoring, cache=str(tmp_path / "c")).store.url == str(tmp_path / "c")
    assert prepared(tmp_path / "out", **monitoring, cache="gs://some-bucket/x").store.url == "gs://some-bucket/x"
    assert not isinstance(prepared(tmp_path / "out", **monitoring, cache="off"), Cached)
    assert not isinstance(prepared(tmp_path / "out", cache="on"), Cached)
    assert not list(tmp_path.iterdir())


def test_what_stands_in_for_monitoring_has_a_history_of_its_own(tmp_path: Path) -> None:
    monitoring = {"source": "monitoring", "project": "p", "cache": "on"}
    assert prepared(tmp_path, **monitoring).origin == ""
    assert prepared(tmp_path, **monitoring, monitoring_endpoint="127.0.0.1:1").origin == "127.0.0.1:1"


def test_a_place_that_is_none_is_said_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="s3://x"):
        prepared(tmp_path, source="monitoring", project="p", cache="s3://x")
