"""The points of one metric, gathered from tables and put on a grid."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from detectors import Labels
from job.errors import ConfigError
from job.sources.files.table import Table, Words

Kind: TypeAlias = Literal["gauge", "delta", "cumulative"]
"""Whether values are levels or rates, amounts per interval, or running counters that may begin again at 0."""

Stamp: TypeAlias = Literal["start", "end"]
"""Whether a point's time is the start or the end of its interval; a counter's is the moment it was read at."""

SERIES = 200_000
"""The most series of one metric; a column that is different in every row is no label."""

TAKEN = ("resource.", "metric.labels.", "metadata.")
"""Columns that begin so are labels under their own names; others become `metric.labels.<column>`."""

GAP = 2
"""A counter's reading that comes more than so many spacings after the one before says nothing of the time between."""


@dataclass(frozen=True, eq=False)
class Series:
    """The points of a metric, by series and then by time. `rows` says which series a point belongs to.

    A column of the grid is the sum of its `amounts` by the sum of their `weights`: 1 for a gauge (a mean), the seconds
    between two readings for a counter (a rate); without weights it is by the seconds of the column. `starts`,
    `spacings` (one per series, 0 where it has one point only) and `spacing` (the usual one of the rows, blank ones
    among them; 0 where no series has two) are in microseconds.
    """

    labels: tuple[Labels, ...]
    rows: NDArray[np.int64]
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
        return int(self.starts[last] + (self.spacings[self.rows[last]] or self.spacing))


def present(series: Series, start: int, end: int) -> list[int]:
    """The series that have a point in `[start, end)`, by their places."""
    inside = (series.starts >= start) & (series.starts < end)
    found: list[int] = np.unique(series.rows[inside]).tolist()
    return found


def grid(series: Series, rows: list[int], start: int, step: int, width: int) -> NDArray[np.float64]:
    """These rows of the series on `width` columns of `step` microseconds from `start`; NaN where there is no point."""
    places = np.full(len(series.labels), -1)
    places[rows] = np.arange(len(rows))
    inside = (series.starts >= start) & (series.starts < start + width * step) & (places[series.rows] >= 0)
    shape = (len(rows), width)
    cells = places[series.rows[inside]] * width + (series.starts[inside] - start) // step

    def summed(what: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(cells, what[inside], shape[0] * width).astype(np.float64, copy=False).reshape(shape)

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
    rows: list[NDArray[np.int64]] = field(default_factory=list)
    stamps: list[NDArray[np.int64]] = field(default_factory=list)
    values: list[NDArray[np.float64]] = field(default_factory=list)
    units: set[str] = field(default_factory=set)

    def add(self, labels: Mapping[str, str], stamps: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Add points of one series."""
        self.stamps.append(stamps)
        self.values.append(values)
        self.rows.append(np.full(len(stamps), self.place(labels)))

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
        order = np.argsort([self.places[key] for key in keys])  # place -> where its labels are in order
        rows, stamps = order[np.concatenate(self.rows)], np.concatenate(self.stamps)
        values = np.concatenate(self.values)
        by = np.lexsort((stamps, rows))  # stable: rows of one stamp stay in their order
        rows, stamps, values = rows[by], stamps[by], values[by]
        last = np.append((rows[1:] != rows[:-1]) | (stamps[1:] != stamps[:-1]), True)[: len(rows)]
        spacing = _usual(_spacings(rows[last], stamps[last], len(keys)))
        keep = last & np.isfinite(values)
        rows, stamps, values = rows[keep], stamps[keep], values[keep]
        spacings = _spacings(rows, stamps, len(keys))
        points = Series(tuple(dict(key) for key in keys), rows, stamps, values, None, spacings, spacing, unit)
        return _understood(points, kind, stamp)


def _understood(points: Series, kind: Kind, stamp: Stamp) -> Series:
    """Points as they were written, made what their kind and their stamps mean."""
    if kind == "cumulative":
        return _counted(points)
    if stamp == "end":
        took = np.where(points.spacings > 0, points.spacings, points.spacing or 1)
        points = replace(points, starts=points.starts - took[points.rows])
    if kind == "delta":
        return replace(points, unit=f"{points.unit}/s")
    return replace(points, weights=np.ones(len(points.amounts)))


def _counted(points: Series) -> Series:
    """What running counters counted between each reading and the next; one that fell began again at 0."""
    rows, readings = points.rows, points.amounts
    took, counted = np.diff(points.starts), np.diff(readings)
    counted = np.where(counted < 0, readings[1:], counted)
    keep = (rows[1:] == rows[:-1]) & (took <= GAP * points.spacings[rows[1:]])
    return replace(
        points,
        rows=rows[:-1][keep],
        starts=points.starts[:-1][keep],
        amounts=counted[keep],
        weights=took[keep] / 1e6,
        unit=f"{points.unit}/s",
    )


def _usual(spacings: NDArray[np.int64]) -> int:
    known = spacings[spacings > 0]
    return int(np.median(known)) if len(known) else 0


def _spacings(rows: NDArray[np.int64], stamps: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The median time between the points of each series, 0 where there are not two."""
    same = rows[1:] == rows[:-1]
    owner, took = rows[1:][same], np.diff(stamps)[same]
    by = np.lexsort((took, owner))
    sizes = np.bincount(owner, minlength=count)
    middle = np.cumsum(sizes) - sizes + (np.maximum(sizes, 1) - 1) // 2
    return (
        np.where(sizes > 0, took[by][np.minimum(middle, len(took) - 1)], 0) if len(took) else np.zeros(count, np.int64)
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
        places = np.array([gathering.place(labels[g]) if names[g] == name else -1 for g in range(len(names))], np.int64)
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
