"""What is said over a day of runs every few hours, each of four tasks, on points that are there or come late."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors import Frame
from job.anomaly import band
from job.found import find
from job.publish import Telling, publish
from job.query import Query
from job.sources import Descriptor, Reader
from tests.job.work import DAY, HOUR, Bench, bench


@dataclass(frozen=True)
class Late:
    """A reader round a reader of which one series' points after `since` are there only from `there` on."""

    source: Reader
    now: datetime
    since: datetime
    there: datetime

    def describe(self, query: Query) -> Descriptor:
        return self.source.describe(query)

    def read(self, query: Query, start: datetime, end: datetime) -> Frame:
        frame = self.source.read(query, start, end)
        if self.now >= self.there:
            return frame
        values = frame.values.copy()
        values[0, max(0, frame.column(self.since)) :] = np.nan
        return Frame(values, frame.start, frame.step, frame.labels)


def said(job: Bench) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What was said of incidents: what, of which, and the line."""
    for line in map(json.loads, job.logged.getvalue().splitlines()):
        if line["event"] in {"incident.opened", "incident.amended", "incident.closed"}:
            yield line["event"].removeprefix("incident."), line["id"], line


def hourly(output: Path, runs: range, **late: datetime) -> list[tuple[str, str, dict[str, Any]]]:
    """Run four tasks each hour, the last hour's again; all that was said."""
    lines = []
    for hour in (*runs, runs[-1]):
        now = DAY + hour * HOUR
        job = bench(output, now, hours=24, metrics=("vm",))
        if late:
            job = job.having(reader=Late(job.job.reader, now, **late))
        telling = Telling(job.job.store, job.job.log, job.job.mutes)
        for index in (3, 1, 0, 2):
            job.run(index, 4, execution=f"e{hour}")
            publish(telling, f"e{hour}", 4, now)
        lines += list(said(job))
    return lines


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[str, str, dict[str, Any]]]]:
    output = tmp_path_factory.mktemp("hourly")
    return output, hourly(output, range(20, 44, 3))


def test_each_incident_is_opened_and_closed_once(lines: tuple[Path, list[tuple[str, str, dict[str, Any]]]]) -> None:
    output, told = lines
    counts = Counter((what, one) for what, one, _ in told if what != "amended")
    opened = {one for what, one in counts if what == "opened"}
    closed = {one for what, one in counts if what == "closed"}
    assert len(opened) >= 5
    assert set(counts.values()) == {1}
    store = bench(output, DAY).job.store
    here = {i.id: i for i in find(store, DAY - timedelta(days=1), DAY + timedelta(days=2)).published}
    assert opened == set(here)
    assert closed == {one for one in here if here[one].over}
    assert len(opened - closed) <= 1, "only what is on, or was a moment ago, is not closed"


def test_a_severity_is_frozen_but_for_amendments(lines: tuple[Path, list[tuple[str, str, dict[str, Any]]]]) -> None:
    _, told = lines
    last: dict[str, tuple[int, str]] = {}
    for what, one, line in told:
        now, nature = line["incident_severity"], line["nature"]
        was, called = last.get(one, (now, nature))
        if what == "amended" and now == was:
            assert called != nature
            assert "level shift" in {called, nature}
        elif what == "amended":
            assert now > was
            assert band(now) != band(was)
        else:
            assert now == was
        last[one] = now, nature


def test_late_points_take_an_absence_back_once(tmp_path: Path) -> None:
    since = DAY + 25 * HOUR
    told = hourly(tmp_path, range(26, 31), since=since, there=since + 4 * HOUR)
    gone = [
        (what, line)
        for what, _, line in told
        if line["nature"] == "absent resource" and line["start"] >= since.isoformat()[:16]
    ]
    assert [what for what, _ in gone if what != "amended"] == ["opened", "closed"]
    severities = [line["incident_severity"] for what, line in gone if what == "amended"]
    assert severities == sorted(severities), "it got worse as it lasted"
    assert severities
