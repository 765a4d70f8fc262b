"""The points of one metric, gathered from tables and put on a grid."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from detectors import Labels
from job.errors import ConfigError
from job.sources.files.table import Table, Words
from job.units import measured

N = TypeVar("N", bound=np.generic)

Kind: TypeAlias = Literal["gauge", "delta", "cumulative"]
"""Whether values are levels or rates, amounts per interval, or running counters that may begin again at 0."""

Stamp: TypeAlias = Literal["start", "end"]
"""Whether a point's time is the start or the end of its interval; a counter's is the moment it was read at."""

SERIES = 200_000
"""The most series of one metric; a column that is different in every row is no label."""

ALONE = 100
"""So many series of one point each, over more than an hour, are the rows of a file rather than series."""

HOUR = 3600 * 10**6

TAKEN = ("resource.", "metric.labels.", "metadata.")
"""Columns that begin so are labels under their own names; others become `metric.labels.<column>`."""

AT_ONCE = 1_000_000
"""So many points are sorted by the time between them at once."""

GAP = 2
"""A counter's reading that comes more than so many spacings after the one before says nothing of the time between."""


@dataclass(frozen=True, eq=False)
class Series:
    """The points of a metric, by series and then by time. Those of a series lie from its `firsts` to the next one's.

    A column of the grid is the sum of its `amounts` by the sum of their `weights`: 1 for a gauge (a mean), the seconds
    between two readings for a counter (a rate); without weights it is by the seconds of the column. `starts`,
    `spacings` (one per series, 0 where it has one point only) and `spacing` (the usual one of the rows, blank ones
    among them; 0 where no series has two) are in microseconds.
    """

    labels: tuple[Labels, ...]
    firsts: NDArray[np.int64]
    starts: NDArray[np.int64]
    amounts: NDArray[np.float64]
    weights: NDArray[np.float64] | None
    spacings: NDArray[np.int64]
    spacing: int
    unit: str

    @property
    def end(self) -> int:
        """Where the interval of the last point ends, in microseconds since 1970."""
        last = int(np.argmax(self.starts))
        row = int(np.searchsorted(self.firsts, last, "right")) - 1
        return int(self.starts[last] + (self.spacings[row] or self.spacing))


def present(series: Series, start: int, end: int) -> list[int]:
    """The series that have a point in `[start, end)`, by their places."""
    inside = (series.starts >= start) & (series.starts < end)
    some = np.flatnonzero(np.diff(series.firsts))  # that have any point at all
    found: list[int] = some[np.logical_or.reduceat(inside, series.firsts[some])].tolist() if len(some) else []
    return found


def grid(series: Series, rows: list[int], start: int, step: int, width: int) -> NDArray[np.float64]:
    """These rows of the series on `width` columns of `step` microseconds from `start`; NaN where there is no point.

    The rows are in order; what lies before the first of them and after the last is not looked at.
    """
    low, high = (rows[0], rows[-1] + 1) if rows else (0, 0)
    some = slice(int(series.firsts[low]), int(series.firsts[high]))
    places = np.full(high - low, -1)
    places[np.array(rows, np.int64) - low] = np.arange(len(rows))
    place = np.repeat(places, np.diff(series.firsts[low : high + 1]))
    starts = series.starts[some]
    inside = (starts >= start) & (starts < start + width * step) & (place >= 0)
    shape = (len(rows), width)
    cells = place[inside] * width + (starts[inside] - start) // step

    def summed(what: NDArray[np.float64]) -> NDArray[np.float64]:
        found = np.bincount(cells, what[some][inside], shape[0] * width)
        return found.astype(np.float64, copy=False).reshape(shape)

    if series.weights is None:
        seconds = np.maximum(series.spacings[rows], step)[:, None] / 1e6
        by = np.where(np.bincount(cells, minlength=shape[0] * width).reshape(shape) > 0, seconds, np.nan)
    else:
        by = summed(series.weights)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        values = summed(series.amounts) / by
    return np.where(np.isfinite(values), values, np.nan)


@dataclass
class Gathering:
    """The points of one metric as they are read, file after file."""

    places: dict[tuple[tuple[str, str], ...], int] = field(default_factory=dict)
    rows: list[NDArray[np.int32]] = field(default_factory=list)
    stamps: list[NDArray[np.int64]] = field(default_factory=list)
    values: list[NDArray[np.float64]] = field(default_factory=list)
    units: set[str] = field(default_factory=set)

    def add(self, labels: Mapping[str, str], stamps: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Add points of one series."""
        self.stamps.append(stamps)
        self.values.append(values)
        self.rows.append(np.broadcast_to(np.int32(self.place(labels)), stamps.shape))

    def place(self, labels: Mapping[str, str]) -> int:
        """The number of the series with these labels."""
        key = tuple(sorted({"resource.type": "file", **labels}.items()))
        return self.places.setdefault(key, len(self.places))

    def series(self, name: str, kind: Kind, stamp: Stamp, unit: str) -> Series:
        """All points, sorted; of two with the same stamp the later row is kept."""
        if len(self.units) > 1:
            raise ConfigError(
                f"the metric {name!r} has several units, {', '.join(sorted(self.units))}; make it several"
            )
        unit = next(iter(self.units), unit)
        keys = sorted(self.places)
        order = np.argsort([self.places[key] for key in keys]).astype(np.int32)  # place -> where its labels are
        rows, stamps, values = self._sorted(order)
        last = np.append((rows[1:] != rows[:-1]) | (stamps[1:] != stamps[:-1]), True)[: len(rows)]
        if not last.all():
            rows, stamps, values = rows[last], stamps[last], values[last]
        spacing = _usual(_spacings(_firsts(rows, len(keys)), stamps))
        there = measured(values)
        if not there.all():
            rows, stamps, values = rows[there], stamps[there], values[there]
        if not spacing:
            _check_told_apart(name, keys, stamps)
        firsts = _firsts(rows, len(keys))
        spacings = _spacings(firsts, stamps)
        points = Series(tuple(dict(key) for key in keys), firsts, stamps, values, None, spacings, spacing, unit)
        return _understood(points, kind, stamp)

    def _sorted(self, order: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64]]:
        """The row, the stamp and the value of every point; the tables' own are let go."""
        if all(rows.strides == (0,) for rows in self.rows):  # each of one series
            by = sorted(range(len(self.rows)), key=lambda n: order[self.rows[n][:1]].tolist())
            self.rows, self.stamps = [self.rows[n] for n in by], [self.stamps[n] for n in by]
            self.values = [self.values[n] for n in by]
        rows, stamps, values = order[_taken(self.rows)], _taken(self.stamps), _taken(self.values)
        if (rows[1:] < rows[:-1]).any():  # stable: points of one stamp stay in their order
            by_row = np.argsort(rows, kind="stable")
            rows, stamps, values = rows[by_row], stamps[by_row], values[by_row]
        if ((rows[1:] == rows[:-1]) & (stamps[1:] < stamps[:-1])).any():
            by_both = np.lexsort((stamps, rows))
            rows, stamps, values = rows[by_both], stamps[by_both], values[by_both]
        return rows, stamps, values


def _check_told_apart(name: str, keys: Sequence[tuple[tuple[str, str], ...]], stamps: NDArray[np.int64]) -> None:
    """Refuse series of which each has one point, when these come one after another: something numbers the rows."""
    if len(keys) < ALONE or not len(stamps) or np.ptp(stamps) <= HOUR:
        return
    columns: dict[str, set[str]] = {}
    for key in keys:
        for label, value in key:
            columns.setdefault(label, set()).add(value)
    most = max(columns, key=lambda label: len(columns[label])).removeprefix("metric.labels.")
    raise ConfigError(f"each of the {len(keys)} series of {name!r} has one point; is {most!r} a label? Leave it out")


def _taken(some: list[NDArray[N]]) -> NDArray[N]:
    """All of the arrays in one, which are let go."""
    whole = np.concatenate(some)
    some.clear()
    return whole


def _firsts(rows: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Where each row's points begin, and the last one's end."""
    return np.searchsorted(rows, np.arange(count + 1, dtype=np.int32)).astype(np.int64, copy=False)


def _understood(points: Series, kind: Kind, stamp: Stamp) -> Series:
    """Points as they were written, made what their kind and their stamps mean."""
    if kind == "cumulative":
        return _counted(points)
    if stamp == "end":
        took = np.where(points.spacings > 0, points.spacings, points.spacing or 1)
        points = replace(points, starts=points.starts - np.repeat(took, np.diff(points.firsts)))
    if kind == "delta":
        return replace(points, unit=f"{points.unit}/s")
    return replace(points, weights=np.broadcast_to(np.float64(1.0), points.amounts.shape))


def _counted(points: Series) -> Series:
    """What running counters counted between each reading and the next; one that fell began again at 0."""
    readings, count = points.amounts, len(points.labels)
    rows = np.repeat(np.arange(count, dtype=np.int32), np.diff(points.firsts))
    took, counted = np.diff(points.starts), np.diff(readings)
    counted = np.where(counted < 0, readings[1:], counted)
    keep = (rows[1:] == rows[:-1]) & (took <= GAP * points.spacings[rows[1:]])
    return replace(
        points,
        firsts=_firsts(rows[:-1][keep], count),
        starts=points.starts[:-1][keep],
        amounts=counted[keep],
        weights=took[keep] / 1e6,
        unit=f"{points.unit}/s",
    )


def _usual(spacings: NDArray[np.int64]) -> int:
    known = spacings[spacings > 0]
    return int(np.median(known)) if len(known) else 0


def _spacings(firsts: NDArray[np.int64], stamps: NDArray[np.int64]) -> NDArray[np.int64]:
    """The median time between the points of each series, 0 where there are not two; so many points at once."""
    found, low, count = [], 0, len(firsts) - 1
    while low < count:
        high = max(low + 1, int(np.searchsorted(firsts, firsts[low] + AT_ONCE, "right")) - 1)
        found.append(_medians(np.diff(firsts[low : high + 1]), stamps[firsts[low] : firsts[high]]))
        low = high
    return np.concatenate(found)


def _medians(counts: NDArray[np.int64], stamps: NDArray[np.int64]) -> NDArray[np.int64]:
    rows = np.repeat(np.arange(len(counts)), counts)
    same = rows[1:] == rows[:-1]
    owner, took = rows[1:][same], np.diff(stamps)[same]
    by = np.lexsort((took, owner))
    sizes = np.bincount(owner, minlength=len(counts))
    middle = np.cumsum(sizes) - sizes + (np.maximum(sizes, 1) - 1) // 2
    return (
        np.where(sizes > 0, took[by][np.minimum(middle, len(took) - 1)], 0)
        if len(took)
        else np.zeros(len(counts), np.int64)
    )


def gather(into: dict[str, Gathering], rows: Table, file: str, metric: str, stem: str) -> None:
    """Add a table's points to the metrics that they belong to: `metric`, where no column says another.

    Raises:
        ConfigError: a column of labels is different in every row, so that there are too many series.
    """
    if rows.wide:
        for column, values in rows.values.items():
            into.setdefault(metric, Gathering()).add(_labels({"series": column}), rows.stamps, values)
        return
    texts = dict(rows.texts)
    metrics = _special(texts, "metric")
    units = _special(texts, "unit")
    (values,) = rows.values.values()
    groups, firsts = _groups([column for column in (metrics, *texts.values()) if column], len(values))
    if len(firsts) > SERIES:
        most = max(texts, key=lambda column: len(texts[column].words), default="")
        raise ConfigError(
            f"{file} holds {len(firsts)} series; {SERIES} are the most. Is {most!r} a label? Leave it out"
        )
    names = [_word(metrics, row) or metric for row in firsts.tolist()]
    labels = [
        _labels({c: w for c in texts if (w := _word(texts[c], row))} or {"series": stem}) for row in firsts.tolist()
    ]
    for name in dict.fromkeys(names):
        gathering = into.setdefault(name, Gathering())
        places = np.array([gathering.place(labels[g]) if names[g] == name else -1 for g in range(len(names))], np.int32)
        mine = places[groups] >= 0
        gathering.rows.append(places[groups][mine])
        gathering.stamps.append(rows.stamps[mine])
        gathering.values.append(values[mine])
        gathering.units |= _distinct(units, mine)


def _special(texts: dict[str, Words], name: str) -> Words | None:
    """Take the column of that name out of the labels."""
    found = next((column for column in texts if column.strip().lower() == name), None)
    return texts.pop(found) if found else None


def _word(column: Words | None, row: int) -> str:
    code = column.codes[row] if column else -1
    return column.words[code] if column and code >= 0 else ""


def _distinct(column: Words | None, rows: NDArray[np.bool_]) -> set[str]:
    return {column.words[code] for code in np.unique(column.codes[rows]).tolist() if code >= 0} if column else set()


def _groups(columns: Iterable[Words], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The number of each row's group of equal words, and the first row of each group."""
    groups, sizes = np.zeros(count, np.int64), 1
    for column in columns:
        if sizes * (len(column.words) + 1) > 2**62:
            groups = np.unique(groups, return_inverse=True)[1]
            sizes = count
        groups = groups * (len(column.words) + 1) + column.codes + 1
        sizes *= len(column.words) + 1
    _, firsts, groups = np.unique(groups, return_index=True, return_inverse=True)
    return groups, firsts


def _labels(given: Mapping[str, str]) -> Labels:
    return {column if column.startswith(TAKEN) else f"metric.labels.{column.strip()}": w for column, w in given.items()}
