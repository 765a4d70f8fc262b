"""The charts of a page: the numbers of each flagged series, the worst incidents' first, as far as there is room."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from job.anomaly import Anomaly
from job.explorer import link
from job.found import Found
from job.incident import Incident
from job.kinship import Thing
from job.sentence import noun
from job.series import Key, Trace, key_of
from job.units import clean, quantity

CHARTS = 100
"""So many charts a page has at most, those of the worst incidents."""

EACH = 4
"""So many charts an incident has at most."""

PLACE = 1500
"""Bytes that a chart takes in the list, with its name and link."""


@dataclass(frozen=True)
class Drawn:
    """A chart that an incident has: its id in the page, its name, and the link to its series."""

    id: str
    name: str
    link: str


@dataclass(frozen=True)
class Charts:
    """The numbers of a page's charts, and which incident has which."""

    numbers: tuple[dict[str, Any], ...]
    by: Mapping[str, tuple[Drawn, ...]]
    wanted: int

    @property
    def left_out(self) -> int:
        """How many there was no room for."""
        return self.wanted - len(self.numbers)


def charts(found: Found, incidents: Iterable[Incident], since: datetime, until: datetime, room: int) -> Charts:
    """The charts of these incidents in `[since, until)`, the worst first, in so many bytes of the page."""
    events = _events(found.anomalies.values())
    numbers: dict[Key, dict[str, Any]] = {}
    seen: set[Key] = set()
    by: dict[str, tuple[Drawn, ...]] = {}
    for incident in incidents:
        drawn = []
        for trace, address in _traces(incident, found, since, until):
            name = (*trace.key, trace.start)
            if name not in seen and len(numbers) == len(seen) < CHARTS:  # where one does not fit, none after it does
                chart = _numbers(f"chart-{len(numbers)}", trace, events.get(trace.key, ()))
                room -= len(json.dumps(chart, separators=(",", ":"))) + PLACE
                numbers |= {name: chart} if room >= 0 else {}
            seen.add(name)
            if name in numbers:
                drawn.append(Drawn(numbers[name]["id"], numbers[name]["name"], address))
        by[incident.id] = tuple(drawn)
    return Charts(tuple(numbers.values()), by, len(seen))


def _traces(incident: Incident, found: Found, since: datetime, until: datetime) -> Iterator[tuple[Trace, str]]:
    """The series of an incident that are drawn, one for each day, and where Metrics Explorer shows them."""
    for top in incident.top[:EACH]:
        a = found.anomalies[top.anomaly]
        for trace in found.traces.get(key_of(a), ()):
            ends = trace.start + timedelta(seconds=trace.step) * len(trace.value)
            if since <= trace.start < min(until, incident.end) and ends > incident.start:
                yield trace, link(a)


Event = tuple[int, int] | tuple[int, int, str]


def _events(anomalies: Iterable[Anomaly]) -> dict[Key, list[Event]]:
    """From when to when something was told of each series, in milliseconds; and what a line can't show."""
    events: dict[Key, list[Event]] = {}
    for a in anomalies:
        span = ms(a.start), ms(a.end)
        told = (*span, "no points") if a.kind == "absent" else span
        events.setdefault(key_of(a), []).append(told)
    return events


def _numbers(name: str, trace: Trace, events: Iterable[Event]) -> dict[str, Any]:
    where = clean(Thing("", "", tuple(sorted({**trace.resource.labels, **trace.labels}.items()))).name, 80)
    scale, unit = _scale(trace)
    return {
        "id": name,
        "name": f"{noun(trace.metric)} of {where}",
        "unit": unit,
        "start": ms(trace.start),
        "step": trace.step * 1000,
        "value": _scaled(trace.value, scale),
        "expected": _scaled(trace.expected, scale),
        "lower": _scaled(trace.lower, scale),
        "upper": _scaled(trace.upper, scale),
        "events": sorted(events),
    }


def _scale(trace: Trace) -> tuple[float, str]:
    """By what the numbers are divided so that they are short, and the unit that they then have."""
    largest = max((abs(v) for row in (trace.value, trace.expected) for v in row if v is not None), default=0.0)
    power = 0
    while largest >= 1000 ** (power + 1) and power < 5:
        power += 1
    unit = quantity(1000.0**power, trace.unit).removeprefix("1 ").removeprefix("1")
    return 1000.0**power, {"k": "thousands", "M": "millions", "G": "billions"}.get(unit, unit)


def _scaled(row: Iterable[float | None], scale: float) -> list[float | None]:
    return [None if value is None else float(f"{value / scale:.4g}") for value in row]


def ms(moment: datetime) -> int:
    """A moment as browsers count it."""
    return round(moment.timestamp() * 1000)
