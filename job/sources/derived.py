"""A source round a source that divides two of its metrics by each other."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np

from detectors import Frame
from job.presets import slug
from job.query import Query
from job.ratio import RATIOS, Ratio, split
from job.sources import Descriptor, Reader, Source, blocks, cut
from job.sources.joined import alive, key
from job.sources.monitoring.streams import Sharing, in_turn, splits


@runtime_checkable
class Pairing(Reader, Protocol):
    """A reader that holds two queries' series in the same shares."""

    def pairs(self, one: Query, other: Query, start: datetime, end: datetime) -> Iterator[tuple[Frame, Frame]]:
        """The series of both over `[start, end)`, some after the other; what has the same labels comes together."""


@dataclass(frozen=True)
class Derived:
    """Answers for ratios with what `reader` says of their two metrics; for anything else it asks.

    `shares`: it can be asked for some of the series, by filters such as Cloud Monitoring's.
    """

    source: Source
    reader: Reader
    shares: bool = False

    def metrics(self, names: tuple[str, ...]) -> tuple[Query, ...]:
        """The queries of ratios among the names, and the source's of the others."""
        ratios, others = split(names)
        found = self.source.metrics(others) if others or not ratios else ()
        pairs = ((name, query) for name in ratios for query in self.source.metrics((RATIOS[name].bottom,)))
        return (*found, *(_named(query, name) for name, query in pairs))

    def describe(self, query: Query) -> Descriptor:
        """A ratio has settled when both of its metrics have."""
        if query.metric not in RATIOS:
            return self.reader.describe(query)
        top, bottom = (self.reader.describe(each) for each in self._both(query))
        keeps = min((k for k in (top.keeps, bottom.keeps) if k is not None), default=None)
        return Descriptor(RATIOS[query.metric].unit, max(top.settle, bottom.settle), keeps)

    def count(self, query: Query, start: datetime, end: datetime) -> int:
        """How many series are returned: those of both metrics."""
        if query.metric not in RATIOS:
            return self.source.count(query, start, end)
        return sum(self.source.count(each, start, end) for each in self._both(query))

    def now(self, now: datetime) -> datetime:
        """Ask the source."""
        return self.source.now(now)

    def read(self, query: Query, start: datetime, end: datetime) -> Frame:
        """The ratio over `[start, end)`, of the series that both metrics have."""
        if query.metric not in RATIOS:
            return self.reader.read(query, start, end)
        return self._shared(query, start, end, lambda whole: whole)

    def blocks(self, query: Query, start: datetime, end: datetime, rows: int) -> Iterator[Frame]:
        """The same, so many series at once; a ratio is held in shares, where both of its metrics are split alike."""
        if query.metric not in RATIOS:
            yield from blocks(self.reader, query, start, end, rows)
            return
        for frame in self._held(query, start, end):
            yield from cut(frame, rows)

    def _held(self, query: Query, start: datetime, end: datetime) -> Iterator[Frame]:
        """The ratio of as many series as are held at once."""
        top, bottom = self._both(query)
        if isinstance(self.reader, Pairing):
            for above, below in self.reader.pairs(top, bottom, start, end):
                yield divided(above, below, RATIOS[query.metric])
        elif self.shares and splits(top) and splits(bottom) and top.split_by == bottom.split_by:
            yield from in_turn(partial(self._shared, query, start, end))
        else:
            yield self.read(query, start, end)

    def _shared(self, query: Query, start: datetime, end: datetime, sharing: Sharing) -> Frame:
        """The ratio of a share of the series."""
        top, bottom = (self.reader.read(sharing(each), start, end) for each in self._both(query))
        return divided(top, bottom, RATIOS[query.metric])

    def _both(self, query: Query) -> tuple[Query, Query]:
        """The queries of a ratio's two metrics, in the same part."""
        ratio = RATIOS[query.metric]
        return self._one(query, ratio.top), self._one(query, ratio.bottom)

    def _one(self, query: Query, metric: str) -> Query:
        (found,) = [each for each in self.source.metrics((metric,)) if each.project == query.project]
        return replace(found, parts=query.parts, part=query.part)


def _named(query: Query, name: str) -> Query:
    return replace(query, metric=name, name=slug(name), noun="", missing="ignore")


def divided(top: Frame, bottom: Frame, ratio: Ratio) -> Frame:
    """One frame over another: a point where both have one and the bottom is enough.

    Of a share the top is a part of the whole, and none of it where it has no point: nothing was dropped.
    """
    rows = {key(labels): row for row, labels in enumerate(top.labels)}
    order = [rows.get(key(labels), -1) for labels in bottom.labels]
    values = np.vstack([top.values, np.full((1, bottom.values.shape[1]), np.nan)])[order]
    if ratio.share:
        values = np.nan_to_num(values, nan=0.0)
    whole = bottom.values + values if ratio.share else bottom.values
    enough = whole >= ratio.least  # never where there is no point
    found = np.divide(values, whole, out=np.full(values.shape, np.nan), where=enough)
    return alive(Frame(found, bottom.start, bottom.step, bottom.labels))
