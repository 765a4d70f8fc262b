"""Which metrics and series files make, in every layout and place."""

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from detectors import Frame
from job.errors import ConfigError
from job.query import Query
from job.sources import Source
from job.sources.files import Files
from tests.emulator import Cloud

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = datetime(2026, 11, 22, tzinfo=UTC)
STEP = timedelta(minutes=5)
SHORT = "timestamp,value\n2026-11-22T00:00:00Z,1\n2026-11-22T00:05:00Z,2\n"


def read(files: Files, query: Query) -> Frame:
    return files.read(query, DAY, DAY + 2 * STEP)


def held(files: Source) -> dict[str, list[dict[str, str]]]:
    """The labels of every metric's series."""
    return {
        query.metric: [dict(labels) for labels in files.read(query, DAY, DAY + 2 * STEP).labels]
        for query in files.metrics(())
    }


def series(name: str) -> dict[str, str]:
    return {"metric.labels.series": name, "resource.type": "file"}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_folder_is_a_metric_and_a_file_a_series(tmp_path: Path) -> None:
    for name in ["net/in.csv", "net/out.csv", "cpu/a/x.csv", "root.csv"]:
        write(tmp_path / "rec" / name, SHORT)
    write(tmp_path / "rec/README.md", "not data")
    write(tmp_path / "rec/.hidden/x.csv", "not data")
    assert held(Files(str(tmp_path / "rec"))) == {
        "cpu/a": [series("x")],
        "net": [series("in"), series("out")],
        "rec": [series("root")],
    }


def test_one_file_is_a_metric(tmp_path: Path) -> None:
    write(tmp_path / "rec.csv", SHORT)
    write(tmp_path / "other.csv", SHORT)
    assert held(Files(str(tmp_path / "rec.csv"))) == {"rec": [series("rec")]}


def test_a_wide_file_has_a_series_per_column(tmp_path: Path) -> None:
    write(tmp_path / "rec.csv", "in bytes,time,out\n1,2026-11-22 00:00,2\n,2026-11-22 00:05,4\n")
    files = Files(str(tmp_path / "rec.csv"))
    (query,) = files.metrics(())
    assert held(files) == {"rec": [series("in bytes"), series("out")]}
    assert str(read(files, query).values.tolist()) == "[[1.0, nan], [2.0, 4.0]]"


def test_a_long_file_has_a_series_per_set_of_labels(tmp_path: Path) -> None:
    write(
        tmp_path / "rec.csv",
        "ts,metric,value,unit,vm,resource.type,resource.labels.zone,metric.labels.dir,metadata.user_labels.env\n"
        "2026-11-22,rx,1,By,a,gce_instance,z1,in,prod\n"
        "2026-11-22,rx,2,By,b,,z1,in,\n"
        "2026-11-22,tx,3,{packets},a,gce_instance,z1,out,prod\n",
    )
    files = Files(str(tmp_path / "rec.csv"))
    rx, tx = files.metrics(())
    a = {
        "metric.labels.vm": "a",
        "metric.labels.dir": "in",
        "metadata.user_labels.env": "prod",
        "resource.labels.zone": "z1",
        "resource.type": "gce_instance",
    }
    b = {"metric.labels.vm": "b", "metric.labels.dir": "in", "resource.labels.zone": "z1", "resource.type": "file"}
    assert held(files) == {"rx": [a, b], "tx": [a | {"metric.labels.dir": "out"}]}
    assert [files.describe(query).unit for query in (rx, tx)] == ["By", "{packets}"]
    assert read(files, rx).values[:, 0].tolist() == [1, 2]


def test_a_preset_stands_for_those_of_its_metrics_that_are_recorded(tmp_path: Path) -> None:
    sent, dropped = (
        "compute.googleapis.com/instance/network/sent_bytes_count",
        "compute.googleapis.com/firewall/dropped_packets_count",
    )
    write(tmp_path / "a.csv", f"ts,value,metric\n2026-11-22,1,{dropped}\n2026-11-22,1,{sent}\n2026-11-22,1,other\n")
    files = Files(str(tmp_path))
    assert [query.metric for query in files.metrics(("vm",))] == [sent]
    assert {query.metric: query.missing for query in files.metrics(("all", "other"))} == {
        sent: "absent",
        dropped: "zero",
        "other": "ignore",
    }
    with pytest.raises(ConfigError, match=rf"no metric 'lb' in .*; there are: {dropped}, {sent}, other$"):
        files.metrics(("lb",))


def test_series_are_in_the_order_of_their_labels(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "ts,value,vm\n" + "".join(f"2026-11-22,{ord(vm)},{vm}\n" for vm in "cadb"))
    files = Files(str(tmp_path / "a.csv"))
    frame = read(files, files.metrics(())[0])
    assert [labels["metric.labels.vm"] for labels in frame.labels] == list("abcd")
    assert frame.values[:, 0].tolist() == [ord(vm) for vm in "abcd"]


def test_files_of_one_metric_are_one(tmp_path: Path) -> None:
    write(tmp_path / "m/1.csv", "ts,value,vm\n2026-11-22 00:00,1,a\n2026-11-22 00:05,9,a\n")
    write(tmp_path / "m/2.csv", "ts,value,vm\n2026-11-22 00:05,2,a\n2026-11-22 00:05,3,b\n")
    files = Files(str(tmp_path))
    (query,) = files.metrics(())
    assert str(read(files, query).values.tolist()) == "[[1.0, 2.0], [nan, 3.0]]"


def test_packed_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(SHORT.encode(), mtime=0))
    (tmp_path / "b.csv").write_bytes(gzip.compress(SHORT[:20].encode()) + gzip.compress(SHORT[20:].encode()))
    assert held(Files(str(tmp_path))) == {tmp_path.name: [series("a"), series("b")]}


def parquet(path: Path, **columns: Any) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table(columns), path)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_parquet_times(tmp_path: Path, unit: str, zone: str | None) -> None:
    import pyarrow as pa

    stamps = pa.array([int(DAY.timestamp()), int(DAY.timestamp()) + 300], pa.timestamp("s")).cast(pa.timestamp(unit))
    stamps = stamps.cast(pa.int64()).cast(pa.timestamp(unit, zone))
    parquet(tmp_path / "a.parquet", time=stamps, value=pa.array([1, None], pa.int32()), vm=["x", "x"])
    files = Files(str(tmp_path / "a.parquet"))
    (query,) = files.metrics(())
    assert str(read(files, query).values.tolist()) == "[[1.0, nan]]"


def test_parquet_says_what_csv_says(tmp_path: Path) -> None:
    from pyarrow import csv
    from pyarrow import parquet as pq

    text = "ts,value,vm,n\n2026-11-22 00:00:00,1.5,a,1\n2026-11-22 00:05:00,,a,1\n2026-11-22 00:05:00,3,b,\n"
    write(tmp_path / "a.csv", text)
    pq.write_table(csv.read_csv(tmp_path / "a.csv"), tmp_path / "b.parquet")
    frames = []
    for name in ["a.csv", "b.parquet"]:
        files = Files(str(tmp_path / name))
        frames.append(read(files, files.metrics(())[0]))
    assert frames[0].labels == frames[1].labels
    assert str(frames[0].values.tolist()) == str(frames[1].values.tolist()) == "[[1.5, nan], [nan, 3.0]]"


def test_a_bucket_is_read_as_a_folder_is(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    from job.store import open_store
    from job.store.bucket import NO_BUCKET_READS, Bucket

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud.url)
    monkeypatch.setenv(NO_BUCKET_READS, "true")
    url = f"gs://{cloud.make_bucket()}"
    store = open_store(url)
    store.put("rec/net/in.csv", SHORT.encode())
    store.put("rec/root.csv.gz", gzip.compress(SHORT.encode()))
    for place, metrics in [
        (f"{url}/rec/", {"net": [series("in")], "rec": [series("root")]}),
        (f"{url}/rec/net/in.csv", {"in": [series("in")]}),
    ]:
        files = Files(place)
        assert held(files) == metrics
        assert isinstance(files._place.store, Bucket)
        files._place.store._client.close()
    assert isinstance(store, Bucket)
    store._client.close()


def test_metrics_by_name_and_by_slug(tmp_path: Path) -> None:
    write(tmp_path / "rec/a/b.csv", SHORT)
    write(tmp_path / "rec/c/d/e.csv", SHORT)
    files = Files(str(tmp_path / "rec"), step=timedelta(minutes=10))
    queries = files.metrics(("c-d",))
    assert [(q.metric, q.name, q.project, q.step) for q in queries] == [("c/d", "c-d", "files", timedelta(minutes=10))]
    assert [q.metric for q in files.metrics(("c/d", "a", "c/d"))] == ["c/d", "a"]
    with pytest.raises(ConfigError, match=r"no metric 'x'.*there are: a, c/d"):
        files.metrics(("x",))


def test_parts_are_disjoint_and_whole(tmp_path: Path) -> None:
    from dataclasses import replace

    write(tmp_path / "a.csv", "ts,value,vm,zone\n" + "".join(f"2026-11-22,{i},vm{i},z\n" for i in range(20)))
    files = Files(str(tmp_path / "a.csv"))
    (query,) = files.metrics(())
    assert query.split_by == "metric.labels.vm"
    parts = [read(files, replace(query, parts=3, part=part)) for part in range(3)]
    assert sorted(value for part in parts for value in part.values[:, 0]) == list(range(20))
    assert [files.count(replace(query, parts=3, part=p), DAY, DAY + STEP) for p in range(3)] == [
        len(part.labels) for part in parts
    ]


def test_series_without_a_point_in_the_time_are_left_out(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "ts,value,vm\n2026-11-22 00:00,1,a\n2026-11-22 00:05,2,b\n2026-11-22 00:05,,c\n")
    files = Files(str(tmp_path / "a.csv"))
    (query,) = files.metrics(())
    assert files.count(query, DAY, DAY + STEP) == 1
    assert files.read(query, DAY + STEP, DAY + 2 * STEP).values.tolist() == [[2]]
    assert files.read(query, DAY + 2 * STEP, DAY + 3 * STEP).values.shape == (0, 1)


@pytest.mark.parametrize("wrong", [{"filter": "x"}, {"group_by": ("metric.labels.vm",)}, {"metric": "other"}])
def test_a_query_that_files_cannot_answer_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    from dataclasses import replace

    write(tmp_path / "a.csv", SHORT)
    files = Files(str(tmp_path / "a.csv"))
    (query,) = files.metrics(())
    calls: list[Callable[[Query], object]] = [files.describe, lambda q: read(files, q)]
    for call in calls:
        with pytest.raises(ConfigError, match=r"neither filtered nor grouped|no metric 'other'"):
            call(replace(query, **wrong))
