"""A source round a source that remembers the last frame of each query, so that a backfill reads its history once."""

from dataclasses import dataclass, field
from datetime import datetime

from detectors import Frame
from job.query import Query
from job.sources import Descriptor, Reader
from job.sources.joined import alive, joined


@dataclass
class Recent:
    """Answers from the frame of the day before what it can, and asks `source` for the rest.

    It holds one frame; so it serves one query at a time, day after day.
    """

    source: Reader
    _query: Query | None = field(default=None, init=False)
    _frame: Frame | None = field(default=None, init=False)

    def describe(self, query: Query) -> Descriptor:
        """Ask the source."""
        return self.source.describe(query)

    def read(self, query: Query, start: datetime, end: datetime) -> Frame:
        """The same frame as the source's own, of which only what is new is read."""
        last = self._frame
        if last is None or query != self._query or not last.start <= start < last.end <= end:
            frame = self.source.read(query, start, end)
        else:
            known = last.columns(last.column(start), last.values.shape[1])
            frame = known if last.end == end else alive(joined([known, self.source.read(query, last.end, end)]))
        self._query, self._frame = query, frame
        return frame
