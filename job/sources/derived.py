"""A source round a source that divides two of its metrics by each other."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np

from detectors import Frame
from job.errors import ConfigError
from job.presets import slug
from job.query import Query
from job.ratio import RATIOS, Ratio, family, split
from job.sources import Block, Days, Descriptor, Joined, Knowing, Reader, Source, blocks, cut
from job.sources.joined import alive, key
from job.sources.monitoring.streams import FINE, Sharing, ahead, in_turn, sharings, splits

Both: TypeAlias = tuple[Query, Query]
"""The queries of a ratio's two metrics."""


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
    _queries: dict[str, tuple[Query, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def metrics(self, names: tuple[str, ...]) -> tuple[Query, ...]:
        """The queries of ratios among the names, and the source's of the others.

        No name stands for what the source has by default, and the ratios of it; a preset for those that it can make.
        """
        ratios, others = split(names)
        found = self.source.metrics(others) if others or not ratios else ()
        if not names:
            ratios = _possible(found)
        ratios = tuple(name for name in ratios if name in names or self._has(RATIOS[name])) or ratios[:1]
        pairs = ((name, query) for name in ratios for query in self._of(RATIOS[name].bottom))
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

    def asked(self, queries: Iterable[Query]) -> tuple[Query, ...]:
        """The queries that the source is asked to answer these: of ratios those of their metrics."""
        every = (self._both(query) if query.metric in RATIOS else (query,) for query in queries)
        return tuple(dict.fromkeys(one for some in every for one in some))

    def families(self, queries: Collection[Query]) -> Mapping[Query, str]:
        """Those of the queries that are read together: the ratios of one family, and the metrics that they are of."""
        ratios = [query for query in queries if query.metric in RATIOS]
        found = {query: family(query.metric) for query in ratios}
        found |= {each: found[query] for query in ratios for each in self._both(query) if each in queries}
        return found

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

    def knows(self, query: Query) -> bool:
        """Whether the reader keeps what is known of the past of the query; of ratios nobody does."""
        return query.metric not in RATIOS and isinstance(self.reader, Knowing) and self.reader.knows(query)

    def known(self, query: Query, start: datetime, end: datetime, rows: int, days: Days) -> Iterator[Block]:
        """The same, or only what is not known."""
        if isinstance(self.reader, Knowing):
            return self.reader.known(query, start, end, rows, days)
        return map(Block, self.blocks(query, start, end, rows))

    def joins(self, queries: Collection[Query]) -> bool:
        """Whether their series can be had in shares, the same ones of each."""
        asked = self.asked(queries)
        return self.shares and all(map(splits, asked)) and len({each.split_by for each in asked}) == 1

    def together(self, queries: Collection[Query], start: datetime, end: datetime, most: int) -> Iterator[Joined]:
        """The series of queries that have a family, each metric's read once, in shares of about so many series."""
        counts = list[int]()

        def read(sharing: Sharing, query: Query) -> Frame:
            frame = self.reader.read(sharing(query), start, end)
            counts.append(len(frame.labels))
            return frame

        each = (self._together(queries, partial(read, sharing)) for sharing in sharings(counts, most, FINE))
        yield from ahead(one for some in each for one in some)

    def _together(self, queries: Collection[Query], read: Callable[[Query], Frame]) -> Iterator[Joined]:
        """One share of all: what no other ratio is made of is let go."""
        held = dict[Query, Frame]()
        every = [(query, self._both(query)) for query in queries if query.metric in RATIOS]
        left = [query for query in queries if query.metric not in RATIOS]
        while every:
            ratio, both = max(every, key=lambda one: len(held.keys() & set(one[1])))
            every.remove((ratio, both))
            for each in both:
                if each not in held:
                    held[each] = read(each)
                    if each in left:
                        left.remove(each)
                        yield each, held[each]
            yield ratio, divided(held[both[0]], held[both[1]], RATIOS[ratio.metric])
            held = {each: frame for each, frame in held.items() if any(each in some for _, some in every)}
        yield from ((each, read(each)) for each in left)

    def _held(self, query: Query, start: datetime, end: datetime) -> Iterator[Frame]:
        """The ratio of as many series as are held at once."""
        top, bottom = self._both(query)
        if isinstance(self.reader, Pairing):
            for above, below in self.reader.pairs(top, bottom, start, end):
                yield divided(above, below, RATIOS[query.metric])
        elif self.joins((query,)):
            yield from in_turn(partial(self._shared, query, start, end))
        else:
            yield self.read(query, start, end)

    def _shared(self, query: Query, start: datetime, end: datetime, sharing: Sharing) -> Frame:
        """The ratio of a share of the series."""
        top, bottom = (self.reader.read(sharing(each), start, end) for each in self._both(query))
        return divided(top, bottom, RATIOS[query.metric])

    def _both(self, query: Query) -> Both:
        """The queries of a ratio's two metrics, in the same part."""
        ratio = RATIOS[query.metric]
        return self._one(query, ratio.top), self._one(query, ratio.bottom)

    def _one(self, query: Query, metric: str) -> Query:
        (found,) = [each for each in self._of(metric) if each.project == query.project]
        return replace(found, parts=query.parts, part=query.part)

    def _has(self, ratio: Ratio) -> bool:
        """Whether the source knows both metrics of a ratio."""
        try:
            return bool(self._of(ratio.top) and self._of(ratio.bottom))
        except ConfigError:
            return False

    def _of(self, metric: str) -> tuple[Query, ...]:
        """The source's queries of one metric, asked for once."""
        if metric not in self._queries:
            self._queries[metric] = self.source.metrics((metric,))
        return self._queries[metric]


def read_for(source: Source, queries: Iterable[Query]) -> tuple[Query, ...]:
    """What has to be read to answer these: of ratios their metrics, each once."""
    return source.asked(queries) if isinstance(source, Derived) else tuple(dict.fromkeys(queries))


def _possible(queries: Iterable[Query]) -> tuple[str, ...]:
    """The ratios of which both metrics are among the queries."""
    there = {query.metric for query in queries}
    return tuple(name for name, ratio in RATIOS.items() if {ratio.top, ratio.bottom} <= there)


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
