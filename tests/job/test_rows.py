"""netanomaly score: rows in, as many rows out, by the code that the job runs."""

import csv
from pathlib import Path

import numpy as np
import pytest

from job.commands.score import score
from job.config import Settings
from job.errors import ConfigError

SETTINGS = Settings(detectors=("zscore",))
START = 1_780_000_000 // 300 * 300


def series(days: float = 3) -> list[tuple[int, float]]:
    rng = np.random.default_rng(3)
    values = 1000 + 10 * rng.standard_normal(int(days * 288))
    values[-50:-44] = 2000
    return [(START + 300 * n, float(value)) for n, value in enumerate(values)]


def scored(folder: Path, rows: list[tuple[int, float]], name: str = "net/web.csv") -> list[dict[str, str]]:
    path = folder / "in" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("timestamp,value\n" + "".join(f"{stamp},{value!r}\n" for stamp, value in rows))
    assert score(SETTINGS, str(folder / "in"), str(folder / "out"), None) == 0
    with (folder / "out" / name).open() as file:
        return list(csv.DictReader(file))


def test_each_row_has_its_score_and_the_incident_is_flagged(tmp_path: Path) -> None:
    rows = scored(tmp_path, series())
    assert [row["timestamp"] for row in rows[:2]] == ["2026-05-28T20:25:00Z", "2026-05-28T20:30:00Z"]
    assert len(rows) == 3 * 288
    assert [n for n, row in enumerate(rows) if row["is_anomaly"] == "1"] == list(range(864 - 50, 864 - 44))
    for row in rows[288:]:
        off = float(row["score"]) > 6
        assert off == (not float(row["lower"]) <= (2000 if off else 1000) <= float(row["upper"]))


def test_a_young_row_says_nothing(tmp_path: Path) -> None:
    first = scored(tmp_path, series())[0]
    assert (first["score"], first["is_anomaly"], first["expected"]) == ("", "0", "")


def test_a_value_that_is_no_measurement_says_nothing_and_teaches_nothing(tmp_path: Path) -> None:
    rows = series()
    answers, without = (
        scored(tmp_path / name, [*rows[:400], (rows[400][0], value), *rows[401:]])
        for name, value in (("a", 1.7e308), ("b", float("nan")))
    )
    assert answers == without
    assert answers[400]["score"] == ""


def test_duplicates_disorder_odd_seconds_and_blanks_are_answered_row_by_row(tmp_path: Path) -> None:
    rows = series()
    odd = [(rows[0][0], rows[0][1]), *rows[::-1], (START + 301, float("nan"))]
    answers = scored(tmp_path, odd)
    assert len(answers) == len(odd)
    assert answers[0]["timestamp"] == answers[-2]["timestamp"] == "2026-05-28T20:25:00Z"
    assert answers[-1]["timestamp"] == "2026-05-28T20:30:01Z"
    straight = scored(tmp_path / "b", rows)
    assert [row["score"] for row in answers[1:-1][::-1]] == [row["score"] for row in straight]


def test_rows_that_come_later_change_nothing(tmp_path: Path) -> None:
    rows = series()
    whole = scored(tmp_path / "a", rows)
    for cut in (400, 816, 817):
        assert scored(tmp_path / f"b{cut}", rows[:cut]) == whole[:cut]


def test_a_manifest_tells_the_step(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "manifest.json").write_text('{"net": {"web": {"step_seconds": 600}}}')
    rows = [row["score"] for row in scored(tmp_path, series())]
    assert len(set(rows[401:])) <= len(rows[401:]) // 2 + 2, "two rows of five minutes share a column of ten"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("timestamp,a,b\n2026-01-01,1,2\n", "just a time and a value"),
        ("timestamp,value\n1980-01-01,1\n2026-01-01,1\n2026-01-01T00:01:00,1\n2026-01-01T00:02:00,1\n", "--step"),
    ],
)
def test_what_is_no_series_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(ConfigError, match=said) as told:
        score(SETTINGS, str(tmp_path), str(tmp_path / "out"), None)
    assert "x.csv" in str(told.value)
