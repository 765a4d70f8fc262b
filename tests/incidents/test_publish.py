import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from job.anomaly import Anomaly, lines
from job.found import find
from job.log import json_lines
from job.mutes import Mutes, parse
from job.publish import Telling, attempt, one_day, publish
from job.store import put_over
from job.store.folder import Folder
from tests.incidents.events import MINUTE, event
from tests.job.command import netanomaly
from tests.job.work import HOUR, Meddling, backfill, bench, tree
from tests.job.work import NIGHT as PRESENT
from tests.page.findings import DAY, NEXT


class Teller:
    """A store with anomalies that are told again and again."""

    def __init__(self, place: Path, **given: Any) -> None:
        self.store = Folder(place)
        self.logged = io.StringIO()
        self.telling = Telling(self.store, json_lines(self.logged), **({"mutes": Mutes()} | given))

    def write(self, *anomalies: Anomaly, day: datetime = DAY) -> None:
        put_over(self.store, f"anomalies/date={day:%Y-%m-%d}/metric=x/p.part-00.jsonl", lines(anomalies))

    def tell(self, day: datetime = DAY) -> list[tuple[str, str]]:
        """Publish a day; what was said by that, with its severity in the log."""
        self.logged.truncate(0)
        self.logged.seek(0)
        one_day(self.telling, day.date())
        said = [json.loads(line) for line in self.logged.getvalue().splitlines()]
        return [(line["event"].removeprefix("incident."), line["severity"]) for line in said]


ON = event("in bytes", 5000, 1000, ongoing=True, severity=75)
OVER = event("in bytes", 5000, 1000, minutes=50, severity=75)


def test_an_incident_is_opened_and_closed_once_however_often_it_is_told(tmp_path: Path) -> None:
    teller = Teller(tmp_path)
    teller.write(ON)
    assert [teller.tell() for _ in range(3)] == [[("opened", "WARNING")], [], []]
    teller.write(OVER)
    assert [teller.tell() for _ in range(3)] == [[("closed", "INFO")], [], []]


def test_what_is_said_names_what_to_open(tmp_path: Path) -> None:
    teller = Teller(tmp_path)
    teller.write(ON)
    teller.tell()
    line = json.loads(teller.logged.getvalue())
    page, _, place = line["page"].partition("#")
    assert f'id="{place}"' in Path(page).read_text("utf-8")
    assert line["link"].startswith("https://console.cloud.google.com/monitoring/metrics-explorer;")


def test_what_is_over_when_it_is_first_seen_is_opened_and_closed(tmp_path: Path) -> None:
    teller = Teller(tmp_path)
    teller.write(OVER)
    assert teller.tell() == [("opened", "WARNING"), ("closed", "INFO")]


def test_what_goes_on_over_midnight_is_told_once(tmp_path: Path) -> None:
    teller = Teller(tmp_path)
    evening = event("in bytes", 5000, 1000, start=NEXT - 40 * MINUTE, minutes=40, ongoing=True)
    teller.write(evening)
    assert [event for event, _ in teller.tell()] == ["opened"]
    teller.write(event("in bytes", 5000, 1000, start=NEXT, continued=True, ongoing=True), day=NEXT)
    assert teller.tell(DAY) + teller.tell(NEXT) == []
    teller.write(event("in bytes", 5000, 1000, start=NEXT, minutes=55, continued=True), day=NEXT)
    assert [event for event, _ in teller.tell(DAY) + teller.tell(NEXT)] == ["closed"]
    assert teller.tell(DAY) + teller.tell(NEXT) == []


def test_what_later_points_take_back_is_closed(tmp_path: Path) -> None:
    teller = Teller(tmp_path)
    teller.write(ON)
    teller.tell()
    teller.write()
    assert [teller.tell() for _ in range(2)] == [[("closed", "INFO")], []]


def test_a_worsening_is_an_amendment(tmp_path: Path) -> None:
    teller = Teller(tmp_path)
    teller.write(ON)
    teller.tell()
    teller.write(ON.model_copy(update={"severity": 95}))
    assert [teller.tell() for _ in range(2)] == [[("amended", "WARNING")], []]
    teller.write(ON.model_copy(update={"severity": 60}))
    assert teller.tell() == []
    (incident,) = find(teller.store, DAY, NEXT).incidents
    assert incident.severity == 95
    assert incident.amendments == ("75 became 95 at 2026-11-22T03:40:00Z",)


def test_muted_incidents_are_not_announced_until_the_mute_ends(tmp_path: Path) -> None:
    mutes = parse('[[mute]]\nreason = "known"\nuntil = 2026-11-22T03:45:00Z', "m")
    teller = Teller(tmp_path, mutes=mutes)
    teller.write(ON)
    assert teller.tell() == []
    assert "muted: known" in teller.store.get("reports/2026-11-22.html").data.decode()  # type: ignore[union-attr]  # it is there
    teller.write(OVER.model_copy(update={"ongoing": True}))
    assert teller.tell() == [("opened", "WARNING")]


def test_the_limit_holds_back_the_mildest_and_says_so(tmp_path: Path) -> None:
    teller = Teller(tmp_path, most=1)
    worst = event("in bytes", 9000, 1000, "db-1", zone="us-east1-b", severity=90, start=DAY)
    teller.write(ON, worst)
    said = teller.tell()
    assert [event for event, _ in said] == ["opened", "closed", "incidents.held"]
    assert "1 of these was held back" in teller.store.get("reports/2026-11-22.html").data.decode()  # type: ignore[union-attr]  # it is there
    assert json.loads((tmp_path / "reports/latest.json").read_text())["held"] == 1
    done = netanomaly("report", "--output", str(tmp_path), cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "2 incidents (1 held back by the limit on announcements)"
    done = netanomaly("report", "--output", str(tmp_path), "--format", "html", cwd=tmp_path)
    assert "1 of these was held back" in done.stdout


def test_a_report_shows_as_muted_what_was_published_as_muted(tmp_path: Path) -> None:
    teller = Teller(tmp_path, mutes=parse('[[mute]]\nreason = "load test"\nuntil = 2027-01-01', "m"))
    teller.write(ON)
    teller.tell()
    done = netanomaly("report", "--output", str(tmp_path), cwd=tmp_path)
    assert "75 muted" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 incident (1 muted)"


def test_a_backfill_wakes_nobody(tmp_path: Path) -> None:
    teller = Teller(tmp_path, backfill=True)
    teller.write(ON)
    assert teller.tell() == [("opened", "INFO")]


def test_two_that_tell_at_once_tell_once(tmp_path: Path) -> None:
    teller, other = Teller(tmp_path, writer="one"), Teller(tmp_path, writer="other")
    teller.write(ON)
    rest = [other.tell]
    between = Meddling(teller.store, lambda _: rest.pop()() if rest else None)
    teller.telling = replace(teller.telling, store=between)
    assert teller.tell() == []
    assert '"incident.opened"' in other.logged.getvalue()


class Killed(BaseException):
    """The process was ended between two of its steps."""


def killed_after(steps: int) -> Callable[..., None]:
    """Something that may be done so often, and at the next time ends the process."""
    left = [steps]

    def step(*_: object, **__: object) -> None:
        if not left[0]:
            raise Killed
        left[0] -= 1

    return step


@pytest.mark.parametrize(("puts", "times"), [(0, 1), (1, 2), (2, 1)])
def test_who_is_killed_leaves_nothing_unsaid(tmp_path: Path, puts: int, times: int) -> None:
    teller, retry = Teller(tmp_path, writer="one"), Teller(tmp_path, writer="retry", wait=lambda: None)
    teller.write(ON)
    teller.telling = replace(teller.telling, store=Meddling(teller.store, killed_after(puts)))
    with pytest.raises(Killed):
        teller.tell()
    said = [teller.logged.getvalue(), *(str(retry.tell()) for _ in range(2))]
    assert sum("opened" in each for each in said) == times  # twice only where it was killed just after saying it


def test_who_is_killed_before_saying_it_leaves_it_to_the_next(tmp_path: Path) -> None:
    teller = Teller(tmp_path, writer="one")
    teller.write(ON)
    teller.telling = replace(teller.telling, log=killed_after(0))
    with pytest.raises(Killed):
        teller.tell()
    retry = Teller(tmp_path, writer="retry", wait=lambda: None)
    assert [retry.tell() for _ in range(2)] == [[("opened", "WARNING")], []]
    assert [meta for _, meta in tree(tmp_path, "incidents/").values()] == [{}]


def test_a_claim_to_what_has_vanished_meanwhile_is_cleared(tmp_path: Path) -> None:
    teller, next_one = Teller(tmp_path, writer="one"), Teller(tmp_path, writer="next", wait=lambda: None)
    teller.write(ON)
    teller.telling = replace(teller.telling, log=killed_after(0))
    with pytest.raises(Killed):
        teller.tell()
    teller.write()
    assert next_one.tell() == []
    assert tree(tmp_path, "incidents/") == {"incidents/date=2026-11-22/incidents.jsonl": (b"", {})}


def test_who_finds_another_about_to_say_it_lets_him(tmp_path: Path) -> None:
    slow, other = Teller(tmp_path, writer="slow"), Teller(tmp_path, writer="other")
    slow.write(ON)
    slowly = replace(slow.telling, log=killed_after(0))
    with pytest.raises(Killed):
        one_day(slowly, DAY.date())  # so far he has come
    other.telling = replace(other.telling, wait=slow.tell)
    assert other.tell() == []
    assert '"incident.opened"' in slow.logged.getvalue()


def test_the_pointer_never_goes_back(tmp_path: Path) -> None:
    teller = Teller(tmp_path)
    teller.tell(NEXT)
    teller.tell(DAY)
    pointer = json.loads((tmp_path / "reports/latest.json").read_text())
    assert (pointer["day"], pointer["page"]) == ("2026-11-23", "reports/2026-11-23.html")


@pytest.mark.parametrize(
    ("pointer", "told"),
    [
        ('{"day": "2026-11-18", "until": "2026-11-18T14:05:00Z"}', "--from 2026-11-18 --to 2026-11-21"),
        ('{"day": "2026-11-20", "until": "2026-11-21T00:00:00Z"}', ""),
        ('{"day": "2026-11-18", "until": "$(reboot)"}', ""),
        ('{"day": "2026-11-18", "until": null}', ""),
        ("[]", ""),
    ],
)
def test_what_no_run_has_judged_is_said_once(pointer: str, told: str, tmp_path: Path) -> None:
    work, logged = bench(tmp_path, hours=3), io.StringIO()
    work.run()
    put_over(work.job.store, "reports/latest.json", pointer.encode())
    telling = Telling(work.job.store, json_lines(logged), Mutes())
    for _ in range(2):
        publish(telling, "e1", 1, PRESENT)
    said = [line for line in map(json.loads, logged.getvalue().splitlines()) if line["event"] == "run.missed"]
    assert [line["message"].partition("netanomaly run ")[2] for line in said] == ([told] if told else [])


def test_the_last_task_out_renders_and_tasks_make_the_same_pages(tmp_path: Path) -> None:
    one, three = backfill(tmp_path / "one"), backfill(tmp_path / "three")
    logs = json_lines(io.StringIO())
    one.run()
    assert publish(Telling(one.job.store, logs, Mutes()), "e1", 1, PRESENT)
    done = []
    for index in (2, 0, 1):
        three.run(index, 3)
        done.append(publish(Telling(three.job.store, logs, Mutes()), "e1", 3, PRESENT) is not None)
    assert done == [False, False, True]
    for prefix in ("reports/", "incidents/"):
        assert tree(tmp_path / "one", prefix) == tree(tmp_path / "three", prefix)
    assert sorted(tree(tmp_path / "one", "reports/")) == [
        "reports/2026-11-20.html",
        "reports/2026-11-21.html",
        "reports/latest.json",
    ]


def test_a_backfill_that_was_killed_before_it_told_what_it_wrote_tells_it_when_it_goes_on(tmp_path: Path) -> None:
    logged = io.StringIO()
    telling = Telling(Folder(tmp_path), json_lines(logged), Mutes())
    bench(tmp_path, PRESENT - HOUR, hours=40).run()
    publish(telling, "e1", 1, PRESENT - HOUR)
    for name in telling.store.names("incidents/"):
        telling.store.delete(name)
    logged.truncate(0)
    backfill(tmp_path).run(execution="killed")
    again = backfill(tmp_path)
    assert {o.status for o in again.run(execution="again")} == {"complete"}
    publish(telling, "again", 1, PRESENT)
    assert "incident.opened" in logged.getvalue()
    before = len(logged.getvalue())
    publish(telling, "again", 1, PRESENT)
    assert len(logged.getvalue()) == before


def test_a_slice_that_failed_is_named_on_the_page(tmp_path: Path) -> None:
    job = bench(tmp_path, hours=1)
    job.run()
    name = next(iter(tree(tmp_path, "runs/")))
    record = json.loads((tmp_path / name).read_text())
    record["slices"][0] |= {"status": "failed", "error": "quota <exceeded>"}
    put_over(job.job.store, name, json.dumps(record).encode())
    publish(Telling(job.job.store, json_lines(io.StringIO()), Mutes()), "e1", 1, PRESENT)
    assert "quota &lt;exceeded&gt;" in (tmp_path / "reports/2026-11-21.html").read_text()


def test_what_cannot_be_read_is_named_in_the_log_and_the_rest_is_told(tmp_path: Path) -> None:
    teller = Teller(tmp_path)
    teller.write(ON)
    put_over(teller.store, f"anomalies/date={DAY:%Y-%m-%d}/metric=y/p.part-00.jsonl", lines([OVER])[:300])
    assert teller.tell() == [("report.unreadable", "WARNING"), ("opened", "WARNING")]
    said = json.loads(teller.logged.getvalue().splitlines()[0])
    assert said["count"] == 1
    assert "metric=y/p.part-00.jsonl line 1" in said["message"]


def test_a_published_line_that_cannot_be_read_stays_when_its_day_is_written_again(tmp_path: Path) -> None:
    teller, name = Teller(tmp_path), f"incidents/date={DAY:%Y-%m-%d}/incidents.jsonl"
    teller.write(ON)
    teller.tell()
    (line,) = tmp_path.joinpath(name).read_bytes().splitlines()
    other = {"schema": 2, "id": "e" * 16, "anomalies": ["f" * 16], "over": True, "cause": "known later"}
    newer = json.dumps(json.loads(line) | other)
    put_over(teller.store, name, line + b"\n" + newer.encode() + b"\n" + line[:300] + b"\n")
    teller.write(OVER)
    assert ("closed", "INFO") in teller.tell()
    after = tmp_path.joinpath(name).read_bytes().splitlines()
    assert after[1:] == [newer.encode(), line[:300]]
    assert json.loads(after[0])["state"] == "closed"


def test_a_report_that_fails_is_an_error_and_no_crash(tmp_path: Path) -> None:
    bench(tmp_path, hours=1).run()
    (tmp_path / "reports").write_text("in the way")
    logged = io.StringIO()
    status, _ = attempt(Telling(Folder(tmp_path), json_lines(logged), Mutes()), "e1", 1, PRESENT)
    assert status != 0
    assert "report.failed" in logged.getvalue()


@pytest.mark.parametrize("day", [DAY, NEXT])
def test_an_incident_is_the_same_from_each_of_its_days(tmp_path: Path, day: datetime) -> None:
    teller = Teller(tmp_path)
    teller.write(event("in bytes", 5000, 1000, start=NEXT - 40 * MINUTE, minutes=40, ongoing=True))
    teller.write(event("in bytes", 5000, 1000, start=NEXT, continued=True), day=NEXT)
    (incident,) = find(teller.store, day, day + timedelta(days=1)).incidents
    assert (incident.start, incident.end) == (NEXT - 40 * MINUTE, NEXT + 30 * MINUTE)


def test_what_one_may_be_paged_by_is_on_or_new(tmp_path: Path) -> None:
    teller = Teller(tmp_path)
    teller.write(ON, event("in bytes", 5000, 1000, "db-1", start=DAY, severity=82))
    assert one_day(teller.telling, DAY.date()).numbers == {"incidents": 2, "worst_severity": 82}
    assert one_day(teller.telling, DAY.date()).numbers == {"incidents": 1, "worst_severity": 75}
    teller.write(OVER)
    assert one_day(teller.telling, DAY.date()).numbers == {"incidents": 0, "worst_severity": 0}


def test_nobody_is_paged_by_what_is_muted_or_held_back(tmp_path: Path) -> None:
    mutes = parse('[[mute]]\nreason = "known"\nuntil = 2027-01-01\nresource = "db-*"\n', "mutes.toml")
    teller = Teller(tmp_path, mutes=mutes, most=1)
    teller.write(
        ON, event("in bytes", 5000, 1000, "db-1", severity=99, zone="us-east1-b"), event("in bytes", 5000, 1000, "bb-1")
    )
    assert one_day(teller.telling, DAY.date()).numbers == {"incidents": 1, "worst_severity": 75}
