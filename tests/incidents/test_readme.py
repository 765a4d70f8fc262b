"""What the README says of incidents is so."""

import re
from pathlib import Path

import pytest

from job.anomaly import lines
from job.incident import Incident
from job.log import json_lines
from job.mutes import parse
from job.nature import NATURES
from job.publish import Telling, one_day
from job.store.folder import Folder
from tests.incidents.events import NIGHT, event
from tests.page.findings import DAY

README = (Path(__file__).parents[2] / "README.md").read_text()


def block(language: str, holds: str) -> str:
    (found,) = [b for b in re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL) if holds in b]
    return str(found)


@pytest.mark.parametrize("name", [f.alias or name for name, f in Incident.model_fields.items()])
def test_every_field_of_an_incident_is_documented(name: str) -> None:
    assert f"| `{name}` |" in README


@pytest.mark.parametrize("name", NATURES)
def test_every_nature_is_documented(name: str) -> None:
    assert f"| {name} |" in README


def test_the_mutes_are_some() -> None:
    assert len(parse(block("toml", "# mutes.toml"), "README").every) == 3


def test_duckdb_reads_what_was_announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    duckdb = pytest.importorskip("duckdb")
    store = Folder(tmp_path / "netanomaly-out")
    store.put("anomalies/date=2026-11-22/metric=x/p.part-00.jsonl", lines([event("in bytes", 5000, 1000)]))
    with (tmp_path / "log").open("w") as log:
        one_day(Telling(store, json_lines(log), parse("", "none")), DAY.date())
    monkeypatch.chdir(tmp_path)
    found = re.search(r'duckdb -c "(.*)"', block("sh", "duckdb"))
    assert found
    rows = duckdb.sql(found[1]).project("epoch(start::TIMESTAMPTZ), severity, sentence").fetchall()
    ((start, severity, sentence),) = rows
    assert (start, severity) == (NIGHT.timestamp(), 72)
    assert "web-1" in sentence
