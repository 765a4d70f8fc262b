"""Score a frame with every detector and judge it, a block of series at a time."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from detectors import Banded, Detector, Frame, Scores
from detectors.detector import banded, compares_rows
from job.anomaly import Anomaly, split_labels
from job.judge import Hits, Subject, Verdict, context, flags, judge, settling
from job.policy import Policy
from job.series import Trace, key, numbers

Hidden: TypeAlias = NDArray[np.bool_]
"""Series x time, as the frame: the points that nothing is to be learned from."""

BLOCK = 512
"""So many series are scored at once, which bounds the memory that detectors take."""


@dataclass(frozen=True)
class Examined(Verdict):
    """A verdict, and the flagged series as a plot needs them, from the judged start on."""

    traces: tuple[Trace, ...] = ()


def examine(
    frame: Frame,
    detectors: Mapping[str, Detector],
    policy: Policy,
    subject: Subject,
    start: datetime,
    hidden: Hidden | None = None,
    meter: Callable[[str], AbstractContextManager[object]] = nullcontext,
) -> Examined:
    """Score a frame and judge it from `start` on.

    Each detector is given the history that it asks for and no more, so that its scores do not depend on what others
    ask for; and so many series at once that memory stays bounded, unless it compares series with each other. `hidden`
    points are scored and judged as any, but teach nobody what is usual. `meter` is told what the time goes into.
    """
    frame = _zeroed(frame) if policy.absence == "zero" else frame
    count, together = len(frame.labels), any(map(compares_rows, detectors.values()))
    size = count if together else -(-count // max(1, -(-count // BLOCK)))  # blocks of one size: none is a mere rest
    found: list[tuple[int, Examined]] = []
    for low in range(0, count, max(size, 1)):
        some = slice(low, low + size)
        mute = None if hidden is None else hidden[some]
        found.append((low, _examined(frame.rows(some), detectors, policy, subject, start, mute, meter)))
    suppressed = sum((Counter(part.suppressed) for _, part in found), Counter[str]())
    return Examined(
        anomalies=tuple(a for _, part in found for a in part.anomalies),
        tested=sum(part.tested for _, part in found),
        warming_up=tuple(low + row for low, part in found for row in part.warming_up),
        suppressed=dict(sorted(suppressed.items())),
        known=tuple(moment for _, part in found for moment in part.known),
        traces=tuple(trace for _, part in found for trace in part.traces),
    )


def _examined(
    block: Frame,
    detectors: Mapping[str, Detector],
    policy: Policy,
    subject: Subject,
    start: datetime,
    mute: Hidden | None,
    meter: Callable[[str], AbstractContextManager[object]],
) -> Examined:
    """One block of series; those with an anomaly are told by the bands of the detectors that have some."""
    first = block.column(start)
    view = block.columns(max(0, first - block.periods(context(policy))), block.values.shape[1])
    settled = start - settling(policy, block.step)
    scores = {}
    for name, detector in detectors.items():
        with meter(f"detect: {name}"):
            scores[name] = _taught(detector, block, view, settled, mute)
    past = None if mute is None else mute[:, mute.shape[1] - view.values.shape[1] :]
    verdict = judge(view, scores, policy, subject, view.column(start), past)
    rows = _told(view, subject, verdict.anomalies)
    if not len(rows):
        return Examined(**vars(verdict))
    view, mute, past = view.rows(rows), *(None if some is None else some[rows] for some in (mute, past))
    scores = {
        name: _taught(detector, block.rows(rows), view, settled, mute, policy.cut)
        if isinstance(detector, Banded)
        else _picked(scores[name], rows)
        for name, detector in detectors.items()
    }
    told = judge(view, scores, policy, subject, view.column(start), past)
    verdict = replace(verdict, anomalies=told.anomalies, known=told.known)
    return Examined(**vars(verdict), traces=tuple(_traces(view, scores, policy, subject, start)))


def _told(view: Frame, subject: Subject, anomalies: Iterable[Anomaly]) -> Hits:
    """The rows that have an anomaly."""
    told = {key(a.project, a.query, a.resource, a.labels) for a in anomalies}
    named = [split_labels(labels) for labels in view.labels] if told else []
    return np.flatnonzero([key(subject.project, subject.query, *both) in told for both in named])


def _picked(scores: Scores, rows: Hits) -> Scores:
    return Scores(scores.expected[rows], scores.spread[rows], scores.score[rows])


def _traces(
    flagged: Frame, scores: Mapping[str, Scores], policy: Policy, subject: Subject, start: datetime
) -> list[Trace]:
    """The flagged rows, from the judged start on."""
    band = flags(flagged, scores, policy, subject)
    named = [split_labels(labels) for labels in flagged.labels]
    first = flagged.column(start)
    return [
        Trace(
            project=subject.project,
            metric=subject.metric,
            query=subject.query,
            resource=resource,
            labels=labels,
            unit=subject.unit,
            start=start,
            step=round(flagged.step.total_seconds()),
            value=numbers(flagged.values[n, first:]),
            expected=numbers(band.expected[n, first:]),
            lower=numbers(band.lower[n, first:]),
            upper=numbers(band.upper[n, first:]),
        )
        for n, (resource, labels) in enumerate(named)
    ]


def needed(detectors: Mapping[str, Detector], policy: Policy, step: timedelta) -> timedelta:
    """How long before the first judged column a frame must begin, in whole steps."""
    histories = [detector.history + settling(policy, step) for detector in detectors.values()]
    return -(-max([*histories, context(policy)]) // step) * step


def _taught(
    detector: Detector,
    block: Frame,
    view: Frame,
    settled: datetime,
    hidden: Hidden | None,
    threshold: float | None = None,
) -> Scores:
    """The scores of the view's columns by a baseline that no hidden point has taught.

    A hidden point itself is seen by its own score. Where so much is hidden that nothing can be said of it without, it
    is scored by all there is: what is muted is still shown. With a threshold the scores have the detector's band.
    """
    if hidden is None or not hidden.any():
        return _scores(detector, block, view, settled, threshold)
    answer = _scores(detector, _without(block, hidden), view, settled, threshold)
    asked = hidden.copy()
    asked[:, : block.column(settled)] = False
    here = asked[:, asked.shape[1] - view.values.shape[1] :]
    for seen in (_without(block, hidden & ~asked), block):
        if (blank := here & np.isnan(answer.score) & np.isfinite(view.values)).any():
            answer = _where(blank, _scores(detector, seen, view, settled, threshold), answer)
    return answer


def _without(frame: Frame, hidden: Hidden) -> Frame:
    return Frame(np.where(hidden, np.nan, frame.values), frame.start, frame.step, frame.labels)


def _where(choose: Hidden, one: Scores, other: Scores) -> Scores:
    return _each(lambda a, b: np.asarray(np.where(choose, a, b)), one, other)


def _each(change: Callable[..., NDArray[np.float64]], *scores: Scores) -> Scores:
    arrays = zip(*((s.expected, s.spread, s.score, s.lower, s.upper) for s in scores), strict=True)
    return Scores(*(change(*some) for some in arrays if some[0] is not None))


def _scores(detector: Detector, frame: Frame, view: Frame, settled: datetime, threshold: float | None = None) -> Scores:
    """The detector's scores of the view's columns: numbers from `settled` on, NaN before."""
    low = max(0, frame.column(settled - detector.history))
    asked = frame.columns(low, frame.values.shape[1])
    skip = asked.column(settled)
    answer = detector(asked) if threshold is None else banded(detector, asked, threshold, skip)
    pad = view.values.shape[1] - (asked.values.shape[1] - skip)
    return _each(lambda array: _padded(array[:, skip:], pad), answer)


def _padded(array: NDArray[np.float64], pad: int) -> NDArray[np.float64]:
    return np.pad(array, ((0, 0), (pad, 0)), constant_values=np.nan)


def _zeroed(frame: Frame) -> Frame:
    """The frame with no point read as zero, from each series' first point on."""
    known = np.logical_or.accumulate(np.isfinite(frame.values), axis=1)
    values = np.where(known & np.isnan(frame.values), 0.0, frame.values)
    return Frame(values, frame.start, frame.step, frame.labels)
