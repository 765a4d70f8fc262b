"""Score a frame with every detector and judge it, a block of series at a time."""

from collections.abc import Mapping
from datetime import datetime

import numpy as np

from detectors import Detector, Frame
from job.judge import Subject, Verdict, judge
from job.policy import Policy

BLOCK = 512
"""So many series are scored at once, which bounds the memory that detectors take."""


def examine(
    frame: Frame, detectors: Mapping[str, Detector], policy: Policy, subject: Subject, start: datetime
) -> Verdict:
    """Score a frame, a block of series at a time, and judge it from `start` on."""
    frame = _zeroed(frame) if policy.absence == "zero" else frame
    size = len(frame.labels) if any(getattr(d, "peers", False) for d in detectors.values()) else BLOCK
    verdicts = []
    for low in range(0, len(frame.labels), max(size, 1)):
        block = frame.rows(slice(low, low + size))
        scores = {name: detector(block) for name, detector in detectors.items()}
        verdicts.append((low, judge(block, scores, policy, subject, frame.column(start))))
    suppressed: dict[str, int] = {}
    for _, verdict in verdicts:
        for rule, n in verdict.suppressed.items():
            suppressed[rule] = suppressed.get(rule, 0) + n
    return Verdict(
        anomalies=tuple(a for _, v in verdicts for a in v.anomalies),
        tested=sum(v.tested for _, v in verdicts),
        warming_up=tuple(low + row for low, v in verdicts for row in v.warming_up),
        suppressed=suppressed,
    )


def _zeroed(frame: Frame) -> Frame:
    """The frame with no point read as zero, from each series' first point on."""
    known = np.logical_or.accumulate(np.isfinite(frame.values), axis=1)
    values = np.where(known & np.isnan(frame.values), 0.0, frame.values)
    return Frame(values, frame.start, frame.step, frame.labels)
