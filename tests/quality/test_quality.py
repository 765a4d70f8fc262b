"""The table of quality: what it reads, that nobody sees the future, and that it counts what it says."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import quality
from benchmarks.labelled import outcome, read
from benchmarks.others import OTHERS, Method
from job.backtest.events import EventScore

START = datetime(2026, 9, 7, tzinfo=UTC)
DAYS = 40
HOUR = timedelta(hours=1)

NEEDS = {"Holt-Winters": "statsmodels", "isolation": "sklearn"}


def values(seed: int) -> NDArray[np.float64]:
    """Hourly traffic with a wave a day and one flood."""
    time = np.arange(DAYS * 24)
    made = 1e6 * (2 + np.sin(2 * np.pi * time / 24)) * np.random.default_rng(seed).normal(1, 0.03, len(time))
    made[-100:-97] *= 6
    return np.asarray(made)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two labelled series and one that nobody labelled."""
    (tmp_path / "made").mkdir()
    for seed in range(3):
        lines = [f"{(START + i * HOUR):%FT%TZ},{value!r}" for i, value in enumerate(values(seed).tolist())]
        (tmp_path / "made" / f"s{seed}.csv").write_text("timestamp,value\n" + "\n".join(lines))
    flood = [f"{START + (DAYS * 24 - n) * HOUR:%FT%TZ}" for n in (100, 98)]
    early = [f"{START:%FT%TZ}", f"{START + HOUR:%FT%TZ}"]
    labels = {"s0": {"windows": [early, flood]}, "s1": {"windows": [], "ignore": [flood], "group": "m"}}
    (tmp_path / "labels.json").write_text(json.dumps({"made": labels}))
    return tmp_path


def test_the_table_counts_events_and_bolds_the_best(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert quality.main([str(folder), "--rounds", "20"]) == 0
    head, _, first, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith("| event F1 at its own cut | made | mean | recall | false alarms | delay |")
    cells = [cell.strip() for cell in first.split("|")[1:-1]]
    assert (cells[0], cells[3], cells[5]) == ("netanomaly, **the default**", "**1.00**", "**0**"), "the flood, at once"
    assert len(rows) > 6
    assert rows[-1].startswith("2 series, 1 events, ")
    assert "| made | 1 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 0 |  | 0.10 | 0.10 |" in rows


def test_what_is_not_judged_counts_neither_way(folder: Path) -> None:
    labelled, ignored = read(str(folder), folder / "labels.json")
    assert (len(labelled.events), len(labelled.windows), labelled.group, ignored.group) == (2, 1, "made/s0", "made/m")
    everything = np.ones(DAYS * 24, dtype=bool)
    assert outcome(labelled, everything).caught == 1
    flood = np.zeros(DAYS * 24, dtype=bool)
    flood[-100:-97] = True
    assert outcome(ignored, flood).false_alarms == 0
    assert outcome(ignored, ~flood).false_alarms > 300
    assert labelled.weeks == pytest.approx(DAYS * 0.9 / 7, rel=0.01)


def test_an_empty_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "labels.json").write_text("{}")
    (tmp_path / "a.csv").write_text("timestamp,value\n2026-01-01T00:00:00Z,1\n")
    with pytest.raises(SystemExit):
        quality.main([str(tmp_path)])
    assert "no series in" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "method"), OTHERS.items())
def test_nobody_sees_the_future_and_everybody_sees_the_flood(name: str, method: Method) -> None:
    if any(name.startswith(one) and not find_spec(needed) for one, needed in NEEDS.items()):
        pytest.skip("a package of the extra `quality` is not installed")
    whole = method(values(0), 24, 10 * 24)
    assert whole[-100]
    for cut in (11 * 24, 25 * 24 + 7, len(whole) - 99):
        np.testing.assert_array_equal(method(values(0)[:cut], 24, 10 * 24), whole[:cut])


def test_a_lead_is_told_apart_only_outside_of_chance(folder: Path) -> None:
    every = list(read(str(folder), folder / "labels.json")) * 8
    every = [replace(series, group=f"{n}") for n, series in enumerate(every)]

    def scores(caught: Sequence[bool]) -> list[EventScore]:
        return [EventScore((0.0 if hit else None,)) for hit in caught]

    good, bad = scores([True] * 16), scores([False] * 16)
    assert quality.difference(every, good, bad, 200) == (1.0, 1.0, 1.0)
    mean, low, high = quality.difference(every, scores([True, False] * 8), scores([False, True] * 8), 200)
    assert low < mean == 0 < high


def test_a_muted_event_has_taught_nothing_and_is_still_told_itself(tmp_path: Path) -> None:
    made, floods = values(0), [DAYS * 24 - n for n in (340, 270, 196, 130, 53)]
    for first in floods:
        made[first : first + 3] *= 2
    lines = [f"{(START + i * HOUR):%FT%TZ},{value!r}" for i, value in enumerate(made.tolist())]
    (tmp_path / "s.csv").write_text("timestamp,value\n" + "\n".join(lines))
    windows = [[f"{START + (first + n) * HOUR:%FT%TZ}" for n in (0, 2)] for first in floods]
    since = f"{START + (DAYS * 24 - 100) * HOUR:%FT%TZ}"  # what came before is no less muted for not being judged
    (tmp_path / "labels.json").write_text(json.dumps({"": {"s": {"windows": windows, "eval_from": since}}}))
    (series,) = read(str(tmp_path), tmp_path / "labels.json")
    methods = quality.methods()
    plain, muted = (outcome(series, methods[name](series)) for name in (quality.DEFAULT, quality.MUTED))
    assert plain.caught < muted.caught == 1
