"""The source of recorded series: which metrics the files hold, and their frames."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np

from detectors import Frame
from detectors.duration import text
from job.errors import ConfigError
from job.presets import GROUPS, PRESETS, expand, slug, spec
from job.query import Query, in_part
from job.sources import Descriptor
from job.sources.files.content import Place, contents, place, stem
from job.sources.files.series import Gathering, Kind, Series, Stamp, gather, grid, present
from job.sources.files.table import table

PROJECT = "files"
MICROSECOND = timedelta(microseconds=1)
STEPS = tuple(timedelta(minutes=m) for m in (1, 5, 10, 15, 30, 60, 120, 180, 240, 360, 480, 720, 1440))
"""Steps to advise; each divides a day."""


@dataclass(frozen=True)
class Files:
    """A source of recorded series: CSV (also .csv.gz) and Parquet files in a folder or a bucket, or one such file.

    A file needs a column of time. With a column `value` it is long: `metric` and `unit` mean what they say, and all
    other columns are labels. Without one it is wide: each other column is a series. Without a `metric` column the
    metric is the folder that the file is in. See `Kind` and `Stamp` for how values and times are understood; an
    amount (`delta`) becomes a rate over its column of the grid, or over its own interval where that is longer.
    Files are read once, when first needed; nothing of them is kept in the store.
    """

    input: str
    kind: Kind = "gauge"
    unit: str = "1"
    stamp: Stamp = "start"
    step: timedelta = timedelta(minutes=5)

    def metrics(self, names: tuple[str, ...]) -> tuple[Query, ...]:
        """A query for each metric of these names (none means all that the files hold); of a preset, those held."""
        wanted = {metric: None for name in names for metric in self._meant(name)} or self._series
        return tuple(
            Query(
                metric=name,
                project=PROJECT,
                step=self.step,
                name=slug(name),
                split_by=_split_by(self._series[name]),
                missing=spec(name).missing,
            )
            for name in wanted
        )

    def describe(self, query: Query) -> Descriptor:
        """The unit that the files or the settings say; what was recorded is settled."""
        return Descriptor(unit=self._of(query).unit, settle=timedelta(0))

    def count(self, query: Query, start: datetime, end: datetime) -> int:
        """How many of the query's series have a point in `[start, end)`."""
        return len(_rows(self._of(query), query, start, end))

    def read(self, query: Query, start: datetime, end: datetime) -> Frame:
        """The query's series over `[start, end)`; several points of a column are averaged, amounts are added."""
        series = self._of(query)
        _check_step(query, series)
        return _frame(series, _rows(series, query, start, end), query, start, end)

    def blocks(self, query: Query, start: datetime, end: datetime, rows: int) -> Iterator[Frame]:
        """The query's series over `[start, end)`, so many at once; the points are held from when they were read."""
        series = self._of(query)
        _check_step(query, series)
        there = _rows(series, query, start, end)
        for low in range(0, len(there), rows):
            yield _frame(series, there[low : low + rows], query, start, end)

    def now(self, now: datetime) -> datetime:
        """The end of the last point, so that "the last 24 hours" of an old recording are its own."""
        ends = [series.end for series in self._series.values() if len(series.starts)]
        return datetime.fromtimestamp(0, UTC) + max(ends) * MICROSECOND if ends else now

    @cached_property
    def _place(self) -> Place:
        return place(self.input)

    @cached_property
    def _series(self) -> dict[str, Series]:
        """Every metric's points, by the metric's name."""
        found: dict[str, Gathering] = {}
        for name, data in contents(self._place):
            rows = table(data, name)
            if rows is not None:
                gather(found, rows, name, name.rpartition("/")[0] or self._place.name, stem(name))
        series = {name: found[name].series(name, self.kind, self.stamp, self.unit) for name in sorted(found)}
        if not any(len(each.starts) for each in series.values()):
            raise ConfigError(f"the files of {self.input} hold no points; name another input")
        return {_checked(name): each for name, each in series.items() if len(each.starts)}

    def _meant(self, name: str) -> tuple[str, ...]:
        """The metrics that a name stands for: one of its own, or those of a preset that are recorded."""
        preset = expand((name,)) if name in {*PRESETS, *GROUPS} else ()
        return tuple(each.type for each in preset if each.type in self._series) or (self._named(name),)

    def _named(self, name: str) -> str:
        """The metric that goes by this name or this slug."""
        for metric in self._series:
            if name in {metric, slug(metric)}:
                return metric
        raise ConfigError(f"no metric {name!r} in {self.input}; there are: {', '.join(self._series)}")

    def _of(self, query: Query) -> Series:
        if query.filter or query.group_by:
            raise ConfigError(f"{query.metric}: recorded files are neither filtered nor grouped; leave out the filter")
        return self._series[self._named(query.metric)]


def _frame(series: Series, rows: list[int], query: Query, start: datetime, end: datetime) -> Frame:
    """The frame of the series at these places."""
    width = max(0, (end - start) // query.step)
    values = grid(series, rows, _micros(start), query.step // MICROSECOND, width)
    there = np.flatnonzero(np.isfinite(values).any(axis=1))
    return Frame(values[there], start, query.step, tuple(series.labels[rows[row]] for row in there.tolist()))


def _rows(series: Series, query: Query, start: datetime, end: datetime) -> list[int]:
    """The places of the series that have points in that time and belong to the query's part."""
    there = present(series, _micros(start), _micros(end))
    return [row for row in there if in_part(series.labels[row], query)]


def _micros(moment: datetime) -> int:
    return (moment - datetime.fromtimestamp(0, UTC)) // MICROSECOND


def _check_step(query: Query, series: Series) -> None:
    """Refuse a grid on which most columns would be empty only because points come less often."""
    spacing = series.spacing * MICROSECOND
    if spacing > 1.5 * query.step:
        fits = next((step for step in STEPS if step >= spacing), None)
        advice = (
            f"use --step {text(fits)}" if fits else "points this rare cannot be judged by day; leave the metric out"
        )
        raise ConfigError(f"{query.metric} has a point every {text(spacing)}, the step is {text(query.step)}; {advice}")


def _split_by(series: Series) -> str:
    """The label that has the most values, by which parts are split."""
    values: dict[str, set[str]] = {}
    for labels in series.labels:
        for label, value in labels.items():
            values.setdefault(label, set()).add(value)
    return max(sorted(values), key=lambda label: len(values[label]))


def _checked(metric: str) -> str:
    if not metric.isprintable() or len(metric) > 200:
        raise ConfigError(
            f"the metric name {metric[:60]!r} is not printable or has more than 200 characters; rename it"
        )
    return metric
