"""Score a frame with every detector and judge it, a block of series at a time."""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from detectors import Banded, Detector, Frame, Scores
from detectors.detector import banded, compares_rows, late
from job.anomaly import split_labels
from job.judge import Verdict, context, flags, judge, picked, settling
from job.memory import MOST
from job.policy import Policy
from job.record import Subject
from job.series import Trace, numbers

Hidden: TypeAlias = NDArray[np.bool_]
"""Series x time, as the frame: the points that nothing is to be learned from."""

BLOCK = MOST
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
    compared = {}
    for name in filter(lambda name: compares_rows(detectors[name]), detectors):
        with meter(f"detect: {name}"):
            compared[name] = _taught(detectors[name], frame, _settled(frame, policy, start), hidden, policy.cut)
    count = len(frame.labels)
    size = -(-count // max(1, -(-count // BLOCK)))  # blocks of one size: none is a mere rest
    found: list[tuple[int, Examined]] = []
    for low in range(0, count, max(size, 1)):
        some = slice(low, low + size)
        mute = None if hidden is None else hidden[some]
        known = {name: picked(scores, some) for name, scores in compared.items()}
        found.append((low, _examined(frame.rows(some), detectors, policy, subject, start, mute, meter, known)))
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
    known: Mapping[str, Scores],
) -> Examined:
    """One block of series; those with an anomaly are told by the bands of the detectors that have some.

    `known` are the scores that there are already.
    """
    settled = _settled(block, policy, start)
    low = min(block.column(start) - block.periods(context(policy)), block.column(settled))
    view = block.columns(max(0, low), block.values.shape[1])
    scores = dict(known)
    for name in detectors.keys() - known:
        with meter(f"detect: {name}"):
            scores[name] = _taught(detectors[name], block, settled, mute)
    past = None if mute is None else mute[:, mute.shape[1] - view.values.shape[1] :]
    verdict = judge(view, scores, policy, subject, view.column(start), past)
    rows = np.unique(np.array(verdict.rows, dtype=np.intp))
    if not len(rows):
        return Examined(**vars(verdict))
    view, mute, past = view.rows(rows), *(None if some is None else some[rows] for some in (mute, past))
    scores = {
        name: _taught(detector, block.rows(rows), settled, mute, policy.cut)
        if isinstance(detector, Banded) and name not in known
        else picked(scores[name], rows)
        for name, detector in detectors.items()
    }
    told = judge(view, scores, policy, subject, view.column(start), past)
    verdict = replace(verdict, anomalies=told.anomalies, known=told.known)
    return Examined(**vars(verdict), traces=tuple(_traces(view, scores, policy, subject, start)))


def _settled(frame: Frame, policy: Policy, start: datetime) -> datetime:
    """From when on there must be scores."""
    return max(frame.start, start - settling(policy, frame.step))


def _traces(
    flagged: Frame, scores: Mapping[str, Scores], policy: Policy, subject: Subject, start: datetime
) -> list[Trace]:
    """The flagged rows, from the judged start on."""
    named = [split_labels(labels) for labels in flagged.labels]
    first = flagged.column(start)
    skip = flagged.values.shape[1] - next(iter(scores.values())).score.shape[1]
    every = np.arange(len(named))
    band = flags(flagged, {name: picked(one, every, skip) for name, one in scores.items()}, policy, subject)
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
    detector: Detector, block: Frame, settled: datetime, hidden: Hidden | None, threshold: float | None = None
) -> Scores:
    """The scores of the columns from `settled` on by a baseline that no hidden point has taught.

    A hidden point itself is seen by its own score. Where so much is hidden that nothing can be said of it without, it
    is scored by all there is: what is muted is still shown. With a threshold the scores have the detector's band.
    """
    if hidden is None or not hidden.any():
        return _scores(detector, block, settled, threshold)
    answer = _scores(detector, _without(block, hidden), settled, threshold)
    asked, first = hidden.copy(), block.column(settled)
    asked[:, :first] = False
    for seen in (_without(block, hidden & ~asked), block):
        blank = asked[:, first:] & np.isnan(answer.score) & np.isfinite(block.values[:, first:])
        if blank.any():
            answer = _where(blank, _scores(detector, seen, settled, threshold), answer)
    return answer


def _without(frame: Frame, hidden: Hidden) -> Frame:
    return Frame(np.where(hidden, np.nan, frame.values), frame.start, frame.step, frame.labels)


def _where(choose: Hidden, one: Scores, other: Scores) -> Scores:
    return _each(lambda a, b: np.asarray(np.where(choose, a, b)), one, other)


def _each(change: Callable[..., NDArray[np.float64]], *scores: Scores) -> Scores:
    arrays = zip(*((s.expected, s.spread, s.score, s.lower, s.upper) for s in scores), strict=True)
    return Scores(*(change(*some) for some in arrays if some[0] is not None))


def _scores(detector: Detector, frame: Frame, settled: datetime, threshold: float | None) -> Scores:
    """The detector's scores of the columns from `settled` on, without the rest of its answer."""
    low = max(0, frame.column(settled - detector.history))
    asked = frame.columns(low, frame.values.shape[1])
    skip = asked.column(settled)
    return late(detector, asked, skip) if threshold is None else banded(detector, asked, threshold, skip)


def _zeroed(frame: Frame) -> Frame:
    """The frame with no point read as zero, from each series' first point on."""
    known = np.logical_or.accumulate(np.isfinite(frame.values), axis=1)
    values = np.where(known & np.isnan(frame.values), 0.0, frame.values)
    return Frame(values, frame.start, frame.step, frame.labels)
