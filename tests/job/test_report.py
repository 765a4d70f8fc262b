"""What was written can be read back, whole or for a time, and shown without harm."""

import csv
import io
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

import job
from job.anomaly import Anomaly, Resource, lines
from job.errors import ConfigError
from job.report import EARLIEST, LATEST, as_csv, as_json, read, table
from job.store.folder import Folder
from tests.emulator import Cloud
from tests.job.anomalies import START, anomaly
from tests.job.command import netanomaly

DAY = timedelta(days=1)
EVIL = Resource(
    type="gce_instance",
    labels={"a": "=1+1", "b": "<script>alert(1)</script>", "c": "one\ntwo\x1b[31m", "d": "\u202eabc", "e": "[red]x[/]"},
)


def keep(path: Path, *anomalies: Anomaly, day: str = "2026-11-22", data: bytes | None = None) -> Folder:
    store = Folder(path)
    store.put(f"anomalies/date={day}/metric=x/p.part-00.jsonl", lines(anomalies) if data is None else data)
    return store


def everything(store: Folder) -> tuple[Anomaly, ...]:
    reading = read(store, EARLIEST, LATEST)
    assert reading.problems == ()
    return reading.anomalies


def shown(*anomalies: Anomaly, width: int = 200) -> str:
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=False).print(table(anomalies, width))
    return out.getvalue()


def test_what_is_written_is_read_back_in_the_order_of_time(tmp_path: Path) -> None:
    late, early = anomaly(1), anomaly(2, start=START - timedelta(hours=1))
    absent = anomaly(3, kind="absent", direction="down", observed=None)
    assert everything(keep(tmp_path, late, early, absent)) == (early, late, absent)


def test_one_line_is_one_record_for_good() -> None:
    """A golden file: programs read this."""
    assert anomaly().line() == (
        '{"schema": 1, "id": "0000000000000001", "project": "demo", '
        '"metric": "compute.googleapis.com/instance/network/sent_bytes_count", '
        '"query": "compute.googleapis.com-instance-network-sent_bytes_count", '
        '"resource": {"type": "gce_instance", "labels": {"zone": "europe-west1-b", "instance_id": "12"}}, '
        '"labels": {"instance_name": "web-1"}, "start": "2026-11-22T03:10:00Z", "end": "2026-11-22T03:35:00Z", '
        '"peak": "2026-11-22T03:15:00Z", "continued": false, "ongoing": false, "adopted": false, '
        '"kind": "spike", "direction": "up", "severity": 72, "score": 12.4, "votes": {"ewma": 11.9, "zscore": 12.9}, '
        '"detectors": 3, "observed": 12400000.0, "expected": 2000000.0, "lower": 1000000.0, "upper": 3000000.0, '
        '"unit": "By/s", "excess": 9000000000.0, "excess_unit": "By", "step": 300, '
        '"history": {"ewma": "2d", "zscore": "2d6h"}, "link": null, '
        '"sentence": "sent bytes of web-1 (europe-west1-b) rose to 12.4 MB/s at 2026-11-22 03:15 UTC, '
        "1 to 3 MB/s expected (6.2x the expected 2 MB/s); for 25m from 03:10; "
        'judged by the time before (history: up to 2d for ewma, up to 2d6h for zscore); 2 of 3 detectors."}'
    )


def test_a_record_from_before_there_were_links_is_read() -> None:
    old = json.loads(anomaly(link="https://x").line())
    del old["link"]
    assert Anomaly.model_validate(old) == anomaly()


def test_the_table_as_a_person_sees_it() -> None:
    gone = anomaly(2, kind="absent", direction="down", observed=None, severity=90, score=-20.0, votes={}, ongoing=True)
    text = shown(anomaly(), gone, anomaly(3, severity=40, continued=True))
    golden = Path(__file__).with_name("table.txt").read_text()
    assert [line.rstrip() for line in text.splitlines()] == golden.splitlines()


@pytest.mark.parametrize(
    ("since", "until", "count"),
    [
        (START, START + DAY, 1),
        (START + timedelta(minutes=24), START + DAY, 1),
        (START + timedelta(minutes=25), START + DAY, 0),
        (START - DAY, START, 0),
        (START - DAY, START + timedelta(seconds=1), 1),
        (EARLIEST, LATEST, 1),
        (EARLIEST, datetime.max.replace(tzinfo=UTC), 1),
    ],
)
def test_what_touches_a_half_open_time(since: datetime, until: datetime, count: int, tmp_path: Path) -> None:
    assert len(read(keep(tmp_path, anomaly()), since, until).anomalies) == count


def test_an_event_that_began_in_the_evening_before_its_object_s_day_is_found(tmp_path: Path) -> None:
    early = anomaly(1, start=datetime(2026, 11, 21, 23, 50, tzinfo=UTC))
    store = keep(tmp_path, early)
    assert read(store, START - DAY, datetime(2026, 11, 21, 23, 55, tzinfo=UTC)).anomalies == (early,)


def test_objects_of_other_days_are_not_read(tmp_path: Path) -> None:
    store = keep(tmp_path, anomaly())
    keep(tmp_path, day="2026-11-25", data=b"rubbish\n")
    keep(tmp_path, day="2026-11-20", data=b"rubbish\n")
    assert read(store, datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)).problems == ()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (anomaly(2).line().encode()[:100] + b"\n", "line 1 is no anomaly record"),
        (b"hello\n", "line 1"),
        (b"[]\n", "line 1"),
        (b'{"schema": 1}\n', "line 1 is no anomaly record: id"),
        (b"\xff\xfe\n", "line 1"),
        (anomaly(2).line().replace("12.4,", "NaN,").encode() + b"\n", "score"),
        (anomaly(2).line().replace('"up"', '"sideways"').encode() + b"\n", "direction"),
        (anomaly(2).line().replace("2026-11-22T03:10:00Z", "2026-11-22T03:10:00").encode() + b"\n", "start"),
    ],
)
def test_what_is_no_record_is_named_and_the_rest_is_read(data: bytes, problem: str, tmp_path: Path) -> None:
    keep(tmp_path, day="2026-11-21", data=data)
    reading = read(keep(tmp_path, anomaly()), EARLIEST, LATEST)
    assert len(reading.anomalies) == 1
    assert len(reading.problems) == 1
    assert problem in reading.problems[0]
    with pytest.warns(UserWarning, match=r"(?s)1 thing could not be read.*line 1"):
        assert len(job.anomalies(str(tmp_path))) == 1


def test_of_very_much_that_is_no_record_the_first_is_named_and_all_counted(tmp_path: Path) -> None:
    keep(tmp_path, data=b"no\n" * 1000)
    done = netanomaly("report", "--output", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 1
    assert "1,000 things could not be read" in done.stderr
    assert len(done.stderr.splitlines()) == 22
    assert "and 980 more" in done.stderr


def test_a_corrupt_object_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    store = keep(tmp_path, anomaly())
    keep(tmp_path, anomaly(2), day="2026-11-23")
    file = tmp_path / "anomalies/date=2026-11-23/metric=x/p.part-00.jsonl"

    before = file.stat()
    file.write_bytes(file.read_bytes().replace(b"web-1", b"web-2"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    reading = read(store, EARLIEST, LATEST)
    assert [a.id for a in reading.anomalies] == [anomaly(1).id]
    assert "corrupt" in reading.problems[0]


def test_a_newer_schema_is_read_as_far_as_it_is_known_and_said(tmp_path: Path) -> None:
    line = json.dumps({**json.loads(anomaly().line()), "schema": 2, "mood": "bad"})
    reading = read(keep(tmp_path, data=line.encode()), EARLIEST, LATEST)
    assert len(reading.anomalies) == 1
    assert "schema 2; this program knows up to 1" in reading.problems[0]


def test_names_from_elsewhere_do_no_harm_in_a_table() -> None:
    text = shown(anomaly(labels={}, resource=EVIL, unit="\x1b[31mBy\n/s", metric="x.com/\x1b[2J\u202e_count"))
    assert len(text.splitlines()) == 2
    assert all(c.isprintable() or c == "\n" for c in text)
    assert "[red]x[/]" in shown(anomaly(labels={}, resource=Resource(type="x", labels={"e": "[red]x[/]"})))


@pytest.mark.parametrize("width", [60, 80])
def test_a_narrow_terminal_still_says_where_and_what(width: int) -> None:
    where = {"instance_name": "frontend-production-17"}
    text = shown(anomaly(), anomaly(2, labels=where, unit="packets/s", observed=427.0, expected=13.0), width=width)
    assert max(len(line) for line in text.splitlines()) <= width
    flat = "".join(text.split())
    assert "…" not in text
    for word in ("web-1", "frontend", "72high", "11-2203:10", "12.4MB/s"):
        assert word in flat
    assert [words in text for words in ("427", "427 packets/s", "13 packets/s")] == [True, width == 80, width == 80]


def test_an_endless_name_leaves_the_table_a_table() -> None:
    text = shown(anomaly(labels={"n": "x" * 10_000}, resource=Resource(type="x", labels={})))
    assert max(len(line) for line in text.splitlines()) <= 200
    assert len(text.splitlines()) <= 4


def test_no_cell_of_a_csv_is_a_formula_or_breaks_its_row() -> None:
    evil = [
        anomaly(n, project=word, labels={}, resource=EVIL)
        for n, word in enumerate(["=cmd()", "+1", "-1", "@a", "\tx", "\n=1", "\uff1d1"])
    ]
    rows = list(csv.DictReader(io.StringIO(as_csv(evil))))
    assert [row["project"] for row in rows] == ["'=cmd()", "'+1", "'-1", "'@a", "'\ufffdx", "'\ufffd=1", "'\uff1d1"]
    assert json.loads(rows[0]["resource"])["labels"] == EVIL.labels
    assert list(rows[0]) == list(json.loads(anomaly().line()))


def test_json_is_the_records() -> None:
    both = [anomaly(1), anomaly(2, labels={"n": "\u202e\n"})]
    assert json.loads(as_json(both)) == [json.loads(a.line()) for a in both]


def test_a_data_frame_of_typed_columns(tmp_path: Path) -> None:
    keep(tmp_path, anomaly(1), anomaly(2, kind="absent", direction="down", observed=None))
    found = job.anomalies(str(tmp_path), since="2026-11-22", until=datetime(2026, 11, 23))  # noqa: DTZ001 - UTC is meant
    assert len(found) == 2
    assert str(found["start"].dtype).startswith("datetime64")
    assert found["start"][0] == START
    assert found["resource_labels"][0]["zone"] == "europe-west1-b"
    assert found["score"].tolist() == [12.4, 12.4]
    assert list(found.columns[:8]) == [
        "schema", "id", "project", "metric", "query", "resource_type", "resource_labels", "labels"
    ]  # fmt: skip
    assert len(job.anomalies(str(tmp_path), since="2026-11-23")) == 0


def test_an_empty_folder_is_an_empty_frame_with_all_columns(tmp_path: Path) -> None:
    found = job.anomalies(str(tmp_path / "none"))
    assert len(found) == 0
    assert "resource_labels" in found.columns
    assert str(found["peak"].dtype).startswith("datetime64")
    with pytest.raises(ConfigError):
        job.anomalies("ftp://x")
    with pytest.raises(ValueError, match="not a time"):
        job.anomalies(str(tmp_path), since="soon")


def test_a_bucket_is_read_as_a_folder_is(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    from job.store import open_store

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud.url)
    place = f"gs://{cloud.make_bucket()}/out"
    open_store(place).put("anomalies/date=2026-11-22/metric=x/p.part-00.jsonl", lines([anomaly()]))
    assert job.anomalies(place)["id"].tolist() == [anomaly().id]
