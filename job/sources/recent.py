"""A source round a source that remembers the last frame of each query, so that a backfill reads its history once."""

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from detectors import Frame, Labels
from job.query import Query
from job.sources import Descriptor, Source


@dataclass
class Recent:
    """Answers from the frame of the day before what it can, and asks `source` for the rest.

    It holds one frame; so it serves one query at a time, day after day.
    """

    source: Source
    _query: Query | None = field(default=None, init=False)
    _frame: Frame | None = field(default=None, init=False)

    def metrics(self, names: tuple[str, ...]) -> tuple[Query, ...]:
        """Ask the source."""
        return self.source.metrics(names)

    def describe(self, query: Query) -> Descriptor:
        """Ask the source."""
        return self.source.describe(query)

    def count(self, query: Query, start: datetime, end: datetime) -> int:
        """Ask the source."""
        return self.source.count(query, start, end)

    def now(self, now: datetime) -> datetime:
        """Ask the source."""
        return self.source.now(now)

    def read(self, query: Query, start: datetime, end: datetime) -> Frame:
        """The same frame as the source's own, of which only what is new is read."""
        last = self._frame
        if last is None or query != self._query or not last.start <= start < last.end <= end:
            frame = self.source.read(query, start, end)
        else:
            known = last.columns(last.column(start), last.values.shape[1])
            frame = known if last.end == end else joined(known, self.source.read(query, last.end, end))
        self._query, self._frame = query, frame
        return frame


def joined(early: Frame, late: Frame) -> Frame:
    """One frame of two that follow each other: the rows of both, in the order of their labels.

    Rows without any point are left out, as sources leave them out.
    """
    keys = sorted({_key(labels): labels for labels in (*early.labels, *late.labels)}.items())
    rows = {key: row for row, (key, _) in enumerate(keys)}
    width = early.values.shape[1]
    values = np.full((len(keys), width + late.values.shape[1]), np.nan)
    values[[rows[_key(labels)] for labels in early.labels], :width] = early.values
    values[[rows[_key(labels)] for labels in late.labels], width:] = late.values
    there = np.flatnonzero(np.isfinite(values).any(axis=1))
    return Frame(values[there], early.start, early.step, tuple(keys[row][1] for row in there.tolist()))


def _key(labels: Labels) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))
