"""A small job on made-up traffic and a folder, and sources and stores that watch it or get in its way."""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from detectors import Frame
from job.commands.prepare import prepare
from job.config import Settings
from job.log import json_lines
from job.plan import Slice, mine
from job.query import Query
from job.run import Task, run
from job.slices import Job, Outcome
from job.sources import Descriptor, Reader
from job.store import Head, Object, Store
from job.store.folder import Folder

DAY = datetime(2026, 11, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
NIGHT = DAY + timedelta(days=2)
SENT = "compute.googleapis.com/instance/network/sent_bytes_count"
RECEIVED = "compute.googleapis.com/instance/network/received_bytes_count"


@dataclass
class Bench:
    """A job, its slices, and what it logs."""

    job: Job
    every: tuple[Slice, ...]
    logged: io.StringIO

    def run(self, index: int = 0, count: int = 1, *, execution: str = "e1") -> list[Outcome]:
        """Do one task's share."""
        return run(self.job, mine(self.every, index, count), Task(execution, index, count))

    def having(self, **parts: Any) -> "Bench":
        """The same with another source, store or detectors."""
        return replace(self, job=replace(self.job, **parts))

    def events(self, event: str) -> list[dict[str, Any]]:
        """The log lines of one kind."""
        lines = [json.loads(line) for line in self.logged.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]


def bench(output: Path, now: datetime = NIGHT, **given: Any) -> Bench:
    """A job of few machines and quarter hours, prepared as the command does."""
    plain: dict[str, Any] = {"source": "synthetic", "step": timedelta(minutes=15), "synthetic": {"vms": 6, "seed": 5}}
    settings = Settings.model_validate(
        plain | {"metrics": (SENT, RECEIVED), "detectors": ("zscore", "ewma"), "output": str(output)} | given
    )
    logged = io.StringIO()
    job, every, _ = prepare(settings, {}, now, json_lines(logged))
    return Bench(job, every, logged)


def backfill(output: Path, now: datetime = NIGHT, days: int = 2, **given: Any) -> Bench:
    """The days before `NIGHT`, asked for by their ends."""
    return bench(output, now, **{"from": NIGHT - timedelta(days=days), "to": NIGHT} | given)


def tree(output: Path, prefix: str = "anomalies/") -> dict[str, tuple[bytes, dict[str, str]]]:
    """Every object with its bytes and its meta."""
    store = Folder(output)
    found = {name: store.get(name) for name in store.names(prefix)}
    return {name: (there.data, dict(there.head.meta)) for name, there in found.items() if there}


def told(output: Path) -> list[dict[str, Any]]:
    """Every anomaly in the store."""
    return [json.loads(line) for data, _ in tree(output).values() for line in data.splitlines()]


def records(output: Path) -> list[dict[str, Any]]:
    """Every task's record."""
    return [json.loads(data) for data, _ in tree(output, "runs/").values()]


@dataclass
class Watched:
    """A reader round a reader that notes what is read, and does something before it."""

    source: Reader
    before: Callable[[Query, datetime, datetime], object] = lambda *_: None
    reads: list[tuple[str, datetime, datetime]] = field(default_factory=list)

    def describe(self, query: Query) -> Descriptor:
        return self.source.describe(query)

    def read(self, query: Query, start: datetime, end: datetime) -> Frame:
        self.reads.append((query.metric, start, end))
        self.before(query, start, end)
        return self.source.read(query, start, end)


@dataclass(frozen=True)
class Meddling:
    """A store round a store in which somebody acts just before an object is put, or looked at."""

    store: Store
    meddle: Callable[[str], object]
    looked: Callable[[str], object] = str

    @property
    def url(self) -> str:
        return self.store.url

    def names(self, prefix: str = "") -> Iterator[str]:
        return self.store.names(prefix)

    def head(self, name: str) -> Head | None:
        self.looked(name)
        return self.store.head(name)

    def get(self, name: str) -> Object | None:
        return self.store.get(name)

    def put(
        self, name: str, data: bytes, *, meta: Mapping[str, str] | None = None, replaces: Head | None = None
    ) -> Head:
        self.meddle(name)
        return self.store.put(name, data, meta=meta, replaces=replaces)

    def delete(self, name: str) -> None:
        self.store.delete(name)


def failing(metric: str, error: Exception) -> Callable[[Query, datetime, datetime], None]:
    """What a source does before a read, to fail for one metric."""

    def before(query: Query, _start: datetime, _end: datetime) -> None:
        if query.metric == metric:
            raise error

    return before
