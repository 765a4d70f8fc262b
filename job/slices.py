"""Slices of one query: read their days at once, score and judge each, and store what was found."""

import hashlib
import json
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from itertools import chain, takewhile
from threading import Lock, Semaphore
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from detectors import Detector, Frame, Labels
from detectors.detector import compares_rows
from job import memory, series
from job.anomaly import SCHEMA, Anomaly, lines
from job.config import Settings
from job.errors import ConfigError, Conflict, Faulty, NetanomalyError
from job.examine import examine, lately, needed
from job.judge import settling
from job.log import Log
from job.meter import Meter
from job.mutes import Mutes, Quiet, hidden
from job.past import Past, sample
from job.plan import DAY, Slice, until
from job.policy import Policy
from job.presets import GROUPS, PRESETS, expand
from job.query import Query
from job.ratio import PRESETS as RATIO_PRESETS
from job.ratio import RATIOS
from job.record import Subject
from job.sources import Block, Days, Joining, Knowing, Reader, Scattered, Source, blocks, cut
from job.sources.joined import stacked
from job.store import Head, Store
from job.sums import Sums
from job.tally import Tally
from job.units import parse_time, utc

T = TypeVar("T")

Status = Literal["done", "complete", "kept", "waiting", "failed"]

LINES = 100
"""So many anomalies of a slice have a line of the log each: a fault of a whole fleet is told by its incident."""

NOTHING = datetime(1970, 1, 1, tzinfo=UTC)
"""What an object covers that does not say."""


@dataclass(frozen=True)
class Outcome:
    """What came of one slice.

    `status`: done; complete (an earlier run of this backfill had done it); kept (the object there covers more of the
    day than could be judged now); waiting (nothing of the day has settled yet); failed (`error` says why).
    `version` is that of the object that is there then, 0 where there is none.
    """

    slice: Slice
    status: Status
    until: datetime | None = None
    series: int = 0
    points: int = 0
    tested: int = 0
    warming_up: tuple[str, ...] = ()
    suppressed: Mapping[str, int] = field(default_factory=dict)
    anomalies: tuple[Anomaly, ...] = ()
    seconds: float = 0.0
    error: str = ""
    exit_status: int = 0
    version: int = 0


@dataclass(frozen=True)
class Job:
    """All that a slice needs beside itself: `source` says what there is, and `reader` reads it."""

    settings: Settings
    source: Source
    reader: Reader
    store: Store
    detectors: Mapping[str, Detector]
    versions: Mapping[str, str]
    now: datetime
    backfill: bool
    log: Log
    mutes: Mutes = field(default_factory=Mutes)
    meter: Meter = field(default_factory=Meter)
    hands: Semaphore = field(default_factory=lambda: Semaphore(memory.HANDS))
    room: Semaphore = field(default_factory=Semaphore)  # for one query that is held whole

    @property
    def histories(self) -> dict[str, timedelta]:
        """How much past each detector needs."""
        return {name: detector.history for name, detector in self.detectors.items()}


@dataclass(frozen=True)
class _Todo:
    """A slice that is to be done: up to when, under which meta, and in the place of which object."""

    slice: Slice
    end: datetime
    meta: Mapping[str, str]
    there: Head | None
    quiet: tuple[Quiet, ...]


def rounds(job: Job, slices: tuple[Slice, ...]) -> tuple[list[list[Slice]], list[list[Slice]]]:
    """The slices of each query, or of what is read together; ratios by themselves only when all else is there."""
    groups = dict[object, list[Slice]]()
    for piece in slices:
        joins = piece.family and isinstance(job.reader, Joining) and job.reader.joins((piece.query,))
        groups.setdefault(piece.read if joins else piece.query, []).append(piece)
    first, last = list[list[Slice]](), list[list[Slice]]()
    for some in groups.values():
        (last if all(piece.query.metric in RATIOS for piece in some) else first).append(some)
    return first, last


def attempt(job: Job, pieces: tuple[Slice, ...], stopped: Callable[[], bool]) -> Iterator[Outcome]:
    """Do days of one query, or of those of a family, that are read at once; whatever goes wrong is in the outcomes.

    When told to stop, those that are not ended are left without one.
    """
    todo: list[_Todo] = []
    for piece in pieces:
        begun = _tried(job, piece, partial(_begin, job, piece))
        if isinstance(begun, Outcome):
            yield _logged(job, begun)
        else:
            todo.append(begun)
    for some in _near(todo, partial(_past, job)):
        began, queries = time.monotonic(), _by_query(some)
        joined = _tried(job, some[0].slice, partial(_together, job, queries, stopped)) if len(queries) > 1 else {}
        if isinstance(joined, Outcome):
            job.log("WARNING", "read.apart", f"what is read together is tried one by one: {joined.error}")
            joined = {}
        for query, days in queries.items() if joined is not None else ():
            work = partial(_scored, job, days, stopped)
            came = joined[query] if joined else _tried(job, days[0].slice, work)
            if came is None:
                return
            for place, one in enumerate(days):
                outcome = (
                    replace(came, slice=one.slice)
                    if isinstance(came, Outcome)
                    else _tried(job, one.slice, partial(_end, job, one, came[place]))
                )
                seconds = round((time.monotonic() - began) / len(some), 3)
                yield _logged(job, replace(outcome, seconds=seconds))


def _by_query(some: Iterable[_Todo]) -> dict[Query, list[_Todo]]:
    found = dict[Query, list[_Todo]]()
    for one in some:
        found.setdefault(one.slice.query, []).append(one)
    return found


def _tried(job: Job, piece: Slice, work: Callable[[], T]) -> T | Outcome:
    """What the work gives, or the outcome that says what went wrong."""
    try:
        return work()
    except Faulty as error:
        return _crashed(job, piece, str(error))
    except NetanomalyError as error:
        return Outcome(piece, "failed", error=str(error), exit_status=error.exit_status)
    except Exception as error:  # noqa: BLE001 - the slice boundary: one slice's fault must not end the others
        return _crashed(job, piece, f"a fault in the program: {error!r}")


def _crashed(job: Job, piece: Slice, fault: str) -> Outcome:
    """What is said of the error that is being handled, with the place in the code where it was raised."""
    trace = traceback.format_exc()
    job.log("ERROR", "slice.crashed", f"{piece.name}: {fault}", slice=piece.name, traceback=trace)
    return Outcome(piece, "failed", error=fault, exit_status=1)


def _begin(job: Job, piece: Slice) -> _Todo | Outcome:
    """Whether there is anything to do."""
    query = piece.query
    facts = job.reader.describe(query)
    settle = facts.settle if job.settings.settle is None else job.settings.settle
    end = until(piece, job.now, settle)
    if end <= piece.start:
        return Outcome(piece, "waiting")
    quiet = job.mutes.quiet(query.metric, piece.start - _past(job, query), end)
    told = fingerprint(job, query, policy_of(job.settings, query), quiet)
    meta = {"until": utc(end), "fingerprint": told, "schema": str(SCHEMA)}
    there = job.store.head(f"anomalies/{piece.name}")
    if there and _complete(job, there, meta, piece):
        return Outcome(piece, "complete", until=end, version=there.version)
    if there and _covered(there) > end:
        return Outcome(piece, "kept", until=_covered(there), version=there.version)
    return _Todo(piece, end, meta, there, quiet)


def _past(job: Job, query: Query) -> timedelta:
    """How much before a day its judgement needs."""
    return needed(job.detectors, policy_of(job.settings, query), query.step)


def _near(todo: list[_Todo], past: Callable[[Query], timedelta]) -> Iterator[list[_Todo]]:
    """The days that are worth reading together: those of which one's history reaches back to the one before."""
    some: list[_Todo] = []
    for one in todo:
        if some and one.slice.start - past(one.slice.query) > max(other.end for other in some):
            yield some
            some = []
        some.append(one)
    if some:
        yield some


def _scored(job: Job, todo: list[_Todo], stopped: Callable[[], bool]) -> list[Tally] | None:
    """Read the days' series, score and judge them, a block at a time; nothing when told to stop."""
    query, start, end = todo[0].slice.query, todo[0].slice.start, todo[-1].end
    start -= _past(job, query)
    if comparing := [name for name, one in job.detectors.items() if compares_rows(one)]:
        with job.room:
            return _tallied(job, todo, iter([Block(_whole(job, query, (start, end), comparing))]), stopped)
    rows = memory.rows(job.settings.memory, (end - start) // query.step)
    days = _days(job, todo)
    try:
        if days and isinstance(job.reader, Knowing) and job.reader.knows(query):
            return _tallied(job, todo, job.reader.known(query, start, end, rows, days), stopped, days)
        return _tallied(job, todo, map(Block, blocks(job.reader, query, start, end, rows)), stopped)
    except Scattered:
        job.log("WARNING", "read.whole", f"{query.metric}: its series come in pieces; all are held at once")
        return _tallied(job, todo, iter([Block(job.reader.read(query, start, end))]), stopped)


def _together(
    job: Job, queries: Mapping[Query, list[_Todo]], stopped: Callable[[], bool]
) -> dict[Query, list[Tally]] | None:
    """The same for several queries, whose series are read together; nothing when told to stop.

    Of none where each of them is to be read by itself.
    """
    if any(map(compares_rows, job.detectors.values())) or not isinstance(job.reader, Joining):
        return {}
    start = min(days[0].slice.start - _past(job, query) for query, days in queries.items())
    end, step = max(days[-1].end for days in queries.values()), next(iter(queries)).step
    columns = (end - start) // step
    rows, most = memory.rows(job.settings.memory, columns), memory.joined(job.settings.memory, columns)
    countings = {query: _Counting.of(job, days) for query, days in queries.items()}

    def score(query: Query, frame: Frame) -> None:
        for some in cut(frame, rows):
            if not stopped():
                countings[query].add(Block(some))

    with job.room, ThreadPoolExecutor(memory.HANDS) as pool:
        busy = deque[Future[None]]()
        for query, frame in takewhile(lambda _: not stopped(), job.reader.together(queries, start, end, most)):
            busy.append(pool.submit(score, query, frame))
            if len(busy) > memory.HANDS:
                busy.popleft().result()
        for future in busy:
            future.result()
    return None if stopped() else {query: counting.tallies for query, counting in countings.items()}


def _days(job: Job, todo: list[_Todo]) -> Days | None:
    """The days whose past may serve other runs: not those that come once, nor where something is hidden."""
    query = todo[0].slice.query
    policy = policy_of(job.settings, query)
    ago = lately(job.detectors, policy, query.step)
    if job.backfill or ago is None or any(one.quiet for one in todo):
        return None
    told = job.settings.model_dump(mode="json", include={"detector"})
    decided = [told, dict(job.versions), policy.absence, str(settling(policy, query.step)), str(ago)]
    by = hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()[:16]
    first = todo[0].slice.start
    form = cache(partial(sample, job.detectors, query.step, first - settling(policy, query.step), first))
    return Days({one.slice.start: one.slice.start - ago for one in todo}, by, form)


def _whole(job: Job, query: Query, span: tuple[datetime, datetime], comparing: Sequence[str]) -> Frame:
    """All series of a query at once, for detectors that compare them.

    Raises:
        ConfigError: there are more than the memory holds.
    """
    columns = (span[1] - span[0]) // query.step
    compared = min(columns, max(job.histories[name] for name in comparing) // query.step)
    most, found = memory.together(job.settings.memory, columns, compared), list[Frame]()
    try:
        for frame in blocks(job.reader, query, *span, memory.MOST):
            found.append(frame)
            if sum(len(each.labels) for each in found) > most:
                raise ConfigError(
                    f"{query.metric}: {', '.join(comparing)} compares all of its series with each other, and of those "
                    f"only {most:,} of {columns:,} periods fit in memory = {memory.text(job.settings.memory)}; split "
                    "the metric with parts, take a longer step or give more memory"
                )
    except Scattered:
        return job.reader.read(query, *span)
    return stacked(found or [Frame(np.empty((0, columns)), span[0], query.step, ())])


def _tallied(
    job: Job, todo: list[_Todo], found: Iterator[Block], stopped: Callable[[], bool], days: Days | None = None
) -> list[Tally] | None:
    """What comes of the days of blocks that hold all of them; what is known of their past is put there."""
    counting = _Counting.of(job, todo, days)
    for block in found:
        if stopped():
            return None
        counting.add(block)
        del block  # which is a part of what was read together, before more is
    return counting.tallies


@dataclass(frozen=True)
class _Counting:
    """Scores and judges blocks of one query's series, in any order, and adds up what comes of its days."""

    job: Job
    todo: Sequence[_Todo]
    tallies: list[Tally]
    policy: Policy
    subject: Subject
    past: timedelta
    days: Days | None
    lock: Lock = field(default_factory=Lock)

    @classmethod
    def of(cls, job: Job, todo: Sequence[_Todo], days: Days | None = None) -> "_Counting":
        """Nothing yet."""
        query = todo[0].slice.query
        subject = Subject(query.project, query.metric, query.name, job.reader.describe(query).unit, job.histories)
        tallies = [Tally(sums=_sums(one.slice)) for one in todo]
        return cls(job, todo, tallies, policy_of(job.settings, query), subject, _past(job, query), days)

    def add(self, block: Block) -> None:
        """Score a block, and judge each of its days."""
        frame = block.frame
        self.job.meter.read(len(frame.labels), int(np.count_nonzero(np.isfinite(frame.values))))
        surveyed = series.surveyor(self.subject.project, self.subject.metric, self.subject.unit)
        with self.job.hands:
            for one, tally in zip(self.todo, self.tallies, strict=True):
                self._judge(block, one, tally, surveyed)

    def _judge(self, block: Block, one: _Todo, tally: Tally, surveyed: Callable[[Labels], series.Surveyed]) -> None:
        job, start, count = self.job, one.slice.start, len(block.frame.labels)
        known, since = block.past.get(start), self.days.since[start] if self.days else None
        rows, part = _part(block.frame, since if known and since else start - self.past, one.end, known)
        mute = hidden(part, one.quiet, self.subject.project)
        with job.meter("judge"):  # what is not a detector's
            before = known.rows(rows) if known and len(rows) < count else known or since
            verdict = examine(part, job.detectors, self.policy, self.subject, start, mute, job.meter, before)
            with self.lock:
                tally.add(part, verdict, series.since(part, start), surveyed)
                tally.points += int(known.points.sum()) if known else 0
        if verdict.past:
            block.found[start] = rows, verdict.past


def _sums(piece: Slice) -> Sums | None:
    """What is added up of groups: nothing, where others may have a part of them."""
    return Sums(piece.start, piece.query.step) if piece.query.parts == 1 else None


def _part(frame: Frame, start: datetime, end: datetime, past: Past | None) -> tuple[NDArray[np.intp], Frame]:
    """The series that have a point in that time, or had one in the past that is known, and which they are."""
    part = frame.columns(frame.column(start), frame.column(end))
    there = np.isfinite(part.values).any(axis=1)
    rows = np.flatnonzero(there | past.known if past else there)
    return rows, part if len(rows) == len(frame.labels) else part.rows(rows)


def _end(job: Job, one: _Todo, tally: Tally) -> Outcome:
    """Store what was found of a slice."""
    anomalies = tuple(sorted(tally.anomalies, key=lambda a: (a.start, a.id)))
    written = None
    if tally.series or one.there:
        with job.meter("write"):
            written = _write(job, one, tally, anomalies)
    return Outcome(
        one.slice,
        "done",
        until=one.end,
        series=tally.series,
        points=tally.points,
        tested=tally.tested,
        warming_up=tuple(sorted(tally.young)),
        suppressed=dict(sorted(tally.suppressed.items())),
        anomalies=anomalies,
        version=written.version if written else 0,
    )


def _write(job: Job, one: _Todo, tally: Tally, anomalies: tuple[Anomaly, ...]) -> Head | None:
    """Write the slice's objects, the series first, so that whoever sees the anomalies can see their series, too."""
    beside = f"{series.NAME}{one.slice.name}"
    plot = series.lines(_looked(one, tally), tally.traces)
    _put(job.store, beside, plot, one.meta, job.store.head(beside), one.end)
    return _put(job.store, f"anomalies/{one.slice.name}", lines(anomalies), one.meta, one.there, one.end)


def _looked(one: _Todo, tally: Tally) -> series.Looked:
    """What was looked at of the slice."""
    query = one.slice.query
    return series.Looked(
        schema=SCHEMA,
        project=query.project,
        metric=query.metric,
        query=query.name,
        start=one.slice.start,
        until=one.end,
        series=tally.series,
        tested=tally.tested,
        flagged=len(tally.anomalies),
        warming_up=len(tally.young),
        suppressed=dict(sorted(tally.suppressed.items())),
        types=tally.survey.kept(),
        sums=tally.sums.told(chain.from_iterable(tally.traces.values())) if tally.sums else [],
    )


def _complete(job: Job, there: Head, meta: Mapping[str, str], piece: Slice) -> bool:
    """Whether an earlier run of the same backfill has done this slice, and the whole of its day."""
    if not job.backfill or job.settings.fresh or there.meta != meta:
        return False
    return meta["until"] == utc(piece.start + DAY)


def _covered(there: Head | None) -> datetime:
    """Up to where the object that is there covers its day."""
    try:
        return parse_time(there.meta["until"]) if there else NOTHING
    except (KeyError, ValueError):  # somebody else's object, or a half-told one, claims nothing
        return NOTHING


def _put(
    store: Store, place: str, data: bytes, meta: Mapping[str, str], there: Head | None, end: datetime
) -> Head | None:
    """Write the slice's object, unless another run has meanwhile written one that covers more; what is there then."""
    for _ in range(5):
        if _covered(there) > end:
            return there
        try:
            return store.put(place, data, meta=meta, replaces=there)
        except Conflict:
            there = store.head(place)
    return store.put(place, data, meta=meta, replaces=there)


def policy_of(settings: Settings, query: Query) -> Policy:
    """The query's policy, with what a missing point means said out."""
    policy = settings.policy_of(*names(query))
    more: dict[str, Any] = {"absence": query.missing} if policy.absence == "preset" else {}
    if query.metric in RATIOS and not policy.min_absolute:
        more["min_absolute"] = RATIOS[query.metric].worth
    return policy.model_copy(update=more)


def names(query: Query) -> tuple[str, ...]:
    """What rules may call a query's metric: its type, its name, its presets and their groups."""
    types = {name: tuple(spec.type for spec in expand((name,))) for name in (*PRESETS, *GROUPS)}
    types |= RATIO_PRESETS | {"derived": tuple(RATIOS)}
    return (query.metric, query.name, *(name for name, each in types.items() if query.metric in each))


def fingerprint(job: Job, query: Query, policy: Policy, quiet: Sequence[Quiet] = ()) -> str:
    """Names everything that decides what a slice's object holds, but not when or by whom it was made."""
    told = job.settings.model_dump(mode="json", include={"source", "settle", "detector", "files", "synthetic", "input"})
    decided = [
        SCHEMA,
        repr(query),
        policy.model_dump(mode="json"),
        dict(job.versions),
        told,
        repr(quiet) if quiet else "",
    ]
    return hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()[:16]


def _logged(job: Job, outcome: Outcome) -> Outcome:
    _log(job.log, outcome, loud=not job.backfill)
    return outcome


def _log(log: Log, outcome: Outcome, *, loud: bool) -> None:
    """One line for the slice, and one for each of the worst anomalies: a warning for the severe, but of a backfill."""
    piece = outcome.slice
    if outcome.status == "failed":
        log("ERROR", "slice.failed", f"{piece.name}: {outcome.error}", slice=piece.name, error=outcome.error)
        return
    fields = summary(outcome)
    log("INFO", f"slice.{outcome.status}", f"{piece.name}: {outcome.status}", **fields)
    ordered = sorted(outcome.anomalies, key=lambda a: (-a.severity, a.start, a.id))
    for anomaly in ordered[:LINES]:
        severity = "WARNING" if loud and anomaly.severity >= 70 else "INFO"
        log(severity, "anomaly.found", anomaly.sentence, id=anomaly.id, anomaly_severity=anomaly.severity)
    if left := len(ordered[LINES:]):
        log("INFO", "anomaly.more", f"{left:,} more, none of them worse, are in anomalies/{piece.name}", more=left)


def summary(outcome: Outcome) -> dict[str, Any]:
    """The outcome as a record has it, without the anomalies themselves."""
    piece = outcome.slice
    return {
        "slice": piece.name,
        "metric": piece.query.metric,
        "project": piece.query.project,
        "day": str(piece.day),
        "status": outcome.status,
        "until": utc(outcome.until) if outcome.until else None,
        "version": outcome.version,
        "series": outcome.series,
        "points": outcome.points,
        "tested": outcome.tested,
        "warming_up": len(outcome.warming_up),
        "young_series": list(outcome.warming_up[:20]),
        "suppressed": dict(outcome.suppressed),
        "flagged": len(outcome.anomalies),
        "seconds": outcome.seconds,
        "error": outcome.error or None,
    }
