"""Where time series come from."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from detectors import Frame
from job.past import Past
from job.query import Query

if TYPE_CHECKING:
    from job.config import Settings


@dataclass(frozen=True)
class Descriptor:
    """What a source says of one metric.

    `unit` is the unit of the frames that `read` returns, a rate for a counter (`By/s`, `packets/s`). `settle` is how
    long after its period a point may still arrive or change: the sample period and the ingest delay together. `keeps`
    is how long points stay as they came, where the source thins them out later. `there`: the source knows the metric;
    one of a preset may wait for the first resource that writes it, and has no series until then.
    """

    unit: str
    settle: timedelta
    keeps: timedelta | None = None
    there: bool = True


Joined: TypeAlias = tuple[Query, Frame]
"""Some of the series of a query."""


class Reader(Protocol):
    """What answers a query with its points: a source, or something round one that answers the same."""

    def describe(self, query: Query) -> Descriptor:
        """What is known of the query's metric before any point is read."""

    def read(self, query: Query, start: datetime, end: datetime) -> Frame:
        """The query's series over `[start, end)`, whose ends lie on the grid of `query.step`.

        The frame covers exactly that time. Rows without any point are left out; the others are in the order of their
        labels. Counters come as rates per second; a missing point is NaN.

        Raises:
            ConfigError: the query is not one that this source can answer.
            NotAllowed: a permission is missing.
            Failed: the source did not answer, or not completely.
        """


@runtime_checkable
class Streaming(Reader, Protocol):
    """A reader that need not hold a whole frame."""

    def blocks(self, query: Query, start: datetime, end: datetime, rows: int) -> Iterator[Frame]:
        """The rows of the frame that `read` returns, each in one of several frames of at most so many rows.

        Raises:
            Scattered: they come in an order in which they cannot be told apart; what came before is not to be used.
        """


class Scattered(Exception):
    """The points of a series came in pieces that do not follow each other; only `read` puts them together."""


def blocks(reader: Reader, query: Query, start: datetime, end: datetime, rows: int) -> Iterator[Frame]:
    """The query's series over `[start, end)`, so many at once, as far as the reader can."""
    if isinstance(reader, Streaming):
        yield from reader.blocks(query, start, end, rows)
    else:
        yield from cut(reader.read(query, start, end), rows)


def cut(frame: Frame, rows: int) -> Iterator[Frame]:
    """The frame in several of so many rows."""
    for low in range(0, len(frame.labels), rows):
        yield frame.rows(slice(low, low + rows))


@dataclass(frozen=True)
class Days:
    """Days whose past may be known already: since when each must be read all the same, and `by` what it is known.

    `sample` is of the form that such a past has.
    """

    since: Mapping[datetime, datetime]
    by: str
    sample: Callable[[], Past]


@dataclass(frozen=True, eq=False)
class Block:
    """Some series of a query. Where `past` knows all of the days asked for, their frame begins no earlier than it must.

    What is put into `found`, with the rows that it is of, is known from then on.
    """

    frame: Frame
    past: Mapping[datetime, Past] = field(default_factory=dict)
    found: dict[datetime, tuple[NDArray[np.intp], Past]] = field(default_factory=dict)


@runtime_checkable
class Knowing(Reader, Protocol):
    """A reader that keeps what is known of the past of a day."""

    def knows(self, query: Query) -> bool:
        """Whether that is so of this query."""

    def known(self, query: Query, start: datetime, end: datetime, rows: int, days: Days) -> Iterator[Block]:
        """The query's series over `[start, end)`, so many at once, or over what of that time is not known.

        Raises:
            Scattered: they come in an order in which they cannot be told apart; what came before is not to be used.
        """


@runtime_checkable
class Joining(Reader, Protocol):
    """A reader that answers several queries with what it reads once."""

    def joins(self, queries: Collection[Query]) -> bool:
        """Whether these are such."""

    def together(self, queries: Collection[Query], start: datetime, end: datetime, most: int) -> Iterator[Joined]:
        """The series of each query over `[start, end)`, about `most` of each held at once, in any order."""


class Source(Reader, Protocol):
    """A place that holds metrics. `read` is the only method that reads points."""

    def metrics(self, names: tuple[str, ...]) -> tuple[Query, ...]:
        """The queries that the given names (presets or metric types; none means the default) stand for.

        Raises:
            ConfigError: a name stands for nothing here.
        """

    def count(self, query: Query, start: datetime, end: datetime) -> int:
        """How many series the query has in `[start, end)`, without reading points."""

    def now(self, now: datetime) -> datetime:
        """The present as this source has it: the clock's, or the end of what was recorded."""


def stand_in(settings: "Settings", environ: Mapping[str, str]) -> str:
    """The address of what stands in for Cloud Monitoring, if anything does."""
    return settings.monitoring_endpoint or environ.get("MONITORING_EMULATOR_HOST", "")


Meter: TypeAlias = Callable[[str], AbstractContextManager[object]]
"""Is told what the time goes into."""


def open_source(settings: "Settings", environ: Mapping[str, str], now: datetime, meter: Meter = nullcontext) -> Source:
    """The source that the settings name, with what it needs of them. Nothing is contacted by opening it.

    Raises:
        ConfigError: a setting is not one that the source can take.
    """
    if settings.source == "monitoring":
        from job.sources.monitoring import Monitoring, Patience

        return Monitoring(
            projects=settings.project,
            step=settings.step,
            now=now,
            endpoint=stand_in(settings, environ),
            filter=settings.filter,
            calls=settings.calls,
            patience=Patience(total=settings.retry_for),
            meter=meter,
        )
    if settings.source == "files":
        from job.sources.files import Files

        table = settings.files
        return Files(settings.input, step=settings.step, kind=table.kind, unit=table.unit, stamp=table.stamp)
    from job.sources.synthetic import Synthetic

    made = settings.synthetic
    return Synthetic(seed=made.seed, step=settings.step, vms=made.vms, incidents=made.incidents)
