"""Files that are broken, odd or meant to harm: each gets one clear message, none a traceback."""

import gzip
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from job.errors import ConfigError
from job.sources.files import Files, content, series

DAY = datetime(2026, 11, 22, tzinfo=UTC)
GOOD = b"time,value\n2026-11-22,1\n"

BROKEN = {
    "no name": (b",value\n2026-11-22,1\n", "column without a name"),
    "two of a name": (b"time,value,x,x\n2026-11-22,1,a,b\n", "two columns named 'x'"),
    "two times": (b"time,timestamp,value\n2026-11-22,2026-11-22,1\n", "2 columns of time"),
    "no time": (b"when,value\n2026-11-22,1\n", "0 columns of time among 'when', 'value'"),
    "two values": (b"time,value,v\n2026-11-22,1,2\n", "2 columns of values"),
    "time alone": (b"time\n2026-11-22\n", "no column beside 'time'"),
    "semicolons": (b"time;value\n2026-11-22;1\n", "separated by commas"),
    "tabs": (b"time\tvalue\n2026-11-22\t1\n", "separated by commas"),
    "no header": (b"2026-11-22,1\n2026-11-23,2\n", "0 columns of time"),
    "cells missing": (b"time,value\n2026-11-22,1\n2026-11-22\n", r"row 3: 1 cells where the first row names 2"),
    "cells too many": (b"time,value\n2026-11-22,1,2\n", r"row 2: 3 cells where the first row names 2"),
    "text in a wide file": (b"time,host,in\n2026-11-22,a,1\n", "'host': 'a' is no number.*need a column 'value'"),
    "not UTF-8": (b"time,value,vm\n2026-11-22,1,\xff\n", "write UTF-8"),
    "a header not UTF-8": (b"time,value,\xff\n2026-11-22,1,a\n", "in UTF-8"),
    "UTF-16": ("time,value\n2026-11-22,1\n".encode("utf-16"), "in UTF-8"),
    "a huge cell": (b"time,value,vm\n2026-11-22,1," + b"x" * 3_000_000 + b"\n", "more than a million characters"),
    "a huge label": (b"time,value,vm\n2026-11-22,1," + b"x" * 5000 + b"\n", "a label of 5000 characters"),
    "an open quote": (
        b'time,value,vm\n2026-11-22,1,"' + b"x\n" * 1_000_000,
        "quote that does not end|a label of 2000000 characters",
    ),
    "zeros": (bytes(1000), "in UTF-8|columns of time"),
    "a page": (b"<!DOCTYPE html><html><body>Not found</body></html>\n", "0 columns of time"),
    "a decimal comma": (b'time,value\n2026-11-22,"1,5"\n', r"'1,5' is no number: write 1234\.5, or nothing"),
    "a million columns": (b"time," + b",".join(b"%d" % i for i in range(10**6)) + b"\n", "1000001 columns; 200000 are"),
    "a time that never comes": (b"time,value\ninf,1\n", "inf is no time"),
    "dates without dashes": (b"time,value\n20261122,1\n20261123,2\n", "20261122 is a date without dashes"),
    "times without dashes": (b"time,value\n202611222355,1\n202611230000,2\n", "202611222355 is a date without"),
    "a time without a value": (b"time,value\n,1\n", "row 2 has no time"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_named(tmp_path: Path, case: str) -> None:
    data, why = BROKEN[case]
    (tmp_path / "odd.csv").write_bytes(data)
    with pytest.raises(ConfigError, match=f"(?s)odd.csv.*{why}") as told:
        Files(str(tmp_path)).metrics(())
    assert len(str(told.value)) < 500


def test_one_broken_file_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_bytes(GOOD)
    (tmp_path / "odd.csv").write_bytes(b"time;value\n")
    with pytest.raises(ConfigError, match=r"odd\.csv"):
        Files(str(tmp_path)).metrics(())


@pytest.mark.parametrize("data", [b"", b"\n\n", b"time,value\n", b"time,value", b"time,value\n2026-11-22,\n"])
def test_files_without_points_hold_nothing(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(data)
    with pytest.raises(ConfigError, match="hold no points"):
        Files(str(tmp_path)).metrics(())
    (tmp_path / "b.csv").write_bytes(GOOD)
    assert len(Files(str(tmp_path)).metrics(())) == 1


@pytest.mark.parametrize("place", ["none", "none.csv", "gs://", "s3://bucket", ""])
def test_an_input_that_is_not_there(tmp_path: Path, place: str) -> None:
    url = place if "://" in place or not place else str(tmp_path / place)
    with pytest.raises(ConfigError):
        Files(url).metrics(())


def test_a_folder_without_data_says_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"no file that ends in \.csv, \.csv\.gz, \.parquet"):
        Files(str(tmp_path)).metrics(())


@pytest.mark.parametrize(
    "text",
    [
        "\ufefftime,value\n2026-11-22,1\n",
        "time,value\r\n2026-11-22,1\r\n\r\n",
        '"time","value"\n"2026-11-22","1"\n',
        " time , value \n2026-11-22,1\n",
        "\n\ntime,value\n2026-11-22,1",
    ],
)
def test_what_spreadsheets_write_is_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_bytes(text.encode())
    files = Files(str(tmp_path / "a.csv"))
    frame = files.read(files.metrics(())[0], DAY, DAY + timedelta(minutes=5))
    assert frame.values.tolist() == [[1]]
    assert frame.labels[0]["metric.labels.series"] == "a"


def test_labels_are_only_text(tmp_path: Path) -> None:
    odd = ["<script>alert(1)</script>", "=cmd|' /C calc'!A0", "../../etc/passwd", "a\nb", "ü\u202e", "NaN", "null"]
    cells = "".join('2026-11-22,1,"{}"\n'.format(label.replace('"', '""')) for label in odd)
    (tmp_path / "a.csv").write_text("time,value,vm\n" + cells)
    files = Files(str(tmp_path / "a.csv"))
    frame = files.read(files.metrics(())[0], DAY, DAY + timedelta(minutes=5))
    assert [labels["metric.labels.vm"] for labels in frame.labels] == sorted(odd)


def test_odd_metric_names_have_safe_slugs(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("time,value,metric\n2026-11-22,1,../../x\n2026-11-22,1,<b>\n")
    names = [query.name for query in Files(str(tmp_path / "a.csv")).metrics(())]
    assert len(set(names)) == 2
    assert not any("/" in name or name.startswith(".") for name in names)
    (tmp_path / "a.csv").write_text('time,value,metric\n2026-11-22,1,"a\nb"\n')
    with pytest.raises(ConfigError, match="not printable"):
        Files(str(tmp_path / "a.csv")).metrics(())


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "LIMIT", 1_000_000)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(GOOD + b"\n" * 2_000_000))
    with pytest.raises(ConfigError, match="unpacks to more than 1000000 bytes"):
        Files(str(tmp_path)).metrics(())
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(GOOD) * 100_000)
    with pytest.raises(ConfigError, match=r"has \d+ bytes; files are read up to 1000000"):
        Files(str(tmp_path)).metrics(())


def test_what_a_bomb_would_unpack_to_takes_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "LIMIT", 1_000_000)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(bytes(50_000_000)))
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError, match="unpacks to more than"):
            Files(str(tmp_path)).metrics(())
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_what_is_too_large_is_not_held_to_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "LIMIT", 1_000_000)
    with (tmp_path / "a.csv").open("wb") as file:
        file.truncate(50_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError, match="has 50000000 bytes"):
            Files(str(tmp_path)).metrics(())
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_a_broken_archive_is_named(tmp_path: Path) -> None:
    packed = gzip.compress(GOOD * 100)
    for data in [packed[:-20], packed[:5], packed[:30] + b"\0\0\0" + packed[33:]]:
        (tmp_path / "a.csv.gz").write_bytes(data)
        with pytest.raises(ConfigError, match=r"a\.csv\.gz is a broken gzip file"):
            Files(str(tmp_path)).metrics(())


def test_broken_parquet_is_named(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    file = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"time": ["2026-11-22"] * 100, "value": [1.0] * 100}), file)
    whole = file.read_bytes()
    for data in [b"PAR1", whole[:50], whole[-100:], whole[:20] + bytes(40) + whole[60:]]:
        file.write_bytes(data)
        with pytest.raises(ConfigError, match=r"a\.parquet"):
            Files(str(tmp_path)).metrics(())


@pytest.mark.parametrize("column", ["value", "time", "vm"])
def test_parquet_of_odd_types_is_named(tmp_path: Path, column: str) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    columns = {"time": ["2026-11-22"], "value": [1.0], "vm": ["a"]} | {column: [[{"x": 1}]]}
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match=rf"a\.parquet, column '{column}'"):
        Files(str(tmp_path)).metrics(())


def test_parquet_with_too_many_rows_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    monkeypatch.setattr(content, "LIMIT", 100_000)
    parquet.write_table(pa.table({"time": ["2026-11-22"] * 10_000, "value": [1.0] * 10_000}), tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match="unpacks to 160000 bytes"):
        Files(str(tmp_path)).metrics(())


def test_a_column_that_is_no_label_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "SERIES", 10)
    rows = "".join(f"2026-11-22,1,vm{i % 3},{i}\n" for i in range(20))
    (tmp_path / "a.csv").write_text("time,value,vm,request\n" + rows)
    with pytest.raises(ConfigError, match=r"20 series; 10 are the most\. Is 'request' a label"):
        Files(str(tmp_path)).metrics(())


def test_rows_that_are_numbered_are_no_series(tmp_path: Path) -> None:
    rows = "".join(f"2026-11-{1 + i // 24:02}T{i % 24:02}:00Z,web,{i},{i}\n" for i in range(200))
    (tmp_path / "a.csv").write_text("time,vm,id,value\n" + rows)
    with pytest.raises(ConfigError, match=r"each of the 200 series of '.*' has one point; is 'id' a label\? Leave it"):
        Files(str(tmp_path)).metrics(())
    fleet = "".join(f"2026-11-22T00:00:{i % 60:02}Z,vm-{i},{i}\n" for i in range(200))  # one moment of many machines
    (tmp_path / "a.csv").write_text("time,vm,value\n" + fleet)
    assert Files(str(tmp_path)).metrics(())


def test_the_row_numbers_of_a_frame_are_neither_label_nor_series(tmp_path: Path) -> None:
    import pandas as pd

    hours = pd.date_range("2026-11-22", periods=4, freq="1h", tz="UTC")
    long = pd.DataFrame({"time": hours, "vm": ["a", "b"] * 2, "value": [1.0, 2.0, 3.0, 4.0]}, index=[3, 1, 4, 5])
    for frame in (long, long.drop(columns="vm").rename(columns={"value": "a"})):
        frame.to_parquet(tmp_path / "a.parquet")
        files = Files(str(tmp_path), step=timedelta(hours=2))
        query = files.metrics(())[0]
        labels = files.read(query, DAY, DAY + timedelta(days=1)).labels
        assert [set(each.values()) for each in labels] == [{"file", name} for name in ("a", "b")[: frame.shape[1] - 1]]


def test_the_time_that_wide_files_take_is_that_of_their_cells(tmp_path: Path) -> None:
    names = [str(i) for i in range(20_000)]
    (tmp_path / "a.csv").write_text(",".join(["time", *names]) + "\n2026-11-22" + ",1" * len(names) + "\n")
    began = time.process_time()
    assert Files(str(tmp_path)).metrics(())
    assert time.process_time() - began < 10  # looking each name up among all took 25


def test_links_out_of_the_input_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_bytes(GOOD)
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(ConfigError, match="holds no file"):
        Files(str(tmp_path / "in")).metrics(())


def test_a_metric_has_one_unit(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("time,value,unit\n2026-11-22,1,By\n2026-11-23,1,bit\n")
    with pytest.raises(ConfigError, match="several units, By, bit"):
        Files(str(tmp_path)).metrics(())
