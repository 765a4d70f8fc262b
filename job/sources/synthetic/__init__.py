"""Invented network traffic with known incidents: a source that needs no account and no network."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from detectors import Frame, Labels
from detectors.duration import text
from job.errors import ConfigError
from job.presets import Spec, expand, slug
from job.query import Query, in_part
from job.sources import Descriptor, cut
from job.sources.synthetic.fleet import ZONES, Fleet, Member, members
from job.sources.synthetic.grouping import grouped
from job.sources.synthetic.incidents import Event, Injected, effects, events, levels, outages
from job.sources.synthetic.metrics import METRICS, metric, types
from job.sources.synthetic.roles import FAMILIES
from job.sources.synthetic.traffic import rates

__all__ = ["Injected", "Synthetic"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)


class Synthetic:
    """A source of invented traffic: a pure function of the seed, the series, UTC time and the step.

    `vms` machines, and a NAT gateway with two VPN tunnels for every 24 of them, in one invented project. A few
    incidents a day are injected (about 3 to 5 among 12 machines), and `incidents` tells which; with
    `incidents=False` there are none, and the traffic is otherwise the same to the bit. The counters of drops are
    mostly without points; a machine that is there but idle is at 0.

    Raises:
        ConfigError: a setting is out of its bounds.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        step: timedelta = timedelta(minutes=5),
        vms: int = 12,
        project: str = "demo",
        incidents: bool = True,
    ) -> None:
        if seed < 0:
            raise ConfigError(f"seed {seed} is negative; give 0 or more")
        if not 1 <= vms <= 1_000_000:
            raise ConfigError(f"{vms} vms; give 1 to 1000000")
        _check_step(step)
        self.step = step
        self._fleet = Fleet(seed=seed, project=project, vms=vms)
        self._incidents = incidents

    def __repr__(self) -> str:
        fleet = self._fleet
        return (
            f"Synthetic(seed={fleet.seed}, step={self.step!r}, vms={fleet.vms}, project={fleet.project!r}, "
            f"incidents={self._incidents})"
        )

    def metrics(self, names: tuple[str, ...]) -> tuple[Query, ...]:
        """The queries of presets and metric types; of a preset, the metrics that are invented here."""
        specs = [spec for name in names or ("",) for spec in _specs(name)]
        return tuple({spec.type: self._query(spec) for spec in specs}.values())

    def _query(self, spec: Spec) -> Query:
        return Query(
            metric=spec.type,
            project=self._fleet.project,
            step=self.step,
            name=slug(spec.type),
            group_by=spec.group_by,
            reducer=spec.reducer,
            noun=spec.noun,
            missing=spec.missing,
            split_by=spec.split_by,
        )

    def describe(self, query: Query) -> Descriptor:
        """The unit of the metric; nothing needs to settle, because nothing arrives late."""
        return Descriptor(unit=metric(query.metric).unit, settle=timedelta(0))

    def count(self, query: Query, start: datetime, end: datetime) -> int:
        """How many series the query has in `[start, end)`; it costs as much as reading them."""
        return len(self.read(query, start, end).labels)

    def read(self, query: Query, start: datetime, end: datetime) -> Frame:
        """The query's series over `[start, end)`, after the contract of `Source.read`."""
        self._check(query, start, end)
        width = (end - start) // query.step
        labels, values = grouped(self._rows(query, start, end), query, width)
        return Frame(values, start, query.step, labels)

    def blocks(self, query: Query, start: datetime, end: datetime, rows: int) -> Iterator[Frame]:
        """The query's series over `[start, end)`, so many at once; groups of several machines are held whole first."""
        self._check(query, start, end)
        if query.group_by and query.split_by not in query.group_by:
            yield from cut(self.read(query, start, end), rows)
            return
        width, each = (end - start) // query.step, self._rows(query, start, end)
        while some := list(islice(each, rows)):
            labels, values = grouped(some, query, width)
            yield Frame(values, start, query.step, labels)

    def _rows(self, query: Query, start: datetime, end: datetime) -> Iterator[tuple[Labels, NDArray[np.float64]]]:
        days = range((start - _EPOCH) // _DAY, -((_EPOCH - end) // _DAY))
        first = (start - _EPOCH - days.start * _DAY) // query.step
        wanted = slice(first, first + (end - start) // query.step)
        asked = metric(query.metric)
        minutes = query.step // _MINUTE
        for member in members(self._fleet, asked.family, days):
            labels = member.labels
            if in_part(labels, query):
                row = rates(self._fleet, member, asked.quantity, days, minutes, incidents=self._incidents)[wanted]
                if not np.isnan(row).all():
                    yield labels, row.copy()

    def _check(self, query: Query, start: datetime, end: datetime) -> None:
        _check_step(query.step)
        if query.project != self._fleet.project:
            raise ConfigError(f"the synthetic source has no project {query.project!r}; it has {self._fleet.project!r}")
        if query.filter:
            raise ConfigError(f"the synthetic source cannot filter by {query.filter!r}; leave the filter empty")
        if start > end or (start - _EPOCH) % query.step or (end - _EPOCH) % query.step:
            raise ConfigError(f"{start} to {end} does not run from grid line to grid line of {text(query.step)}")

    def now(self, now: datetime) -> datetime:
        """The clock's present."""
        return now

    def incidents(self, start: datetime, end: datetime) -> tuple[Injected, ...]:
        """The incidents that were injected and touch `[start, end)`, in the order of their start."""
        if not self._incidents or end <= start:
            return ()
        days = range((start - _EPOCH) // _DAY, -((_EPOCH - end) // _DAY))
        found = [*self._of_members(days), *self._of_zones(days)]
        touching = (incident for incident in found if incident.start < end and start < incident.end)
        return tuple(sorted(touching, key=lambda i: (i.start, i.kind, sorted(i.labels.items()))))

    def _of_members(self, days: range) -> Iterator[Injected]:
        for family in FAMILIES:
            for member in members(self._fleet, family, days):
                for event in events(self._fleet, member, days):
                    if event.kind != "zone-outage":
                        yield _injected(event, member.identity, _touched(event, member))

    def _of_zones(self, days: range) -> Iterator[Injected]:
        for zone in ZONES[: self._fleet.vms]:
            labels = {
                "resource.type": "gce_instance",
                "resource.labels.project_id": self._fleet.project,
                "resource.labels.zone": zone,
            }
            for event in outages(self._fleet.seed, zone, range(days.start - 1, days.stop)):
                yield _injected(event, labels, types("vm", frozenset(effects(event, {}))))


def _check_step(step: timedelta) -> None:
    if step < _MINUTE or step % _MINUTE or _DAY % step:
        raise ConfigError(
            f"step {text(step)} of the synthetic source; give whole minutes that divide a day, as 1m, 5m or 1h"
        )


def _specs(name: str) -> list[Spec]:
    """The specs that a name stands for, without those of a preset that are not invented.

    Raises:
        ConfigError: nothing is left.
    """
    specs = expand((name,) if name else ())
    known = [spec for spec in specs if spec.type in METRICS]
    if not known:
        metric(specs[0].type)
    return known


def _touched(event: Event, member: Member) -> tuple[str, ...]:
    return types(member.role.family, frozenset(effects(event, levels(member))))


def _injected(event: Event, labels: Labels, touched: tuple[str, ...]) -> Injected:
    start = _EPOCH + event.span.start * _MINUTE
    return Injected(event.kind, labels, touched, start, start + len(event.span) * _MINUTE, event.size)
