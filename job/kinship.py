"""Which series are of one resource, what each of them counts, and to which groups a resource belongs."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Literal, NamedTuple, TypeAlias

from detectors.names import prefix
from job.anomaly import Anomaly, Resource, telling
from job.ratio import RATIOS

Way: TypeAlias = Literal["in", "out", ""]
What: TypeAlias = Literal[
    "bytes", "packets", "drops", "connections", "packet size", "ratio", "inverse", "drop share", "other"
]

_IN = {"in", "ingress", "received", "receive", "request", "inbound", "rx", "download"}
_OUT = {"out", "egress", "sent", "send", "response", "outbound", "tx", "upload"}
_WAYS = _IN | _OUT
_DROPS = {"dropped", "drops", "drop", "discards", "discarded", "throttled", "errors"}
_WORDS = re.compile(r"[a-z]+")

_OWN = {"instance_id", "instance_name", "gateway_name", "tunnel_name", "node_name", "pod_name", "router_id"}
"""Labels of which every resource has its own value, so that nothing is grouped by them."""


class Slot(NamedTuple):
    """What a series counts, and in which direction; several series of a resource may share a slot."""

    way: Way
    what: What

    def __str__(self) -> str:
        """The slot in words: `received bytes`."""
        return f"{ {'in': 'received ', 'out': 'sent ', '': ''}[self.way] }{self.what}"


class Thing(NamedTuple):
    """A monitored resource: what its series have in common."""

    project: str
    type: str
    labels: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """What a person calls it."""
        return telling(dict(self.labels))


def thing(anomaly: Anomaly) -> Thing:
    """The resource that the anomaly's series is of."""
    return thing_of(anomaly.project, anomaly.resource, anomaly.labels)


def thing_of(project: str, resource: Resource, labels: Mapping[str, str]) -> Thing:
    """The resource of a series with these labels."""
    return thing_named(project, resource.type, resource.labels, labels)


def thing_named(project: str, kind: str, mine: Mapping[str, str], others: Mapping[str, str]) -> Thing:
    """The same, of a resource's type and labels.

    It is told by the resource's labels and the names among the metric's; where nobody says what the resource is (as in
    files), by all labels that do not name a direction.
    """
    if mine.keys() - {"project_id"}:
        names = {key: value for key, value in others.items() if key.endswith("_name")}
    else:
        names = {key: value for key, value in others.items() if value.lower() not in _WAYS}
    return Thing(project, kind, tuple(sorted({**mine, **names}.items())))


def last(anomalies: Iterable[Anomaly]) -> list[Anomaly]:
    """The anomalies that no other one goes on with, as the next day's does with that of the day before."""
    every = list(anomalies)
    went_on = {(_series(a), a.start) for a in every if a.continued}
    return [a for a in every if (_series(a), a.end) not in went_on]


def _series(a: Anomaly) -> tuple[object, ...]:
    return a.query, a.direction, thing(a), tuple(sorted(a.labels.items()))


def slot(metric: str, labels: Mapping[str, str], unit: str) -> Slot:
    """What a series of this metric type counts.

    >>> print(slot("compute.googleapis.com/instance/network/received_bytes_count", {}, "By/s"))
    received bytes
    """
    ways = {*_words(metric), *[value.lower() for value in labels.values()]}
    return _slot(metric, "" if ways.isdisjoint(_WAYS) else "in" if ways & _IN else "out", unit)


@lru_cache(maxsize=1024)
def _slot(metric: str, way: Way, unit: str) -> Slot:
    words = _words(metric)
    noun = unit.partition("/")[0].strip("{}")
    if metric in RATIOS:
        return _ratio(metric, way, words)
    if words & _DROPS:
        return Slot(way, "drops")
    if words & {"bytes", "octets", "byte"} or noun in {"By", "bit"}:
        return Slot(way, "bytes")
    if words & {"packets", "packet", "pkts"} or noun == "packets":
        return Slot(way, "packets")
    return Slot(way, "connections" if words & {"connections", "sessions"} else "other")


@cache
def _words(metric: str) -> frozenset[str]:
    return frozenset(_WORDS.findall(metric.rsplit("/", 1)[-1].lower()))


def _ratio(metric: str, way: Way, words: frozenset[str]) -> Slot:
    """What a ratio tells of; those of two directions are of neither: what is sent for the received, and inversely."""
    if "share" in words:
        return Slot(way, "drop share")
    if "size" in words:
        return Slot(way, "packet size")
    return Slot("", "ratio" if metric.endswith("sent_per_received") else "inverse")


def groups(one: Thing) -> dict[str, str]:
    """The groups that a resource belongs to, by the label that makes them; `region` and `prefix` are worked out.

    >>> groups(Thing("p", "gce_instance", (("instance_name", "web-7-x3k9"), ("zone", "europe-west1-b"))))
    {'zone': 'europe-west1-b', 'region': 'europe-west1', 'prefix': 'web'}
    """
    found, names = dict[str, str](), list[str]()
    for key, value in one.labels:
        if key in _OWN:
            names += [value] if key.endswith("_name") else ()
        elif value and key != "project_id":
            found[key] = value
    region = _region(found.get("zone") or found.get("location") or "")
    if region and "region" not in found:
        found["region"] = region
    if names and (shorter := prefix(names[0])) != names[0]:
        found["prefix"] = shorter
    return found


@lru_cache(maxsize=1024)
def _region(zone: str) -> str:
    """The region of a zone; nothing where it is none."""
    return zone[:-2] if re.fullmatch(r"[a-z]+-[a-z]+\d+-[a-z]", zone) else ""


_GENERATED = re.compile(r"-(?=[a-z0-9]*\d)[a-z0-9]{4,10}$")


def replaceable(one: Thing) -> bool:
    """Whether its name is one that an instance group gives to a member, which comes and goes.

    >>> [replaceable(Thing("p", "gce_instance", (("instance_name", name),))) for name in ("web-x3k9", "web-7")]
    [True, False]
    """
    return any(key in _OWN and key.endswith("_name") and _GENERATED.search(value) for key, value in one.labels)


class Census:
    """How many different resources there are, in all and in each of their groups, counted as they come."""

    def __init__(self) -> None:
        self._seen: set[int] = set()  # hashes, since there may be very many resources
        self._counts: Counter[str] = Counter()

    def add(self, one: "Counted") -> None:
        """Count a resource, once."""
        if one.mark not in self._seen:
            self._seen.add(one.mark)
            for group in one.groups:
                self._counts[group] += 1

    def told(self, most: int = 500) -> dict[str, int]:
        """How many there are (under "") and in each of the largest groups (`zone=…`)."""
        largest = sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))[:most]
        return {"": len(self._seen), **dict(sorted(largest))}


class Counted(NamedTuple):
    """What of a resource a census needs."""

    mark: int
    groups: tuple[str, ...]


def counted(one: Thing) -> Counted:
    """A resource as a census counts it."""
    return Counted(hash(one), tuple([f"{label}={value}" for label, value in groups(one).items()]))


def census(things: Iterable[Thing], most: int = 500) -> dict[str, int]:
    """How many different resources there are, in all (under "") and in each of the largest groups (`zone=…`)."""
    every = Census()
    for one in things:
        every.add(counted(one))
    return every.told(most)
