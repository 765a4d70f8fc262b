"""What the server holds: metrics, and series of points as arrays. Times are milliseconds of the epoch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from google.api import metric_pb2
from numpy.typing import ArrayLike, NDArray

COARSE_AFTER = timedelta(days=42)
COARSE = 600_000


@dataclass(frozen=True)
class Metric:
    """A metric's descriptor. `delay` None leaves sample period and ingest delay out, as Kubernetes' metrics do."""

    type: str
    kind: str = "DELTA"
    value: str = "INT64"
    unit: str = "By"
    sample: int = 60
    delay: int | None = 240
    labels: tuple[str, ...] = ()
    resources: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {"gce_instance": ("project_id", "instance_id", "zone")}
    )

    def known(self) -> set[str]:
        """The labels that a filter or a group may name."""
        resource = {f"resource.labels.{label}" for labels in self.resources.values() for label in labels}
        return resource | {f"metric.labels.{label}" for label in self.labels}

    def descriptor(self, project: str) -> metric_pb2.MetricDescriptor:
        found = metric_pb2.MetricDescriptor(
            name=f"projects/{project}/metricDescriptors/{self.type}",
            type=self.type,
            metric_kind=self.kind,
            value_type=self.value,
            unit=self.unit,
            monitored_resource_types=sorted(self.resources),
        )
        for label in self.labels:
            found.labels.add(key=label)
        if self.delay is not None:
            found.metadata.sample_period.seconds = self.sample
            found.metadata.ingest_delay.seconds = self.delay
        return found


@dataclass(frozen=True, eq=False)
class Series:
    """One series: flat labels, and points by the ends of their periods. `late` holds when each can be seen first."""

    metric: Metric
    labels: Mapping[str, str]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    values: NDArray[Any]
    late: NDArray[np.int64]
    as_given: bool = False

    def between(self, start: int, end: int, now: int) -> "Series":
        """The points of `(start, end]` that can be seen now, oldest first unless they are served as given."""
        seen = self._take(np.flatnonzero(self.late <= now))._coarse(now)
        order = np.flatnonzero((seen.ends > start) & (seen.ends <= end))
        if not self.as_given:
            order = order[np.argsort(seen.ends[order], kind="stable")]
        return seen._take(order)

    def _take(self, order: NDArray[np.intp]) -> "Series":
        return Series(
            self.metric,
            self.labels,
            self.starts[order],
            self.ends[order],
            self.values[order],
            self.late[order],
            self.as_given,
        )

    def _coarse(self, now: int) -> "Series":
        """Past six weeks only 10-minute points are left."""
        old = self.ends <= (now - COARSE_AFTER // timedelta(milliseconds=1)) // COARSE * COARSE
        if not old.any():
            return self
        slots, first = np.unique(-(-self.ends[old] // COARSE), return_index=True)
        chunks = np.split(self.values[old], first[1:])
        last = np.append(first[1:], old.sum()) - 1
        cumulative = self.metric.kind == "CUMULATIVE"
        return Series(
            self.metric,
            self.labels,
            np.append(self.starts[old][last] if cumulative else (slots - 1) * COARSE + 1, self.starts[~old]),
            np.append(slots * COARSE, self.ends[~old]),
            np.append([_merged(self.metric.kind, chunk) for chunk in chunks], self.values[~old]),
            np.append(self.late[old][last], self.late[~old]),
        )


def _merged(kind: str, chunk: NDArray[np.float64]) -> float:
    if kind == "CUMULATIVE":
        return float(chunk[-1])
    return float(np.sum(chunk) if kind == "DELTA" else np.mean(chunk))


def series(
    metric: Metric,
    labels: Mapping[str, str],
    values: ArrayLike,
    start: datetime,
    *,
    stamps: ArrayLike | None = None,
    resets: ArrayLike | None = None,
    late: timedelta | None = None,
    as_given: bool = False,
) -> Series:
    """A series from its values by period, NaN where there is no point.

    `stamps` gives the ends in seconds after `start` instead of one sample period each; `resets` the start of each
    point's count (CUMULATIVE), also in seconds after `start`.
    """
    numbers = np.asarray(values)
    origin = int(start.timestamp() * 1000)
    periods = metric.sample * np.arange(1, len(numbers) + 1) if stamps is None else np.asarray(stamps)
    ends = origin + np.round(np.asarray(periods, dtype=np.float64) * 1000).astype(np.int64)
    starts = _starts(metric, ends, origin, resets)
    delay = late // timedelta(milliseconds=1) if late is not None else 1000 * (metric.delay or 0)
    there = ~np.isnan(numbers) | (as_given & np.isnan(numbers))
    return Series(metric, dict(labels), starts[there], ends[there], numbers[there], ends[there] + delay, as_given)


def _starts(metric: Metric, ends: NDArray[np.int64], origin: int, resets: ArrayLike | None) -> NDArray[np.int64]:
    if metric.kind == "GAUGE":
        return ends
    if metric.kind == "DELTA":
        return ends - 1000 * metric.sample + 1
    if resets is None:
        return np.full_like(ends, origin)
    return origin + np.asarray(resets, dtype=np.int64) * 1000
