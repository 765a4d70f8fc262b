"""A run of the job on made-up traffic, and the incidents that it makes."""

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from job.anomaly import Anomaly
from job.commands.prepare import prepare
from job.config import load
from job.found import Found, find
from job.incident import Incident
from job.log import json_lines
from job.ratio import RATIOS
from job.run import Task, run
from job.sources.synthetic import Injected, Synthetic

START = datetime(2026, 11, 2, tzinfo=UTC)
"""A Monday."""

PLAIN = "vm,nat,vpn,firewall"

METRICS = f"{PLAIN},derived"
"""The same and their ratios."""


@dataclass(frozen=True)
class Made:
    """What a run over some days found, what had been injected, and how many series x days it tested."""

    found: Found
    injected: tuple[Injected, ...]
    series_days: float


@contextmanager
def made(vms: int, days: int, seed: int = 0, metrics: str = METRICS, **settings: Any) -> Iterator[Made]:
    """Run the job, as a backfill with its defaults, over so many days of so many machines."""
    end = START + timedelta(days=days)
    with tempfile.TemporaryDirectory() as place:
        fleet = {"vms": vms, "seed": seed, **settings}
        given = {"output": str(Path(place)), "from": START, "to": end, "metrics": metrics, "synthetic": fleet}
        job, every, _ = prepare(load(given, {}, str), {}, end, json_lines(io.StringIO()))
        run(job, every, Task("benchmark"))
        found = find(job.store, START, end, drawn=False)
        tested = sum(one.tested for one in found.looked)
        periods = timedelta(days=1) // job.settings.step
        yield Made(found, Synthetic(**fleet).incidents(START, end), tested / periods)


def hit(injected: Injected, incident: Incident, found: Found) -> int:
    """How many anomalies of an incident are of what was injected."""
    return sum(1 for name in incident.anomalies if _of(injected, found.anomalies[name]))


def _of(injected: Injected, a: Anomaly) -> bool:
    labels = {f"resource.labels.{key}": value for key, value in a.resource.labels.items()}
    labels |= {f"metric.labels.{key}": value for key, value in a.labels.items()} | {"resource.type": a.resource.type}
    meets = a.start < injected.end and a.end > injected.start
    touched = a.metric in {*injected.metrics, *RATIOS}
    return meets and touched and injected.labels.items() <= labels.items()
