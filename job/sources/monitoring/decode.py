"""From the pages of ListTimeSeries to arrays; the one place that touches every point's message."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from job.errors import Failed

Key: TypeAlias = tuple[tuple[str, str], ...]
"""A series' flat labels, sorted: what tells it from the others, on whichever page it comes."""

_END = attrgetter("interval.end_time.seconds")
_END_NANOS = attrgetter("interval.end_time.nanos")
_START = attrgetter("interval.start_time.seconds")
_START_NANOS = attrgetter("interval.start_time.nanos")
_VALUES = {
    1: (attrgetter("value.bool_value"), np.float64),
    2: (attrgetter("value.int64_value"), np.int64),
    3: (attrgetter("value.double_value"), np.float64),
}
"""By TimeSeries.value_type. Integers stay integers: a counter may be past what a float holds exactly."""


@dataclass(frozen=True, eq=False)
class Points:
    """Points of one series, in the order received. Times are seconds of the epoch; `starts` only where asked for."""

    key: Key
    ends: NDArray[np.float64]
    values: NDArray[Any]
    starts: NDArray[np.float64] | None = None


def decode(page: Any, *, starts: bool = False) -> Iterator[Points]:
    """Yield the points of each series of a page, a raw `ListTimeSeriesResponse` message.

    Raises:
        Failed: the values are neither numbers nor booleans.
    """
    for series in page.time_series:
        if series.value_type not in _VALUES:
            raise Failed(f"{series.metric.type} came with values of type {series.value_type}, which are no numbers")
        get, dtype = _VALUES[series.value_type]
        points = series.points
        yield Points(
            key(series),
            _times(points, _END, _END_NANOS),
            np.fromiter(map(get, points), dtype, len(points)),
            _times(points, _START, _START_NANOS) if starts else None,
        )


def _times(points: Any, seconds: Callable[[Any], int], nanos: Callable[[Any], int]) -> NDArray[np.float64]:
    whole = np.fromiter(map(seconds, points), np.float64, len(points))
    # One look tells nearly always that a series is stamped on whole seconds.
    if len(points) and (nanos(points[0]) or nanos(points[-1])):
        return whole + np.fromiter(map(nanos, points), np.float64, len(points)) / 1e9
    return whole


def key(series: Any) -> Key:
    """The flat labels of a raw `TimeSeries` message, as `Frame` names them, sorted."""
    flat = {"resource.type": series.resource.type}
    flat.update((f"resource.labels.{name}", value) for name, value in series.resource.labels.items())
    flat.update((f"metric.labels.{name}", value) for name, value in series.metric.labels.items())
    if series.HasField("metadata"):
        flat.update((f"metadata.user_labels.{name}", value) for name, value in series.metadata.user_labels.items())
        system = series.metadata.system_labels
        flat.update((f"metadata.system_labels.{name}", _text(system[name])) for name in system)
    return tuple(sorted(flat.items()))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=list)
