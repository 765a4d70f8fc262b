import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from job.meter import Meter
from tests.job.command import SCRIPT, environment
from tests.job.work import DAY, HOUR, SENT, bench, records


def busy() -> int:
    return sum(range(400_000))


def test_what_is_within_a_stage_is_counted_once() -> None:
    meter = Meter()
    with meter("outer"):
        with meter("inner"):
            busy()
        assert meter.told()["inner"]["cpu"] > 0
        before = meter.told()["inner"]["cpu"]
    told = meter.told()
    assert told["inner"]["cpu"] == before
    assert told["outer"]["cpu"] < before / 2


def test_threads_add_up() -> None:
    meter = Meter()

    def work() -> None:
        with meter("x"):
            busy()
        meter.read(2, 10)

    work()
    alone = meter.told()["x"]["cpu"]
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work) for _ in range(8)]:
            done.result()
    assert meter.told()["x"]["cpu"] > 3 * alone
    assert (meter.series, meter.points) == (18, 90)


def test_a_record_says_where_the_time_went(tmp_path: Path) -> None:
    work = bench(tmp_path, DAY + 12 * HOUR, metrics=(SENT,), hours=1)
    (outcome,) = work.run()
    (record,) = records(tmp_path)
    assert {"detect: ewma", "detect: zscore", "judge", "write"} <= record["spent"].keys()
    assert all(spent["wall"] >= 0 for spent in record["spent"].values())
    assert (work.job.meter.series, work.job.meter.points) == (outcome.series, outcome.points)


def test_the_profile_is_on_the_standard_error(tmp_path: Path) -> None:
    command = [str(SCRIPT), "run", "--hours", "1", "--profile", "--step", "1h", "--detectors", "ewma"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True)
    assert "detect: ewma" in done.stderr
    assert "CPU s" in done.stderr
    assert "all of it" in done.stderr
    assert all(json.loads(line)["event"] for line in done.stdout.splitlines())
