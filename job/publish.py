"""What the last task out does: say which incidents opened and closed, and render the pages of the days of the run."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from time import sleep
from typing import Any, Literal

from job.errors import Conflict, Failed, NetanomalyError
from job.found import LEDGER, Found, entry, find
from job.incident import APART, Incident, rank
from job.log import Log
from job.mutes import Mutes
from job.page import Skipped, render
from job.store import Object, Store, put_over
from job.units import named, parse_time, utc

DAY = timedelta(days=1)

LATEST = "reports/latest.json"

LOUD = 70
"""Incidents from this severity up are warnings in the log."""

CLAIM = "saying"
"""In the meta of a day's published incidents: who is about to say what is new of them."""

TURNS = 10
"""So often somebody else's claim is looked at again before he is taken for dead."""

Change = tuple[Literal["opened", "closed", "amended"], Incident]


@dataclass(frozen=True)
class Telling:
    """How the findings of a run are told: what is muted, and how many incidents of a day may be announced (0: all).

    `writer` tells one task from another, so that of two that write the same only one says it, and `wait` is what is
    done until what another is about to say is looked at again.
    """

    store: Store
    log: Log
    mutes: Mutes
    most: int = 0
    backfill: bool = False
    writer: str = ""
    wait: Callable[[], object] = field(default=partial(sleep, 0.5))


def records(store: Store, execution: str, now: datetime) -> list[dict[str, Any]]:
    """The records of all tasks of an execution, which may have begun round midnight.

    Raises:
        Failed: a record cannot be read.
    """
    found = []
    for day in (now - DAY, now, now + DAY):
        for name in store.names(f"runs/date={day:%Y-%m-%d}/{execution}/"):
            there = store.get(name)
            try:
                found.append(json.loads(there.data) if there else {})
            except ValueError as error:
                raise Failed(f"{name} is no record of a run: {error}") from None
    return found


@dataclass(frozen=True)
class Told:
    """What an execution had to tell: the incidents of its days, the worst first, and which of them were new."""

    incidents: tuple[Incident, ...] = ()
    new: frozenset[str] = frozenset()

    @property
    def held(self) -> int:
        """How many were not announced, because there were too many."""
        return sum(1 for i in self.incidents if not i.told and not i.muted)

    @property
    def muted(self) -> int:
        """How many are muted."""
        return sum(1 for i in self.incidents if i.muted)

    @property
    def numbers(self) -> dict[str, int]:
        """What one may be paged by: the incidents that are on or new, neither muted nor held back, and the worst."""
        here = [i for i in self.incidents if i.told and not i.muted and (i.state != "closed" or i.id in self.new)]
        return {"incidents": len(here), "worst_severity": max((i.severity for i in here), default=0)}


def publish(telling: Telling, execution: str, tasks: int, now: datetime) -> Told | None:
    """Tell and render what an execution found, if all of its tasks are through; None where they are not.

    Two tasks that both see all records tell every incident once and write the same pages.

    Raises:
        NotAllowed: a permission is missing.
        Failed: the store did not answer.
    """
    told = [r for r in records(telling.store, execution, now) if r.get("status") in {"done", "failed"}]
    if len(told) < tasks:
        return None
    slices = [piece for record in told for piece in record["slices"]]
    days = sorted({date.fromisoformat(piece["day"]) for piece in slices if piece["status"] != "waiting"})
    if days and not telling.backfill:
        _missed(telling, days[0])
    every: dict[str, Incident] = {}
    new: set[str] = set()
    for day in days:
        here = [piece for piece in slices if piece["day"] == str(day)]
        of = _of(slices, day)
        if all(p["status"] == "complete" for p in here) and _rendered(telling.store, day) == of:
            continue
        skipped = [Skipped(p["slice"], p["error"] or "") for p in here if p["status"] == "failed"]
        told_of = one_day(telling, day, sorted(skipped, key=lambda s: s.what), of)
        every |= {i.id: i for i in told_of.incidents}
        new |= told_of.new
    return Told(tuple(sorted(every.values(), key=rank)), frozenset(new))


def _missed(telling: Telling, first: date) -> None:
    """Say once what no run has judged, where none came for longer than a run looks back."""
    there = telling.store.get(LATEST)
    try:
        until = parse_time(_told_of(there.data, "until")) if there else None
    except ValueError:
        return
    if until and until.date() < first:
        words = f"no run judged what came after {utc(until)}: netanomaly run --from {until:%Y-%m-%d} --to {first}"
        telling.log("WARNING", "run.missed", words, since=utc(until), until=str(first))


def _of(slices: Iterable[dict[str, Any]], day: date) -> str:
    """Names the objects that the page of a day is made of: those of the day and of the days beside it."""
    beside = {str(day - DAY), str(day), str(day + DAY)}
    made = sorted((piece["slice"], piece["version"]) for piece in slices if piece["day"] in beside)
    return hashlib.sha256(json.dumps(made).encode()).hexdigest()[:16]


def _rendered(store: Store, day: date) -> str:
    """What the page that is there was made of; the run that wrote the anomalies may have been killed before it."""
    there = store.head(page_name(day))
    return there.meta.get("of", "") if there else ""


def page_name(day: date) -> str:
    """Where the page of a day is."""
    return f"reports/{day}.html"


def one_day(telling: Telling, day: date, skipped: Sequence[Skipped] = (), of: str = "") -> Told:
    """Tell what is new of a day, and render its page, with the name of what it is made `of`."""
    start = datetime.combine(day, time(), UTC)
    found = find(telling.store, start, start + DAY, ended=APART)
    if found.problems:
        telling.log("WARNING", "report.unreadable", "; ".join(named(found.problems)), count=len(found.problems))
    incidents = tuple(sorted(telling.mutes.over(found.incidents), key=rank))
    incidents, new = tell(telling, replace(found, incidents=incidents), day)
    incidents = tuple(i for i in incidents if i.end > start)  # those before are only told to be over
    told = Told(incidents, new)
    page = render(replace(found, incidents=incidents), start, start + DAY, skipped, told.held)
    put_over(telling.store, page_name(day), page.encode(), {"of": of})
    _point(telling.store, day, found, told)
    return told


@dataclass(frozen=True)
class Published:
    """The incidents of an object by id, with the lines that they stand in; `odd` are those that cannot be read."""

    known: Mapping[str, Incident]
    lines: Mapping[str, bytes]
    odd: tuple[bytes, ...]

    def rewritten(self, after: Mapping[str, Incident]) -> bytes:
        """The object with what became of its incidents: a line that did not change, or is odd, stays as it was."""
        order = sorted(after.values(), key=lambda i: (i.start, i.id))
        told = [self.lines[i.id] if self.known.get(i.id) == i else i.line().encode() for i in order]
        return b"".join(line + b"\n" for line in (*told, *self.odd))


def _published(data: bytes) -> Published:
    read = [(entry(line), line) for line in data.splitlines()]
    known = {i.id: i for i, _ in read if isinstance(i, Incident)}
    lines = {i.id: line for i, line in read if isinstance(i, Incident)}
    return Published(known, lines, tuple(line for i, line in read if not isinstance(i, Incident)))


def tell(telling: Telling, found: Found, day: date) -> tuple[tuple[Incident, ...], frozenset[str]]:
    """Bring the ledger up to date, and log what that changed; the incidents as they are published now, and the new."""
    loud = [i.id for i in found.incidents if not i.muted]
    allowed = set(loud[: telling.most] if telling.most else loud)
    now = {i.id: i.model_copy(update={"told": i.told or i.id in allowed}) for i in found.incidents}
    new: set[str] = set()
    for begun in sorted({day, *(i.start.date() for i in now.values())}):
        mine = [i for i in now.values() if i.start.date() == begun]
        said = _written(telling, f"{LEDGER}date={begun}/incidents.jsonl", mine, day, sweep=begun == day)
        new |= {incident.id for what, incident in said if what == "opened"}
    held = sum(1 for i in now.values() if not i.told and not i.muted)
    if held:
        telling.log("WARNING", "incidents.held", f"{held} incidents of {day} held back by the limit", held=held)
    return tuple(sorted(now.values(), key=rank)), frozenset(new)


def _written(telling: Telling, name: str, mine: Sequence[Incident], day: date, *, sweep: bool) -> list[Change]:
    """Say what changed of a day's published incidents, and write them; nothing is written when nothing did.

    They are written only when all is said, so that whoever is killed between leaves it to be said again rather than
    never; and whoever is about to say it puts his name on what is there before, so that two at once say it once.
    """
    said: list[Change] = []
    for _ in range(5):
        there = _free(telling, name)
        data, head = (there.data, there.head) if there else (b"", None)
        before = _published(data)
        after = _after(before.known, mine, sweep=sweep)
        try:
            if changes := [change for change in _changes(before.known, after) if change not in said]:
                head = telling.store.put(name, data, meta={CLAIM: telling.writer}, replaces=head)
            for change in changes:
                _say(telling, change, day)
                said.append(change)
            written = before.rewritten(after)
            if written != data or (head and CLAIM in head.meta):
                telling.store.put(name, written, replaces=head)
        except Conflict:
            continue
        return said
    raise Conflict(f"{name} was changed by others five times while it was written; try again")


def _free(telling: Telling, name: str) -> Object | None:
    """What is there, once nobody else is about to say something of it; he may have been killed, so there is an end."""
    there = telling.store.get(name)
    for _ in range(TURNS):
        if not there or there.head.meta.get(CLAIM, telling.writer) == telling.writer:
            break
        telling.wait()
        there = telling.store.get(name)
    return there


def _after(known: Mapping[str, Incident], mine: Sequence[Incident], *, sweep: bool) -> dict[str, Incident]:
    """The published incidents with those that were found; in a sweep, what later points took back is over."""
    after = {**known, **{i.id: i for i in mine}}
    gone = [i for i in known.values() if not i.over and i.id not in {m.id for m in mine}] if sweep else []
    return after | {i.id: i.model_copy(update={"state": "closed", "over": True}) for i in gone}


def _changes(before: Mapping[str, Incident], after: Mapping[str, Incident]) -> Iterator[Change]:
    """What is to be said: each incident's opening, each worsening and its closing, once."""
    for key, incident in sorted(after.items(), key=lambda item: rank(item[1])):
        if not incident.told:
            continue
        was = before.get(key)
        if not was or not was.told:
            yield "opened", incident
        elif len(incident.amendments) > len(was.amendments):
            yield "amended", incident
        if incident.over and not (was and was.told and was.over):
            yield "closed", incident


def _say(telling: Telling, change: Change, day: date) -> None:
    """Log a change, with what to open: the incident on the page of that day, and its series."""
    what, incident = change
    loud = incident.severity >= LOUD and not telling.backfill and what != "closed"
    telling.log(
        "WARNING" if loud else "INFO",
        f"incident.{what}",
        incident.sentence,
        id=incident.id,
        incident_severity=incident.severity,
        nature=incident.nature,
        where=incident.where,
        start=incident.model_dump(mode="json")["start"],
        page=f"{_opens(telling.store.url)}/{page_name(day)}#i-{incident.id}",
        link=incident.link,
        backfill=telling.backfill,
    )


def _opens(url: str) -> str:
    """Where a browser opens what a store holds: a bucket's objects for who is logged in and may read them."""
    return url.replace("gs://", "https://storage.cloud.google.com/", 1) if url.startswith("gs://") else url


def _point(store: Store, day: date, found: Found, told: Told) -> None:
    """Let reports/latest.json point to the newest day."""
    loud = [i for i in told.incidents if not i.muted]
    pointer = {
        "schema": 1,
        "day": str(day),
        "page": page_name(day),
        "until": max((one.model_dump(mode="json")["until"] for one in found.looked), default=None),
        "incidents": len(loud),
        "open": sum(1 for i in loud if i.state != "closed"),
        "muted": told.muted,
        "held": told.held,
        "worst": max((i.severity for i in loud), default=None),
    }
    data = (json.dumps(pointer) + "\n").encode()
    for _ in range(5):
        there = store.get(LATEST)
        if there and _told_of(there.data, "day") > str(day):
            return
        try:
            store.put(LATEST, data, replaces=there.head if there else None)
        except Conflict:
            continue
        return


def _told_of(data: bytes, what: str) -> str:
    """What the pointer says; nothing where it is none."""
    try:
        return str(json.loads(data)[what] or "")
    except (ValueError, KeyError, TypeError):
        return ""


def attempt(telling: Telling, execution: str, tasks: int, now: datetime) -> tuple[int, Told | None]:
    """`publish`; a failure is logged, and the exit status says so."""
    try:
        told = publish(telling, execution, tasks, now)
    except NetanomalyError as error:
        telling.log("ERROR", "report.failed", f"the anomalies are written, but not their report: {error}")
        return error.exit_status, None
    return 0, told
