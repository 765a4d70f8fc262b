"""Score a frame with every detector and judge it, a block of series at a time."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from detectors import Detector, Frame, Scores
from job.anomaly import Anomaly, split_labels
from job.judge import Subject, Verdict, context, flags, judge, settling
from job.policy import Policy
from job.series import Trace, key, numbers

BLOCK = 512
"""So many series are scored at once, which bounds the memory that detectors take."""


@dataclass(frozen=True)
class Examined(Verdict):
    """A verdict, and the flagged series as a plot needs them, from the judged start on."""

    traces: tuple[Trace, ...] = ()


def examine(
    frame: Frame, detectors: Mapping[str, Detector], policy: Policy, subject: Subject, start: datetime
) -> Examined:
    """Score a frame and judge it from `start` on.

    Each detector is given the history that it asks for and no more, so that its scores do not depend on what others
    ask for; and so many series at once that memory stays bounded, unless it compares series with each other.
    """
    frame = _zeroed(frame) if policy.absence == "zero" else frame
    size = len(frame.labels) if any(getattr(d, "peers", False) for d in detectors.values()) else BLOCK
    verdicts: list[tuple[int, Verdict]] = []
    traces: list[Trace] = []
    for low in range(0, len(frame.labels), max(size, 1)):
        block = frame.rows(slice(low, low + size))
        first = block.column(start)
        view = block.columns(max(0, first - block.periods(context(policy))), block.values.shape[1])
        settled = start - settling(policy, frame.step)
        scores = {name: _scores(detector, block, view, settled) for name, detector in detectors.items()}
        verdict = judge(view, scores, policy, subject, view.column(start))
        verdicts.append((low, verdict))
        traces.extend(_traces(view, scores, policy, subject, verdict.anomalies, start))
    suppressed = sum((Counter(verdict.suppressed) for _, verdict in verdicts), Counter[str]())
    return Examined(
        anomalies=tuple(a for _, v in verdicts for a in v.anomalies),
        tested=sum(v.tested for _, v in verdicts),
        warming_up=tuple(low + row for low, v in verdicts for row in v.warming_up),
        suppressed=dict(sorted(suppressed.items())),
        traces=tuple(traces),
    )


def _traces(
    view: Frame,
    scores: Mapping[str, Scores],
    policy: Policy,
    subject: Subject,
    anomalies: Iterable[Anomaly],
    start: datetime,
) -> list[Trace]:
    """The flagged rows, from the judged start on."""
    told = {key(a.project, a.query, a.resource, a.labels) for a in anomalies}
    named = [split_labels(labels) for labels in view.labels] if told else []
    found = [row for row, (r, labels) in enumerate(named) if key(subject.project, subject.query, r, labels) in told]
    rows = np.array(found, dtype=np.intp)
    flagged = view.rows(rows)
    answers = {n: Scores(s.expected[rows], s.spread[rows], s.score[rows]) for n, s in scores.items()}
    band = flags(flagged, answers, policy, subject)
    first = view.column(start)
    return [
        Trace(
            project=subject.project,
            metric=subject.metric,
            query=subject.query,
            resource=named[row][0],
            labels=named[row][1],
            unit=subject.unit,
            start=start,
            step=round(view.step.total_seconds()),
            value=numbers(flagged.values[n, first:]),
            expected=numbers(band.expected[n, first:]),
            lower=numbers(band.lower[n, first:]),
            upper=numbers(band.upper[n, first:]),
        )
        for n, row in enumerate(found)
    ]


def needed(detectors: Mapping[str, Detector], policy: Policy, step: timedelta) -> timedelta:
    """How long before the first judged column a frame must begin, in whole steps."""
    histories = [detector.history + settling(policy, step) for detector in detectors.values()]
    return -(-max([*histories, context(policy)]) // step) * step


def _scores(detector: Detector, frame: Frame, view: Frame, settled: datetime) -> Scores:
    """The detector's scores of the view's columns: numbers from `settled` on, NaN before."""
    low = max(0, frame.column(settled - detector.history))
    asked = frame.columns(low, frame.values.shape[1])
    answer = detector(asked)
    skip = asked.column(settled)
    pad = view.values.shape[1] - (asked.values.shape[1] - skip)
    return Scores(*(_padded(array[:, skip:], pad) for array in (answer.expected, answer.spread, answer.score)))


def _padded(array: NDArray[np.float64], pad: int) -> NDArray[np.float64]:
    return np.pad(array, ((0, 0), (pad, 0)), constant_values=np.nan)


def _zeroed(frame: Frame) -> Frame:
    """The frame with no point read as zero, from each series' first point on."""
    known = np.logical_or.accumulate(np.isfinite(frame.values), axis=1)
    values = np.where(known & np.isnan(frame.values), 0.0, frame.values)
    return Frame(values, frame.start, frame.step, frame.labels)
