"""What a plot of the flagged series needs, and what was looked at besides: one object a slice, beside its anomalies."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from detectors import Frame
from job.anomaly import SCHEMA, Resource, Time, split_labels
from job.kinship import Way, What, census, slot, thing_of
from job.units import significant

DIGITS = 4
"""Significant digits of what is plotted."""

NAME = "series/"
"""Where these objects are, each under the name of its slice."""

Numbers = list[float | None]


class Kept(BaseModel):
    """What of one type of resource was judged: the slots (direction, quantity), and `kinship.census`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    slots: list[tuple[Way, What]]
    census: dict[str, int]


class Looked(BaseModel):
    """The first line of an object: what was read of the slice, and what came of it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_: int = Field(alias="schema")
    project: str
    metric: str
    query: str
    start: Time
    until: Time
    series: int
    tested: int
    flagged: int
    warming_up: int
    suppressed: dict[str, int]
    types: dict[str, Kept]


class Trace(BaseModel):
    """One flagged series over its day: a number or null for each period from `start` on."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    project: str
    metric: str
    query: str
    resource: Resource
    labels: dict[str, str]
    unit: str
    start: Time
    step: int
    value: Numbers
    expected: Numbers
    lower: Numbers
    upper: Numbers

    @property
    def key(self) -> tuple[object, ...]:
        """What an anomaly of this series has in common with it."""
        return key(self.project, self.query, self.resource, self.labels)


def key(project: str, query: str, resource: Resource, labels: Mapping[str, str]) -> tuple[object, ...]:
    """What names a series."""
    return project, query, resource.type, tuple(sorted(resource.labels.items())), tuple(sorted(labels.items()))


def numbers(row: NDArray[np.float64]) -> Numbers:
    """A row as JSON has it: few digits, and null for what is no number."""
    return [
        significant(value, DIGITS) if known else None
        for value, known in zip(row.tolist(), np.isfinite(row), strict=True)
    ]


def kept(frame: Frame, since: datetime, project: str, metric: str, unit: str) -> dict[str, Kept]:
    """What of each type of resource was judged: of the series that had a point since then."""
    recent = np.isfinite(frame.values[:, frame.column(since) :]).any(axis=1)
    by: dict[str, list[tuple[Resource, dict[str, str]]]] = {}
    for row in np.flatnonzero(recent).tolist():
        resource, labels = split_labels(frame.labels[row])
        by.setdefault(resource.type, []).append((resource, labels))
    return {
        kind: Kept(
            slots=sorted({(s.way, s.what) for s in (slot(metric, labels, unit) for _, labels in rows)}),
            census=census(thing_of(project, resource, labels) for resource, labels in rows),
        )
        for kind, rows in sorted(by.items())
    }


def since(frame: Frame, start: datetime) -> datetime:
    """From when on a series must have had a point to count as looked at: a day before, or as early as is known."""
    return max(frame.start, start - timedelta(days=1))


def lines(looked: Looked, traces: Iterable[Trace]) -> bytes:
    """The object's bytes: what was looked at, then a line for each flagged series in the order of its labels."""
    ordered = sorted(traces, key=lambda t: json.dumps(t.key))
    return "".join(_line(each) for each in (looked, *ordered)).encode()


def _line(record: BaseModel) -> str:
    told = record.model_dump(mode="json", by_alias=True)
    return json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"


def parsed(name: str, data: bytes, problems: list[str]) -> Iterator[Looked | Trace]:
    """The records of an object; what cannot be read is named in `problems`."""
    for number, line in enumerate(data.splitlines(), start=1):
        kind: Any = Looked if number == 1 else Trace
        try:
            record = kind.model_validate_json(line)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            problems.append(f"{name} line {number} is no record of a series: {fault['msg']}")
            continue
        if isinstance(record, Looked) and record.schema_ > SCHEMA:
            problems.append(f"{name} has schema {record.schema_}; this program knows up to {SCHEMA}")
        yield record
