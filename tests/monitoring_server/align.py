"""Alignment and reduction, as Cloud Monitoring documents them; ALIGN_DELTA and ALIGN_RATE interpolate."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tests.monitoring_server.data import Series
from tests.monitoring_server.errors import invalid
from tests.monitoring_server.filters import normal

_NUMERIC = {"INT64", "DOUBLE"}
_KINDS = {
    "ALIGN_NONE": {"GAUGE", "DELTA", "CUMULATIVE"},
    "ALIGN_SUM": {"GAUGE", "DELTA"},
    "ALIGN_MEAN": {"GAUGE", "DELTA"},
    "ALIGN_MIN": {"GAUGE", "DELTA"},
    "ALIGN_MAX": {"GAUGE", "DELTA"},
    "ALIGN_COUNT": {"GAUGE", "DELTA"},
    "ALIGN_FRACTION_TRUE": {"GAUGE"},
    "ALIGN_DELTA": {"DELTA", "CUMULATIVE"},
    "ALIGN_RATE": {"DELTA", "CUMULATIVE"},
}
_FOLDS: dict[str, Callable[[NDArray[np.float64]], float]] = {
    "SUM": lambda chunk: float(np.sum(chunk)),
    "MEAN": lambda chunk: float(np.mean(chunk)),
    "MIN": lambda chunk: float(np.min(chunk)),
    "MAX": lambda chunk: float(np.max(chunk)),
    "COUNT": lambda chunk: float(len(chunk)),
    "FRACTION_TRUE": lambda chunk: float(np.mean(chunk != 0)),
}


@dataclass(frozen=True, eq=False)
class Answer:
    """A series as it leaves: labels, kind and value type after alignment, and points oldest first."""

    labels: dict[str, str]
    kind: str
    value: str
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    values: NDArray[np.float64]


def align(found: Series, aligner: str, period: int, start: int, end: int) -> Answer:
    """One series on the grid that hangs from `end`; a window without a point has no value (but see ALIGN_DELTA)."""
    metric = found.metric
    labels = {key: value for key, value in found.labels.items() if not key.startswith("metadata.")}
    if aligner == "ALIGN_NONE":
        return Answer(labels, metric.kind, metric.value, found.starts, found.ends, found.values)
    if aligner in {"ALIGN_DELTA", "ALIGN_RATE"}:
        ends, values = _interpolate(found, period, start, end)
        if aligner == "ALIGN_RATE":
            return Answer(labels, "GAUGE", "DOUBLE", ends, ends, values / (period / 1000))
        return Answer(labels, "DELTA", metric.value, ends - period, ends, values)
    ends, values = _fold(end - (end - found.ends) // period * period, found.values, _FOLDS[aligner[6:]])
    value = {"ALIGN_MEAN": "DOUBLE", "ALIGN_FRACTION_TRUE": "DOUBLE", "ALIGN_COUNT": "INT64"}.get(aligner, metric.value)
    kind = metric.kind if aligner == "ALIGN_SUM" else "GAUGE"
    return Answer(labels, kind, value, ends - period if kind == "DELTA" else ends, ends, values)


def check(kind: str, value: str, aligner: str, period: int, reducer: str) -> None:
    """Refuse what the real server refuses."""
    if aligner not in _KINDS:
        raise invalid(f"Field aggregation.perSeriesAligner had an invalid value of {aligner!r}: not supported here.")
    wants = {"BOOL"} if aligner == "ALIGN_FRACTION_TRUE" else _NUMERIC
    if aligner == "ALIGN_COUNT":
        wants = _NUMERIC | {"BOOL"}
    if aligner != "ALIGN_NONE":
        if kind not in _KINDS[aligner] or value not in wants:
            raise invalid(
                "Field aggregation.perSeriesAligner had an invalid value of "
                f'"{aligner}": The aligner cannot be applied to metrics with kind {kind} and value type {value}.'
            )
        if period < 60_000:
            raise invalid("Field aggregation.alignmentPeriod had an invalid value: it must be at least 60 seconds.")
    if reducer != "REDUCE_NONE":
        if aligner == "ALIGN_NONE":
            raise invalid("Field aggregation.crossSeriesReducer: a reducer needs an aligner other than ALIGN_NONE.")
        if reducer[7:] not in {"SUM", "MEAN", "MIN", "MAX", "COUNT"}:
            raise invalid(f"Field aggregation.crossSeriesReducer had an invalid value of {reducer!r}.")


def reduce(rows: Sequence[tuple[Series, Answer]], reducer: str, group_by: Sequence[str]) -> list[Answer]:
    """One answer a group: the kept labels and always resource.type."""
    fields = ["resource.type", *map(normal, group_by)]
    groups: dict[tuple[tuple[str, str], ...], list[Answer]] = {}
    for source, row in rows:
        key = tuple((field, source.labels[field]) for field in fields if field in source.labels)
        groups.setdefault(key, []).append(row)
    return [_merged(dict(key), group, reducer) for key, group in groups.items()]


def _merged(labels: dict[str, str], group: list[Answer], reducer: str) -> Answer:
    ends = np.concatenate([row.ends for row in group])
    values = np.concatenate([row.values for row in group])
    gap = group[0].ends[:1] - group[0].starts[:1]
    ends, values = _fold(ends, values, _FOLDS[reducer[7:]])
    value = {"REDUCE_MEAN": "DOUBLE", "REDUCE_COUNT": "INT64"}.get(reducer, group[0].value)
    return replace(
        group[0], labels=labels, value=value, starts=ends - (gap[0] if len(gap) else 0), ends=ends, values=values
    )


def _fold(
    slots: NDArray[np.int64], values: NDArray[np.float64], fold: Callable[[NDArray[np.float64]], float]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    order = np.argsort(slots, kind="stable")
    ends, first = np.unique(slots[order], return_index=True)
    chunks = np.split(values[order], first[1:]) if len(ends) else []
    return ends, np.array([fold(chunk) for chunk in chunks], dtype=np.float64)


def _interpolate(found: Series, period: int, start: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The growth of the count over each window, on a straight line between the points that there are."""
    if not len(found.ends):
        return np.zeros(0, np.int64), np.zeros(0)
    if found.metric.kind == "DELTA":
        times = np.append(found.starts[0] - 1, found.ends)
        total = np.append(0.0, np.cumsum(found.values))
    else:
        growth = np.diff(found.values, prepend=found.values[0])
        fresh = np.diff(found.starts, prepend=found.starts[0]) != 0
        times, total = found.ends, np.cumsum(np.where(fresh, found.values, growth))
    edges = np.arange(end - (end - start) // period * period, end + 1, period)
    inside = (edges[:-1] >= times[0]) & (edges[1:] <= times[-1])
    return edges[1:][inside], np.diff(np.interp(edges, times, total))[inside]
