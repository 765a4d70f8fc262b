"""What a run will do: queries x UTC days x parts, and which of these slices one task takes."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby

from job.config import Settings
from job.errors import ConfigError
from job.presets import slug
from job.query import Query, both
from job.units import utc

DAY = timedelta(days=1)

AT_ONCE = 14 * DAY
"""Days of a backfill that are read at once: more would share more of their history, and be lost together."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Slice:
    """One UTC day of one part of one query: the unit of work, of output and of repair.

    Those of one `family` are read together, part by part.
    """

    query: Query
    day: date
    family: str = ""

    @property
    def start(self) -> datetime:
        """Midnight, where the day begins."""
        return datetime.combine(self.day, time(), UTC)

    @property
    def name(self) -> str:
        """The slice's name in the store, below the kind of object."""
        project = slug(self.query.project)
        return f"date={self.day}/metric={self.query.name}/{project}.part-{self.query.part:02}.jsonl"

    @property
    def read(self) -> tuple[str, str, str, int]:
        """Names what is read at once, of one day or several that follow each other."""
        return self.query.project, self.family, "" if self.family else self.query.name, self.query.part


@dataclass(frozen=True)
class Window:
    """The time asked for, `[start, end)`, and whether it was asked for by its ends (a backfill)."""

    start: datetime
    end: datetime
    backfill: bool


def window(settings: Settings, now: datetime) -> Window:
    """The time that the settings ask for at the time `now`.

    Raises:
        ConfigError: it begins in the future.
    """
    end = min(settings.to or now, now)
    start = settings.from_ or end - timedelta(hours=settings.hours)
    if start >= end:
        raise ConfigError(f"from = {utc(start)} is not before the present, {utc(now)}; begin earlier")
    return Window(start, end, backfill=settings.from_ is not None or settings.to is not None)


def custom(settings: Settings, projects: Iterable[str]) -> tuple[Query, ...]:
    """The queries of the [[query]] tables, for each project."""
    return tuple(
        Query(
            metric=table.type,
            project=project,
            step=settings.step,
            name=table.name or slug(table.type),
            filter=both(table.filter, settings.filter),
            group_by=table.group_by,
            reducer=table.reducer,
            noun=table.noun,
            split_by=table.split_by,
            missing=table.missing,
        )
        for project in projects
        for table in settings.query
    )


def slices(
    queries: Iterable[Query],
    span: Window,
    parts: int,
    families: Callable[[Collection[Query]], Mapping[Query, str]] = lambda _: {},
) -> tuple[Slice, ...]:
    """Every slice that the window touches, whole days, in an order that no task count changes.

    A window that cuts a day takes the day whole, so that no object ever covers less of its day than before. `families`
    says which queries are read together.

    Raises:
        ConfigError: two queries of one project have the same name.
    """
    split = [part for query in queries for part in _split(query, parts if query.split_by else 1)]
    names = [(q.project, q.name, q.part) for q in split]
    for project, name, _ in {n for n in names if names.count(n) > 1}:
        raise ConfigError(f"two queries of {project} are named {name!r}; give one of the [[query]] tables another name")
    first = span.start.astimezone(UTC).date()
    last = (span.end - timedelta(microseconds=1)).astimezone(UTC).date()
    days = [first + n * DAY for n in range((last - first).days + 1)]
    known = families(split)
    every = (Slice(query, day, known.get(query, "")) for query in split for day in days)
    return tuple(sorted(every, key=lambda piece: (piece.read, piece.day, piece.query.name)))


def _split(query: Query, parts: int) -> list[Query]:
    return [replace(query, parts=parts, part=part) for part in range(parts)]


def mine(every: tuple[Slice, ...], index: int, count: int) -> tuple[Slice, ...]:
    """The slices of task `index` of `count`: neighbours, since days that follow each other share their history.

    What is read together stays so, unless there is less of it than tasks.
    """
    days = [tuple(some) for _, some in groupby(every, key=lambda piece: (piece.read, piece.day))]
    some = days if len(days) >= count else [(piece,) for piece in every]
    return tuple(
        piece for each in some[len(some) * index // count : len(some) * (index + 1) // count] for piece in each
    )


def batches(pieces: tuple[Slice, ...]) -> Iterator[tuple[Slice, ...]]:
    """The slices that are read at once: days of a query or a family, the last less than `AT_ONCE` after the first."""
    some: list[Slice] = []
    for piece in pieces:
        if some and (piece.read != some[0].read or piece.start - some[0].start >= AT_ONCE):
            yield tuple(some)
            some = []
        some.append(piece)
    if some:
        yield tuple(some)


def whole(moment: datetime, step: timedelta) -> datetime:
    """The last line of the grid at or before a moment."""
    return moment - (moment - EPOCH) % step


def until(piece: Slice, now: datetime, settle: timedelta) -> datetime:
    """Up to where the slice's day has settled: the day's end, or the last period that is older than `settle`."""
    settled = now - settle
    return whole(min(max(settled, piece.start), piece.start + DAY), piece.query.step)
