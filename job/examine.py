"""Score a frame with every detector and judge it, a block of series at a time."""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from detectors import Banded, Detector, Frame, Scores
from detectors.carried import Carried
from detectors.detector import compares_rows, late
from job.anomaly import split_labels
from job.answer import blamed, checked
from job.judge import Verdict, context, flags, judge, lookback, picked, settling
from job.memory import MOST
from job.opinion import median
from job.past import Past, opened, resumed, resumes, stacked
from job.policy import Policy
from job.record import Subject
from job.series import Trace, means, numbers, since_day

Hidden: TypeAlias = NDArray[np.bool_]
"""Series x time, as the frame: the points that nothing is to be learned from."""

LAST = timedelta(hours=2)
"""So much of the end of a day tells at which level it ended."""

OTHER = 2.0
"""A level of so many times as much, or as little, is another one."""

Band: TypeAlias = tuple[datetime, float]
"""From when on a detector's own band is asked for, and at which threshold."""

BLOCK = MOST
"""So many series are scored at once, which bounds the memory that detectors take."""


@dataclass(frozen=True)
class Examined(Verdict):
    """A verdict, and the flagged series as a plot needs them, from the judged start on.

    `past` is what other runs of that day go on from, where it was asked for.
    """

    traces: tuple[Trace, ...] = ()
    past: Past | None = None


def examine(
    frame: Frame,
    detectors: Mapping[str, Detector],
    policy: Policy,
    subject: Subject,
    start: datetime,
    hidden: Hidden | None = None,
    meter: Callable[[str], AbstractContextManager[object]] = nullcontext,
    past: Past | datetime | None = None,
) -> Examined:
    """Score a frame and judge it from `start` on.

    Each detector is given the history that it asks for and no more, so that its scores do not depend on what others
    ask for; and so many series at once that memory stays bounded, unless it compares series with each other. `hidden`
    points are scored and judged as any, but teach nobody what is usual. `meter` is told what the time goes into. With a
    `past`, which nothing is hidden of, the frame need begin but `lately` before the start; with a moment instead the
    answer has what is known of the past of a frame that begins then. Both are for detectors that `lately` takes.
    """
    before = _told(frame, past) if isinstance(past, datetime) else past
    if policy.absence == "zero":
        frame = _zeroed(frame, past.points > 0 if isinstance(past, Past) else None)
    compared = _compared(frame, detectors, policy, start, hidden, meter)
    count = len(frame.labels)
    most = max(1, count) if isinstance(before, Past) and before.carried else BLOCK  # what is gone on from is short
    size = -(-count // max(1, -(-count // most)))  # blocks of one size: none is a mere rest
    found: list[tuple[int, Examined]] = []
    for low in range(0, count, max(size, 1)):
        some = slice(low, low + size)
        mute = None if hidden is None else hidden[some]
        known = {name: picked(scores, some) for name, scores in compared.items()}
        then = before and before.rows(some)
        found.append((low, _examined(frame.rows(some), detectors, policy, subject, start, mute, meter, known, then)))
    suppressed = sum((Counter(part.suppressed) for _, part in found), Counter[str]())
    return Examined(
        anomalies=tuple(a for _, part in found for a in part.anomalies),
        tested=sum(part.tested for _, part in found),
        warming_up=tuple(low + row for low, part in found for row in part.warming_up),
        suppressed=dict(sorted(suppressed.items())),
        known=tuple(moment for _, part in found for moment in part.known),
        traces=tuple(trace for _, part in found for trace in part.traces),
        past=stacked(pasts) if (pasts := [part.past for _, part in found if part.past]) else None,
    )


def _compared(
    frame: Frame,
    detectors: Mapping[str, Detector],
    policy: Policy,
    start: datetime,
    hidden: Hidden | None,
    meter: Callable[[str], AbstractContextManager[object]],
) -> dict[str, Scores]:
    """The scores of the detectors that compare series with each other."""
    scores, settled = dict[str, Scores](), _settled(frame, policy, start)
    for name in filter(lambda name: compares_rows(detectors[name]), detectors):
        with meter(f"detect: {name}"), blamed(name):
            scores[name] = _taught(detectors[name], frame, settled, hidden, (settled, policy.cut))
            checked(scores[name], len(frame.labels), _asked(frame, settled))
    return scores


def _examined(
    block: Frame,
    detectors: Mapping[str, Detector],
    policy: Policy,
    subject: Subject,
    start: datetime,
    mute: Hidden | None,
    meter: Callable[[str], AbstractContextManager[object]],
    known: Mapping[str, Scores],
    before: Past | None,
) -> Examined:
    """One block of series; those with an anomaly are told by the bands of the detectors that have some.

    `known` are the scores that there are already. What was carried over is gone on from; a past that has nothing of the
    kind is given it.
    """
    settled = _settled(block, policy, start)
    low = min(block.column(start) - block.periods(context(policy)), block.column(settled))
    view = block.columns(max(0, low), block.values.shape[1])
    scores, carried, scored = dict(known), dict[str, Carried](), dict[str, NDArray[np.float64]]()
    for name in detectors.keys() - known:
        with meter(f"detect: {name}"), blamed(name):
            detector: Any = detectors[name]  # which is resumable where there is a past
            if not before:
                scores[name] = _taught(detector, block, settled, mute)
            elif before.carried:
                scores[name] = resumed(detector, block, settled, start, before, name)
            else:
                scores[name], carried[name], scored[name] = opened(detector, block, settled, start)
            checked(scores[name], len(block.labels), _asked(block, settled))
    now = replace(before, carried=carried, scored=scored) if before and carried else None
    past = None if mute is None else mute[:, mute.shape[1] - view.values.shape[1] :]
    verdict = judge(view, scores, policy, subject, view.column(start), past)
    rows = np.array(sorted(set(verdict.rows)), dtype=np.intp)  # np.unique would import numpy.ma
    if any(map(_banded, detectors.values())):
        view, past = block, mute  # all that is there, and there is no other block of these series that has less
        rows = np.union1d(rows, _changed(block, start))
    if not len(rows):
        return Examined(**vars(verdict), past=now)
    scores = {name: picked(one, rows) for name, one in scores.items()}
    muted = None if past is None else past[rows]
    told, traces = _again(view.rows(rows), detectors, policy, subject, start, muted, scores)
    suppressed = {**verdict.suppressed, **{why: n for why, n in told.suppressed.items() if why == "adopted"}}
    verdict = replace(verdict, anomalies=told.anomalies, known=told.known, suppressed=suppressed)
    return Examined(**vars(verdict), traces=traces, past=now)


def _again(
    flagged: Frame,
    detectors: Mapping[str, Detector],
    policy: Policy,
    subject: Subject,
    start: datetime,
    mute: Hidden | None,
    known: Mapping[str, Scores],
) -> tuple[Verdict, tuple[Trace, ...]]:
    """The flagged series judged by the bands of the detectors that have some, and by all that is there of them.

    Those score the days before, too, so that it is known what began then; of the others there is what is `known`.
    """
    settled = _settled(flagged, policy, start)
    began = max(flagged.start, settled - lookback(policy))
    scores = dict(known)
    for name in filter(lambda name: _banded(detectors[name]), detectors):
        with blamed(name):
            scores[name] = _taught(detectors[name], flagged, began, mute, (settled, policy.cut))
            checked(scores[name], len(flagged.labels), _asked(flagged, began))
    verdict = judge(flagged, scores, policy, subject, flagged.column(start), mute)
    return verdict, tuple(_traces(flagged, scores, verdict, policy, subject, start))


def _banded(detector: Detector) -> bool:
    """Whether it is asked again for some rows alone."""
    return isinstance(detector, Banded) and not compares_rows(detector)


def _changed(block: Frame, start: datetime) -> NDArray[np.intp]:
    """The rows that were at quite another level just before `start` than a day earlier: an event may still be on.

    One of which no detector speaks any more, that is; and what moved less will not be missed.
    """
    moments = start, start - timedelta(days=1)
    if block.column(moments[-1] - LAST) < 0:
        return np.empty(0, np.intp)
    level = [median(block.values[:, block.column(each - LAST) : block.column(each)].T) for each in moments]
    with np.errstate(invalid="ignore"):
        return np.flatnonzero(np.fmax(*level) > OTHER * np.fmin(*level))


def _settled(frame: Frame, policy: Policy, start: datetime) -> datetime:
    """From when on there must be scores."""
    return max(frame.start, start - settling(policy, frame.step))


def _asked(frame: Frame, settled: datetime) -> int:
    """How many columns there must be scores of."""
    return len(frame.values.T) - frame.column(settled)


def _traces(
    flagged: Frame,
    scores: Mapping[str, Scores],
    verdict: Verdict,
    policy: Policy,
    subject: Subject,
    start: datetime,
) -> list[Trace]:
    """The flagged rows, from the judged start on; an event is drawn beside the levels that it is told by."""
    named = [split_labels(labels) for labels in flagged.labels]
    first = flagged.column(start)
    columns, every = flagged.values.shape[1], np.arange(len(named))
    whole = {name: picked(one, every, columns - one.score.shape[1]) for name, one in scores.items()}
    band = flags(flagged, whole, policy, subject)
    fell = {row for row, a in zip(verdict.rows, verdict.anomalies, strict=True) if a.direction == "down"}
    day = timedelta(days=1) // flagged.step
    for level in verdict.levels:
        for array, told in zip((band.expected, band.lower, band.upper), level.told, strict=True):
            array[level.row, level.start : level.start + len(told)] = told
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
            before=numbers(means(since_day(flagged.values[n], first, day)[:day], flagged.step)) if n in fell else None,
        )
        for n, (resource, labels) in enumerate(named)
        if n in verdict.rows
    ]


def needed(detectors: Mapping[str, Detector], policy: Policy, step: timedelta) -> timedelta:
    """How long before the first judged column a frame must begin, in whole steps."""
    histories = [detector.history + settling(policy, step) for detector in detectors.values()]
    return -(-max([*histories, context(policy)]) // step) * step


def lately(detectors: Mapping[str, Detector], policy: Policy, step: timedelta) -> timedelta | None:
    """The same of a frame whose past is known, in whole steps; nothing where a detector has to see all of it."""
    resumable = [detector for detector in detectors.values() if resumes(detector)]
    if len(resumable) < len(detectors):
        return None
    settle = settling(policy, step)
    recent = (min(each.recent(step), settle + each.history) for each in resumable)
    return -(-max(context(policy), settle, *recent) // step) * step


def _taught(
    detector: Detector, block: Frame, settled: datetime, hidden: Hidden | None, band: Band | None = None
) -> Scores:
    """The scores of the columns from `settled` on by a baseline that no hidden point has taught.

    A hidden point itself is seen by its own score. Where so much is hidden that nothing can be said of it without, it
    is scored by all there is: what is muted is still shown. The `band` is there from its own moment on.
    """
    if hidden is None or not hidden.any():
        return _scores(detector, block, settled, band)
    answer = _scores(detector, block.without(hidden), settled, band)
    asked, first = hidden.copy(), block.column(settled)
    asked[:, : block.column(settled if band is None else band[0])] = False
    for seen in (block.without(hidden & ~asked), block):
        blank = asked[:, first:] & np.isnan(answer.score) & np.isfinite(block.values[:, first:])
        if blank.any():
            answer = _where(blank, _scores(detector, seen, settled, band), answer)
    return answer


def _where(choose: Hidden, one: Scores, other: Scores) -> Scores:
    return _each(lambda a, b: np.asarray(np.where(choose, a, b)), one, other)


def _each(change: Callable[..., NDArray[np.float64]], *scores: Scores) -> Scores:
    arrays = zip(*((s.expected, s.spread, s.score, s.lower, s.upper) for s in scores), strict=True)
    return Scores(*(change(*some) for some in arrays if some[0] is not None))


def _scores(detector: Detector, frame: Frame, settled: datetime, band: Band | None) -> Scores:
    """The detector's scores of the columns from `settled` on, without the rest of its answer."""
    low = max(0, frame.column(settled - detector.history))
    asked = frame.columns(low, frame.values.shape[1])
    scores = late(detector, asked, asked.column(settled))
    if band is None or not isinstance(detector, Banded):
        return scores
    since, threshold = band
    edges = detector.band(asked, threshold, asked.column(since))
    before = [(0, 0), (frame.column(since) - frame.column(settled), 0)]
    lower, upper = (np.pad(edge, before, constant_values=np.nan) for edge in edges)
    return Scores(scores.expected, scores.spread, scores.score, lower, upper)


def _told(frame: Frame, since: datetime) -> Past:
    """What is known of the past of the frame that begins then, but for what is carried over."""
    points = np.count_nonzero(np.isfinite(frame.values[:, : frame.column(since)]), axis=1)
    return Past(np.ones(len(points), dtype=np.bool_), points.astype(np.int64))


def _zeroed(frame: Frame, begun: Hidden | None = None) -> Frame:
    """The frame with no point read as zero, from each series' first point on, or its beginning where it has `begun`."""
    known = np.logical_or.accumulate(np.isfinite(frame.values), axis=1)
    if begun is not None:
        known |= begun[:, None]
    values = np.where(known & np.isnan(frame.values), 0.0, frame.values)
    return Frame(values, frame.start, frame.step, frame.labels)
