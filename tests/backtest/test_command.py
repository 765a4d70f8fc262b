"""netanomaly backtest as people and pipelines start it: on a folder of a few hourly series."""

import csv
import io
import json
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from job.cli import cli
from job.errors import ConfigError
from tests.job.command import netanomaly

START = datetime(2026, 10, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
ASKED = ("backtest", "--source", "files", "--input", "in", "--step", "1h", "--compare", "none", "--detectors", "zscore")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four weeks of two noisy series, one of which triples for three hours on the 20th, and one that is never there."""
    place = tmp_path_factory.mktemp("backtest")
    rng = np.random.default_rng(4)
    rows = ["timestamp,metric,name,value"]
    for name in ("web-1", "web-2", "idle"):
        values = np.zeros(28 * 24) if name == "idle" else 1000 + 20 * rng.standard_normal(28 * 24)
        if name == "web-1":
            values[19 * 24 : 19 * 24 + 3] *= 3
        rows += [f"{START + n * HOUR:%Y-%m-%dT%H:%M:%SZ},net,{name},{value:.2f}" for n, value in enumerate(values)]
    (place / "in").mkdir()
    (place / "in" / "all.csv").write_text("\n".join(rows) + "\n")
    return place


@pytest.fixture
def ask(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """The command, in this process: its exit status, and what it printed on each stream."""
    monkeypatch.chdir(folder)

    def ask(*words: str) -> tuple[int, str, str]:
        status = cli.main([*ASKED, *words], standalone_mode=False)
        return status, *capsys.readouterr()

    return ask


def document(ask: Any, *words: str) -> dict[str, Any]:
    status, out, _ = ask("--format", "json", *words)
    assert status == 0
    told: dict[str, Any] = json.loads(out)
    return told


def test_the_installed_command_says_what_it_replayed_and_writes_nothing(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    done = netanomaly(*ASKED, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    first, *_ = done.stdout.splitlines()
    assert first == (
        "replayed 3 series (2,016 points) of files, 2026-10-01T00:00:00Z to 2026-10-29T00:00:00Z, step 1h, "
        "day by day as the job judges it"
    )
    for words in ("false alarms a series-week", "zscore", "shift", "in usual deviations", "smallest caught", "web-1"):
        assert words in done.stdout
    assert sorted(folder.rglob("*")) == before


def test_the_same_seed_prints_the_same_bytes_and_another_one_other_places(ask: Any) -> None:
    once = ask("--format", "json", "--seed", "3")
    assert ask("--format", "json", "--seed", "3") == once
    assert ask("--format", "json", "--seed", "4") != once


def test_what_it_finds(ask: Any) -> None:
    told = document(ask)
    (one,) = told["contestants"]
    cells = {(cell["kind"], cell["size"]): cell for cell in one["by_size"]}
    assert cells["spike", 10]["recall"] == cells["shift", 10]["recall"] == cells["zero", None]["recall"] == 1
    assert cells["spike", 1.2]["recall"] == 0  # the policy tells from 20 % on
    assert cells["spike", 2]["deviations"] == pytest.approx(50, rel=0.2)
    assert cells["shift", 10]["delay_median"] == 3600
    assert one["series_weeks"] == pytest.approx(3 * (28 - 1.5) / 7, rel=0.05)
    assert one["false_alarms"] == 2, "what nobody labelled counts as false: two times an hour's cool-down of two"
    assert told["injected"]["skipped"]["at zero"] > 0
    assert [series["series"] for series in told["series"]] == ["idle", "web-1", "web-2"]


def test_labels_turn_it_into_precision_and_recall(ask: Any, folder: Path) -> None:
    (folder / "known.csv").write_text(
        "series,start,end\nweb-1,2026-10-20T00:00:00Z,2026-10-20T03:00:00Z\nname=web-2,2026-10-25,2026-10-26\n"
    )
    (one,) = document(ask, "--labels", "known.csv", "--replays", "0")["contestants"]
    assert one["labelled"] == {
        "windows": 2,
        "caught": 1,
        "false_alarms": 0,
        "precision": 1.0,
        "recall": 0.5,
        "f1": 0.6667,
    }
    assert (one["incidents"], one["false_alarms"]) == (0, 0)
    assert ask("--labels", "known.csv", "--replays", "0", "--min-f1", "0.6")[0] == 0
    status, _, said = ask("--labels", "known.csv", "--replays", "0", "--min-f1", "0.7")
    assert (status, said) == (
        1,
        "demand not met: F1 of the labelled windows is 0.667; at least 0.7 was demanded of zscore\n",
    )


def test_demands_set_the_exit_status(ask: Any) -> None:
    assert ask("--min-recall", "0.5", "--max-false-alarms", "1")[0] == 0
    status, _, said = ask("--min-recall", "1", "--at-size", "1.2", "--max-false-alarms", "0")
    assert status == 1
    assert [line.partition(" is ")[0] for line in said.splitlines()] == [
        "demand not met: recall of incidents of 1.2x or more and of outages",
        "demand not met: false alarms a week and series",
    ]


def test_csv_has_a_row_for_each_kind_and_size(ask: Any) -> None:
    _, out, _ = ask("--format", "csv", "--sizes", "2,5", "--kinds", "spike,zero")
    rows = [(row["kind"], row["size"]) for row in csv.DictReader(io.StringIO(out))]
    assert rows == [("spike", "2.0"), ("spike", "5.0"), ("zero", "")]


def test_contestants_are_those_named_beside_the_configured(ask: Any) -> None:
    told = document(ask, "--compare", "zscore,ewma,ewma+zscore", "--sizes", "3", "--hours", "240")
    assert [one["detectors"] for one in told["contestants"]] == ["zscore", "ewma", "ewma+zscore"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--sizes", "2,0.5"), "--sizes '2,0.5': a size is how many times the usual, more than 1"),
        (("--sizes", "-2"), "more than 1"),
        (("--sizes", "nan"), "more than 1"),
        (("--sizes", "large"), "--sizes 'large' is no list of numbers"),
        (("--kinds", "surge"), "--kinds: no kind 'surge'; there are: spike, drop, shift, ramp, zero, absent"),
        (("--spacing", "soon"), "--spacing: 'soon' is not a duration"),
        (("--warm-up", "900d"), "--warm-up 900d: give 0s to 366d"),
        (("--min-recall", "0.5", "--at-size", "20"), "--at-size 20 is larger than every one of --sizes"),
        (("--min-f1", "0.5"), "--min-f1 needs windows to judge by; give them with --labels FILE"),
        (("--compare", "ewm"), "no detector 'ewm'; there are: "),
        (("--labels", "wrong.csv"), "wrong.csv has the columns 'a'"),
        (("--labels", "late.csv"), "late.csv, row 2: .* lies outside what is replayed"),
        (("--labels", "whose.csv"), "whose.csv, row 2: no series 'db-1'; there are 3, such as"),
        (("--labels", "none.csv"), "none.csv"),
        (("--plot", "no/such/place.html"), "--plot no/such/place.html: there is no such folder"),
        (("--plot", "in"), "--plot in: Is a directory; name a file"),
        (
            ("--from", "2026-01-01", "--to", "2026-01-05"),
            "no point from 2026-01-01T.* to 2026-01-05T.*; move --from",
        ),
    ],
)
def test_what_is_wrong_is_named_with_the_rule_and_the_way_out(
    ask: Any, folder: Path, words: tuple[str, ...], said: str
) -> None:
    (folder / "wrong.csv").write_text("a\n")
    (folder / "late.csv").write_text("series,start,end\nweb-1,2027-01-01,2027-01-02\n")
    (folder / "whose.csv").write_text("series,start,end\ndb-1,2026-10-20,2026-10-21\n")
    with pytest.raises(ConfigError, match=said):
        ask(*words)


def test_the_plot_is_a_page_that_asks_nobody(ask: Any, folder: Path) -> None:
    words = ("--compare", "ewma", "--sizes", "3,10", "--hours", "300", "--plot")
    assert ask(*words, "plot.html")[0] == ask(*words, "again.html")[0] == 0
    page = (folder / "plot.html").read_text()
    assert page == (folder / "again.html").read_text()
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", page.split('id="data"')[0])
    assert '<th scope="row">zscore</th>' in page


@pytest.mark.skipif(not BROWSER, reason="no Chromium (Debian: chromium)")
def test_the_plot_draws_in_a_browser(ask: Any, folder: Path) -> None:
    ask("--compare", "ewma", "--sizes", "3,10", "--hours", "300", "--plot", "drawn.html")
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--virtual-time-budget=9000")
    words = [str(BROWSER), *flags, "--dump-dom", (folder / "drawn.html").as_uri()]
    shown = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True).stdout
    assert re.findall(r"<figcaption>(\w+) of", shown) == ["spike", "drop", "shift", "ramp"]
    assert shown.count("bk-Figure") >= 4
    assert re.findall(r"</svg>(\w+)</li>", shown) == ["zscore", "ewma"]


def test_made_up_traffic_brings_its_own_answers(ask: Any) -> None:
    words = ("--source", "synthetic", "--input", "", "--hours", "120", "--metrics", "vm", "--replays", "0")
    (one,) = document(ask, *words)["contestants"]
    assert one["labelled"]["windows"] > 5
    assert one["labelled"]["caught"] > 0
