import csv
import io
import json
import re
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from job import report
from job.anomaly import lines
from job.incident import Incident, group
from job.listing import Wanted, as_csv, as_json, as_markdown, severity, table
from job.log import json_lines
from job.mutes import Mutes
from job.publish import Telling, one_day
from job.store.folder import Folder
from tests.incidents.events import event
from tests.job.command import SCRIPT, environment, netanomaly
from tests.page.findings import DAY, HOSTILE

ODD = "[\u202a-\u202e\u2066-\u2069\x1b\x07\x80-\x9f\u2028]"


def incidents(name: str = "web-1", **given: object) -> list[Incident]:
    return group([event("in bytes", 5000, 1000, name, **given)])


def drawn(every: list[Incident], width: int = 160) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(table(every, width))
    return out.getvalue()


def test_the_table_says_how_bad_since_when_what_and_where() -> None:
    for words in ("72 high", "11-22 03:10", "30m", "volumetric surge", "web-1 (europe-west1-b)", "7.2 MB more"):
        assert words in drawn(incidents())


@pytest.mark.parametrize(("width", "lines"), [(100, 3), (80, 4), (60, 4)])
def test_a_narrow_terminal_still_says_where_and_since_when(width: int, lines: int) -> None:
    text = drawn(incidents("frontend-1"), width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert len(text.splitlines()) <= lines
    for word in ("frontend-1", "11-2203:10", "72high", "volumetric"):
        assert word in text.replace(" ", "")


def test_a_long_nature_is_parted_at_its_hyphen() -> None:
    (one,) = incidents()
    text = drawn([one.model_copy(update={"nature": "exfiltration-like"})], 80)
    assert "exfiltration- " in text
    assert "exfiltration-like" in drawn([one.model_copy(update={"nature": "exfiltration-like"})], 100)


def test_who_reads_only_the_first_line_is_no_failure(tmp_path: Path) -> None:
    """A pipe that is closed early, as by `head`: the table is long enough that it notices."""
    many = [event("in bytes", 5000, 1000, f"host{n}x", zone=f"zone{n}") for n in range(1000)]
    Folder(tmp_path).put("anomalies/date=2026-11-22/metric=x/p.part-00.jsonl", lines(many))
    asked = [str(SCRIPT), "report", "--output", str(tmp_path)]
    with subprocess.Popen(asked, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert "severity" in child.stdout.readline()
        child.stdout.close()
        assert (child.stderr.read(), child.wait()) == ("", 0)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_labels_stay_words(name: str, tmp_path: Path) -> None:
    every = incidents(HOSTILE[name])
    shown = drawn(every)
    assert not re.search(ODD, shown)
    assert len(shown) < 5000
    some = [event("in bytes", 5000, 1000, HOSTILE[name])]
    for words in (as_json(every), as_csv(every), report.as_json(some), report.as_csv(some)):
        assert not re.search(ODD, words), "a terminal is where they are read, too"
    assert json.loads(report.as_json(some))[0]["labels"] == {"instance_name": HOSTILE[name]}
    assert json.loads(as_json(every))[0]["anomalies"] == list(every[0].anomalies)

    header, row = csv.reader(io.StringIO(as_csv(every), newline=""))
    assert len(header) == len(row)
    assert not [cell for cell in row if cell[:1] in {"=", "+", "-", "@", "\t", "\r"} and not cell[1:].isdigit()]

    item = as_markdown(every)
    assert item.count("\n") == 1
    assert "<script" not in item
    assert "<img" not in item

    logged = io.StringIO()
    store = Folder(tmp_path)
    store.put(
        "anomalies/date=2026-11-22/metric=x/p.part-00.jsonl", lines([event("in bytes", 5000, 1000, HOSTILE[name])])
    )
    one_day(Telling(store, json_lines(logged), Mutes()), DAY.date())
    assert not re.search(ODD, logged.getvalue())
    for line in logged.getvalue().splitlines():
        assert json.loads(line)["event"] in {"incident.opened", "incident.closed"}


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (Wanted(severity=72), 1),
        (Wanted(severity=73), 0),
        (Wanted(resource="WEB"), 1),
        (Wanted(resource="web-?"), 1),
        (Wanted(resource="web-??"), 0),
        (Wanted(resource="europe-west1-b"), 1),
        (Wanted(resource="db"), 0),
        (Wanted(nature="volumetric surge"), 1),
        (Wanted(nature="flood"), 0),
    ],
)
def test_only_what_is_wanted(wanted: Wanted, count: int) -> None:
    assert len(wanted.incidents(incidents())) == count


def test_a_severity_is_a_number_or_a_name() -> None:
    assert [severity(words) for words in ("0", "100", "critical")] == [0, 100, 85]
    for words in ("101", "-1", "worst", "²", ""):
        with pytest.raises(ValueError, match="no severity"):
            severity(words)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    found = [event("in bytes", 5000, 1000), event("out bytes", 5000, 1000)]
    Folder(folder).put("anomalies/date=2026-11-22/metric=x/p.part-00.jsonl", lines(found))
    return folder


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "volumetric surge"),
        (("--severity", "critical"), "no incidents"),
        (("--resource", "db"), "no incidents"),
        (("--format", "md"), "- **"),
        (("--format", "html"), "<!DOCTYPE html>"),
        (("--nature", "volumetric surge", "--format", "json"), '"nature": "volumetric surge"'),
        (("--format", "json"), '"votes"'),
        (("--what", "incidents", "--format", "csv"), "schema,id,state"),
        (("--what", "anomalies", "--resource", "web-1"), "received bytes"),
        (("--what", "anomalies", "--severity", "critical"), "no anomalies"),
    ],
)
def test_the_command_shows_what_is_asked_for(place: Path, words: tuple[str, ...], said: str) -> None:
    done = netanomaly("report", "--output", str(place), *words, cwd=place)
    assert (done.returncode, done.stderr) == (0, "")
    assert said in done.stdout


@pytest.mark.parametrize(
    ("words", "quiet"),
    [
        (("--since", "2030-01-01"), "no incidents\n"),
        (("--output", "nowhere"), "no incidents\n"),
        (("--format", "csv"), ""),
    ],
)
def test_nothing_found_is_told_from_nothing_looked_at(place: Path, words: tuple[str, ...], quiet: str) -> None:
    """A misspelt folder is not a quiet network."""
    done = netanomaly("report", "--until", "2031-01-01", "--output", str(place), *words, cwd=place)
    assert done.returncode == 0
    assert done.stdout.startswith(quiet or "schema,id")
    assert ("no run has judged any of that time" in done.stderr) is bool(quiet)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--nature", "flod"), "there are flood, scan-like"),
        (("--severity", "bad"), "no severity"),
        (("--what", "anomalies", "--nature", "flood"), "anomalies have no nature"),
        (("--what", "anomalies", "--format", "html"), "anomalies have no html"),
        (("--mutes", "nowhere.toml"), "nowhere.toml"),
    ],
)
def test_what_cannot_be_shown_is_refused(place: Path, words: tuple[str, ...], said: str) -> None:
    done = netanomaly("report", "--output", str(place), *words, cwd=place)
    assert done.returncode == 2
    assert said in done.stderr
