"""Values, times and grids: what a frame holds of what a file says."""

import math
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from detectors import Frame
from job.errors import ConfigError
from job.sources.files import Files, Kind, Stamp
from tests.files.plain import gridded, utc

DAY = datetime(2026, 11, 22, tzinfo=UTC)
M = timedelta(minutes=1)
NAN = math.nan


def frame(files: Files, width: int, step: timedelta = 5 * M, start: datetime = DAY) -> Frame:
    (query,) = Files(files.input, files.kind, files.unit, files.stamp, step).metrics(())
    return files.read(query, start, start + width * step)


def one(path: Path, text: str, width: int, kind: Kind = "gauge", stamp: Stamp = "start") -> list[float]:
    file = path / "a.csv"
    file.write_text(text)
    read = frame(Files(str(file), kind, stamp=stamp), width)
    assert len(read.labels) == 1
    values: list[float] = read.values[0].tolist()
    return values


def rows(*pairs: tuple[float, object]) -> str:
    return "time,value\n" + "".join(f"{(DAY + minutes * M).isoformat()},{value}\n" for minutes, value in pairs)


def test_points_of_one_column_are_averaged(tmp_path: Path) -> None:
    text = rows((0, 1), (1, 2), (4.99, 6), (5, 7), (15, 8))
    np.testing.assert_array_equal(one(tmp_path, text, 4), [3, 7, NAN, 8])


def test_amounts_are_added_and_become_rates(tmp_path: Path) -> None:
    text = rows(*((minute, 30) for minute in range(5)), (5, 60), (6, 60), (7, 60))
    np.testing.assert_array_equal(one(tmp_path, text, 3, "delta"), [0.5, 0.6, NAN])


def test_a_stamp_at_the_end_belongs_to_what_came_before(tmp_path: Path) -> None:
    text = rows((5, 1), (10, 2), (15, 3))
    np.testing.assert_array_equal(one(tmp_path, text, 3, "gauge", "start"), [NAN, 1, 2])
    np.testing.assert_array_equal(one(tmp_path, text, 3, "gauge", "end"), [1, 2, 3])
    np.testing.assert_array_equal(one(tmp_path, text, 3, "delta", "end"), [1 / 300, 2 / 300, 3 / 300])


def test_a_counter_is_differenced(tmp_path: Path) -> None:
    text = rows((0, 1000), (5, 1300), (10, 1900), (15, 1900), (20, 2200))
    np.testing.assert_array_equal(one(tmp_path, text, 5, "cumulative"), [1, 2, 0, 1, NAN])


def test_a_counter_that_falls_began_again(tmp_path: Path) -> None:
    text = rows((0, 1000), (5, 1300), (10, 600), (15, 900))
    np.testing.assert_array_equal(one(tmp_path, text, 3, "cumulative"), [1, 2, 1])


def test_a_counter_says_nothing_of_a_gap(tmp_path: Path) -> None:
    text = rows((0, 0), (5, 300), (10, 600), (40, 2400), (45, 2700))
    np.testing.assert_array_equal(one(tmp_path, text, 9, "cumulative"), [1, 1, NAN, NAN, NAN, NAN, NAN, NAN, 1])


def test_a_reading_that_is_missing_makes_no_spike(tmp_path: Path) -> None:
    text = rows((0, 0), (5, 300), (15, 900), (20, 1200))
    np.testing.assert_array_equal(one(tmp_path, text, 4, "cumulative"), [1, 1, NAN, 1])


@pytest.mark.parametrize("kind", ["gauge", "delta", "cumulative"])
@pytest.mark.parametrize("stamp", ["start", "end"])
def test_the_grid_is_that_of_plain_loops(tmp_path: Path, kind: Kind, stamp: Stamp) -> None:
    rng = random.Random(f"{kind} {stamp}")
    start, step, width = DAY.timestamp(), 300, 40
    for case in range(20):
        times = sorted(rng.sample(range(-2000, 14000, rng.choice([10, 60, 100])), 60))
        points = [(start + t, rng.choice([rng.uniform(0, 1e6), 0.0, NAN, 1e9])) for t in times]
        points += rng.sample(points, 5)
        rng.shuffle(points)
        file = tmp_path / f"{case}.csv"
        file.write_text("ts,value\n" + "".join(f"{int(t)},{v!r}\n" for t, v in points))
        read = frame(Files(str(file), kind, stamp=stamp), width)
        np.testing.assert_allclose(read.values[0], gridded(points, kind, stamp, start, step, width), rtol=1e-9)


@pytest.mark.parametrize("kind", ["gauge", "delta", "cumulative"])
def test_a_read_in_pieces_is_the_read_of_the_whole(tmp_path: Path, kind: Kind) -> None:
    rng = random.Random(7)
    text = "ts,value,vm\n"
    for minute in range(120):
        text += "".join(
            f"{int((DAY + minute * M).timestamp())},{rng.random()},{vm}\n" for vm in "abc" if rng.random() > 0.1
        )
    (tmp_path / "a.csv").write_text(text)
    files = Files(str(tmp_path / "a.csv"), kind)
    whole = frame(files, 24)
    pieces = [frame(files, 8, start=DAY + n * 40 * M).values for n in range(3)]
    np.testing.assert_array_equal(whole.values, np.hstack(pieces))


def test_the_later_of_two_rows_of_one_time_is_kept(tmp_path: Path) -> None:
    np.testing.assert_array_equal(one(tmp_path, rows((0, 1), (5, 2), (0, 3)), 2), [3, 2])
    np.testing.assert_array_equal(one(tmp_path, rows((0, 1), (5, 2), (0, "")), 2), [NAN, 2])


def test_rows_need_no_order(tmp_path: Path) -> None:
    np.testing.assert_array_equal(one(tmp_path, rows((10, 3), (0, 1), (5, 2)), 3), [1, 2, 3])


@pytest.mark.parametrize("value", ["", "NaN", "nan", "null", "NA", "N/A", "None", "-", "inf", "-inf", "1e999", '""'])
def test_what_is_no_number_is_no_point(tmp_path: Path, value: str) -> None:
    np.testing.assert_array_equal(one(tmp_path, rows((0, 1), (5, value), (10, 3)), 3), [1, NAN, 3])


@pytest.mark.parametrize(("value", "number"), [("1e3", 1000), (" 7 ", 7), ("-0.5", -0.5), ("+2", 2), ('"3"', 3)])
def test_numbers_as_people_write_them(tmp_path: Path, value: str, number: float) -> None:
    assert one(tmp_path, rows((0, value), (5, 0)), 1) == [number]


TIMES = {
    "2026-11-22T00:05:00Z": 5,
    "2026-11-22T00:05:00": 5,
    "2026-11-22 00:05": 5,
    "2026-11-22 00:05:00 UTC": 5,
    "2026-11-22T01:05:00.123456789+01:00": 5,
    "2026-11-22": 0,
    "1795306200": 10,
    "1795306200.25": 10,
    "1795306200000": 10,
    "1795306200000000": 10,
    "1795306200000000000": 10,
}


@pytest.mark.parametrize(("word", "minute"), TIMES.items())
@pytest.mark.parametrize("name", ["timestamp", "TIME", "ts", "datetime", "start"])
def test_times_as_programs_write_them(tmp_path: Path, word: str, minute: int, name: str) -> None:
    file = tmp_path / "a.csv"
    file.write_text(f"{name},value\n{word},7\n")
    read = frame(Files(str(file)), 3)
    assert read.column(DAY + minute * M) == read.values[0].tolist().index(7)


def test_times_of_several_zones_in_one_file(tmp_path: Path) -> None:
    text = "time,value\n2026-11-22T00:00:00Z,1\n2026-11-22T01:05:00+01:00,2\n2026-11-22 00:10:00,3\n"
    assert one(tmp_path, text, 3) == [1, 2, 3]


NO_TIMES = ["yesterday", "", "22/11/2026", "2026-13-01", "1e30", "99999999999999999999", "-5000000000", "9999-01-01"]
NO_TIMES += ["0001-01-01", "NaN", "inf", "20261122"]


@pytest.mark.parametrize("word", NO_TIMES)
def test_what_is_no_time_is_named(tmp_path: Path, word: str) -> None:
    with pytest.raises(ConfigError, match=r"a\.csv.*'time'"):
        one(tmp_path, f"time,value\n2026-11-22,1\n{word},2\n", 1)


def test_garbage_is_named_with_its_file_and_row(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a\.csv, row 3, column 'value': '12 MB' is no number"):
        one(tmp_path, rows((0, 1), (5, "12 MB")), 1)
    with pytest.raises(ConfigError, match=r"a\.csv, column 'time', row 3: 'noon' is no time"):
        one(tmp_path, "time,value\n2026-11-22,1\nnoon,2\n", 1)


def test_a_step_shorter_than_the_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(rows((0, 1), (60, 2), (120, 3)))
    with pytest.raises(ConfigError, match="a has a point every 1h, the step is 5m; use --step 1h"):
        frame(Files(str(tmp_path / "a.csv")), 3)
    assert frame(Files(str(tmp_path / "a.csv")), 3, timedelta(hours=1)).values.tolist() == [[1, 2, 3]]


def test_points_too_rare_for_any_step_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(rows((0, 1), (60 * 24 * 7, 2)))
    with pytest.raises(ConfigError, match=r"every 7d.*cannot be judged"):
        frame(Files(str(tmp_path / "a.csv")), 3)


@pytest.mark.parametrize(("kind", "rate"), [("gauge", 7.0), ("delta", 7 / 3600)])
def test_a_sparse_series_does_not_break_the_others(tmp_path: Path, kind: Kind, rate: float) -> None:
    text = "ts,value,vm\n"
    for minute in range(120):
        at = int((DAY + minute * M).timestamp())
        text += f"{at},3,a\n{at},3,b\n" + (f"{at},7,rare\n" if minute % 60 == 0 else "")
    (tmp_path / "a.csv").write_text(text)
    read = frame(Files(str(tmp_path / "a.csv"), kind), 24)
    assert read.values[2, 0] == rate
    assert np.count_nonzero(np.isfinite(read.values[2])) == 2
    assert np.isfinite(read.values[:2]).all()


def test_blank_rows_tell_how_often_points_come(tmp_path: Path) -> None:
    text = rows((0, 1), (5, ""), (10, 2), (15, ""), (20, 3))
    np.testing.assert_array_equal(one(tmp_path, text, 5), [1, NAN, 2, NAN, 3])


def test_what_is_no_measurement_is_no_point(tmp_path: Path) -> None:
    values = {"a": 1e308, "b": 1, "c": -1e101, "d": "inf"}
    text = "ts,value,vm\n" + "".join(
        f"{int(DAY.timestamp()) + s},{v},{vm}\n" for s in (0, 60) for vm, v in values.items()
    )
    (tmp_path / "a.csv").write_text(text)
    assert frame(Files(str(tmp_path / "a.csv")), 1).values.tolist() == [[1]]


def test_now_is_the_end_of_the_last_point(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(rows((0, 1), (5, 2), (10, 3)))
    clock = utc(0)
    assert Files(str(tmp_path / "a.csv")).now(clock) == DAY + 15 * M
    assert Files(str(tmp_path / "a.csv"), stamp="end").now(clock) == DAY + 10 * M
    assert Files(str(tmp_path / "a.csv"), "cumulative").now(clock) == DAY + 10 * M


@pytest.mark.parametrize(("kind", "unit"), [("gauge", "By"), ("delta", "By/s"), ("cumulative", "By/s")])
def test_the_unit_is_that_of_what_is_read(tmp_path: Path, kind: Kind, unit: str) -> None:
    (tmp_path / "a.csv").write_text(rows((0, 1), (5, 2)))
    files = Files(str(tmp_path / "a.csv"), kind, "By")
    (query,) = files.metrics(())
    assert files.describe(query).unit == unit
    assert files.describe(query).settle == timedelta(0)
