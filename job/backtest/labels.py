"""Windows that somebody labelled: which series, from when to when."""

import csv
import difflib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from detectors import Labels
from job.anomaly import split_labels, telling
from job.errors import ConfigError
from job.query import Query
from job.units import clean, parse_time, utc

COLUMNS = ("series", "start", "end")

PREFIXES = ("resource.labels.", "metric.labels.")


@dataclass(frozen=True)
class Window:
    """A labelled window, `[start, end)`, of the series that `series` names; `place` is where it is written.

    Where there are `metrics`, only series of these are meant.
    """

    series: str
    start: datetime
    end: datetime
    place: str = ""
    metrics: tuple[str, ...] = ()


def windows(text: str, place: str) -> tuple[Window, ...]:
    """Read a CSV of `series,start,end`, times in RFC 3339.

    Raises:
        ConfigError: a column is missing, or a row is no window.
    """
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    try:
        header = [name.strip().lower() for name in next(rows, [])]
        missing = [name for name in COLUMNS if header.count(name) != 1]
        if missing:
            named = ", ".join(repr(clean(name, 40)) for name in header[:8]) or "nothing"
            raise ConfigError(f"{place} has the columns {named}; it needs series, start and end, each of them once")
        where = [header.index(name) for name in COLUMNS]
        return tuple(_window(row, where, f"{place}, row {rows.line_num}") for row in rows if any(map(str.strip, row)))
    except csv.Error as error:
        raise ConfigError(f"{place}, row {rows.line_num}: {error}; write CSV: series,start,end") from None


def _window(row: Sequence[str], where: Sequence[int], place: str) -> Window:
    if max(where) >= len(row):
        raise ConfigError(f"{place} has {len(row)} cells, and needs series, start and end")
    series, start, end = (row[column].strip() for column in where)
    if not series:
        raise ConfigError(f"{place} names no series; write its name, label=value, or * for all")
    try:
        window = Window(series, parse_time(start), parse_time(end), place)
    except ValueError as error:
        raise ConfigError(f"{place}: {error}") from None
    if window.start >= window.end:
        raise ConfigError(f"{place}: start {start} is not before end {end}; swap or move them")
    return window


def inside(every: Iterable[Window], start: datetime, end: datetime) -> None:
    """Make sure that each window touches what is replayed.

    Raises:
        ConfigError: one does not.
    """
    for window in every:
        if window.end <= start or window.start >= end:
            raise ConfigError(
                f"{window.place}: {utc(window.start)} to {utc(window.end)} lies outside what is replayed, {utc(start)} "
                f"to {utc(end)}; widen --from and --to, or leave the row out"
            )


def fits(window: Window, query: Query, labels: Labels) -> bool:
    """Whether the window is of this series.

    It is named as tables name it, by the value of one of its labels, by a pattern of either (`web-*`), or by
    `label=value` pairs between semicolons, of which `metric` is one.
    """
    if window.metrics and query.metric not in window.metrics:
        return False
    if "=" not in window.series:
        return any(
            window.series == name or fnmatchcase(name, window.series) for name in (name_of(labels), *labels.values())
        )
    known = {"metric": {query.metric, query.name}}
    for label, value in labels.items():
        for prefix in ("", *PREFIXES):
            known.setdefault(label.removeprefix(prefix), set()).add(value)
    pairs = [pair.partition("=") for pair in window.series.split(";") if pair.strip()]
    return all(value.strip() in known.get(label.strip(), ()) for label, _, value in pairs)


def name_of(labels: Labels) -> str:
    """The series as a person knows it."""
    resource, others = split_labels(labels)
    return telling({**resource.labels, **others})


def unknown(window: Window, names: Iterable[str]) -> ConfigError:
    """What to say of a window that fits no series."""
    every = sorted(set(names))
    near = difflib.get_close_matches(window.series, every, n=3) or every[:5]
    listed = ", ".join(clean(name) for name in near) or "none at all"
    return ConfigError(
        f"{window.place}: no series {clean(window.series)!r}; there are {len(every)}, such as {listed}; "
        "write a name, a pattern or label=value"
    )
