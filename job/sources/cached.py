"""A source round a source that keeps settled history in a store, so that only what is not settled is read again."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from hashlib import sha256
from json import dumps
from typing import Any, TypeAlias

from detectors import Frame
from job.errors import ConfigError, Conflict, Failed, NotAllowed
from job.log import Log
from job.presets import slug
from job.query import Query
from job.sources import Descriptor, Reader, history
from job.sources.joined import alive, joined
from job.store import Store, put_over

MARGIN = timedelta(hours=6)
"""Points that come later than their metric says still count for so long."""

GROWN = timedelta(hours=1)
"""The object of the present day is written again when it can be longer by so much."""

DAY = timedelta(days=1)
WEEK = timedelta(days=7)
_STREAMS = 8

Span: TypeAlias = tuple[datetime, datetime]


@dataclass
class Cached:
    """Answers from `history/…` in the store what has settled, asks `source` for the rest, and keeps what of it has.

    A point has settled when it is older than its metric's delay and `margin`. Each query has an object for each UTC
    day (the present day's ends where points may still change) and one for each whole week from Monday on, in the place
    of its days. `origin` says which source it is, where the query does not. An object that cannot be used is named in
    the log and its time read again; a store that refuses is named once, and then done without.
    """

    source: Reader
    store: Store
    present: datetime
    log: Log
    origin: str = ""
    margin: timedelta = MARGIN
    _refused: bool = field(default=False, init=False)

    def describe(self, query: Query) -> Descriptor:
        """Ask the source."""
        return self.source.describe(query)

    def read(self, query: Query, start: datetime, end: datetime) -> Frame:
        """The same frame as the source's own, of which only what is not kept is read."""
        span = self._lasting(query, start, end)
        if span[0] >= span[1] or self._refused:
            return self.source.read(query, start, end)
        shelf = _shelf(query, self.origin)
        held = self._held(shelf, span)
        kept = {name: (frame.start, frame.end) for name, frame in held.items()}
        pieces = [self.source.read(query, *gap) for gap in _gaps(kept.values(), min(span[0], start), end)]
        pieces += held.values()
        held.clear()
        whole = joined(pieces)
        self._keep(shelf, whole, kept, span)
        return alive(whole.columns(whole.column(start), whole.values.shape[1]))

    def _lasting(self, query: Query, start: datetime, end: datetime) -> Span:
        """From which midnight on, and up to when, the time asked for is kept."""
        facts = self.source.describe(query)
        settled = self.present - facts.settle - self.margin
        settled -= (settled - _midnight(settled)) % query.step
        first = _midnight(start)
        if facts.keeps is not None and first < self.present - facts.keeps:
            first = _midnight(self.present - facts.keeps) + DAY
        return first, min(end, settled)

    def _held(self, shelf: "_Shelf", span: Span) -> dict[str, Frame]:
        """What of this time the store holds: a week's object rather than its days'."""
        names = self._names(shelf.folder)
        either = ((shelf.name(_monday(day), WEEK), shelf.name(day, DAY)) for day in _days(span))
        wanted = list(dict.fromkeys(name for pair in either for name in [n for n in pair if n in names][:1]))
        with ThreadPoolExecutor(_STREAMS) as pool:
            found = zip(wanted, pool.map(lambda name: self._load(shelf, name), wanted), strict=True)
            cut = {name: _cut(frame, span) for name, frame in found if frame is not None}
        return {name: frame for name, frame in cut.items() if frame.values.shape[1]}

    def _names(self, folder: str) -> set[str]:
        try:
            return set(self.store.names(folder))
        except (NotAllowed, Failed) as error:
            self._refuse(error)
            return set()

    def _load(self, shelf: "_Shelf", name: str) -> Frame | None:
        """The frame that an object holds, if it is what its name says."""
        try:
            found = self.store.get(name)
            frame = history.read(found.data, shelf.identity) if found else None
        except (history.Unusable, Failed) as error:
            self._ignore(name, str(error))
            return None
        except NotAllowed as error:
            self._refuse(error)
            return None
        if frame and not _named(frame, name, shelf):
            self._ignore(name, "it is the history of another time")
            return None
        return frame

    def _keep(self, shelf: "_Shelf", whole: Frame, kept: Mapping[str, Span], span: Span) -> None:
        """Write what of the span the store does not hold, and weeks in the place of their days."""
        wanted = dict(_objects(shelf, kept, span))
        old = [name for name in kept if name.endswith(".1d") and shelf.name(_monday(kept[name][0]), WEEK) in wanted]
        with ThreadPoolExecutor(_STREAMS) as pool:
            list(pool.map(lambda name: self._put(shelf, name, _cut(whole, wanted[name])), wanted))
            list(pool.map(self._forget, old))

    def _put(self, shelf: "_Shelf", name: str, frame: Frame) -> None:
        if self._refused or frame.values.size > history.MOST:
            return
        try:
            put_over(self.store, name, history.write(alive(frame), shelf.identity))
        except Conflict:
            pass  # another task keeps the same
        except (NotAllowed, Failed, ConfigError) as error:
            self._refuse(error)

    def _forget(self, name: str) -> None:
        # Where deleting is not allowed it stays, and is not looked at any more.
        with suppress(NotAllowed, Failed):
            self.store.delete(name)

    def _ignore(self, name: str, reason: str) -> None:
        self.log("WARNING", "cache.ignored", f"{self.store.url}/{name} is read anew: {reason}", object=name)

    def _refuse(self, error: Exception) -> None:
        if not self._refused:
            self._refused = True
            self.log("WARNING", "cache.off", f"this run goes on without kept history: {error}")


@dataclass(frozen=True)
class _Shelf:
    """Where the objects of one query are: `identity` is what decides their values."""

    identity: Mapping[str, Any]
    folder: str
    step: timedelta

    def name(self, day: datetime, length: timedelta) -> str:
        """The object that begins with this day."""
        return f"{self.folder}{day:%Y-%m-%d}.{length.days}d"


def _shelf(query: Query, origin: str) -> _Shelf:
    identity = {
        "origin": origin,
        "project": query.project,
        "metric": query.metric,
        "step": int(query.step.total_seconds()),
        "filter": query.filter,
        "group_by": list(query.group_by),
        "reducer": query.reducer,
        "part": [query.split_by, query.parts, query.part] if query.parts > 1 else [],
    }
    digest = sha256(dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    return _Shelf(identity, f"history/{slug(query.project)}/{slug(query.metric)}/{digest}/", query.step)


def _gaps(spans: Iterable[Span], begin: datetime, end: datetime) -> Iterator[Span]:
    """What of the time from `begin` to `end` is in none of the spans."""
    for start, stop in sorted(spans):
        if begin < start:
            yield begin, start
        begin = max(begin, stop)
    if begin < end:
        yield begin, end


def _objects(shelf: _Shelf, kept: Mapping[str, Span], span: Span) -> Iterator[tuple[str, Span]]:
    """The objects to be written, and the time of each."""
    for day in _days(span):
        monday = _monday(day)
        if shelf.name(monday, WEEK) in kept:
            continue
        if span[0] <= monday and monday + WEEK <= span[1]:
            yield shelf.name(monday, WEEK), (monday, monday + WEEK)
            continue
        end, there = min(day + DAY, span[1]), kept.get(shelf.name(day, DAY), (day, day))[1]
        if there < end and (end == day + DAY or end - there >= GROWN):
            yield shelf.name(day, DAY), (day, end)


def _cut(frame: Frame, span: Span) -> Frame:
    """What of the frame lies in the span."""
    return frame.columns(max(0, frame.column(span[0])), max(0, frame.column(span[1])))


def _named(frame: Frame, name: str, shelf: _Shelf) -> bool:
    """Whether the frame is of the time that the object is named after; a day's may end early."""
    day, length = _midnight(frame.start), frame.end - frame.start
    if frame.start != day or frame.step != shelf.step:
        return False
    return name == shelf.name(day, WEEK) if length == WEEK else name == shelf.name(day, DAY) and length <= DAY


def _days(span: Span) -> list[datetime]:
    """The midnights from that of the span's first day on, before its end."""
    begin = _midnight(span[0])
    return [begin + n * DAY for n in range(-((begin - span[1]) // DAY))]


def _midnight(moment: datetime) -> datetime:
    return datetime.combine(moment.astimezone(UTC).date(), time(), UTC)


def _monday(day: datetime) -> datetime:
    return day - day.weekday() * DAY
