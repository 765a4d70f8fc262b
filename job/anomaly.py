"""The record of one anomaly: what is written, read back, and documented field by field."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer

from detectors import Labels
from job.units import utc

SCHEMA = 1
"""The version of the records; names and meanings are stable within it, fields may be added."""

Time = Annotated[AwareDatetime, PlainSerializer(utc, return_type=str)]
Kind = Literal["spike", "drop", "zero", "absent"]

BANDS = ((85, "critical"), (70, "high"), (50, "medium"), (0, "low"))
"""The names of the severities, each from its least value up."""


def band(severity: int) -> str:
    """The name of a severity: low, medium (from 50), high (from 70) or critical (from 85)."""
    return next(name for least, name in BANDS if severity >= least)


class Resource(BaseModel):
    """The monitored resource, as Cloud Monitoring has it."""

    model_config = ConfigDict(frozen=True)

    type: str
    labels: dict[str, str]


class Anomaly(BaseModel):
    """One contiguous event of one time series."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    # `schema` is a method of the base class, so the attribute has an underscore and the record's key has none.
    schema_: int = Field(alias="schema", description=f"Version of this record; {SCHEMA} now.")
    id: str = Field(description="The same for the same event whenever it is judged again; 16 hexadecimal digits.")
    project: str = Field(
        description="Project (or metrics scope) that was asked; the source's name where there is none."
    )
    metric: str = Field(description="Metric type.")
    query: str = Field(description="Name of the query, as in the object's name: metric=<query>.")
    resource: Resource = Field(description="Monitored resource: type and labels.")
    labels: dict[str, str] = Field(description="Metric labels, and metadata labels under their full names.")
    start: Time = Field(description="Beginning of the first period of the event.")
    end: Time = Field(description="End of the last period of the event (half-open).")
    peak: Time = Field(description="Beginning of the period that was farthest off.")
    continued: bool = Field(description="Whether the event came over from the day before; start is then midnight.")
    ongoing: bool = Field(description="Whether the event reached the end of what had settled when it was judged.")
    adopted: bool = Field(False, description="Whether it did not end, but was taken for the new normal after `adopt`.")
    kind: Kind = Field(description="spike, drop, zero (drop to nothing) or absent (points stopped coming).")
    direction: Literal["up", "down"] = Field(description="Above or below what was expected.")
    severity: int = Field(description="0 to 100; low, medium from 50, high from 70, critical from 85.")
    score: float = Field(
        description="Deviation where they were surest, in usual deviations, signed: the median of the detectors'."
    )
    votes: dict[str, float] = Field(description="Score there of each detector that voted.")
    detectors: int = Field(description="How many detectors had a baseline there.")
    observed: float | None = Field(description="Value at the peak, in `unit`; null for absent.")
    expected: float = Field(
        description="What was expected at the peak, in `unit`; of what lasts, by what was known at its onset."
    )
    lower: float = Field(description="Lower end of the band at the peak, in `unit`.")
    upper: float = Field(description="Upper end of the band at the peak, in `unit`.")
    unit: str = Field(description="Unit of observed, expected, lower and upper (UCUM; By/s, packets/s).")
    excess: float = Field(description="Observed minus expected, added up over the event, in `excess_unit`.")
    excess_unit: str = Field(description="Unit of the excess (By, packets).")
    step: int = Field(description="Length of a period in seconds.")
    history: dict[str, str] = Field(
        description="How much past, where there is as much, each detector with a baseline judged by."
    )
    link: str | None = Field(
        None,
        description="Metrics Explorer, at exactly this series (of a ratio: those of its metrics) and its time; null "
        "where it has none.",
    )
    sentence: str = Field(description="The event in one sentence.")

    def line(self) -> str:
        """The record as one line of JSON."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), ensure_ascii=False, allow_nan=False)

    @property
    def series(self) -> str:
        """What tells the series apart for a person: its most telling labels."""
        return telling({**self.resource.labels, **self.labels})


def identity(project: str, query: str, labels: Labels, start: datetime, direction: str) -> str:
    """The id of the event of this series that begins at `start`."""
    key = json.dumps([project, query, sorted(labels.items()), utc(start), direction])
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def split_labels(labels: Labels) -> tuple[Resource, dict[str, str]]:
    """Turn a frame's flat labels into the monitored resource and the metric's labels."""
    kind, mine, others = parted_labels(labels)
    return Resource(type=kind, labels=mine), others


def parted_labels(labels: Labels) -> tuple[str, dict[str, str], dict[str, str]]:
    """The same as the resource's type, its labels and those of the metric."""
    mine, others = _parted(tuple(labels))
    kind = labels.get("resource.type", "")
    return kind, {name: labels[key] for key, name in mine}, {name: labels[key] for key, name in others}


@lru_cache(maxsize=1024)
def _parted(keys: tuple[str, ...]) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """The labels of the resource and the others, each with the name that it has there."""
    mine = [key for key in sorted(keys) if key.startswith("resource.labels.")]
    others = [key for key in sorted(keys) if key not in {*mine, "resource.type"}]
    return (
        tuple((key, key.removeprefix("resource.labels.")) for key in mine),
        tuple((key, key.removeprefix("metric.labels.")) for key in others),
    )


_VAGUE = {"project_id", "instance_id", "location", "zone", "region", "router_id", "gateway_id", "interface"}


def telling(labels: Mapping[str, str]) -> str:
    """The labels that a person knows a series by, names before numbers and places.

    >>> telling({"project_id": "p", "zone": "europe-west1-b", "instance_id": "123", "instance_name": "web-1"})
    'web-1 (europe-west1-b)'
    """
    names = [v for k, v in labels.items() if k not in _VAGUE and v]
    where = next((labels[k] for k in ("zone", "region", "location") if labels.get(k)), "")
    numbers = [v for k, v in labels.items() if k in _VAGUE and k not in {"project_id", "zone", "region", "location"}]
    name = " ".join(names or numbers) or "the only series"
    return f"{name} ({where})" if where else name


def lines(anomalies: Iterable[Anomaly]) -> bytes:
    """The records as an object's bytes, in the order of time and then of series."""
    ordered = sorted(anomalies, key=lambda a: (a.start, a.id))
    return "".join(a.line() + "\n" for a in ordered).encode()
