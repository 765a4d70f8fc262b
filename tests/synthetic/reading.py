from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from detectors import Frame, Labels
from job.query import Query
from job.sources.synthetic import Synthetic

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
VM = "compute.googleapis.com/instance/network/"
FIREWALL = "compute.googleapis.com/firewall/"
EVERYTHING = ("vm", "firewall", "nat", "vpn")

Key = tuple[tuple[str, str], ...]


def query(source: Synthetic, metric: str) -> Query:
    (only,) = source.metrics((metric,))
    return only


def read(source: Synthetic, metric: str, days: float = 14, start: datetime = MONDAY) -> Frame:
    return source.read(query(source, metric), start, start + days * DAY)


def key(labels: Labels) -> Key:
    return tuple(sorted(labels.items()))


def rows(frame: Frame) -> dict[Key, NDArray[np.float64]]:
    return {key(labels): values for labels, values in zip(frame.labels, frame.values, strict=True)}


def row(frame: Frame, name: str) -> NDArray[np.float64]:
    (place,) = (i for i, labels in enumerate(frame.labels) if labels["metric.labels.instance_name"] == name)
    return np.asarray(frame.values[place])
