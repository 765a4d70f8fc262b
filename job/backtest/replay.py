"""The past as the job would have judged it: day after day, from what was known by then."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from detectors import Detector, Frame
from detectors.detector import compares_rows
from job.anomaly import split_labels
from job.config import Settings
from job.examine import examine, needed
from job.policy import Policy
from job.query import Query
from job.record import Subject
from job.series import key, key_of
from job.slices import policy_of

Span: TypeAlias = tuple[datetime, datetime]


@dataclass(frozen=True)
class Contestant:
    """What is tried: detectors, under the settings that they would run with."""

    name: str
    settings: Settings
    detectors: Mapping[str, Detector]

    def policy(self, query: Query) -> Policy:
        """What it tells of a query's metric."""
        return policy_of(self.settings, query)

    def needed(self, query: Query) -> timedelta:
        """How long before a judged day its frame must begin."""
        return needed(self.detectors, self.policy(query), query.step)

    @property
    def peers(self) -> bool:
        """Whether series are compared with one another, so that none may be left out."""
        return any(map(compares_rows, self.detectors.values()))


@dataclass(frozen=True)
class Told:
    """What was told of a frame; `on` and `young` are series x time.

    `on`: an anomaly was told, from the period on in which it was certain. `young`: the series had no baseline all
    through the day. `tested` counts series x periods that had a point and a baseline.
    """

    on: NDArray[np.bool_]
    young: NDArray[np.bool_]
    tested: int


def replay(
    frame: Frame,
    query: Query,
    unit: str,
    contestant: Contestant,
    days: Sequence[Span],
    only: Mapping[int, Sequence[tuple[int, int]]] | None = None,
    muted: NDArray[np.bool_] | None = None,
) -> Told:
    """Judge the days `[start, end)` of a frame one after the other, each with the history that the job would read.

    What is `muted` (series x time) teaches nobody what is usual. Where `only` is given, a row is judged on the days
    alone that its columns there touch, unless rows are compared.
    """
    policy, before = contestant.policy(query), contestant.needed(query)
    histories = {name: detector.history for name, detector in contestant.detectors.items()}
    subject = Subject(query.project, query.metric, query.name, unit, histories)
    names = [key(query.project, query.name, *split_labels(labels)) for labels in frame.labels]
    by = {name: row for row, name in enumerate(names)}
    on, young = (np.zeros(frame.values.shape, dtype=bool) for _ in range(2))
    tested = 0
    for start, end in days:
        columns = frame.column(start), frame.column(end)
        wanted = _touched(only, columns) if only is not None and not contestant.peers else slice(None)
        seen, rows = _read(frame, start - before, end, wanted)
        hidden = None if muted is None else muted[rows, frame.column(seen.start) : frame.column(end)]
        hidden = hidden if hidden is not None and hidden.any() else None
        verdict = examine(seen, contestant.detectors, policy, subject, start, hidden)
        young[rows[list(verdict.warming_up)], slice(*columns)] = True
        for anomaly, known in zip(verdict.anomalies, verdict.known, strict=True):
            row = by[key_of(anomaly)]
            on[row, frame.column(known) : frame.column(anomaly.end)] = True
        tested += verdict.tested
    return Told(on, young, tested)


def _touched(only: Mapping[int, Sequence[tuple[int, int]]], columns: tuple[int, int]) -> NDArray[np.intp]:
    """The rows of which some columns lie in these."""
    first, stop = columns
    rows = (row for row, spans in only.items() if any(begin < stop and first < end for begin, end in spans))
    return np.array(sorted(rows), dtype=np.intp)


def _read(
    frame: Frame, start: datetime, end: datetime, wanted: NDArray[np.intp] | slice
) -> tuple[Frame, NDArray[np.intp]]:
    """The rows as a source reads that time, without those that have no point in it, and which are left."""
    seen = frame.columns(max(0, frame.column(start)), frame.column(end))
    rows = np.arange(len(seen.labels))[wanted]
    rows = rows[np.isfinite(seen.values[rows]).any(axis=1)]
    return seen.rows(rows), rows
