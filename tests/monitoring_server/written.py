"""What clients write: custom metrics, each point checked as the service checks it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.monitoring_server.errors import Refused, invalid

OWN = ("custom.googleapis.com/", "external.googleapis.com/", "workload.googleapis.com/")
RESOURCES = {"global", "generic_node", "generic_task", "gce_instance", "k8s_container"}
OFTEN = timedelta(seconds=5)
PAST, FUTURE = timedelta(hours=25), timedelta(minutes=5)


@dataclass
class Written:
    """The points of each series, by metric type and labels, in the order in which they came."""

    points: dict[tuple[str, tuple[tuple[str, str], ...]], list[tuple[datetime, int | float]]] = field(
        default_factory=dict
    )
    kinds: dict[str, tuple[int, int]] = field(default_factory=dict)

    def take(self, request: Any, now: datetime) -> None:
        """Take the points of a CreateTimeSeries call, all of them or none."""
        if not 1 <= len(request.time_series) <= 200:
            raise invalid("Field timeSeries had an invalid size: it must hold 1 to 200 time series.")
        new = [self._checked(series, now) for series in request.time_series]
        if len({key for key, _ in new}) < len(new):
            raise invalid("Field timeSeries had an invalid value: Duplicate TimeSeries encountered.")
        for key, point in new:
            self.points.setdefault(key, []).append(point)
        for series in request.time_series:
            self.kinds[series.metric.type] = (series.metric_kind, series.value_type)

    def _checked(self, series: Any, now: datetime) -> Any:
        if not series.metric.type.startswith(OWN):
            raise invalid(f"Field metric.type had an invalid value: {series.metric.type!r} is not the user's own.")
        if series.resource.type not in RESOURCES or "project_id" not in series.resource.labels:
            raise invalid(f"Field resource.type had an invalid value of {series.resource.type!r}.")
        if len(series.metric.labels) > 30 or any(len(value) > 1024 for value in series.metric.labels.values()):
            raise invalid("Field metric.labels had an invalid value: too many or too long.")
        if len(series.points) != 1:
            raise invalid("Field points had an invalid size: exactly one point is to be written.")
        if self.kinds.get(series.metric.type, (series.metric_kind, series.value_type)) != (
            series.metric_kind,
            series.value_type,
        ):
            raise invalid("Field metricKind or valueType differs from that of the metric descriptor.")
        return self._key(series), self._point(series, now)

    def _key(self, series: Any) -> Any:
        return series.metric.type, tuple(sorted(series.metric.labels.items()))

    def _point(self, series: Any, now: datetime) -> tuple[datetime, int | float]:
        gauge, int64, double = 1, 2, 3
        (point,) = series.points
        held = point.value.WhichOneof("value")
        if {int64: "int64_value", double: "double_value"}.get(series.value_type) != held:
            raise invalid(f"Field points[0].value had an invalid value: {held} does not fit the value type.")
        end = point.interval.end_time.ToDatetime(now.tzinfo)
        if series.metric_kind == gauge and point.interval.HasField("start_time"):
            begun = point.interval.start_time.ToDatetime(now.tzinfo)
            if begun != end:
                raise invalid("Field points[0].interval.start_time had an invalid value: a gauge's ends are the same.")
        if not now - PAST <= end <= now + FUTURE:
            raise invalid("Field points[0].interval.end_time had an invalid value: too far in the past or the future.")
        before = self.points.get(self._key(series), [])
        if before and end <= before[-1][0]:
            raise _unwritten("Points must be written in order; one had an older end time.")
        if before and end - before[-1][0] < OFTEN:
            raise _unwritten(
                "One or more points were written more frequently than the maximum sampling period "
                "configured for the metric."
            )
        return end, getattr(point.value, held)


def _unwritten(why: str) -> Refused:
    return invalid(f"One or more TimeSeries could not be written: {why}")
