"""The service itself: requests checked, faults thrown, pages cut, calls counted."""

import hashlib
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import grpc
from google.api import metric_pb2
from google.cloud import monitoring_v3
from google.protobuf import empty_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from tests.monitoring_server import align, filters
from tests.monitoring_server.data import Metric, Series, series
from tests.monitoring_server.errors import Refused, invalid
from tests.monitoring_server.written import Written

ListRequest = monitoring_v3.ListTimeSeriesRequest.pb()
ListResponse = monitoring_v3.ListTimeSeriesResponse.pb()
GetDescriptor = monitoring_v3.GetMetricDescriptorRequest.pb()
ListDescriptors = monitoring_v3.ListMetricDescriptorsRequest.pb()
CreateRequest = monitoring_v3.CreateTimeSeriesRequest.pb()
DescriptorList = monitoring_v3.ListMetricDescriptorsResponse.pb()

_PAGE = 100_000
_RETENTION = timedelta(days=730)
_WAIT = 20


@dataclass
class Fault:
    """A failure that waits for its moment: `times` calls of `method` for page `page` (None: any page).

    Without a `code` the call succeeds and carries `errors` as its execution errors, and points only if `whole`.
    """

    code: grpc.StatusCode | None = None
    message: str = "planted"
    times: int = 1
    page: int | None = None
    method: str = "ListTimeSeries"
    match: str = ""
    errors: tuple[str, ...] = ()
    whole: bool = True
    retry_after: float | None = None


@dataclass
class MonitoringServer:
    """Starts on a free port of loopback when entered. `now` is its clock; `limit` its patience with many calls at once.

    `scopes` names the projects that a scoping project sees. `gate`, when set to an Event, holds every ListTimeSeries
    call until the event is set; `crowd(n)` waits until n calls are held.
    """

    now: datetime = datetime(2026, 11, 22, tzinfo=UTC)
    page_size: int = _PAGE
    limit: int | None = None
    port: int = 0
    projects: set[str] = field(default_factory=lambda: {"p"})
    denied: set[str] = field(default_factory=set)
    scopes: dict[str, set[str]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    gate: threading.Event | None = None
    calls: dict[str, int] = field(default_factory=dict)
    requests: list[Any] = field(default_factory=list)
    written: Written = field(default_factory=Written)
    points: int = 0
    empty: int = 0
    peak: int = 0
    _metrics: dict[str, Metric] = field(default_factory=dict)
    _series: list[Series] = field(default_factory=list)
    _flying: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def __enter__(self) -> Self:
        self._server = grpc.server(ThreadPoolExecutor(40))
        self._server.add_generic_rpc_handlers((self._handlers(),))
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.gate:
            self.gate.set()
        self._server.stop(None).wait(_WAIT)

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    def metric(self, metric: Metric) -> Metric:
        self._metrics[metric.type] = metric
        return metric

    def add(self, metric: Metric, labels: Mapping[str, str], *values: Any, **more: Any) -> Series:
        """Hold a series; see `data.series`. The resource is the metric's first, in project p, unless labelled."""
        self.metric(metric)
        whole = {"resource.type": next(iter(metric.resources)), "resource.labels.project_id": "p", **labels}
        found = series(metric, whole, *values, **more)
        self._series.append(found)
        return found

    def crowd(self, wanted: int) -> bool:
        """Wait until that many calls are in flight."""
        with self._changed:
            return self._changed.wait_for(lambda: self._flying >= wanted, _WAIT)

    def called(self, wanted: int) -> bool:
        """Wait until ListTimeSeries has been called that often."""
        with self._changed:
            return self._changed.wait_for(lambda: self.calls.get("ListTimeSeries", 0) >= wanted, _WAIT)

    def wait(self) -> None:
        self._server.wait_for_termination()

    def _handlers(self) -> grpc.GenericRpcHandler:
        def method(name: str, answer: Callable[[Any], Any], request: Any) -> "grpc.RpcMethodHandler[Any, Any]":
            return grpc.unary_unary_rpc_method_handler(
                lambda asked, context: self._serve(name, answer, asked, context),
                request_deserializer=request.FromString,
                response_serializer=lambda message: message.SerializeToString(),
            )

        return grpc.method_handlers_generic_handler(
            "google.monitoring.v3.MetricService",
            {
                "ListTimeSeries": method("ListTimeSeries", self._list, ListRequest),
                "GetMetricDescriptor": method("GetMetricDescriptor", self._descriptor, GetDescriptor),
                "CreateTimeSeries": method("CreateTimeSeries", self._create, CreateRequest),
                "ListMetricDescriptors": method("ListMetricDescriptors", self._descriptors, ListDescriptors),
            },
        )

    def _serve(self, name: str, answer: Callable[[Any], Any], request: Any, context: grpc.ServicerContext) -> Any:
        try:
            with self._counted(name, request):
                return self._answer(name, answer, request, context)
        except Refused as refused:
            context.abort(refused.code, refused.message)

    def _answer(self, name: str, answer: Callable[[Any], Any], request: Any, context: grpc.ServicerContext) -> Any:
        fault = self._fault(name, request)
        if fault and fault.code:
            context.set_trailing_metadata(_details(fault))
            raise Refused(fault.code, fault.message)
        message = answer(request)
        return _faulty(message, fault) if fault else message

    @contextmanager
    def _counted(self, name: str, request: Any) -> Iterator[None]:
        with self._changed:
            self.calls[name] = self.calls.get(name, 0) + 1
            self.requests.append(request)
            self._flying += 1
            self.peak = max(self.peak, self._flying)
            crowded = self.limit is not None and self._flying > self.limit
            self._changed.notify_all()
        try:
            if crowded:
                raise Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "Query aborted. Please reduce the query rate.")
            if self.gate and name == "ListTimeSeries":
                self.gate.wait(_WAIT)
            yield
        finally:
            with self._changed:
                self._flying -= 1

    def _fault(self, name: str, request: Any) -> Fault | None:
        page = _offset(request) if name == "ListTimeSeries" else 0
        with self._changed:
            for fault in self.faults:
                there = fault.page is None or fault.page == page // max(1, self._size(request))
                asked = getattr(request, "filter", "") or request.name
                if fault.times > 0 and fault.method == name and there and fault.match in asked:
                    fault.times -= 1
                    return fault
        return None

    def _project(self, name: str, verb: str = "list") -> str:
        project = name.split("/")[1] if name.startswith("projects/") and len(name.split("/")) > 1 else ""
        if not project:
            raise invalid(f"Name must begin with '{{resource_container_type}}/{{resource_container_id}}', got: {name}")
        if project in self.denied or project not in self.projects:
            raise Refused(
                grpc.StatusCode.PERMISSION_DENIED,
                f"Permission monitoring.timeSeries.{verb} denied (or the resource may not exist).",
            )
        return project

    def _create(self, request: Any) -> empty_pb2.Empty:
        self._project(request.name, "create")
        with self._changed:
            self.written.take(request, self.now)
        return empty_pb2.Empty()

    def _descriptor(self, request: Any) -> metric_pb2.MetricDescriptor:
        project, wanted = self._project(request.name), request.name.partition("/metricDescriptors/")[2]
        if wanted not in self._metrics:
            raise Refused(grpc.StatusCode.NOT_FOUND, f"Could not find descriptor for metric '{wanted}'.")
        return self._metrics[wanted].descriptor(project)

    def _descriptors(self, request: Any) -> Any:
        project = self._project(request.name)
        wanted = filters.parse(request.filter) if request.filter else None
        kept = [m for name, m in sorted(self._metrics.items()) if wanted is None or wanted({"metric.type": name})]
        return DescriptorList(metric_descriptors=[m.descriptor(project) for m in kept])

    def _list(self, request: Any) -> Any:
        project = self._project(request.name)
        start, end = self._interval(request)
        metric, wanted = self._metric(request.filter)
        scope = self.scopes.get(project, {project})
        now = _milliseconds(self.now)
        rows = [
            (found, found.between(start, end, now))
            for found in self._series
            if found.metric.type == metric.type
            and found.labels["resource.labels.project_id"] in scope
            and wanted({**found.labels, "metric.type": metric.type})
        ]
        answers = _aggregate(metric, [(a, b) for a, b in rows if len(b.ends)], request, start, end)
        return self._page(metric, answers, request)

    def _interval(self, request: Any) -> tuple[int, int]:
        if request.order_by:
            raise invalid("Field orderBy is not supported.")
        if not (request.HasField("interval") and request.interval.HasField("start_time")):
            raise invalid("Field interval.startTime is required.")
        start, end = (_stamp(request.interval.start_time), _stamp(request.interval.end_time))
        if start >= end:
            raise invalid("Field interval.endTime had an invalid value: The start time must be before the end time.")
        if start < _milliseconds(self.now - _RETENTION):
            raise invalid("Field interval.startTime had an invalid value: it is past the retention period.")
        return start, end

    def _metric(self, text: str) -> tuple[Metric, filters.Filter]:
        wanted = filters.parse(text)
        name = filters.metric_type(wanted)
        if name not in self._metrics:
            raise Refused(grpc.StatusCode.NOT_FOUND, f'Cannot find metric(s) that match type = "{name}".')
        metric = self._metrics[name]
        for leaf in filters.leaves(wanted):
            _known(metric, leaf.path)
            if leaf.path == "resource.type" and not leaf.function and leaf.values[0] not in metric.resources:
                raise _combination()
        return metric, wanted

    def _size(self, request: Any) -> int:
        return min(getattr(request, "page_size", 0) or self.page_size, self.page_size)

    def _page(self, metric: Metric, answers: list[align.Answer], request: Any) -> Any:
        size, offset, headers = self._size(request), _offset(request), request.view == 1
        response = ListResponse(unit=metric.unit)
        place = 0
        for answer in answers:
            length = 1 if headers else len(answer.ends)
            first, stop = max(offset - place, 0), min(offset + size - place, length)
            if first < stop:
                _write(response.time_series.add(), metric, answer, slice(0, 0) if headers else slice(first, stop))
            place += length
        with self._changed:
            self.empty += not response.time_series
            self.points += 0 if headers else min(size, max(place - offset, 0))
        if place > offset + size:
            response.next_page_token = f"{_digest(request)}.{offset + size}"
        return response


def _aggregate(
    metric: Metric, rows: list[tuple[Series, Series]], request: Any, start: int, end: int
) -> list[align.Answer]:
    aggregation = monitoring_v3.Aggregation
    aligner = aggregation.Aligner(request.aggregation.per_series_aligner).name
    reducer = aggregation.Reducer(request.aggregation.cross_series_reducer).name
    period = _stamp(request.aggregation.alignment_period)
    align.check(metric.kind, metric.value, aligner, period, reducer)
    aligned = [(source, align.align(row, aligner, period, start, end)) for source, row in rows]
    if reducer == "REDUCE_NONE":
        return [row for _, row in aligned if len(row.ends)]
    for name in request.aggregation.group_by_fields:
        _known(metric, filters.normal(name))
    return align.reduce(aligned, reducer, request.aggregation.group_by_fields)


def _known(metric: Metric, path: str) -> None:
    if path.startswith(("metric.labels.", "resource.labels.")) and path not in metric.known():
        raise _combination()


def _combination() -> Refused:
    return invalid(
        "The supplied filter does not specify a valid combination of metric and monitored resource descriptors. "
        "The query will not return any time series."
    )


def _write(out: Any, metric: Metric, answer: align.Answer, which: slice) -> None:
    out.metric.type = metric.type
    out.metric_kind, out.value_type, out.unit = answer.kind, answer.value, metric.unit
    for key, value in answer.labels.items():
        _label(out, key, value)
    # Google serves the newest point first.
    starts, ends, values = (a[::-1][which] for a in (answer.starts, answer.ends, answer.values))
    for start, end, number in zip(starts.tolist(), ends.tolist(), values.tolist(), strict=True):
        point = out.points.add()
        point.interval.start_time.seconds, point.interval.start_time.nanos = start // 1000, start % 1000 * 1_000_000
        point.interval.end_time.seconds, point.interval.end_time.nanos = end // 1000, end % 1000 * 1_000_000
        if answer.value == "INT64":
            point.value.int64_value = round(number)
        elif answer.value == "BOOL":
            point.value.bool_value = bool(number)
        else:
            point.value.double_value = number


def _label(out: Any, key: str, value: str) -> None:
    group, _, name = key.partition("_labels." if key.startswith("metadata.") else ".labels.")
    if key == "resource.type":
        out.resource.type = value
    elif group == "metric":
        out.metric.labels[name] = value
    elif group == "resource":
        out.resource.labels[name] = value
    elif group == "metadata.user":
        out.metadata.user_labels[name] = value
    else:
        out.metadata.system_labels[name] = value


def _stamp(message: Any) -> int:
    return int(message.seconds * 1000 + math.ceil(message.nanos / 1_000_000))


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _digest(request: Any) -> str:
    bare = type(request)()
    bare.CopyFrom(request)
    bare.page_token, bare.page_size = "", 0
    return hashlib.sha256(bare.SerializeToString(deterministic=True)).hexdigest()[:16]


def _offset(request: Any) -> int:
    if not request.page_token:
        return 0
    digest, _, offset = request.page_token.partition(".")
    if digest != _digest(request) or not offset.isdigit():
        raise invalid("Field pageToken had an invalid value: it belongs to another request.")
    return int(offset)


def _details(fault: Fault) -> tuple[tuple[str, bytes], ...]:
    if fault.retry_after is None or fault.code is None:
        return ()
    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromTimedelta(timedelta(seconds=fault.retry_after))
    status = status_pb2.Status(code=fault.code.value[0], message=fault.message)
    status.details.add().Pack(info)
    return (("grpc-status-details-bin", status.SerializeToString()),)


def _faulty(message: Any, fault: Fault) -> Any:
    for text in fault.errors:
        message.execution_errors.add(code=code_pb2.UNAVAILABLE, message=text)
    if not fault.whole:
        del message.time_series[:]
    return message
