"""The installed command in a child process: what it prints where, and how it exits."""

import json
import os
import pty
import re
import select
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from job.store.folder import Folder
from tests.emulator import Cloud
from tests.job.anomalies import anomaly
from tests.job.command import SCRIPT, environment, netanomaly
from tests.job.test_report import keep
from tests.job.work import SENT, records, told, tree

RUN = [
    "run",
    "--from",
    "2026-11-20",
    "--to",
    "2026-11-21",
    "--step",
    "15m",
    "--metrics",
    SENT,
    "--detectors",
    "ewma,zscore",
]
CLOUD = {"CLOUD_RUN_EXECUTION": "job-x7k2p", "CLOUD_RUN_TASK_ATTEMPT": "0"}


def logged(text: str) -> list[dict[str, Any]]:
    """Every line of a machine's log, each a JSON object with what Cloud Logging lifts out."""
    lines = [json.loads(line) for line in text.splitlines()]
    assert all({"severity", "message", "event", "time", "execution", "task"} <= line.keys() for line in lines)
    assert {line["severity"] for line in lines} <= {"DEBUG", "INFO", "WARNING", "ERROR"}
    return lines


def test_without_a_terminal_the_log_goes_to_stdout_and_the_table_to_stderr(tmp_path: Path) -> None:
    done = netanomaly(*RUN, cwd=tmp_path)
    assert done.returncode == 0
    events = [line["event"] for line in logged(done.stdout)]
    assert (events[0], events[-1]) == ("run.started", "run.done")
    found = told(tmp_path / "netanomaly-out")
    assert events.count("anomaly.found") == len(found) > 0
    assert "severity" in done.stderr
    assert "nature" in done.stderr
    written, _, page = done.stderr.splitlines()[-1].partition("; the page to open is ")
    assert written == "written to netanomaly-out"
    assert (tmp_path / page).read_text("utf-8").startswith("<!DOCTYPE html>")
    assert f"{len(found)} anomalies" in done.stderr


@pytest.mark.parametrize(("parts", "slices"), [("1", 1), ("2", 2)])
def test_a_task_without_work_says_what_would_give_it_some(tmp_path: Path, parts: str, slices: int) -> None:
    tasks = {"CLOUD_RUN_TASK_COUNT": "2", "CLOUD_RUN_TASK_INDEX": "0", **CLOUD}
    day = ["--from", "2026-11-20", "--to", "2026-11-21", "--metrics", SENT, "--parts", parts]
    done = netanomaly("run", *day, cwd=tmp_path, **tasks)
    started = logged(done.stdout)[0]["message"]
    assert started.startswith(f"{slices - 1} of {slices} slices")
    assert ("fewer than the 2 tasks; `parts` would" in started) == (slices == 1)


def test_a_series_that_is_young_for_two_days_is_counted_once_and_an_idle_ratio_by_itself(tmp_path: Path) -> None:
    sent, begin = "compute.googleapis.com/instance/network/{}_bytes_count", datetime(2026, 11, 10, tzinfo=UTC)
    rows = ["time,metric,name,value"]
    for hour in range(12 * 24 + 12):
        for name, level, since in (
            ("busy", 50e3, 0),
            ("idle", 20e3 if hour % 24 == 12 else 1e3, 0),
            ("new", 50e3, 284),
        ):
            if hour >= since:
                stamp = f"{begin + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ}"
                rows += [f"{stamp},{sent.format(way)},{name},{level + hour % 7}" for way in ("sent", "received")]
    (tmp_path / "in.csv").write_text("\n".join(rows) + "\n")
    asked = ["--source", "files", "--input", "in.csv", "--step", "1h", "--from", "2026-11-21", "--detectors", "zscore"]
    done = netanomaly("run", *asked, cwd=tmp_path, NETANOMALY_DETECTOR__ZSCORE__WARM_UP="1d")
    assert "\n2 series are warming up: " in done.stderr, "new, sent and received"
    assert "\n4 ratios have too few points to be judged: " in done.stderr, "idle and new, either way"
    assert '"run.empty"' not in done.stdout
    before = netanomaly("run", *asked[:6], "--from", "2026-11-01", "--to", "2026-11-02", cwd=tmp_path)
    assert before.stdout.count('"run.empty"') == 1


def test_a_terminal_shows_the_table_and_no_json(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    env = environment(TERM="xterm")
    asked = [str(SCRIPT), *RUN, "--tell", "1"]  # of four incidents: a warning while the bar is there
    with subprocess.Popen(asked, cwd=tmp_path, env=env, stdout=theirs, stderr=theirs) as child:
        os.close(theirs)
        text = b"".join(iter(lambda: _read(ours), b"")).decode()
        assert child.wait(60) == 0
    os.close(ours)
    assert "nature" in text
    assert "written to netanomaly-out" in text
    assert '{"severity"' not in text
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    bar = r"slices ━+ *\d/\d [\d,]+ series · [\d,]+ points/s (?:-:--:--|\d:\d\d:\d\d)"
    assert len(set(re.findall(bar, plain))) > 1, "a bar that moves: slices, series, points, time left"
    assert set(re.findall(r"([^\r\n]?)warning: ", plain)) == {""}, "a line of the log stands beside the bar"


def _read(descriptor: int) -> bytes:
    """What the terminal shows next; nothing when the other side has closed it."""
    select.select([descriptor], [], [], 60)
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""


def test_in_cloud_run_there_is_nothing_but_the_log(tmp_path: Path) -> None:
    whole = netanomaly(*RUN, "--output", "whole", cwd=tmp_path, **CLOUD)
    assert (whole.returncode, whole.stderr) == (0, "")
    assert {(line["execution"], line["task"]) for line in logged(whole.stdout)} == {("job-x7k2p", 0)}
    for index in (1, 0):
        env = CLOUD | {"CLOUD_RUN_TASK_INDEX": str(index), "CLOUD_RUN_TASK_COUNT": "2", "CLOUD_RUN_TASK_ATTEMPT": "1"}
        assert netanomaly(*RUN, "--parts", "1", "--output", "two", cwd=tmp_path, **env).returncode == 0
    assert tree(tmp_path / "two") == tree(tmp_path / "whole")
    assert sorted((r["task"], r["tasks"], r["attempt"]) for r in records(tmp_path / "two")) == [(0, 2, 1), (1, 2, 1)]
    names = list(Folder(tmp_path / "two").names("runs/"))
    assert [name.partition("/job-x7k2p/")[2] for name in names] == ["task-0.json", "task-1.json"]


@pytest.mark.parametrize(
    ("env", "word"),
    [
        ({"CLOUD_RUN_TASK_INDEX": "x"}, "CLOUD_RUN_TASK_INDEX = 'x'"),
        ({"CLOUD_RUN_TASK_INDEX": "2", "CLOUD_RUN_TASK_COUNT": "2"}, "not below CLOUD_RUN_TASK_COUNT = 2"),
        ({"CLOUD_RUN_TASK_INDEX": "-1"}, "CLOUD_RUN_TASK_INDEX = -1"),
        ({"CLOUD_RUN_TASK_COUNT": "0"}, "CLOUD_RUN_TASK_COUNT = 0"),
        ({"CLOUD_RUN_TASK_ATTEMPT": "1.5"}, "CLOUD_RUN_TASK_ATTEMPT = '1.5'"),
        ({"CLOUD_RUN_EXECUTION": "../x"}, "CLOUD_RUN_EXECUTION = '../x'"),
        ({"NETANOMALY_STEP": "7m"}, "step = 7m"),
        ({"NETANOMALY_STEPP": "7m", "NETANOMALY_HOURS": "-1"}, "NETANOMALY_STEPP"),
        ({"NETANOMALY_DETECTORS": "ewm"}, "no detector 'ewm'"),
    ],
)
def test_what_cloud_run_got_wrong_is_in_its_log_too(env: dict[str, str], word: str, tmp_path: Path) -> None:
    done = netanomaly(*RUN[:1], cwd=tmp_path, **CLOUD | env)
    assert done.returncode == 2
    assert word in done.stderr
    (line,) = logged(done.stdout)
    assert (line["severity"], line["event"]) == ("ERROR", "command.refused")
    assert word in line["message"]
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_flag_is_in_cloud_run_s_log_too(tmp_path: Path) -> None:
    done = netanomaly("run", "--hourz", "1", cwd=tmp_path, **CLOUD)
    (line,) = logged(done.stdout)
    assert (done.returncode, line["severity"]) == (2, "ERROR")
    assert "--hourz" in line["message"]


@pytest.mark.parametrize(("method", "permission"), [("GET", "storage.objects.get"), ("POST", "storage.objects.create")])
def test_a_bucket_that_may_not_be_used_is_said_and_the_exit_is_3(
    method: str, permission: str, cloud: Cloud, tmp_path: Path
) -> None:
    place = f"gs://{cloud.make_bucket()}/out"
    cloud.deny(permission, method, "/o")
    done = netanomaly(*RUN, "--output", place, cwd=tmp_path, STORAGE_EMULATOR_HOST=cloud.url)
    assert done.returncode == 3
    assert permission in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bucket_is_written_as_a_folder_is(cloud: Cloud, tmp_path: Path) -> None:
    cloud.object_user()
    place = f"gs://{cloud.make_bucket()}/out"
    assert netanomaly(*RUN, "--output", place, cwd=tmp_path, STORAGE_EMULATOR_HOST=cloud.url).returncode == 0
    netanomaly(*RUN, "--output", "here", cwd=tmp_path)
    forms = [
        netanomaly("report", "--format", "json", "--output", at, cwd=tmp_path, STORAGE_EMULATOR_HOST=cloud.url).stdout
        for at in (place, "here")
    ]
    assert forms[0] == forms[1]
    assert len(json.loads(forms[0])) > 0


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        ([], ["run", "report", "plan", "check", "detectors", "metrics", "Exit status: 0 done; 1 something failed"]),
        (["run"], ["--from TIME", "--output PLACE", "--detection [adaptive|textbook]", "Exit status: 0 done;"]),
        (["plan"], ["Reads no points and writes nothing.", "--step DURATION"]),
        (["check"], ["which role is missing", "--project P[,P…]"]),
        (["report"], ["--since TIME", "--until TIME", "--format [table|json|csv|html|md]"]),
        (["detectors"], ["Usage: netanomaly detectors"]),
        (["metrics"], ["Usage: netanomaly metrics"]),
    ],
)
def test_help(words: list[str], lines: list[str], tmp_path: Path) -> None:
    done = netanomaly(*words, "--help", cwd=tmp_path)
    assert done.returncode == 0
    flat = " ".join(done.stdout.split())
    assert [line for line in lines if line not in flat] == []


def test_detectors_lists_what_is_installed_with_its_settings(tmp_path: Path) -> None:
    done = netanomaly("detectors", cwd=tmp_path)
    assert done.returncode == 0
    for word in ("zscore (netanomaly ", "ewma (", "seasonal (", '[detector.zscore] window = "1d"', "of history"):
        assert word in done.stdout


def test_metrics_lists_the_presets_and_what_they_read(tmp_path: Path) -> None:
    done = netanomaly("metrics", cwd=tmp_path)
    assert done.returncode == 0
    assert "\nvpn\n    vpn.googleapis.com/network/received_bytes_count\n" in done.stdout
    assert "a missing point means: absent" in done.stdout
    assert "lb = lb-l3, lb-http" in done.stdout


@pytest.mark.parametrize("window", [["--hours", "5"], ["--from", "2026-11-20", "--to", "2026-11-22"]])
def test_plan_writes_nothing(window: list[str], tmp_path: Path) -> None:
    done = netanomaly("plan", *window, "--step", "1h", cwd=tmp_path, NETANOMALY_SYNTHETIC__VMS="2")
    assert (done.returncode, done.stderr) == (0, "")
    assert SENT in done.stdout
    assert "days taken whole" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("tasks", [1, 3])
def test_the_plan_says_what_the_tasks_read(tasks: int, tmp_path: Path) -> None:
    asked = ["--from", "2026-11-18", "--to", "2026-11-22", "--step", "1h", "--metrics", SENT, "--detectors", "zscore"]
    fleet = {"NETANOMALY_SYNTHETIC__VMS": "3", "CLOUD_RUN_TASK_COUNT": str(tasks)}
    planned = netanomaly("plan", *asked, cwd=tmp_path, **fleet).stdout
    series, points = (int(word.replace(",", "")) for word in planned.splitlines()[1].split()[4:6])
    assert f"{series * tasks} series returned" in planned
    done = [netanomaly("run", *asked, cwd=tmp_path, CLOUD_RUN_TASK_INDEX=str(i), **fleet) for i in range(tasks)]
    read = sum(json.loads(task.stdout.splitlines()[-1])["points"] for task in done)
    assert 0.9 * points < read <= points  # there are gaps
    again = netanomaly("run", *asked, cwd=tmp_path, NETANOMALY_SYNTHETIC__VMS="3").stderr
    assert "slices: 4 complete" in again
    assert "0 anomalies in 0 tested" not in again


def test_check_tries_the_source_and_the_store(tmp_path: Path) -> None:
    done = netanomaly("check", "--metrics", SENT, cwd=tmp_path, NETANOMALY_SYNTHETIC__VMS="2")
    assert done.returncode == 0
    read, keeps = done.stdout.splitlines()
    assert read.startswith(f"ok      read {SENT} of demo: 2 series in the last hour, in By/s")
    assert keeps == "ok      keep objects in netanomaly-out: read, write, overwrite, list, delete"


def test_report_reads_back_in_three_forms(tmp_path: Path) -> None:
    keep(tmp_path / "netanomaly-out", anomaly(1), anomaly(2))
    seen = netanomaly("report", "--what", "anomalies", cwd=tmp_path)
    assert (seen.returncode, len(seen.stdout.splitlines())) == (0, 3)
    found = netanomaly("report", "--format", "json", "--since", "2026-11-22", "--until", "2026-11-23", cwd=tmp_path)
    assert [a["id"] for a in json.loads(found.stdout)] == [anomaly(1).id, anomaly(2).id]
    rows = netanomaly("report", "--format", "csv", "--output", "netanomaly-out", cwd=tmp_path).stdout.splitlines()
    assert rows[0].startswith("schema,id,project,metric,")
    assert len(rows) == 3
    none = netanomaly("report", "--since", "2026-11-23", "--format", "json", cwd=tmp_path)
    assert (none.returncode, none.stdout) == (0, "[]\n")
    assert netanomaly("report", "--output", "nowhere", cwd=tmp_path).stdout == "no incidents\n"
    assert not (tmp_path / "nowhere").exists()


def test_report_says_what_it_could_not_read(tmp_path: Path) -> None:
    keep(tmp_path / "netanomaly-out", anomaly())
    keep(tmp_path / "netanomaly-out", day="2026-11-21", data=b"half a li")
    done = netanomaly("report", "--format", "json", cwd=tmp_path)
    assert done.returncode == 1
    assert len(json.loads(done.stdout)) == 1
    assert "line 1 is no anomaly record" in done.stderr


def test_a_time_that_ends_before_it_begins_is_refused(tmp_path: Path) -> None:
    done = netanomaly("report", "--since", "2026-11-23", "--until", "2026-11-22", cwd=tmp_path)
    assert done.returncode == 2
    assert "2026-11-23T00:00:00Z is not before" in done.stderr


def test_a_reader_that_goes_away_is_no_failure(tmp_path: Path) -> None:
    keep(tmp_path / "netanomaly-out", *[anomaly(n) for n in range(2000)])
    command = [str(SCRIPT), "report", "--format", "csv"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout
        assert child.stderr
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(60) == 0
