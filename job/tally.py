"""What came of one slice, added up block by block, so that no frame is kept."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from detectors import Frame, Labels
from job.anomaly import Anomaly, split_labels, telling
from job.examine import Examined
from job.series import Survey, Surveyed, Traces, by_series, rank
from job.sums import Sums


@dataclass
class Tally:
    """The counts of a slice's series so far, and what is kept of them."""

    series: int = 0
    points: int = 0
    tested: int = 0
    young: list[str] = field(default_factory=list)
    suppressed: Counter[str] = field(default_factory=Counter)
    anomalies: list[Anomaly] = field(default_factory=list)
    traces: Traces = field(default_factory=Traces)
    survey: Survey = field(default_factory=Survey)
    sums: Sums | None = None

    def add(self, frame: Frame, verdict: Examined, since: datetime, surveyed: Callable[[Labels], Surveyed]) -> None:
        """Add a block and what came of it; a series is surveyed that had a point since then."""
        self.series += len(frame.labels)
        self.points += int(np.count_nonzero(np.isfinite(frame.values)))
        self.tested += verdict.tested
        self.young += [_name(frame, row) for row in verdict.warming_up]
        self.suppressed.update(verdict.suppressed)
        self.anomalies += verdict.anomalies
        flagged = by_series(verdict.anomalies)
        for trace in verdict.traces:
            self.traces.add(trace, rank(flagged[trace.key]))
        self.survey.add(frame, since, surveyed)
        if self.sums:
            self.sums.add(frame, surveyed)


def _name(frame: Frame, row: int) -> str:
    resource, labels = split_labels(frame.labels[row])
    return telling({**resource.labels, **labels})
