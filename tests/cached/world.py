"""A source that holds arrays and counts what it is asked for, a cache round it, and a log that is kept."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors import Frame
from job.query import Query, both, part_filter
from job.sources import Descriptor
from job.sources.cached import Cached
from job.sources.monitoring.streams import dividing
from job.store import Store
from tests.monitoring_server.filters import parse

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
SETTLE = timedelta(minutes=10)
QUERY = Query("custom.googleapis.com/x", "p", HOUR, name="x")
SPLIT = Query("custom.googleapis.com/x", "p", HOUR, name="x", split_by="resource.labels.instance_id")


@dataclass
class Arrays:
    """Series of an hour's step from `MONDAY` on, a row each; rows come in the order of their names."""

    rows: dict[str, NDArray[np.float64]]
    keeps: timedelta | None = None
    divides: str | None = None
    asked: list[tuple[datetime, datetime]] = field(default_factory=list)

    def describe(self, query: Query) -> Descriptor:
        assert query.step == HOUR
        return Descriptor("By/s", SETTLE, self.keeps)

    def count(self, query: Query, start: datetime, end: datetime) -> int:
        return len(self.cut(start, end, query.step).labels)

    def divided(self, query: Query, start: datetime, end: datetime) -> tuple[Query, int]:
        found = self.cut(start, end, query.step).labels
        label = dividing(found, query.group_by) if self.divides is None else self.divides
        return replace(query, split_by=label), len(found)

    def read(self, query: Query, start: datetime, end: datetime) -> Frame:
        assert not ("full_match" in query.filter and query.split_by), "a share is read in one stream"
        self.asked.append((start, end))
        whole = self.cut(start, end, query.step)
        chosen = both(query.filter, part_filter(query))
        wanted = parse(chosen) if chosen else lambda _: True
        return whole.rows(np.flatnonzero([wanted(labels) for labels in whole.labels]))

    def cut(self, start: datetime, end: datetime, step: timedelta = HOUR) -> Frame:
        """What a source answers for this time."""
        first, stop = (start - MONDAY) // step, (end - MONDAY) // step
        width = stop - first
        found = {}
        for name, values in sorted(self.rows.items()):
            row = np.full(width, np.nan)
            low, high = max(first, 0), min(stop, len(values))
            row[low - first : max(high - first, 0)] = values[low:high] if low < high else []
            if np.isfinite(row).any():
                found[name] = row
        values = np.array(list(found.values())).reshape(len(found), width)
        return Frame(values, start, step, tuple({"resource.labels.instance_id": name} for name in found))

    @property
    def hours(self) -> float:
        """How much time was asked for since this was looked at last."""
        total = sum((end - start) / HOUR for start, end in self.asked)
        self.asked.clear()
        return total


@dataclass
class Lines:
    """A log that is kept."""

    lines: list[tuple[str, str, str]] = field(default_factory=list)

    def __call__(self, severity: str, event: str, message: str, **_: Any) -> None:
        self.lines.append((severity, event, message))

    def of(self, event: str) -> list[str]:
        return [message for severity, found, message in self.lines if found == event and severity == "WARNING"]


def arrays(series: int = 3, days: int = 60, seed: int = 0, **more: Any) -> Arrays:
    """Rates of whole counts, with gaps, births and deaths."""
    rng = np.random.default_rng(seed)
    rows = {}
    for n in range(series):
        values = rng.integers(0, 10 ** rng.integers(1, 10), days * 24) / 3600
        values[rng.random(len(values)) < 0.1] = np.nan
        low, high = sorted(rng.integers(0, len(values), 2))
        if n % 3 == 1:
            values[low:high] = np.nan
        elif n % 3 == 2:
            values[:low] = values[high:] = np.nan
        rows[f"vm-{n}"] = values
    return Arrays(rows, **more)


def cached(source: Arrays, store: Store, present: datetime, log: Lines | None = None, **more: Any) -> Cached:
    return Cached(source, store, present, log or Lines(), **more)


def same(found: Frame, wanted: Frame) -> None:
    """Equal to the bit."""
    assert (found.start, found.step, found.labels) == (wanted.start, wanted.step, wanted.labels)
    assert found.values.shape == wanted.values.shape
    assert found.values.tobytes() == wanted.values.tobytes()
