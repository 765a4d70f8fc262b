"""A backtest of Cloud Monitoring, over loopback."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from job.cli import cli
from job.errors import NotAllowed
from tests.monitoring_server import MonitoringServer
from tests.monitoring_server.fleet import fill

NOW = datetime(2026, 11, 20, tzinfo=UTC)
ASKED = ("backtest", "--source", "monitoring", "--project", "p", "--step", "30m", "--from", "2026-11-08")
NARROW = ("--to", "2026-11-18", "--metrics", "vm", "--detectors", "zscore", "--compare", "none", "--sizes", "3")


@pytest.fixture(scope="module")
def server() -> Iterator[MonitoringServer]:
    serving = MonitoringServer(now=NOW)
    fill(serving, vms=2, days=14, seed=1)
    with serving:
        yield serving


def test_it_replays_what_monitoring_has(
    server: MonitoringServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MONITORING_EMULATOR_HOST", server.endpoint)
    assert cli.main([*ASKED, *NARROW, "--format", "json"], standalone_mode=False) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert told["replayed"] | {"points": 0} == {
        "source": "monitoring",
        "start": "2026-11-08T00:00:00Z",
        "end": "2026-11-18T00:00:00Z",
        "step": "30m",
        "series": 8,
        "points": 0,
    }
    recall = {cell["kind"]: cell["recall"] for cell in told["contestants"][0]["by_kind"]}
    assert recall["absent"] == 1, "what a missing point means is known of this metric"
    assert recall["zero"] == 1


def test_a_missing_role_is_said(server: MonitoringServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONITORING_EMULATOR_HOST", server.endpoint)
    server.denied.add("p")
    try:
        with pytest.raises(NotAllowed, match=r"roles/monitoring\.viewer"):
            cli.main([*ASKED, *NARROW], standalone_mode=False)
    finally:
        server.denied.discard("p")
