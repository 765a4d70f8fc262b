"""From scores to anomalies: which deviations of one frame are worth telling, and what to tell of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from detectors import Frame, Scores
from job.anomaly import Anomaly
from job.event import Event, Hits, events_of
from job.lasting import REMEMBERED
from job.opinion import opinion_of, sides, stacked
from job.outage import BEFORE, Outage, outages
from job.policy import Policy
from job.record import Subject, record
from job.worth import WAKE, certainty, worth

SURPRISED = 0.6
"""A detector whose score of a drop to zero is this share of the threshold has not seen it come so before."""


@dataclass(frozen=True)
class Levels:
    """What an event of a row was told by, from a column on: what was expected, and the ends of its band."""

    row: int
    start: int
    told: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class Verdict:
    """What came of one frame: the anomalies, and what was looked at without being told.

    `tested` counts series x periods that had a point and a baseline; `warming_up` holds the rows that had points but no
    baseline yet; `suppressed` counts hits by the rule that held them back. `known` says of each anomaly when it was
    certain: the beginning of the period whose end was the first moment to tell it at; `rows` of which row it is.
    `levels` has those events that are not told by what was expected of each of their points.
    """

    anomalies: tuple[Anomaly, ...]
    tested: int
    warming_up: tuple[int, ...]
    suppressed: Mapping[str, int]
    known: tuple[datetime, ...] = ()
    rows: tuple[int, ...] = ()
    levels: tuple[Levels, ...] = field(default=(), compare=False)


def context(policy: Policy) -> timedelta:
    """How long before the first judged column the values must reach, to tell an outage from a habit."""
    return BEFORE + policy.adopt + policy.absence_after


def settling(policy: Policy, step: timedelta) -> timedelta:
    """How long before the first judged column scores must reach, to tell what came over from before or leads back."""
    return max(2 * policy.persistence.periods * step, -(-WAKE // step) * step)


def lookback(policy: Policy) -> timedelta:
    """How long before that scores say which of the events that may still last, or be remembered, had begun."""
    return policy.adopt + REMEMBERED


def judge(
    frame: Frame,
    scores: Mapping[str, Scores],
    policy: Policy,
    subject: Subject,
    first: int,
    hidden: NDArray[np.bool_] | None = None,
) -> Verdict:
    """Judge the columns of `frame` from `first` on; the columns before are what they are judged against.

    An event belongs to the frame in which it is first certain, so it may begin before `first`; one that was certain
    before is told again from `first` on, as continued. No column's verdict depends on a later column. There should be
    `context` before `first`, of which the last `settling` needs scores: they may be of the last columns alone, and of
    some detectors of more than of others. The more there are of before, the longer ago an event may have begun of which
    it is known that it still lasts. `hidden` points are judged, but say nothing of what is usual.
    """
    scores = _alike(scores)
    skip = frame.values.shape[1] - next(iter(scores.values())).score.shape[1]
    every = stacked(scores, subject.histories)
    spoke = _any(np.isfinite(every[:, :, first - skip :]), 0)
    young = ~_any(spoke, 1) & _any(np.isfinite(frame.values[:, first:]), 1)
    tested, warming_up = int(np.count_nonzero(spoke)), tuple(np.flatnonzero(young).tolist())
    downs = {} if policy.direction == "up" else _outages(frame, scores, policy, first, hidden)
    concerned = _any(sides(every, policy) != 0, 1)
    concerned[list(downs)] = True
    rows = np.flatnonzero(concerned)  # few, and all that anything can be told of
    if not len(rows):
        return Verdict((), tested, warming_up, {})
    frame, scores = frame.rows(rows), {name: picked(one, rows, skip) for name, one in scores.items()}
    opinion = opinion_of(frame.values, scores, policy, subject.histories)
    opinion, suppressed = worth(frame, opinion, policy, subject.unit, first)
    silent = [downs.get(row, ()) for row in rows.tolist()]
    past = None if hidden is None else hidden[rows]
    events = list(events_of(frame, opinion, silent, policy, first, suppressed, past))
    return Verdict(
        anomalies=tuple(record(frame, scores, opinion, policy, subject, event) for event in events),
        tested=tested,
        warming_up=warming_up,
        suppressed={rule: n for rule, n in sorted(suppressed.items()) if n},
        known=tuple(frame.start + event.known * frame.step for event in events),
        rows=tuple(int(rows[event.row]) for event in events),
        levels=tuple(
            _level(frame, event, int(rows[event.row]), event.levels) for event in events if event.levels is not None
        ),
    )


def _level(frame: Frame, event: Event, row: int, levels: NDArray[np.float64]) -> Levels:
    expected, lower, upper = levels
    lower = lower if np.nanmin(frame.values[event.row]) < 0 else np.maximum(lower, 0.0)
    return Levels(row, event.start, (expected, lower, upper))


def _outages(
    frame: Frame, scores: Mapping[str, Scores], policy: Policy, first: int, hidden: NDArray[np.bool_] | None
) -> dict[int, tuple[Outage, ...]]:
    """The outages of the columns from `first` on, by so much before them as there always is, however much there is."""
    skip = max(0, first - frame.periods(context(policy)))
    late = frame.columns(skip, frame.values.shape[1])
    found = outages(late, policy, first - skip, None if hidden is None else hidden[:, skip:])
    found = {row: tuple(down.later(skip) for down in downs) for row, downs in found.items()}
    return _surprising(found, scores, policy, frame.values.shape[1])


def _surprising(
    downs: Mapping[int, tuple[Outage, ...]], scores: Mapping[str, Scores], policy: Policy, columns: int
) -> dict[int, tuple[Outage, ...]]:
    """The outages, of those at zero only what a detector with a band of its own does not know from its own past.

    Such a one tells lows by lows, and remembers more than the day before: idle weekends, the nights of a quiet host.
    Where it has no score, or none such judges, the day before decides alone. Those are certain when it is surprised.
    """
    own = [one.score for one in scores.values() if one.lower is not None]
    if not own:
        return dict(downs)
    rows = np.array(list(downs), dtype=np.intp)
    late = (_late(score[rows], columns - score.shape[1]) for score in own)
    odd = np.logical_or.reduce([~(score > -SURPRISED * policy.cut) for score in late])
    kept = {row: tuple(_believed(some, known)) for (row, some), known in zip(downs.items(), odd, strict=True)}
    return {row: some for row, some in kept.items() if some}


def _believed(downs: Sequence[Outage], odd: NDArray[np.bool_]) -> Iterator[Outage]:
    for down in downs:
        columns = np.flatnonzero(odd[down.start : down.stop])
        if down.kind != "zero":
            yield down
        elif len(columns):
            yield replace(down, certain=max(down.certain, down.start + int(columns[0])))


def _alike(scores: Mapping[str, Scores]) -> dict[str, Scores]:
    """The scores with as many columns each: of those that begin later, nothing is said before."""
    most = max(one.score.shape[1] for one in scores.values())
    return {name: picked(one, slice(None), most - one.score.shape[1]) for name, one in scores.items()}


def _any(array: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    return np.asarray(np.logical_or.reduce(array, axis=axis))


def picked(scores: Scores, rows: Hits | slice, skip: int = 0) -> Scores:
    """The scores of some rows, with so many columns more before, of which nothing is said."""
    arrays = (scores.expected, scores.spread, scores.score, scores.lower, scores.upper)
    return Scores(*(_late(array[rows], skip) for array in arrays if array is not None))


def _late(array: NDArray[np.float64], skip: int) -> NDArray[np.float64]:
    if not skip:
        return array
    late = np.full((len(array), skip + array.shape[1]), np.nan)
    late[:, skip:] = array
    return late


@dataclass(frozen=True)
class Flags:
    """What is said of every point as soon as it is there; every array is series x time.

    `flagged`: it was certain, then, that an anomaly was on. `score`, `lower` and `upper` are those that a record would
    carry.
    """

    flagged: NDArray[np.bool_]
    score: NDArray[np.float64]
    expected: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


def flags(frame: Frame, scores: Mapping[str, Scores], policy: Policy, subject: Subject) -> Flags:
    """Judge every column of a frame by the rules of `judge`, for those who want points instead of events."""
    opinion = opinion_of(frame.values, scores, policy, subject.histories)
    opinion, _ = worth(frame, opinion, policy, subject.unit, 0)
    flagged = certainty(opinion.side, opinion.score, policy)
    silent = (
        {}
        if policy.direction == "up"
        else _surprising(outages(frame, policy, 0), scores, policy, frame.values.shape[1])
    )
    for row, downs in silent.items():
        for down in downs:
            flagged[row, down.certain : down.stop] = True
    negative = np.logical_or.accumulate(frame.values < 0, axis=1)
    lower = np.where(negative, opinion.lower, np.maximum(opinion.lower, 0.0))
    return Flags(flagged, opinion.score, opinion.expected, lower, opinion.upper)
