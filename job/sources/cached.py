"""A source round a source that keeps settled history in a store, so that only what is not settled is read again."""

import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from functools import partial
from hashlib import sha256
from json import dumps
from threading import Lock
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from detectors import Frame, Labels
from job.errors import ConfigError, Conflict, Failed, NotAllowed
from job.log import Log
from job.past import alike
from job.past import stacked as stacked_past
from job.presets import slug
from job.query import Query, both, part_filter, share
from job.sources import Block, Days, Descriptor, Reader, blocks, carried, cut, history
from job.sources.history import Kept
from job.sources.joined import Piece, Span, alive, joined, places, stacked, union
from job.sources.monitoring.streams import splits
from job.store import Store, put_over

T = TypeVar("T")

LONG = 1_000
"""So many columns of a share are more than a page."""

MARGIN = timedelta(hours=6)
"""Points that come later than their metric says still count for so long."""

GROWN = timedelta(hours=3)
"""The object of the present day is written again when it can be longer by so much: it costs more to write than hours to
read."""

SHARE = 512 * 14 * 288
"""About so many points are kept together, as of 512 series in two weeks of five minutes: they bound what is read and
joined, whatever the fleet and the step. Fewer would cost more to begin each time than to go through."""

SPAN = timedelta(days=14)
"""Shares are made for no less time, since who reads a day today may read weeks tomorrow."""

SHARES = 100
"""Into no more shares than this is a query split: numbers that end in two digits cannot be told apart further."""

GROWTH = 4
"""Shares that have grown to so many times that size are given up for smaller ones."""

TAILS = 64 << 20
"""So many bytes of what has not settled stay at hand for those who ask again."""

AT_ONCE = 4
"""So many shares are read at once, of all queries together: those that are wanted now, and as many more as may be."""

DAY = timedelta(days=1)
WEEK = timedelta(days=7)
_STREAMS = 8
_DATED = re.compile(r"/(\d{4}-\d\d-\d\d)\.([17])d$")
_PAST = re.compile(r"\d{4}-\d\d-\d\d\.past-\w+")
_SHARED = re.compile(r"of(\d{1,3})(\.by\.[\w.]+|)/")


class Counting(Reader, Protocol):
    """A reader that knows how many series there are."""

    def count(self, query: Query, start: datetime, end: datetime) -> int:
        """How many series the query has in `[start, end)`, without reading points."""


@runtime_checkable
class Dividing(Counting, Protocol):
    """A reader that finds out how series can be shared out."""

    def divided(self, query: Query, start: datetime, end: datetime) -> tuple[Query, int]:
        """The query with a label by which its series can be shared out, if there is one, and how many there are."""


@dataclass
class Cached:
    """Answers from `history/…` in the store what has settled, asks `source` for the rest, and keeps what of it has.

    A point has settled when it is older than its metric's delay and `margin`. A query is kept in shares of about `size`
    series (of `SHARE` points, if that is None), by the label that splits it or, without one, that by which its
    series differ; very many that no label tells apart are not kept. Each share has an object for each week, with its
    settled days from Monday on, and one for the day that has not settled to its end.
    `origin` says which source it is, where the query does not. Of the metrics that are asked for `again`, since ratios
    are made of them, what has not settled stays at hand, up to `TAILS` bytes. An object that cannot be used is named in
    the log and its time read again; a store that refuses is named once, and then done without.
    """

    source: Counting
    store: Store
    present: datetime
    log: Log
    origin: str = ""
    again: Collection[str] = ()
    margin: timedelta = MARGIN
    size: int | None = None
    _refused: bool = field(default=False, init=False)
    _room: "_Room" = field(default_factory=lambda: _Room(AT_ONCE), init=False)
    _tails: "dict[Query, Frame]" = field(default_factory=dict, init=False)

    def describe(self, query: Query) -> Descriptor:
        """Ask the source."""
        return self.source.describe(query)

    def read(self, query: Query, start: datetime, end: datetime) -> Frame:
        """The same frame as the source's own, of which only what is not kept is read."""
        case = self._case(query, start, end)
        return stacked([*self._shares(case, (start, end))]) if case else self.source.read(query, start, end)

    def blocks(self, query: Query, start: datetime, end: datetime, rows: int) -> Iterator[Frame]:
        """The same series, so many at once."""
        case = self._case(query, start, end)
        if not case:
            yield from blocks(self.source, query, start, end, rows)
            return
        for frame in self._shares(case, (start, end)):
            yield from cut(frame, rows)

    def knows(self, query: Query) -> bool:  # noqa: ARG002 - it is so of each
        """Of every query."""
        return True

    def known(self, query: Query, start: datetime, end: datetime, rows: int, days: Days) -> Iterator[Block]:
        """The same, or only what is not known of these days, of the shares where nothing before has changed."""
        case, since = self._case(query, start, end), min(days.since.values())
        if not case:
            yield from map(Block, blocks(self.source, query, start, end, rows))
            return
        lasting = case.span[0] <= start and since <= case.span[1]

        def block(shelf: _Shelf, hands: ThreadPoolExecutor) -> Block:
            past = self._known(shelf, days) if lasting else {}
            if past:
                frame = self._share(shelf, (since, end), (_midnight(since), case.span[1]), hands)
                if all(past[day].read == _read_of(frame, days, day) for day in days.since):
                    return _placed(frame, past)
            return Block(self._share(shelf, (start, end), case.span, hands))

        for shelf, whole in self._each(case, block, lambda found: len(found.frame.labels)):
            wider = ((end - start) // query.step) // max(1, whole.frame.values.shape[1])
            parts = list(_parts(whole, rows * max(1, wider)))  # as many values, of more series where little was read
            yield from parts
            if lasting and not whole.past:
                self._learn(shelf, whole.frame, parts, days)
            del whole, parts

    def pairs(self, one: Query, other: Query, start: datetime, end: datetime) -> Iterator[tuple[Frame, Frame]]:
        """The series of two queries; share by share where both are split alike, or else all at once."""
        asked, cases = (start, end), (self._case(one, start, end), self._case(other, start, end))
        first, second = cases
        if first and second and len(first.shelves) == len(second.shelves) and one.split_by == other.split_by:
            yield from zip(self._shares(first, asked), self._shares(second, asked), strict=True)
            return
        whole = (
            stacked([*self._shares(case, asked)]) if case else self.source.read(query, start, end)
            for query, case in zip((one, other), cases, strict=True)
        )
        yield next(whole), next(whole)

    def _shares(self, case: "_Case", asked: Span) -> Iterator[Frame]:
        """The series of each share, in turn."""

        def frame(shelf: _Shelf, hands: ThreadPoolExecutor) -> Frame:
            return self._share(shelf, asked, case.span, hands)

        return (found for _, found in self._each(case, frame, lambda found: len(found.labels)))

    def _each(
        self, case: "_Case", read: Callable[["_Shelf", ThreadPoolExecutor], T], size: Callable[[T], int]
    ) -> Iterator[tuple["_Shelf", T]]:
        """What is read of each share, in turn; others are read meanwhile, as far as all queries together may."""
        waiting, begun, most = deque(case.shelves), deque[tuple[_Shelf, Future[T]]](), 0
        with ThreadPoolExecutor(AT_ONCE) as readers, ThreadPoolExecutor(_STREAMS) as hands:
            try:
                while waiting or begun:
                    while waiting and self._room.take(wanted=not begun):
                        shelf = waiting.popleft()
                        begun.append((shelf, readers.submit(read, shelf, hands)))
                    shelf, future = begun[0]
                    most = max(most, size(future.result()))
                    yield shelf, future.result()
                    begun.popleft()
                    self._room.leave(1)
                    del future  # and with it the share, before another one is waited for
            finally:
                for _, future in begun:
                    future.cancel()
                self._room.leave(len(begun))
            grown = most > GROWTH * case.size and len(case.shelves) < SHARES
            # What has grown the next run shares out anew.
            list(hands.map(self._forget, case.there if grown else case.stale))

    def _share(self, shelf: "_Shelf", asked: Span, span: Span, hands: ThreadPoolExecutor) -> Frame:
        """The series of one share, of which only what is not kept is read."""
        begin = min(span[0], asked[0])
        held = self._held(shelf, span, hands)
        parts: list[tuple[Piece, Span]] = [(kept, _common(kept, span)) for kept in held.values()]
        if tail := self._tails.get(shelf.query):
            parts.append((_Read(tail), (max(tail.start, begin), min(tail.end, asked[1]))))
        parts = [(kept, part) for kept, part in parts if part[0] < part[1]]
        gaps = [*_gaps((part for _, part in parts), begin, asked[1])]
        read = [self._read(shelf, gap, hands) for gap in gaps]
        parts += zip(map(_Read, read), gaps, strict=True)
        alone = len(parts) == len(read) == 1
        whole = read[0] if alone else joined(parts, (begin, asked[1]), shelf.query.step)
        parts.clear()
        read.clear()
        self._keep(shelf, whole, held, span, hands)
        self._hold(shelf.query, whole, span[1] - GROWN)
        return alive(whole.columns(whole.column(asked[0]), whole.values.shape[1]))

    def _hold(self, query: Query, whole: Frame, since: datetime) -> None:
        """Leave at hand what is not kept of a metric that is asked for again."""
        tail = _cut(whole, (since, whole.end)) if query.metric in self.again else None
        if tail and tail.values.size and sum(one.values.nbytes for one in tuple(self._tails.values())) < TAILS:
            self._tails.setdefault(query, Frame(tail.values.copy(), tail.start, tail.step, tail.labels))

    def _known(self, shelf: "_Shelf", days: Days) -> dict[datetime, carried.Opened]:
        """What is known of the past of these days; nothing where it is not that of all."""
        found = dict[datetime, carried.Opened]()
        for day in days.since:
            name, identity = shelf.past(day, days.by)
            opened = self._opened(name, partial(carried.read, identity=identity)) if name in shelf.there else None
            if opened and not alike(opened.past, days.sample()):
                self._ignore(name, "its arrays are not of the form that these detectors carry over")
                opened = None
            if not opened:
                return {}
            found[day] = opened
        return found

    def _learn(self, shelf: "_Shelf", whole: Frame, parts: Sequence[Block], days: Days) -> None:
        """Keep what is known of the past of these days from now on, and forget that of those before."""
        for day in days.since:
            if not all(day in part.found for part in parts):
                continue
            name, identity = shelf.past(day, days.by)
            found = [part.found[day] for part in parts]
            labels = tuple(part.frame.labels[n] for part in parts for n in part.found[day][0].tolist())
            if labels:
                data = partial(carried.write, labels, stacked_past([past for _, past in found]))
                self._put(name, partial(data, _read_of(whole, days, day), identity))
        old = [name for name in shelf.there if shelf.before(name, min(days.since))]
        for name in () if self._refused else old:
            self._forget(name)

    def _read(self, shelf: "_Shelf", gap: Span, hands: ThreadPoolExecutor) -> Frame:
        """What the source says of a share; of a long time in several streams, where there are few shares."""
        several = shelf.finer if (gap[1] - gap[0]) // shelf.query.step >= LONG else (shelf.query,)
        return stacked([*hands.map(lambda query: self.source.read(query, *gap), several)])

    def _lasting(self, query: Query, start: datetime, end: datetime) -> Span:
        """From which midnight on, and up to when, the time asked for is kept."""
        facts = self.source.describe(query)
        settled = self.present - facts.settle - self.margin
        settled -= (settled - _midnight(settled)) % query.step
        first = _midnight(start)
        thinned = self._thinned(facts)
        return max(first, thinned) if thinned else first, min(end, settled)

    def _thinned(self, facts: Descriptor) -> datetime | None:
        """The midnight before which the source has begun to thin out its points, if it does."""
        midnight = None if facts.keeps is None else _midnight(self.present - facts.keeps)
        return midnight and midnight + DAY * (midnight < self.present - (facts.keeps or DAY))

    def _outlived(self, query: Query, there: Iterable[str]) -> set[str]:
        """The names of history that no run reads any more: all of it is of days that the source has thinned out."""
        thinned = self._thinned(self.source.describe(query))
        if not thinned:
            return set()
        last = {str(days): f"{thinned - days * DAY:%Y-%m-%d}" for days in (1, 7)}
        found = ((name, _DATED.search(name)) for name in there)
        return {name for name, dated in found if dated and dated[1] <= last[dated[2]]}

    def _case(self, query: Query, start: datetime, end: datetime) -> "_Case | None":
        """A shelf for each share of the query, as many as there are or as the series ask for.

        None where nothing has settled, the store has refused, or very many series cannot be shared out.
        """
        span, mark, rows = self._lasting(query, start, end), "", None
        if span[0] >= span[1] or self._refused:
            return None
        folder, size = _folder(query, self.origin), self.size or max(1, SHARE // (max(SPAN, end - start) // query.step))
        if not splits(query) and isinstance(self.source, Dividing):
            query, rows = self.source.divided(query, *span)
            mark = f".by.{query.split_by}"
        there = self._names(folder)
        found = (_SHARED.match(name.removeprefix(folder)) for name in there)
        count = max((int(one[1]) for one in found if one and one[2] == mark and int(one[1]) <= SHARES), default=0)
        if not splits(query):
            if rows and rows > GROWTH * size:
                words = f"{query.metric}: no label tells its {rows:,} series apart; they are not kept"
                self.log("WARNING", "cache.whole", words)
                return None
            count = 1
        elif not count:
            rows = self.source.count(query, *span) if rows is None else rows
            count = min(SHARES, max(1, -(-rows // size)))
        place = f"{folder}of{count}{mark if count > 1 else ''}/"
        shelves = tuple(_shelf(query, self.origin, place, (one, count), there) for one in range(count))
        stale = {name for name in there if not name.startswith(place)} | self._outlived(query, there)
        return _Case(shelves, size, span, there, stale)

    def _held(self, shelf: "_Shelf", span: Span, hands: ThreadPoolExecutor) -> dict[str, Kept]:
        """What of this time the store holds."""
        days = _days(span)
        names = [*(shelf.name(day, WEEK) for day in _mondays(days)), *(shelf.name(day, DAY) for day in days)]
        wanted = [name for name in names if name in shelf.there]
        found = zip(wanted, hands.map(lambda name: self._load(shelf, name), wanted), strict=True)
        return {name: kept for name, kept in found if kept is not None}

    def _names(self, folder: str) -> set[str]:
        try:
            return set(self.store.names(folder))
        except (NotAllowed, Failed) as error:
            self._refuse(error)
            return set()

    def _opened(self, name: str, read: Callable[[bytes], T]) -> T | None:
        """What an object holds, if it can be used."""
        try:
            found = self.store.get(name)
            return read(found.data) if found else None
        except (history.Unusable, Failed) as error:
            self._ignore(name, str(error))
        except NotAllowed as error:
            self._refuse(error)
        return None

    def _load(self, shelf: "_Shelf", name: str) -> Kept | None:
        """What an object of history holds, if it is what its name says."""
        kept = self._opened(name, partial(history.read, identity=shelf.identity))
        if kept and not _named(kept, name, shelf):
            self._ignore(name, "it is the history of another time")
            return None
        return kept

    def _keep(
        self, shelf: "_Shelf", whole: Frame, held: Mapping[str, Kept], span: Span, hands: ThreadPoolExecutor
    ) -> None:
        """Write what of the span the store does not hold: settled days with those of their week, and the last day."""
        midnight = _midnight(span[1])
        over = span[0], midnight
        list(hands.map(lambda monday: self._keep_week(shelf, whole, held, monday, over), _mondays(_days(span))))
        today = shelf.name(midnight, DAY)
        if span[1] - (held[today].end if today in held else midnight) >= GROWN:
            self._keep_frame(shelf, today, _cut(whole, (midnight, span[1])))
        if not self._refused:
            old = (shelf.name(day, DAY) for day in _days(span) if day < midnight)
            list(hands.map(self._forget, [name for name in old if name in shelf.there]))

    def _keep_week(self, shelf: "_Shelf", whole: Frame, held: Mapping[str, Kept], monday: datetime, over: Span) -> None:
        """Write the days of a week that are over, if the store lacks some, with those that it has."""
        name = shelf.name(monday, WEEK)
        span = max(monday, over[0]), min(monday + WEEK, over[1])
        kept = held.get(name)
        if span[0] >= span[1] or (kept and (kept.start <= span[0] and span[1] <= kept.end)):
            return
        if kept and span[1] < kept.start:  # the days between are missing, and the later ones are worth more
            return
        week = _cut(whole, span)
        if kept and span[0] <= kept.end:
            every = min(kept.start, span[0]), max(kept.end, span[1])
            week = joined([(kept, (kept.start, kept.end)), (_Read(week), span)], every, shelf.query.step)
        self._keep_frame(shelf, name, week)

    def _keep_frame(self, shelf: "_Shelf", name: str, frame: Frame) -> None:
        self._put(name, lambda: history.write(alive(frame), shelf.identity))

    def _put(self, name: str, data: Callable[[], bytes]) -> None:
        if self._refused:
            return
        try:
            put_over(self.store, name, data())
        except Conflict:
            pass  # another task keeps the same
        except ValueError as error:  # and the others go on
            self.log("WARNING", "cache.large", f"{self.store.url}/{name} is not kept: {error}", object=name)
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
    """Where the objects of one share of a query are: `identity` decides their values, `there` are all names of it.

    `finer` are queries for parts of the share, as many as make streams of all shares that are read at once.
    """

    query: Query
    finer: tuple[Query, ...]
    identity: Mapping[str, Any]
    folder: str
    there: set[str]

    def name(self, day: datetime, length: timedelta) -> str:
        """The object that begins with this day."""
        return f"{self.folder}{day:%Y-%m-%d}.{length.days}d"

    def past(self, day: datetime, by: str) -> tuple[str, dict[str, Any]]:
        """The object with what is known of the past of this day, and what decides that."""
        return f"{self.folder}{day:%Y-%m-%d}.past-{by}", {**self.identity, "day": f"{day:%Y-%m-%d}", "by": by}

    def before(self, name: str, day: datetime) -> bool:
        """Whether an object is of the past of an earlier day."""
        found = _PAST.fullmatch(name.removeprefix(self.folder))
        return bool(found) and name < f"{self.folder}{day:%Y-%m-%d}"


@dataclass(frozen=True)
class _Case:
    """All shelves of a query, for the time that is kept; the names that are `there`, and those that nobody needs.

    `size` is how many series a share should have.
    """

    shelves: tuple[_Shelf, ...]
    size: int
    span: Span
    there: set[str]
    stale: set[str]


@dataclass
class _Room:
    """How many shares may be held at once."""

    most: int
    taken: int = 0
    lock: Lock = field(default_factory=Lock)

    def take(self, *, wanted: bool) -> bool:
        """Whether another one may be; one that is wanted now may always."""
        with self.lock:
            free = wanted or self.taken < self.most
            self.taken += free
            return free

    def leave(self, count: int) -> None:
        """So many are no longer held."""
        with self.lock:
            self.taken -= count


@dataclass(frozen=True, eq=False)
class _Read:
    """A frame that was read, as a piece."""

    frame: Frame

    @property
    def start(self) -> datetime:
        return self.frame.start

    @property
    def labels(self) -> tuple[Labels, ...]:
        return self.frame.labels

    def values(self, first: int, stop: int, out: NDArray[np.float64]) -> None:
        out[:] = self.frame.values[:, first:stop]


def _read_of(frame: Frame, days: Days, day: datetime) -> str:
    """Names what is read of the time before a day although its past is known."""
    return carried.fingerprint(_cut(frame, (days.since[day], day)))


def _placed(frame: Frame, found: Mapping[datetime, carried.Opened]) -> Block:
    """The frame with what is known of its series, and those of which there is no more than that."""
    every = [frame.labels, *(one.labels for one in found.values())]
    if any(labels != frame.labels for labels in every):
        labels = union(every)
        values = np.full((len(labels), frame.values.shape[1]), np.nan)
        values[places(frame.labels, labels) >= 0] = frame.values
        frame = Frame(values, frame.start, frame.step, labels)
    return Block(frame, {day: one.past.placed(places(one.labels, frame.labels)) for day, one in found.items()})


def _parts(block: Block, rows: int) -> Iterator[Block]:
    """So many rows of the block at once."""
    for low in range(0, len(block.frame.labels), rows):
        some = slice(low, low + rows)
        yield Block(block.frame.rows(some), {day: past.rows(some) for day, past in block.past.items()})


def _folder(query: Query, origin: str) -> str:
    digest = sha256(dumps(_identity(query, origin), sort_keys=True).encode()).hexdigest()[:16]
    return f"history/{slug(query.project)}/{slug(query.metric)}/{digest}/"


def _shelf(query: Query, origin: str, folder: str, place: tuple[int, int], there: set[str]) -> _Shelf:
    one, count = place
    if count == 1:
        return _Shelf(query, (query,), _identity(query, origin), f"{folder}{one:02}/", there)
    parts = count * max(1, min(_STREAMS // min(AT_ONCE, count), SHARES // count))
    finer = tuple(_shared(query, part, parts) for part in range(one, parts, count))
    query = _shared(query, one, count)
    return _Shelf(query, finer, _identity(query, origin), f"{folder}{one:02}/", there)


def _shared(query: Query, one: int, count: int) -> Query:
    """The query for a share, whose filter says all that chooses its series; it is small enough for one stream."""
    query = share(query, {one}, count)
    return replace(query, filter=both(query.filter, part_filter(query)), parts=1, part=0, split_by="")


def _identity(query: Query, origin: str) -> dict[str, Any]:
    return {
        "origin": origin,
        "project": query.project,
        "metric": query.metric,
        "step": int(query.step.total_seconds()),
        "filter": query.filter,
        "group_by": list(query.group_by),
        "reducer": query.reducer,
        "part": [part_filter(query)] if query.parts > 1 else [],
    }


def _gaps(spans: Iterable[Span], begin: datetime, end: datetime) -> Iterator[Span]:
    """What of the time from `begin` to `end` is in none of the spans."""
    for start, stop in sorted(spans):
        if begin < start:
            yield begin, start
        begin = max(begin, stop)
    if begin < end:
        yield begin, end


def _cut(frame: Frame, span: Span) -> Frame:
    """What of the frame lies in the span."""
    return frame.columns(max(0, frame.column(span[0])), max(0, frame.column(span[1])))


def _common(kept: Kept, span: Span) -> Span:
    return max(kept.start, span[0]), min(kept.end, span[1])


def _named(kept: Kept, name: str, shelf: _Shelf) -> bool:
    """Whether the object is of the time that it is named after, whole days of a week or the beginning of a day."""
    day = _midnight(kept.start)
    if kept.step != shelf.query.step or kept.start != day:
        return False
    if name == shelf.name(_monday(day), WEEK):
        return kept.end <= _monday(day) + WEEK and kept.end == _midnight(kept.end)
    return name == shelf.name(day, DAY) and kept.end <= day + DAY


def _days(span: Span) -> list[datetime]:
    """The midnights from that of the span's first day on, before its end."""
    begin = _midnight(span[0])
    return [begin + n * DAY for n in range(-((begin - span[1]) // DAY))]


def _mondays(days: Iterable[datetime]) -> list[datetime]:
    """The beginnings of the weeks that these days are in."""
    return list(dict.fromkeys(map(_monday, days)))


def _midnight(moment: datetime) -> datetime:
    return datetime.combine(moment.astimezone(UTC).date(), time(), UTC)


def _monday(day: datetime) -> datetime:
    return day - day.weekday() * DAY
