"""The laws of the job: however it is run, interrupted and run again, the store ends up with the same bytes."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from detectors import Frame, Scores
from job import slices
from job.anomaly import SCHEMA
from job.errors import ConfigError, Failed, NotAllowed
from job.query import Query
from job.run import Stopped, Task, exit_status, run
from job.sources import Scattered
from job.store.folder import Folder
from tests.job.command import SCRIPT, environment
from tests.job.work import (
    DAY,
    HOUR,
    NIGHT,
    RECEIVED,
    SENT,
    Meddling,
    Watched,
    backfill,
    bench,
    failing,
    records,
    told,
    tree,
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one task leaves of two days, the backfill of which nothing disturbed."""
    output = tmp_path_factory.mktemp("undisturbed")
    assert exit_status(backfill(output).run()) == 0
    return output


def test_something_was_found_so_that_the_laws_say_something(undisturbed: Path) -> None:
    assert len(tree(undisturbed)) == 4
    assert len(told(undisturbed)) > 2


@pytest.mark.parametrize("count", [3, 7])
def test_n_tasks_are_one_task(undisturbed: Path, count: int, tmp_path: Path) -> None:
    for index in reversed(range(count)):
        backfill(tmp_path).run(index, count)
    assert tree(tmp_path) == tree(undisturbed)
    assert len(records(tmp_path)) == count


def test_parts_split_the_objects_and_not_the_anomalies(undisturbed: Path, tmp_path: Path) -> None:
    backfill(tmp_path, parts=3).run()
    assert len(tree(tmp_path)) > len(tree(undisturbed))
    by_id = lambda a: a["id"]  # noqa: E731 - a key
    assert sorted(told(tmp_path), key=by_id) == sorted(told(undisturbed), key=by_id)


def test_a_rerun_writes_the_same_bytes(undisturbed: Path, tmp_path: Path) -> None:
    backfill(tmp_path).run()
    again = backfill(tmp_path, fresh=True)
    assert {o.status for o in again.run()} == {"done"}
    assert tree(tmp_path) == tree(undisturbed)


@pytest.mark.parametrize("seed", [2, 5])
def test_a_backfill_is_the_sequence_of_live_runs(seed: int, tmp_path: Path) -> None:
    """Seed 2 has an event over midnight, seed 5 outages."""
    traffic = {"vms": 6, "seed": seed}
    backfill(tmp_path / "backfill", synthetic=traffic).run()
    ids: dict[str, set[str]] = {}
    for hour in range(2, 48 + 1, 2):
        live = bench(tmp_path / "live", DAY + hour * HOUR, hours=2, synthetic=traffic)
        assert exit_status(live.run(execution=f"e{hour}")) == 0
        for anomaly in told(tmp_path / "live"):
            ids.setdefault(anomaly["id"], set()).add(anomaly["start"])
    assert tree(tmp_path / "live") == tree(tmp_path / "backfill")
    assert set(ids) == {a["id"] for a in told(tmp_path / "live")}, "a live run told what the day's end took back"
    assert all(len(starts) == 1 for starts in ids.values())


def test_an_older_run_never_makes_an_object_cover_less(tmp_path: Path) -> None:
    bench(tmp_path, DAY + 20 * HOUR, hours=3).run()
    before = tree(tmp_path)
    late = bench(tmp_path, DAY + 12 * HOUR, hours=3)
    assert {o.status for o in late.run()} == {"kept"}
    assert tree(tmp_path) == before
    assert {meta["until"] for _, meta in before.values()} == {"2026-11-20T20:00:00Z"}


def test_a_window_that_cuts_a_day_takes_it_whole(undisturbed: Path, tmp_path: Path) -> None:
    bench(tmp_path, **{"from": DAY + 5 * HOUR, "to": DAY + 30 * HOUR}).run()
    assert tree(tmp_path) == tree(undisturbed)


def test_a_day_of_which_nothing_has_settled_waits(tmp_path: Path) -> None:
    soon = bench(tmp_path, NIGHT + timedelta(minutes=10), hours=1, settle="30m")
    assert {(o.slice.day.day, o.status) for o in soon.run()} == {(21, "done"), (22, "waiting")}


def test_a_resumed_backfill_reads_no_finished_day_again(undisturbed: Path, tmp_path: Path) -> None:
    first = backfill(tmp_path)
    first.run(0, 3)
    again = backfill(tmp_path)
    watched = Watched(again.job.reader)
    outcomes = again.having(reader=watched).run()
    assert sorted(o.status for o in outcomes) == ["complete", "done", "done", "done"]
    assert len(watched.reads) == 2
    assert tree(tmp_path) == tree(undisturbed)
    fresh = backfill(tmp_path, fresh=True)
    watched = Watched(fresh.job.reader)
    fresh.having(reader=watched).run()
    assert sorted(metric for metric, _, _ in watched.reads) == [RECEIVED, SENT]


def test_other_settings_make_a_backfill_anew(tmp_path: Path) -> None:
    backfill(tmp_path).run()
    for change in ({"policy": {"threshold": 5.0}}, {"detector": {"zscore": {"guard": 4.0}}}):
        assert {o.status for o in backfill(tmp_path, **change).run()} == {"done"}
        assert {o.status for o in backfill(tmp_path, **change).run()} == {"complete"}


def test_a_backfill_reads_its_days_at_once(tmp_path: Path) -> None:
    work = backfill(tmp_path, days=4)
    watched = Watched(work.job.reader)
    work.having(reader=watched).run()
    assert sorted((metric, end) for metric, _, end in watched.reads) == [(RECEIVED, NIGHT), (SENT, NIGHT)]


def test_days_far_apart_are_read_apart(tmp_path: Path) -> None:
    """What lies between is done, and no history of the later one reaches back to the earlier one."""
    backfill(tmp_path, days=9, metrics=(SENT,)).run()
    again = backfill(tmp_path, days=9, metrics=(SENT,))
    for piece in (again.every[0], again.every[1], again.every[8]):
        again.job.store.delete(f"anomalies/{piece.name}")
    whole = tree(tmp_path)
    watched = Watched(again.job.reader)
    assert sorted(o.status for o in again.having(reader=watched).run()) == ["complete"] * 6 + ["done"] * 3
    assert [end for _, _, end in watched.reads] == [NIGHT - timedelta(days=7), NIGHT]
    assert tree(tmp_path).items() >= whole.items()


@pytest.mark.parametrize("days", [1, 14])
def test_how_much_is_held_at_once_changes_nothing(
    undisturbed: Path, days: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def few(*_: int) -> int:
        sizes.append(1 + len(sizes) % 3)
        return sizes[-1]

    monkeypatch.setattr("job.memory.rows", few)
    monkeypatch.setattr("job.plan.AT_ONCE", timedelta(days=days))
    backfill(tmp_path).run()
    assert len(sizes) == 4 // min(days, 2)
    assert tree(tmp_path, "") | records_of(tmp_path) == tree(undisturbed, "") | records_of(tmp_path)


def records_of(output: Path) -> dict[str, Any]:
    """What is told of a run differs from run to run."""
    return dict.fromkeys(tree(output, "runs/"))


def test_series_that_come_in_pieces_are_read_whole(undisturbed: Path, tmp_path: Path) -> None:
    @dataclass
    class Torn(Watched):
        def blocks(self, query: Query, start: datetime, end: datetime, rows: int) -> Iterator[Frame]:
            yield self.source.read(query, start, end).rows(slice(0, min(rows, 3)))
            raise Scattered

    work = backfill(tmp_path)
    torn = work.having(reader=Torn(work.job.reader))
    assert exit_status(torn.run()) == 0
    assert len(torn.events("read.whole")) == 2
    assert tree(tmp_path) == tree(undisturbed)


def test_one_metric_that_fails_is_reported_and_the_others_go_on(undisturbed: Path, tmp_path: Path) -> None:
    work = backfill(tmp_path)
    broken = work.having(reader=Watched(work.job.reader, failing(SENT, Failed("no answer from x"))))
    outcomes = broken.run()
    assert (
        sorted((o.status, o.slice.query.metric == SENT) for o in outcomes)
        == [("done", False)] * 2 + [("failed", True)] * 2
    )
    assert exit_status(outcomes) == 1
    assert {line["severity"] for line in broken.events("slice.failed")} == {"ERROR"}
    assert "no answer from x" in broken.events("slice.failed")[0]["message"]
    (record,) = records(tmp_path)
    assert record["status"] == "failed"
    assert [s["error"] for s in record["slices"] if s["status"] == "failed"] == ["no answer from x"] * 2
    assert exit_status(backfill(tmp_path).run()) == 0
    assert tree(tmp_path) == tree(undisturbed)


@pytest.mark.parametrize(
    ("error", "status"), [(NotAllowed("no role"), 3), (ConfigError("no such"), 2), (Failed("x"), 1)]
)
def test_when_all_fail_for_one_reason_the_exit_says_it(error: Exception, status: int, tmp_path: Path) -> None:
    work = backfill(tmp_path, metrics=(SENT,))
    assert exit_status(work.having(reader=Watched(work.job.reader, failing(SENT, error))).run()) == status
    both = backfill(tmp_path)
    assert exit_status(both.having(reader=Watched(both.job.reader, failing(SENT, error))).run()) == 1
    assert tree(tmp_path).keys() <= {f"anomalies/{s.name}" for s in both.every if s.query.metric == RECEIVED}


@dataclass(frozen=True)
class Faulty:
    """A detector with a bug."""

    history: timedelta = HOUR

    def __call__(self, _frame: Frame) -> Scores:
        raise ZeroDivisionError("by a bug")


def test_a_fault_in_a_detector_is_counted_and_logged_with_its_traceback(tmp_path: Path) -> None:
    work = backfill(tmp_path).having(detectors={"zscore": Faulty()})
    outcomes = work.run()
    assert exit_status(outcomes) == 1
    assert "ZeroDivisionError('by a bug')" in outcomes[0].error
    crashed = work.events("slice.crashed")
    assert len(crashed) == 2
    assert len(outcomes) == 4
    assert {line["severity"] for line in crashed} == {"ERROR"}
    assert "in __call__" in crashed[0]["traceback"]


@dataclass(frozen=True)
class Peers:
    """A detector that compares the series of a frame, and so must see all of them."""

    seen: list[int]
    peers: bool = True
    history: timedelta = HOUR

    def __call__(self, frame: Frame) -> Scores:
        self.seen.append(len(frame.labels))
        return Scores(frame.values, frame.values, frame.values * 0)


@pytest.mark.parametrize(("peers", "blocks"), [(True, [5]), (False, [2, 2, 1])])
def test_peers_are_scored_all_at_once_and_others_in_blocks(
    peers: bool, blocks: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("job.examine.BLOCK", 2)
    detector = Peers([], peers)
    work = bench(tmp_path, metrics=(SENT,), hours=1, synthetic={"vms": 5, "seed": 3}, now=DAY + 12 * HOUR)
    (outcome,) = work.having(detectors={"zscore": detector}).run()
    assert outcome.status == "done", outcome.error
    assert outcome.series == sum(blocks)
    assert detector.seen == blocks


def test_blocks_change_nothing(undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("job.examine.BLOCK", 1)
    backfill(tmp_path).run()
    assert tree(tmp_path) == tree(undisturbed)


@pytest.mark.parametrize("act", ["meddle", "looked"])
@pytest.mark.parametrize("what", ["series/", "anomalies/"])
def test_a_concurrent_run_that_covers_more_wins(what: str, act: str, tmp_path: Path) -> None:
    """Somebody else's later run writes between our look and our write, or between our two looks: theirs stays."""
    early = bench(tmp_path, DAY + 12 * HOUR, hours=3, metrics=(SENT,))
    late = bench(tmp_path, DAY + 20 * HOUR, hours=3, metrics=(SENT,))
    theirs: dict[str, Any] = {}

    def meddle(name: str) -> None:
        if name.startswith(what) and not theirs:
            late.run(execution="other")
            theirs.update(tree(tmp_path) | tree(tmp_path, "series/"))

    acting: dict[str, Any] = {"meddle": str, act: meddle}
    assert exit_status(early.having(store=Meddling(early.job.store, **acting)).run()) == 0
    assert tree(tmp_path) | tree(tmp_path, "series/") == theirs


def test_a_concurrent_run_that_covers_less_is_written_over(tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    bench(alone, DAY + 20 * HOUR, hours=3, metrics=(SENT,)).run()
    shared = tmp_path / "shared"
    early = bench(shared, DAY + 12 * HOUR, hours=3, metrics=(SENT,))
    late = bench(shared, DAY + 20 * HOUR, hours=3, metrics=(SENT,))
    done: list[str] = []

    def meddle(name: str) -> None:
        if name.startswith("anomalies/") and not done:
            done.append(name)
            early.run(execution="other")

    assert exit_status(late.having(store=Meddling(late.job.store, meddle)).run()) == 0
    assert tree(shared) == tree(alone)


def test_what_is_asked_to_stop_leaves_good_objects_and_says_so(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("job.plan.AT_ONCE", timedelta(days=1))
    work = backfill(tmp_path)
    asked, stopping = Event(), Event()

    def told_one(_: object) -> None:
        if not asked.is_set():
            asked.set()
            os.kill(os.getpid(), signal.SIGTERM)
        stopping.wait()

    def stop(*_: object) -> None:
        raise Stopped

    class Stopping(Event):
        def set(self) -> None:
            super().set()
            stopping.set()

    monkeypatch.setattr("job.run.Event", Stopping)
    before = signal.signal(signal.SIGTERM, stop)
    try:
        with pytest.raises(Stopped):
            run(work.job, work.every, Task("e1"), told_one)
    finally:
        signal.signal(signal.SIGTERM, before)
    (record,) = records(tmp_path)
    assert record["status"] == "stopped"
    assert record["planned"] == 4
    whole = tree(undisturbed)
    assert 0 < len(tree(tmp_path)) <= 2
    assert all(whole[name] == there for name, there in tree(tmp_path).items())
    assert {o.status for o in backfill(tmp_path).run()} == {"complete", "done"}
    assert tree(tmp_path) == whole


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_process_and_its_retry_leave_what_an_undisturbed_one_leaves(
    how: signal.Signals, tmp_path: Path
) -> None:
    window = ["--from", "2026-11-01", "--to", "2026-11-21", "--step", "15m"]
    command = [str(SCRIPT), "run", *window, "--detectors", "ewma", "--metrics", SENT]
    env = environment(NETANOMALY_SYNTHETIC__VMS="40", CLOUD_RUN_EXECUTION="e1")
    with subprocess.Popen(
        [*command, "--output", "killed"], cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout
        for line in child.stdout:
            if json.loads(line)["event"] == "slice.done":
                break
        began = time.monotonic()
        child.send_signal(how)
        child.stdout.read()
        status = child.wait(20)
        took = time.monotonic() - began
    left = tree(tmp_path / "killed")
    assert 0 < len(left) < 20
    if how == signal.SIGTERM:
        assert status == 1
        assert took < 10
        assert records(tmp_path / "killed")[0]["status"] == "stopped"
    for output in ("killed", "whole"):
        done = subprocess.run([*command, "--output", output], cwd=tmp_path, env=env, capture_output=True, check=False)
        assert done.returncode == 0
    whole = tree(tmp_path / "whole")
    assert tree(tmp_path / "killed") == whole
    assert all(whole[name] == there for name, there in left.items())


def test_absence_as_zero_fills_in_from_the_first_point_on(tmp_path: Path) -> None:
    seen: list[Frame] = []

    @dataclass(frozen=True)
    class Looking:
        history: timedelta = 10 * HOUR

        def __call__(self, frame: Frame) -> Scores:
            seen.append(frame)
            return Scores(frame.values, frame.values, frame.values * 0)

    class Gaps(Watched):
        def read(self, query: Query, start: datetime, end: datetime) -> Frame:
            frame = super().read(query, start, end)
            values = frame.values.copy()
            values[0, :-40] = float("nan")
            values[0, -20:-10] = float("nan")
            return replace(frame, values=values)

    work = bench(tmp_path, DAY + 20 * HOUR, hours=1, metrics=(SENT,), policy={"absence": "zero"})
    work.having(reader=Gaps(work.job.reader), detectors={"zscore": Looking()}).run()
    row = seen[0].values[0]
    assert (row[-20:-10] == 0).all()
    assert (row[:-40] != row[:-40]).all()


def test_the_record_says_what_was_done_and_with_what(tmp_path: Path) -> None:
    work = backfill(tmp_path)
    work.run()
    (record,) = records(tmp_path)
    assert (record["schema"], record["status"], record["task"], record["tasks"]) == (SCHEMA, "done", 0, 1)
    assert record["settings"]["step"] == "15m"
    assert record["settings"]["from"] == "2026-11-20T00:00:00Z"
    assert record["detectors"]["zscore"].startswith("netanomaly ")
    assert [s["slice"] for s in record["slices"]] == sorted(s.name for s in work.every)
    assert sum(s["flagged"] for s in record["slices"]) == len(told(tmp_path))
    assert all(s["tested"] and s["points"] and s["seconds"] >= 0 and s["error"] is None for s in record["slices"])


def test_the_log_tells_each_slice_and_each_anomaly(tmp_path: Path) -> None:
    work = backfill(tmp_path)
    work.run()
    assert len(work.events("slice.done")) == 4
    assert {line["id"] for line in work.events("anomaly.found")} == {a["id"] for a in told(tmp_path)}


def test_of_very_many_anomalies_the_log_tells_the_worst_and_where_the_others_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "LINES", 2)
    work = backfill(tmp_path, metrics=(SENT,), days=1, synthetic={"vms": 30, "seed": 5})
    work.run()
    severities = sorted((a["severity"] for a in told(tmp_path)), reverse=True)
    assert [line["anomaly_severity"] for line in work.events("anomaly.found")] == severities[:2]
    (more,) = work.events("anomaly.more")
    assert (more["more"], more["message"].partition(" ")[0]) == (len(severities) - 2, f"{len(severities) - 2}")
    assert (tmp_path / more["message"].rpartition(" ")[2]).is_file()


@pytest.mark.parametrize("late", [True, False])
def test_what_is_severe_is_a_warning_but_not_in_a_backfill(late: bool, tmp_path: Path) -> None:
    work = backfill(tmp_path).having(backfill=late)
    work.run()
    said = {(line["anomaly_severity"] >= 70, line["severity"]) for line in work.events("anomaly.found")}
    assert said == {(True, "INFO" if late else "WARNING"), (False, "INFO")}


def test_an_object_that_speaks_of_no_time_is_judged_anew(undisturbed: Path, tmp_path: Path) -> None:
    work = backfill(tmp_path)
    Folder(tmp_path).put(f"anomalies/{work.every[0].name}", b"x\n", meta={"until": "soon"})
    assert exit_status(work.run()) == 0
    assert tree(tmp_path) == tree(undisturbed)


def test_a_rule_that_fits_no_metric_is_named(tmp_path: Path) -> None:
    rules = [{"metrics": m, "policy": {"threshold": 9.0}} for m in (SENT, "vm", "all", "*sent*", "*snet*", "lb")]
    said = [line["message"] for line in bench(tmp_path, rule=rules).events("rule.unused")]
    assert [words.partition(" fits")[0] for words in said] == ["[[rule]] metrics = *snet*", "[[rule]] metrics = lb"]
    assert SENT in said[0]
