"""The installed command, in a child process, against the real protocols."""

import json
import signal
import subprocess
import threading
from datetime import timedelta

import grpc
import pytest

from job.units import parse_time
from tests.e2e.world import COMMAND, World, records
from tests.monitoring_server.server import Fault


def test_a_scheduled_run_finds_the_incidents_and_writes_them_to_the_bucket(here: World) -> None:
    bucket = here.cloud.make_bucket()
    done = here.run("run", "--hours", "72", "--output", f"gs://{bucket}/net", environ={"CLOUD_RUN_EXECUTION": "e-1"})
    found = records(here.objects(bucket, "net/anomalies/"))
    for vm, kind, start, end in here.truth:
        mine = [a for a in found if a["labels"].get("instance_name") == vm and a["kind"] == kind]
        assert mine, f"{kind} of {vm} was not found"
        assert all(abs(parse_time(a["start"]) - start) <= timedelta(minutes=10) for a in mine), mine
        assert all(abs(parse_time(a["end"]) - end) <= timedelta(minutes=10) for a in mine), mine
    assert {a["labels"]["instance_name"] for a in found} == {"web-0", "web-1", "web-2"}
    assert len(found) == 1 + 4 + 4, "each direction of each incident once, and nothing else"
    assert done.err == "", "in Cloud Run everything is a line of JSON on stdout"
    assert {line["severity"] for line in done.log} <= {"INFO", "WARNING"}
    record = json.loads(here.objects(bucket, "net/runs/").popitem()[1])
    assert record["status"] == "done"
    assert record["execution"] == "e-1"
    assert record["planned"] == len(record["slices"]) == 4 * 4


def test_the_default_detection_finds_them_as_well(here: World) -> None:
    bucket = here.cloud.make_bucket()
    here.run("run", "--hours", "72", "--output", f"gs://{bucket}", "--detection", "adaptive")
    found = records(here.objects(bucket))
    for vm, kind, start, _ in here.truth:
        mine = [a for a in found if a["labels"]["instance_name"] == vm and a["kind"] == kind]
        assert min(abs(parse_time(a["start"]) - start) for a in mine) <= timedelta(minutes=10)
    assert len(found) <= 9 + 4, "one false alarm in each metric's three series, in four days, is what it promises"


def test_the_two_halves_of_a_load_balanced_machine_are_one_series(here: World) -> None:
    bucket = here.cloud.make_bucket()
    here.run("run", "--hours", "72", "--output", f"gs://{bucket}")
    (flood,) = [a for a in records(here.objects(bucket)) if a["kind"] == "spike"]
    assert "loadbalanced" not in flood["labels"]
    assert 3 < flood["observed"] / flood["expected"] < 12


def test_any_number_of_tasks_writes_the_same_bytes_as_one(here: World) -> None:
    buckets = [here.cloud.make_bucket() for _ in range(2)]
    window = ("--from", here.day(3), "--to", here.day(0), "--parts", "3")
    here.run("run", *window, "--output", f"gs://{buckets[0]}")
    for task in range(5):
        variables = {"CLOUD_RUN_TASK_INDEX": str(task), "CLOUD_RUN_TASK_COUNT": "5", "CLOUD_RUN_EXECUTION": "e"}
        here.run("run", *window, "--output", f"gs://{buckets[1]}", environ=variables)
    one, five = (here.objects(bucket) for bucket in buckets)
    assert one == five
    assert records(one)


def test_a_rerun_writes_the_same_bytes(here: World) -> None:
    bucket = here.cloud.make_bucket()
    words = ("run", "--from", here.day(3), "--to", here.day(1), "--fresh", "--output", f"gs://{bucket}")
    here.run(*words)
    before = here.objects(bucket)
    here.run(*words)
    assert here.objects(bucket) == before


def test_a_backfill_is_the_sequence_of_scheduled_runs(here: World) -> None:
    """The same days, judged while they went on (the later hours unknown) and afterwards."""
    buckets = [here.cloud.make_bucket() for _ in range(2)]
    for hours_ago in (47, 30, 24):
        here.monitoring.now = here.midnight + timedelta(hours=24 - hours_ago)
        here.run("run", "--hours", "96", "--settle", "0s", "--output", f"gs://{buckets[0]}")
    here.run("run", "--from", here.day(3), "--to", here.day(1), "--output", f"gs://{buckets[1]}")
    live, backfill = (here.objects(bucket) for bucket in buckets)
    for name, data in backfill.items():
        assert live[name] == data, name


def test_a_window_that_cuts_a_day_leaves_the_day_as_covered_as_before(here: World) -> None:
    bucket = here.cloud.make_bucket()
    here.run("run", "--from", here.day(2), "--to", here.day(1), "--output", f"gs://{bucket}")
    before = here.objects(bucket)
    noon = f"{here.day(2)}T12:00:00Z"
    here.run("run", "--from", f"{here.day(2)}T06:00:00Z", "--to", noon, "--fresh", "--output", f"gs://{bucket}")
    assert here.objects(bucket) == before
    assert len(records(before)) == 9


def test_a_backfill_goes_on_where_it_was_stopped(here: World) -> None:
    bucket = here.cloud.make_bucket()
    window = ("--from", here.day(4), "--to", here.day(0), "--output", f"gs://{bucket}")
    here.monitoring.faults.append(Fault(code=grpc.StatusCode.UNAVAILABLE, times=10_000, match="sent_packets_count"))
    here.run("run", *window, "--retry-for", "1s", status=1)
    here.monitoring.faults.clear()
    asked = len(here.monitoring.requests)
    done = here.run("run", *window)
    (line,) = done.events("run.done")
    assert line["slices"]["complete"] == 12
    assert line["slices"]["done"] == 4
    reads = [one for one in here.monitoring.requests[asked:] if hasattr(one, "interval")]
    assert reads
    assert all("sent_packets_count" in one.filter for one in reads), "finished days are not read again"


def test_one_metric_that_fails_is_reported_and_the_others_go_on(here: World) -> None:
    bucket = here.cloud.make_bucket()
    here.monitoring.faults.append(Fault(code=grpc.StatusCode.INTERNAL, times=10_000, match="sent_bytes_count"))
    words = ("run", "--from", here.day(2), "--to", here.day(1), "--retry-for", "1s", "--output", f"gs://{bucket}")
    done = here.run(*words, status=1)
    (failed,) = done.events("slice.failed")
    assert "sent_bytes_count" in failed["message"]
    assert "failed" in done.err
    assert len(records(here.objects(bucket))) == 1 + 3 + 3


@pytest.mark.parametrize("cache", ["on", "off"])
def test_what_a_project_has_nothing_of_yet_is_no_failure(here: World, cache: str) -> None:
    bucket = here.cloud.make_bucket()
    asked = ("--metrics", "vm,vpn,derived", "--output", f"gs://{bucket}", "--cache", cache)
    here.run("run", *asked, "--from", here.day(2), "--to", here.day(1))
    assert len(here.objects(bucket)) == 8, "four metrics and four ratios of them"
    assert here.run("check", *asked).out.count("nothing in this project has written it yet") == 6 + 6, "VPN and NAT"


def test_a_quota_that_is_exceeded_for_a_while_is_waited_out(here: World) -> None:
    bucket = here.cloud.make_bucket()
    here.monitoring.limit = 1
    words = ("run", "--from", here.day(2), "--to", here.day(1), "--retry-for", "1m", "--output", f"gs://{bucket}")
    here.run(*words)
    assert len(records(here.objects(bucket))) == 9


@pytest.mark.parametrize("command", ["run", "check"])
def test_what_is_not_allowed_is_named_with_its_role(here: World, command: str) -> None:
    bucket = here.cloud.make_bucket()
    here.monitoring.denied.add("p")
    done = here.run(command, "--output", f"gs://{bucket}", status=3)
    assert "roles/monitoring.viewer" in done.out + done.err
    assert not here.objects(bucket)


def test_a_bucket_that_may_not_be_written_is_named_with_its_role(here: World) -> None:
    bucket = here.cloud.make_bucket()
    here.cloud.deny("storage.objects.create", "POST", r"/upload/")
    done = here.run("check", "--output", f"gs://{bucket}", status=3)
    assert "roles/storage.objectUser" in done.out
    assert "storage.objects.create" in done.out


def test_object_roles_are_enough_and_the_bucket_itself_is_never_read(here: World) -> None:
    bucket = here.cloud.make_bucket()
    here.cloud.object_user()
    here.run("check", "--output", f"gs://{bucket}")
    here.run("run", "--hours", "2", "--output", f"gs://{bucket}")
    assert here.cloud.bucket_reads() == 0


def test_an_answer_that_is_lost_after_the_object_was_stored_is_no_failure(here: World) -> None:
    bucket = here.cloud.make_bucket()
    here.cloud.fail("lost", "POST", r"/upload/", times=3)
    here.run("run", "--from", here.day(2), "--to", here.day(1), "--output", f"gs://{bucket}")
    assert len(records(here.objects(bucket))) == 9


def test_sigterm_leaves_whole_objects_and_the_retry_completes_them(here: World) -> None:
    buckets = [here.cloud.make_bucket() for _ in range(2)]
    window = ("--from", here.day(4), "--to", here.day(0))
    here.run("run", *window, "--output", f"gs://{buckets[0]}")
    here.monitoring.gate = threading.Event()
    words = [str(COMMAND), "run", *window, "--output", f"gs://{buckets[1]}"]
    variables = {"CLOUD_RUN_EXECUTION": "e", "CLOUD_RUN_TASK_ATTEMPT": "0"}
    with subprocess.Popen(words, env=here.environ(**variables), stdout=subprocess.PIPE, text=True) as process:
        assert here.monitoring.crowd(1)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=10)
    assert process.returncode == 1
    assert [json.loads(line)["event"] for line in out.splitlines()][-1] == "run.stopped"
    assert json.loads(here.objects(buckets[1], "runs/").popitem()[1])["status"] == "stopped"
    here.monitoring.gate.set()
    here.monitoring.gate = None
    here.run("run", *window, "--output", f"gs://{buckets[1]}", environ={**variables, "CLOUD_RUN_TASK_ATTEMPT": "1"})
    assert here.objects(buckets[0]) == here.objects(buckets[1])


def test_late_points_amend_the_day(here: World) -> None:
    """A run that came too early for the last points, and the next one, which sees them."""
    bucket = here.cloud.make_bucket()
    here.monitoring.now = here.midnight - timedelta(days=2) + timedelta(hours=4)
    here.run("run", "--hours", "72", "--output", f"gs://{bucket}")
    early = {a["id"]: a for a in records(here.objects(bucket))}
    assert {a["kind"] for a in early.values()} == {"spike", "absent"}, "to that run, all went silent at four"
    here.monitoring.now = here.midnight + timedelta(hours=1)
    here.run("run", "--hours", "72", "--output", f"gs://{bucket}")
    late = [a for a in records(here.objects(bucket)) if parse_time(a["start"]) < here.midnight]
    assert sorted(a["kind"] for a in late) == ["absent"] * 4 + ["spike"] + ["zero"] * 4
    assert all(a["labels"]["instance_name"] == "web-2" for a in late if a["kind"] == "absent")


def test_the_plan_reads_no_points_and_the_report_reads_back(here: World) -> None:
    bucket = here.cloud.make_bucket()
    planned = here.run("plan", "--hours", "72", "--output", f"gs://{bucket}")
    assert here.monitoring.points == 0 or all(r.view == 1 for r in here.monitoring.requests if hasattr(r, "view"))
    assert "series returned" in planned.out
    assert not here.objects(bucket, "")
    here.run("run", "--hours", "72", "--output", f"gs://{bucket}")
    told = json.loads(here.run("report", "--output", f"gs://{bucket}", "--format", "json").out)
    assert len(told) == 9
    table = here.run("report", "--output", f"gs://{bucket}", "--since", here.day(2), "--until", here.day(1)).out
    assert "web-0" in table
    assert "web-2" in table
    assert "no incidents" in here.run("report", "--output", f"gs://{bucket}", "--until", here.day(9)).out


def test_a_configuration_in_the_bucket_is_read_from_there(here: World) -> None:
    bucket = here.cloud.make_bucket()
    client = here.cloud.client()
    text = f'hours = 72\noutput = "gs://{bucket}"\n[policy]\ndirection = "up"\n'
    client.bucket(bucket).blob("netanomaly.toml").upload_from_string(text)
    client.close()
    here.run("run", "--config", f"gs://{bucket}/netanomaly.toml")
    assert [a["kind"] for a in records(here.objects(bucket))] == ["spike"]


def test_a_run_writes_back_what_one_may_be_paged_by(here: World) -> None:
    bucket = here.cloud.make_bucket()
    words = ("--hours", "72", "--output", f"gs://{bucket}", "--write-back", "p")
    here.monitoring.written.points.clear()
    done = here.run("run", *words)
    points = {name.rpartition("/")[2]: rows for (name, _), rows in here.monitoring.written.points.items()}
    assert set(points) == {"incidents", "worst_severity", "heartbeat"}
    ((_, new),) = points["incidents"]
    opened = [line for line in done.log if line["event"] == "incident.opened"]
    assert new == len(opened) > 0
    assert points["worst_severity"][0][1] == max(line["incident_severity"] for line in opened)
    assert points["heartbeat"][0][1] == 1
    assert "ok      write metrics to p" in here.run("check", *words).out


def test_metrics_that_cannot_be_written_take_nothing_from_the_rest(here: World) -> None:
    bucket = here.cloud.make_bucket()
    words = ("--hours", "2", "--output", f"gs://{bucket}", "--write-back", "elsewhere")
    done = here.run("run", *words, status=1)
    (said,) = [line for line in done.log if line["event"] == "metrics.failed"]
    assert "grant roles/monitoring.metricWriter" in said["message"]
    assert here.objects(bucket, "reports/")
    assert "grant roles/monitoring.metricWriter" in here.run("check", *words, status=3).out
