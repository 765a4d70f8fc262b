"""The record of one event, in the words and numbers that a person reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from detectors import CAP, Frame, Scores
from detectors.duration import text as duration_text
from job import sentence
from job.anomaly import SCHEMA, Anomaly, Kind, identity, split_labels
from job.event import Event
from job.explorer import link
from job.lasting import AROUND, Columns
from job.opinion import Opinion
from job.outage import BEFORE
from job.policy import Policy
from job.units import idle, significant, total_unit

IDLE = 55
"""Who did nothing and stops saying so is missed no more than this."""


@dataclass(frozen=True)
class Subject:
    """What the frame is of: the words of a record that are not in the frame."""

    project: str
    metric: str
    query: str
    unit: str
    histories: Mapping[str, timedelta]


def record(
    frame: Frame, scores: Mapping[str, Scores], opinion: Opinion, policy: Policy, subject: Subject, event: Event
) -> Anomaly:
    """Write down one event."""
    row, step, silent = event.row, frame.step, event.kind in {"zero", "absent"}
    observed, expected, lower, upper = _levels(frame, opinion, event, policy.cut)
    said = _said(scores, event)
    times_over, share = _beyond(event, observed, expected, upper if event.way > 0 else lower)
    # Of silence no detector says how odd it is; + 0.0, so that it is never -0.0.
    score = max(-times_over * policy.cut, -CAP) + 0.0 if silent else float(opinion.score[row, event.baseline])
    lowest = 0.0 if np.nanmin(frame.values[row]) >= 0 else -np.inf
    start = frame.start + event.start * step
    resource, labels = split_labels(frame.labels[row])
    draft = Anomaly.model_construct(
        schema_=SCHEMA,
        id=identity(subject.project, subject.query, frame.labels[row], start, event.direction),
        project=subject.project,
        metric=subject.metric,
        query=subject.query,
        resource=resource,
        labels=labels,
        start=start,
        end=frame.start + event.stop * step,
        peak=frame.start + event.peak * step,
        continued=event.continued,
        ongoing=event.stop == frame.values.shape[1],
        adopted=event.adopted,
        kind=event.kind,
        direction=event.direction,
        severity=_severity(event, step, times_over, share, idle=idle(expected, subject.unit, step)),
        score=significant(score, 4),
        votes={name: value for name, value in said.items() if value * event.way >= policy.cut},
        detectors=len(said),
        observed=significant(observed) if np.isfinite(observed) else None,
        expected=significant(expected),
        lower=significant(max(lower, lowest)),
        upper=significant(max(upper, lowest)),
        unit=subject.unit,
        excess=significant(_excess(frame, opinion, event, expected)),
        excess_unit=total_unit(subject.unit),
        step=round(step.total_seconds()),
        history={name: duration_text(subject.histories[name]) for name in said},
        sentence="",
    )
    return draft.model_copy(update={"link": link(draft) or None, "sentence": sentence.of(draft)})


def _said(scores: Mapping[str, Scores], event: Event) -> dict[str, float]:
    """What each detector that had a baseline says of the event where it was surest, or of the silence."""
    at = event.baseline if event.down is None else event.peak
    spoke = {name: one for name, one in sorted(scores.items()) if np.isfinite(one.expected[event.row, event.baseline])}
    return {name: significant(float(one.score[event.row, at]), 4) for name, one in spoke.items()}


def _levels(frame: Frame, opinion: Opinion, event: Event, cut: float) -> tuple[float, float, float, float]:
    """What was observed at the peak, what was expected, and its band."""
    observed = float(frame.values[event.row, event.peak])
    if event.levels is None:
        expected, lower, upper = _baseline(frame, opinion, event, cut)
    else:
        expected, lower, upper = event.levels[:, event.peak - event.start].tolist()
    expected, lower = (_tidy(one, upper, 0.0 if np.isnan(observed) else observed) for one in (expected, lower))
    return observed, expected, lower, upper


def _baseline(frame: Frame, opinion: Opinion, event: Event, cut: float) -> tuple[float, float, float]:
    """What was expected, and its band; where no detector had a baseline, what the series did the day before.

    An expected value is inside its band, also where several views make the one and the surest of them the other.
    """
    arrays = (opinion.expected, opinion.lower, opinion.upper)
    expected, lower, upper = (float(array[event.row, event.baseline]) for array in arrays)
    if np.isfinite(expected + lower + upper):
        return min(max(expected, lower), upper), lower, upper
    half = frame.periods(AROUND)
    near = _usual(frame, event, np.arange(event.peak - half, event.peak + half + 1))
    if np.isfinite(near).any():
        return float(np.nanmedian(near)), float(np.nanmin(near)), float(np.nanmax(near))
    before = frame.values[event.row, max(0, event.baseline - frame.periods(BEFORE)) : event.baseline]
    level, reach = float(np.nanmedian(before)), cut * float(np.nanstd(before))
    return level, level - reach, level + reach


def _usual(frame: Frame, event: Event, columns: Columns) -> NDArray[np.float64]:
    """What an outage's series had at the same times in the last day before it, or NaN."""
    if event.down is None:
        return np.full(len(columns), np.nan)
    day = frame.periods(BEFORE)
    at = columns - day * (1 + np.maximum(columns - event.down.start, 0) // day)
    there = (at >= 0) & (at < event.down.start)
    return np.asarray(np.where(there, frame.values[event.row, np.where(there, at, 0)], np.nan))


def _tidy(value: float, *beside: float) -> float:
    """A value that is nothing beside the others is what arithmetic left of nothing."""
    return 0.0 if abs(value) < 1e-9 * max(map(abs, beside)) else value


def _beyond(event: Event, observed: float, expected: float, edge: float) -> tuple[float, float]:
    """How many times farther than the band's edge the peak is from what was expected, and which share of the level."""
    if event.kind in {"zero", "absent"}:  # who was idle is not missed the more for having been so steadily
        return (expected / (expected - edge) if expected > edge else np.inf) if expected > 0 else 0.0, 1.0
    off, reach = observed - expected, edge - expected
    times_over = abs(off / reach) if reach * event.way > 0 else np.inf
    return times_over, off / (max(abs(observed), abs(expected)) or 1.0)


def _excess(frame: Frame, opinion: Opinion, event: Event, expected: float) -> float:
    """What was too much (or too little) over the hits of an event: a rate times time."""
    observed = np.nan_to_num(frame.values[event.row, event.hits], nan=0.0)
    level = opinion.expected[event.row, event.hits]
    if event.down is not None:
        level = _usual(frame, event, event.hits)
    elif event.levels is not None:
        level = event.levels[0, event.hits - event.start]
    return float(np.sum(observed - np.where(np.isnan(level), expected, level)) * frame.step.total_seconds())


def _severity(event: Event, step: timedelta, times_over: float, share: float, *, idle: bool) -> int:
    """The severity of an event; an outage lasts since it began, be it the day before. Who was idle is missed less."""
    down = event.down
    if down is None:
        return severity(event.kind, times_over, share, (event.stop - event.start) * step)
    lasted = event.stop - min(event.start, down.start)
    wait = (down.certain - down.start + 1) * step
    told = severity(event.kind, times_over, share, lasted * step, wait)
    return min(told, IDLE) if idle else told


def severity(
    kind: Kind, times_over: float, share: float, lasted: timedelta, wait: timedelta = timedelta(minutes=15)
) -> int:
    """How bad, 0 to 100: by how rare and how large the deviation is at its peak, and by how long it lasted.

    One at the edge of its band is 40. Being `times_over` as far out as the edge adds 10 for each doubling, at most 30;
    `share`, the deviation's part of the larger of what was seen and what was expected, up to 15; ten minutes add 2 and
    each doubling of the time 2 more, at most 15. Nothing at all where there was something every day is at least 80. No
    points are 40 when they are first missed, after `wait`, and 12 more for each doubling of the time, at most 95: one
    series misses some now and then.
    """
    size = min(10 * float(np.log2(max(abs(times_over), 1.0))), 30.0)
    if kind == "absent":
        return round(min(40 + size / 6 + 12 * float(np.log2(max(lasted / wait, 1.0))), 95.0))
    length = min(2 * float(np.log2(1 + lasted / timedelta(minutes=10))), 15.0)
    if kind == "zero":
        return round(min(80 + size / 6 + length, 100.0))
    return round(40 + size + 15 * min(abs(share), 1.0) + length)
