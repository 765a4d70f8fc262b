"""Cloud Monitoring as a source: what to ask, page by page, and the frame that the answers make."""

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event
from typing import Any, TypeVar

from detectors import Frame
from job.errors import ConfigError, Failed
from job.presets import Spec, expand, slug, spec
from job.query import Query, both, equals, part_filter, share
from job.sources import Descriptor, Meter, cut
from job.sources.monitoring import grid
from job.sources.monitoring.client import Incomplete, Line, Patience, Unwritten, connect
from job.sources.monitoring.decode import Heads, Key, Page, Points, decode, keys, page
from job.sources.monitoring.facts import COARSE, COARSE_AFTER, NOWHERE, Facts, descriptor, facts, period
from job.sources.monitoring.flow import collected, pieces
from job.sources.monitoring.messages import types
from job.sources.monitoring.streams import MOST, ahead, dividing, flowing, in_turn, splits, together

T = TypeVar("T")

PAGE = 100_000
"""So many points come in one page."""

DECODERS = 2
"""So many pages are taken apart at once, which takes ten times their size; more would share the same cores."""

LONG = 1_000
"""Of series with so many points a hundred fill a page: too few to ask first how many there are."""

_LIST = "monitoring.timeSeries.list"
_DESCRIBE = "monitoring.metricDescriptors.get"
_LABEL = re.compile(r"(resource|metric)\.labels?\.(\w+)|metadata\.(?:user|system)_labels\.[\w./-]+", re.ASCII)
_ZERO = datetime.fromtimestamp(0, UTC)


class Monitoring:
    """Reads the metrics of projects, or of the metrics scopes that they are, over Cloud Monitoring's API.

    `now` tells which points are past full resolution. `filter` narrows every metric. No project stands
    for that of the credentials. `calls` are in flight at once, whichever threads ask; a query that can be split uses
    several by itself, if it has more than a page.
    """

    def __init__(
        self,
        projects: tuple[str, ...],
        step: timedelta,
        *,
        now: datetime,
        endpoint: str = "",
        filter: str = "",  # noqa: A002 - the setting's name
        calls: int = 8,
        patience: Patience = Patience(),  # noqa: B008 - frozen
        meter: Meter = nullcontext,
    ) -> None:
        self._projects = projects
        self._step = step
        self._now = now
        self._endpoint = endpoint
        self._filter = both(filter)
        self._calls = calls
        self._meter = meter
        self._line = Line(calls, patience)
        self._hands = threading.Semaphore(calls)
        self._decoding = threading.Semaphore(DECODERS)
        self._connected: tuple[Any, str] | None = None
        self._connecting = threading.Lock()
        self._rows: dict[Query, int] = {}
        self._divided: dict[Query, Query] = {}
        self._facts: dict[tuple[str, str], Facts] = {}
        self._learning: dict[tuple[str, str], threading.Lock] = {}

    def metrics(self, names: tuple[str, ...]) -> tuple[Query, ...]:
        """The queries that presets and metric types stand for, in every project.

        Raises:
            ConfigError: a name is neither, or no project is given and the credentials name none.
        """
        specs = expand(names)
        return tuple(self._query(project, spec) for project in self._scopes() for spec in specs)

    def describe(self, query: Query) -> Descriptor:
        """The unit and delay that the metric's descriptor gives, asked for once."""
        return descriptor(self._learn(query.project, query.metric), query)

    def count(self, query: Query, start: datetime, end: datetime) -> int:
        """How many rows `read` would at most return."""
        return len(self._series(query, start, end))

    def divided(self, query: Query, start: datetime, end: datetime) -> tuple[Query, int]:
        """The query with a label by which its series can be shared out, and how many there are in `[start, end)`.

        The label that it has, or else the one by which they differ; none where there is no such. Points are not read.
        """
        found = self._series(query, start, end)
        if not splits(query):
            known = _checked(query, self._learn(query.project, query.metric))
            query = replace(query, split_by=dividing([dict(key) for key in found], known.group_by))
        return query, len(found)

    def _series(self, query: Query, start: datetime, end: datetime) -> set[Key]:
        """The keys of the rows that `read` would at most return."""
        known = self._learn(query.project, query.metric)
        if not known.there:
            return set()
        window = _window(query, start, end)
        query = _checked(query, known)
        length = period(query, known.sample, timedelta(0))
        span = -(-(window.end - window.start) // length) * length
        request = _aligned(query, known, window.end - span, window.end, length)
        request.view = 1
        found = {key for page in self._pages(query, request) for key in keys(page)}
        if known.kind == "CUMULATIVE" and query.group_by:
            found = {grid.group(one, query.group_by) for one in found}
        return found

    def read(self, query: Query, start: datetime, end: datetime) -> Frame:
        """The query's series over `[start, end)`; see `Source.read`.

        A sum over a period becomes a rate per second. Where the metric's points are further apart than the step, each
        gives its value to every column that it covers.
        """
        known = self._learn(query.project, query.metric)
        window = _window(query, start, end)
        query = _checked(query, known)
        blocks = [
            ((first - window.start) // window.step, block)
            for first, stop, least in self._stretches(query, known, window)
            if (asking := self._asking(query, known, grid.Window(first, stop, window.step), least))
            for block in together(self._streams(query, asking, asking.place))
        ]
        block = grid.joined(blocks, window.columns)
        self._rows[query] = len(block.keys)
        return Frame(block.values, start, query.step, tuple(dict(one) for one in block.keys))

    def blocks(self, query: Query, start: datetime, end: datetime, rows: int) -> Iterator[Frame]:
        """The query's series over `[start, end)`, so many at once; see `Streaming.blocks`.

        Counts that are grouped here, and a window that reaches past full resolution, are held in shares of the series,
        or whole where no label tells them apart.
        """
        known = self._learn(query.project, query.metric)
        window = _window(query, start, end)
        asked = _checked(query, known)
        stretches = list(self._stretches(asked, known, window))
        held = len(stretches) > 1 or (known.kind == "CUMULATIVE" and bool(asked.group_by))
        if held or (window.columns >= LONG and self._calls > 1):
            asked = self._sharable(asked, start, end)
        if held:
            shares = in_turn(lambda sharing: self.read(sharing(asked), start, end)) if splits(asked) else ()
            for frame in shares or (self.read(query, start, end),):
                yield from cut(frame, rows)
            return
        asking = self._asking(asked, known, window, stretches[0][2])
        count = 0
        for block in self._flow(asked, asking, rows, window.columns) if asking else ():
            count += len(block.keys)
            yield Frame(block.values, start, query.step, tuple(dict(one) for one in block.keys))
        self._rows[asked] = count

    def _sharable(self, query: Query, start: datetime, end: datetime) -> Query:
        """The query with a label by which its series can be shared out, looked for once."""
        if splits(query):
            return query
        if query not in self._divided:
            self._divided[query], self._rows[query] = self.divided(query, start, end)
            self._rows[self._divided[query]] = self._rows[query]
        return self._divided[query]

    def _flow(self, query: Query, asking: "_Asking", rows: int, columns: int) -> Iterator[grid.Block]:
        def place(points: Iterable[Points]) -> grid.Block:
            with self._meter("place"):
                return asking.place(points)

        tasks = self._streams(query, asking, lambda points: pieces(points, place))
        return collected(flowing(tasks, self._hands), rows, columns)

    def now(self, now: datetime) -> datetime:
        """The clock's present."""
        return now

    def _scopes(self) -> tuple[str, ...]:
        projects = self._projects or ((self._connection()[1],) if self._connection()[1] else ())
        if not projects:
            raise ConfigError("no project: the credentials name none; say which one with --project")
        for project in projects:
            if not re.fullmatch(r"[a-z0-9.:-]{1,100}", project):
                raise ConfigError(f"{project!r} is not the ID or number of a project")
        return tuple(dict.fromkeys(projects))

    def _query(self, project: str, spec: Spec) -> Query:
        resource = equals("resource.type", spec.resource) if spec.resource else ""
        return Query(
            spec.type,
            project,
            self._step,
            name=slug(spec.type),
            filter=both(resource, self._filter),
            group_by=spec.group_by,
            reducer=spec.reducer,
            noun=spec.noun,
            missing=spec.missing,
            split_by=spec.split_by,
        )

    def _connection(self) -> tuple[Any, str]:
        with self._connecting:
            if self._connected is None:
                self._connected = connect(self._endpoint)
            return self._connected

    def _learn(self, project: str, metric: str) -> Facts:
        place = (project, metric)
        with self._connecting:
            lock = self._learning.setdefault(place, threading.Lock())
        with lock:
            if place not in self._facts:
                self._facts[place] = self._ask(project, metric)
            return self._facts[place]

    def _ask(self, project: str, metric: str) -> Facts:
        from google.api import metric_pb2

        client = self._connection()[0]
        name = f"projects/{project}/metricDescriptors/{metric}"

        def ask(seconds: float) -> metric_pb2.MetricDescriptor:
            found: metric_pb2.MetricDescriptor = client.get_metric_descriptor(name=name, retry=None, timeout=seconds)
            return found

        try:
            return facts(self._line.call(f"the metric {metric}", project, _DESCRIBE, ask))
        except Unwritten:
            if not _preset(metric):
                raise
            return NOWHERE

    def _stretches(self, query: Query, known: Facts, window: grid.Window) -> Iterator[tuple[int, int, timedelta]]:
        """The window in two where it reaches past full resolution, each with the least period to ask for."""
        length = period(query, known.sample, COARSE)
        limit = int((self._now - COARSE_AFTER).timestamp()) // length * length
        if window.start < limit:
            yield window.start, min(limit, window.end), COARSE
        if limit < window.end:
            yield max(window.start, limit), window.end, timedelta(0)

    def _asking(self, query: Query, known: Facts, window: grid.Window, least: timedelta) -> "_Asking | None":
        """What to ask for the window; nothing where there is no such metric, or no period is over and settled."""
        if not known.there:
            return None
        if known.kind == "CUMULATIVE":
            return _counters(query, max(known.sample, least), window)
        length = period(query, known.sample, least)
        first, last = window.start // length * length, -(-window.end // length) * length
        # A period that is not over, or not settled, would be read too low.
        if last > window.end and last > (self._now - known.settle).timestamp():
            last -= length
        if first >= last:
            return None

        def ask(query: Query) -> Any:
            return _aligned(query, known, first, last, length)

        def place(points: Iterable[Points]) -> grid.Block:
            return grid.aligned(points, window, length, rate=known.kind == "DELTA")

        return _Asking(ask, place, (last - first) // length)

    def _streams(
        self, query: Query, asking: "_Asking", made: Callable[[Iterator[Points]], T]
    ) -> list[Callable[[Event], T]]:
        """What is to be done to read the query's series, over one stream or several."""
        ask, width = asking.ask, asking.width

        def read(shares: Query, begun: tuple[Page, ...] = ()) -> Callable[[Event], T]:
            return lambda stop: made(self._points(shares, ask(shares), begun, stop))

        rows, count = self._rows.get(query), min(self._calls, MOST)
        if count == 1 or not splits(query) or (rows is not None and rows * width <= PAGE):
            return [read(query)]
        part = partial(share, query, count=count)
        if rows is not None or width >= LONG:
            return [read(part({one})) for one in range(count)]
        # How many series there are is not known yet: the first share tells whether the others are worth a call each.
        first, others = part({0}), [{one} for one in range(1, count)]
        page = self._page(first, ask(first))
        if not page.token and len(page.spans) * width * count <= PAGE:
            others = [set(range(1, count))]
        return [read(first, (page,)), *(read(part(wanted)) for wanted in others)]

    def _points(self, query: Query, request: Any, begun: tuple[Page, ...], stop: Event) -> Iterator[Points]:
        heads: Heads = []
        for found in ahead(self._pages(query, request, begun, stop)):
            with self._decoding, self._meter("decode"):
                lots = list(decode(found, heads, starts=not request.HasField("aggregation")))
            yield from lots

    def _pages(
        self, query: Query, request: Any, begun: tuple[Page, ...] = (), stop: Event | None = None
    ) -> Iterator[Page]:
        """All pages of a request, of which `begun` are there already; none more when told to stop."""
        for found in begun:
            yield found
            request.page_token = found.token
        while request.page_token or not begun:
            found = self._page(query, request)
            yield found
            if not found.token or (stop and stop.is_set()):
                return
            request.page_token = found.token

    def _page(self, query: Query, request: Any) -> Page:
        client = self._connection()[0]

        def ask(seconds: float) -> Page:
            pager = client.list_time_series(request=request, retry=None, timeout=seconds)
            try:
                found = page(next(iter(pager.pages)))
            except Failed as error:
                raise Incomplete(str(error)) from None
            if found.errors:
                raise Incomplete("; ".join(found.errors))
            if found.token and found.token == request.page_token:
                raise Incomplete("a page that names itself as the next one, which would never end")
            return found

        try:
            with self._meter("read"):
                return self._line.call(query.metric, query.project, _LIST, ask)
        except Unwritten:
            if request.page_token or not _preset(query.metric):
                raise
            return Page(b"", (), "", ())


def _preset(metric: str) -> bool:
    """Whether a preset has this metric, so that it cannot be misspelt."""
    return spec(metric) != Spec(metric)


@dataclass(frozen=True)
class _Asking:
    """The request for a query's points, how they become a block, and about how many points a series has."""

    ask: Callable[[Query], Any]
    place: Callable[[Iterable[Points]], grid.Block]
    width: int


def _counters(query: Query, sample: timedelta, window: grid.Window) -> _Asking:
    """Counts read raw: from a little earlier, for the first has a predecessor there, to one sample later."""
    seconds = int(sample.total_seconds())

    def ask(query: Query) -> Any:
        return _request(query, window.start - 3 * seconds, window.end + seconds)

    def place(points: Iterable[Points]) -> grid.Block:
        block = grid.counted(points, window, seconds)
        return grid.grouped(block, query.group_by, query.reducer) if query.group_by else block

    return _Asking(ask, place, (window.end - window.start) // seconds)


def _labels(names: Iterable[str]) -> tuple[str, ...]:
    # The type of resource is part of every group anyway.
    return tuple(_label(name) for name in names if name != "resource.type")


def _label(name: str) -> str:
    found = _LABEL.fullmatch(name)
    if not found:
        raise ConfigError(
            f"{name!r} is not a label to group by; write it as resource.labels.zone, metric.labels.instance_name "
            "or metadata.user_labels.env"
        )
    return f"{found[1]}.labels.{found[2]}" if found[1] else name


def _window(query: Query, start: datetime, end: datetime) -> grid.Window:
    if start.tzinfo is None or end.tzinfo is None:
        raise ConfigError(f"{start} to {end} lacks a time zone; times are in UTC")
    if (start - _ZERO) % query.step or (end - _ZERO) % query.step or start >= end or query.step % timedelta(seconds=1):
        raise ConfigError(f"{start} to {end} is not a stretch of whole steps of {query.step}")
    return grid.Window(int(start.timestamp()), int(end.timestamp()), int(query.step.total_seconds()))


def _checked(query: Query, known: Facts) -> Query:
    """The query with its labels as the rows name them."""
    if query.reducer not in grid.REDUCERS:
        raise ConfigError(f"no reducer {query.reducer!r}; there are: {', '.join(grid.REDUCERS)}")
    if known.kind == "CUMULATIVE" and any(label.startswith("metadata.") for label in query.group_by):
        raise ConfigError(f"{query.metric} is cumulative and cannot be grouped by metadata; group it by its own labels")
    split_by = query.split_by and _label(query.split_by)
    return replace(query, group_by=_labels(query.group_by), split_by=split_by)


def _request(query: Query, start: int, end: int) -> Any:
    """The raw request for the raw points stamped in `(start, end]`."""
    request = types().ListTimeSeriesRequest.pb(types().ListTimeSeriesRequest())
    request.name = f"projects/{query.project}"
    request.filter = both(equals("metric.type", query.metric), query.filter, part_filter(query))
    request.interval.start_time.seconds = start
    request.interval.end_time.seconds = end
    return request


def _aligned(query: Query, known: Facts, start: int, end: int, length: int) -> Any:
    """The request for points aligned to periods of `length` seconds, and grouped; a counter's stay raw."""
    request = _request(query, start, end)
    if known.kind == "CUMULATIVE":
        return request
    # ALIGN_DELTA and ALIGN_RATE would fill gaps by interpolation and hide an outage.
    aligner = "ALIGN_SUM" if known.kind == "DELTA" else "ALIGN_FRACTION_TRUE" if known.value == "BOOL" else "ALIGN_MEAN"
    request.aggregation.alignment_period.seconds = length
    request.aggregation.per_series_aligner = getattr(types().Aggregation.Aligner, aligner)
    if query.group_by:
        reducer = getattr(types().Aggregation.Reducer, f"REDUCE_{query.reducer.upper()}")
        request.aggregation.cross_series_reducer = reducer
        request.aggregation.group_by_fields.extend(query.group_by)
    return request
