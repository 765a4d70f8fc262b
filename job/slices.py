"""One slice: read a day of one query, score it, judge it, and store what was found."""

import hashlib
import json
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np

from detectors import Detector, Frame
from job import series
from job.anomaly import SCHEMA, Anomaly, lines, split_labels, telling
from job.config import Settings
from job.errors import Conflict, NetanomalyError
from job.examine import examine, needed
from job.judge import Subject, Verdict
from job.log import Log
from job.mutes import Mutes, Quiet, hidden
from job.plan import DAY, Slice, until
from job.policy import Policy
from job.presets import PRESETS
from job.query import Query
from job.ratio import PRESETS as RATIO_PRESETS
from job.ratio import RATIOS
from job.sources import Reader, Source
from job.store import Head, Store
from job.units import parse_time, utc

Status = Literal["done", "complete", "kept", "waiting", "failed"]

NOTHING = datetime(1970, 1, 1, tzinfo=UTC)
"""What an object covers that does not say."""


@dataclass(frozen=True)
class Outcome:
    """What came of one slice.

    `status`: done; complete (an earlier run of this backfill had done it); kept (the object there covers more of the
    day than could be judged now); waiting (nothing of the day has settled yet); failed (`error` says why).
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

    @property
    def histories(self) -> dict[str, timedelta]:
        """How much past each detector needs."""
        return {name: detector.history for name, detector in self.detectors.items()}


def attempt(job: Job, reader: Reader, piece: Slice) -> Outcome:
    """Do one slice; whatever goes wrong is in the outcome."""
    began = time.monotonic()
    try:
        outcome = _slice(job, reader, piece)
    except NetanomalyError as error:
        outcome = Outcome(piece, "failed", error=str(error), exit_status=error.exit_status)
    except Exception as error:  # noqa: BLE001 - the slice boundary: one slice's fault must not end the others
        trace = traceback.format_exc()
        job.log("ERROR", "slice.crashed", f"{piece.name}: {error!r}", slice=piece.name, traceback=trace)
        outcome = Outcome(piece, "failed", error=f"a fault in the program: {error!r}", exit_status=1)
    outcome = replace(outcome, seconds=round(time.monotonic() - began, 3))
    _log(job.log, outcome)
    return outcome


def _slice(job: Job, reader: Reader, piece: Slice) -> Outcome:
    """Read, score, judge and store one slice, unless there is nothing to do."""
    query = piece.query
    facts = reader.describe(query)
    settle = facts.settle if job.settings.settle is None else job.settings.settle
    end = until(piece, job.now, settle)
    if end <= piece.start:
        return Outcome(piece, "waiting")
    policy = policy_of(job.settings, query)
    begin = piece.start - needed(job.detectors, policy, query.step)
    quiet = job.mutes.quiet(query.metric, begin, end)
    meta = {"until": utc(end), "fingerprint": fingerprint(job, query, policy, quiet), "schema": str(SCHEMA)}
    place = f"anomalies/{piece.name}"
    there = job.store.head(place)
    if _complete(job, there, meta, piece):
        return Outcome(piece, "complete", until=end)
    if _covered(there) > end:
        return Outcome(piece, "kept", until=_covered(there))
    frame = reader.read(query, begin, end)
    mute = hidden(frame, quiet, query.project)
    verdict = examine(frame, job.detectors, policy, _subject(job, query, facts.unit), piece.start, mute)
    if frame.labels or there:
        beside = f"{series.NAME}{piece.name}"  # first, so that whoever sees the anomalies can see their series, too
        plot = series.lines(_looked(piece, frame, verdict, facts.unit, end), verdict.traces)
        _put(job.store, beside, plot, meta, job.store.head(beside), end)
        _put(job.store, place, lines(verdict.anomalies), meta, there, end)
    return Outcome(
        piece,
        "done",
        until=end,
        series=len(frame.labels),
        points=int(np.count_nonzero(np.isfinite(frame.values))),
        tested=verdict.tested,
        warming_up=tuple(_name(frame, row) for row in verdict.warming_up),
        suppressed=verdict.suppressed,
        anomalies=verdict.anomalies,
    )


def _looked(piece: Slice, frame: Frame, verdict: Verdict, unit: str, end: datetime) -> series.Looked:
    """What was looked at of the slice."""
    query = piece.query
    return series.Looked(
        schema=SCHEMA,
        project=query.project,
        metric=query.metric,
        query=query.name,
        start=piece.start,
        until=end,
        series=len(frame.labels),
        tested=verdict.tested,
        flagged=len(verdict.anomalies),
        warming_up=len(verdict.warming_up),
        suppressed=dict(verdict.suppressed),
        types=series.kept(frame, series.since(frame, piece.start), query.project, query.metric, unit),
    )


def _complete(job: Job, there: Head | None, meta: Mapping[str, str], piece: Slice) -> bool:
    """Whether an earlier run of the same backfill has done this slice, and the whole of its day."""
    if not job.backfill or job.settings.fresh or there is None or there.meta != meta:
        return False
    return meta["until"] == utc(piece.start + DAY)


def _covered(there: Head | None) -> datetime:
    """Up to where the object that is there covers its day."""
    try:
        return parse_time(there.meta["until"]) if there else NOTHING
    except (KeyError, ValueError):  # somebody else's object, or a half-told one, claims nothing
        return NOTHING


def _put(store: Store, place: str, data: bytes, meta: Mapping[str, str], there: Head | None, end: datetime) -> None:
    """Write the slice's object, unless another run has meanwhile written one that covers more."""
    for _ in range(5):
        try:
            store.put(place, data, meta=meta, replaces=there)
        except Conflict:
            there = store.head(place)
            if _covered(there) > end:
                return
        else:
            return
    store.put(place, data, meta=meta, replaces=there)


def policy_of(settings: Settings, query: Query) -> Policy:
    """The query's policy, with what a missing point means said out."""
    policy = settings.policy_of(query.metric, query.name, *_presets(query.metric))
    more: dict[str, Any] = {"absence": query.missing} if policy.absence == "preset" else {}
    if query.metric in RATIOS and not policy.min_absolute:
        more["min_absolute"] = RATIOS[query.metric].worth
    return policy.model_copy(update=more)


def _presets(metric: str) -> tuple[str, ...]:
    types = {name: [spec.type for spec in specs] for name, specs in PRESETS.items()} | RATIO_PRESETS
    return tuple(name for name, each in types.items() if metric in each)


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


def _subject(job: Job, query: Query, unit: str) -> Subject:
    return Subject(query.project, query.metric, query.name, unit, job.histories)


def _name(frame: Frame, row: int) -> str:
    resource, labels = split_labels(frame.labels[row])
    return telling({**resource.labels, **labels})


def _log(log: Log, outcome: Outcome) -> None:
    """One line for the slice, and one for each anomaly."""
    piece = outcome.slice
    if outcome.status == "failed":
        log("ERROR", "slice.failed", f"{piece.name}: {outcome.error}", slice=piece.name, error=outcome.error)
        return
    fields = summary(outcome)
    log("INFO", f"slice.{outcome.status}", f"{piece.name}: {outcome.status}", **fields)
    for anomaly in outcome.anomalies:
        severity = "WARNING" if anomaly.severity >= 70 else "INFO"
        log(severity, "anomaly.found", anomaly.sentence, id=anomaly.id, anomaly_severity=anomaly.severity)


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
