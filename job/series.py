"""What a plot of the flagged series needs, and what was looked at besides: one object a slice, beside its anomalies."""

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from detectors import Frame, Labels
from job.anomaly import SCHEMA, Anomaly, Resource, Time, parted_labels
from job.kinship import Census, Counted, Slot, Way, What, counted, slot, thing_named
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


class Sum(BaseModel):
    """What the series of a group carried together, from the day before on: a number or null for each `step`.

    `there`: how many of the series had a point then; `members`: how many resources they are of.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    type: str
    group: str
    members: int
    start: Time
    step: int
    value: Numbers
    there: list[int]


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
    sums: list[Sum] = []


class Trace(BaseModel):
    """One flagged series over its day: a number or null for each period from `start` on.

    `before`: of one that fell, the day before, in the steps of its group's sum; null of any other.
    """

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
    before: Numbers | None = None

    @property
    def key(self) -> "Key":
        """What an anomaly of this series has in common with it."""
        return key(self.project, self.query, self.resource, self.labels)


Key: TypeAlias = tuple[object, ...]
"""What names a series."""

Rank: TypeAlias = tuple[float, ...]


def rank(anomalies: Iterable[Anomaly]) -> Rank:
    """How early a series is drawn that has these: the worst first, as its incident tells of it."""
    return min((-a.severity, a.continued, -abs(a.score), -abs(a.excess)) for a in anomalies)


KEPT = 32 << 20
"""So many bytes of traces are held, those of the worst series: of a fault of the whole fleet a page draws a hundred."""


class Traces(Mapping[Key, tuple[Trace, ...]]):
    """Traces by the key of their series, packed as they are stored, and of the worst series no more than `most` bytes.

    Which those are depends on nothing but what all are, not on the order in which they come.
    """

    def __init__(self, most: int = KEPT) -> None:
        self._most, self._size = most, 0
        self._packed: dict[Key, list[bytes]] = {}
        self._places: dict[Key, tuple[Rank, str]] = {}
        self._end: tuple[Rank, str] | None = None  # from here on none fits, whatever else comes

    def add(self, trace: Trace, rank: Rank) -> None:
        """Take in another day of a series, whose rank is the same on all its days."""
        place = rank, json.dumps(trace.key)
        if self._end and place >= self._end:
            return
        line = _line(trace)
        self._places[trace.key] = place
        self._packed.setdefault(trace.key, []).append(line)
        self._size += len(line)
        if self._size > 2 * self._most:
            self._fit()

    def _fit(self) -> None:
        """Let go of all from the first on that does not fit after those before it."""
        if self._size > self._most:
            ordered = sorted(self._packed, key=self._places.__getitem__)
            sizes = [0, *accumulate(sum(map(len, self._packed[name])) for name in ordered)]
            count = bisect_right(sizes, self._most) - 1
            self._end, self._size = self._places[ordered[count]], sizes[count]
            for name in ordered[count:]:
                del self._packed[name], self._places[name]

    def __getitem__(self, name: Key) -> tuple[Trace, ...]:
        """The days of a series."""
        self._fit()
        return tuple(map(Trace.model_validate_json, self._packed[name]))

    def __iter__(self) -> Iterator[Key]:
        self._fit()
        return iter(self._packed)

    def __len__(self) -> int:
        self._fit()
        return len(self._packed)

    def lines(self) -> bytes:
        """All of them, in the order of their labels."""
        return b"".join(line for name in sorted(self, key=json.dumps) for line in self._packed[name])


CELL = timedelta(minutes=5)
"""What groups carried together is told by the mean of so long, or of a period that is longer."""


def means(values: NDArray[np.float64], step: timedelta) -> NDArray[np.float64]:
    """The mean of the points of each cell (or period, if longer) of the last axis; NaN where there are none."""
    size = max(1, CELL // step)
    if size == 1:
        return values
    short = [*[(0, 0)] * (values.ndim - 1), (0, -values.shape[-1] % size)]
    parts = np.pad(values, short, constant_values=np.nan).reshape(*values.shape[:-1], -1, size)
    known = np.isfinite(parts)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, parts, 0.0).sum(axis=-1) / known.sum(axis=-1))


def since_day(values: NDArray[np.float64], first: int, day: int) -> NDArray[np.float64]:
    """The columns from a day before `first` on, or NaN where they begin later."""
    if first >= day:
        return values[..., first - day :]
    return np.pad(values, [*[(0, 0)] * (values.ndim - 1), (day - first, 0)], constant_values=np.nan)


def key(project: str, query: str, resource: Resource, labels: Mapping[str, str]) -> Key:
    """What names the series with these labels."""
    return project, query, resource.type, tuple(sorted(resource.labels.items())), tuple(sorted(labels.items()))


def key_of(a: Anomaly) -> Key:
    """What names the series of an anomaly."""
    return key(a.project, a.query, a.resource, a.labels)


def by_series(anomalies: Iterable[Anomaly]) -> dict[Key, list[Anomaly]]:
    """The anomalies of each series."""
    found: dict[Key, list[Anomaly]] = {}
    for a in anomalies:
        found.setdefault(key_of(a), []).append(a)
    return found


def numbers(row: NDArray[np.float64]) -> Numbers:
    """A row as JSON has it: few digits, and null for what is no number."""
    return [value if known else None for value, known in zip(_short(row), np.isfinite(row).tolist(), strict=True)]


_TENS = np.array([float(f"1e{power}") for power in range(23)])
"""Exact, as computed powers need not be: a whole number that is scaled by one is the nearest number there is."""

_CLOSE = 1e-6
"""So near to a half, what was lost in scaling may have turned it; a million times as much as can be lost."""


def _short(row: NDArray[np.float64]) -> list[float]:
    """What `significant` makes of each number of a row, at a seventh of its cost."""
    with np.errstate(all="ignore"):
        places = DIGITS - 1 - np.floor(np.log10(abs(row)))
        usual = abs(places) < len(_TENS)
        power = np.where(usual, places, 0).astype(np.intp)
        up, down = _TENS[np.maximum(power, 0)], _TENS[np.maximum(-power, 0)]
        scaled = row * up / down
        whole = np.rint(scaled)
        usual &= abs(abs(scaled - whole) - 0.5) > _CLOSE
        told: list[float] = (whole / up * down).tolist()
    for n in np.flatnonzero(~usual).tolist():
        told[n] = significant(float(row[n]), DIGITS)
    return told


class Surveyed(NamedTuple):
    """What of a series a survey needs."""

    type: str
    slot: Slot
    resource: Counted


def surveyor(project: str, metric: str, unit: str) -> Callable[[Labels], Surveyed]:
    """How series of a metric are taken; of the same labels, which come again day after day, it is worked out once."""
    known: dict[int, tuple[Labels, Surveyed]] = {}

    def surveyed(labels: Labels) -> Surveyed:
        if there := known.get(id(labels)):
            return there[1]
        kind, mine, others = parted_labels(labels)
        one = Surveyed(kind, slot(metric, others, unit), counted(thing_named(project, kind, mine, others)))
        known[id(labels)] = labels, one  # the labels, too, for only while they live is their id theirs
        return one

    return surveyed


class Survey:
    """What of each type of resource was judged, taken block by block."""

    def __init__(self) -> None:
        self._slots: defaultdict[str, set[Slot]] = defaultdict(set)
        self._census: defaultdict[str, Census] = defaultdict(Census)

    def add(self, frame: Frame, since: datetime, surveyed: Callable[[Labels], Surveyed]) -> None:
        """Take in the series of a frame that had a point since then."""
        recent = np.isfinite(frame.values[:, frame.column(since) :]).any(axis=1)
        for row in np.flatnonzero(recent).tolist():
            one = surveyed(frame.labels[row])
            self._slots[one.type].add(one.slot)
            self._census[one.type].add(one.resource)

    def kept(self) -> dict[str, Kept]:
        """What is told of it."""
        return {t: Kept(slots=sorted(self._slots[t]), census=self._census[t].told()) for t in sorted(self._slots)}


def since(frame: Frame, start: datetime) -> datetime:
    """From when on a series must have had a point to count as looked at: a day before, or as early as is known."""
    return max(frame.start, start - timedelta(days=1))


def lines(looked: Looked, traces: Traces) -> bytes:
    """The object's bytes: what was looked at, then a line for each flagged series in the order of its labels."""
    return _line(looked) + traces.lines()


def _line(record: BaseModel) -> bytes:
    told = record.model_dump(mode="json", by_alias=True)
    return (json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n").encode()


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
