"""Incidents: anomalies that belong together, over midnight, over the directions of a resource, over resources."""

import hashlib
import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from job import account
from job.anomaly import SCHEMA, Anomaly, Resource, Time, band
from job.explorer import link
from job.kinship import Slot, Thing, groups, last, replaceable, slot, thing
from job.nature import LEADS, LOOK, Nature, Shape, movement, nature
from job.ratio import RATIOS
from job.relief import BALANCED, relief
from job.units import quantity

APART = timedelta(minutes=30)
"""Anomalies of one resource with no more than this between them are one incident."""

BEHIND = timedelta(minutes=15)
"""So much later than those of another metric, a metric's points may be there."""

TOGETHER = timedelta(minutes=10)
"""Incidents of several resources that begin within this of each other may be one."""

SHARE = 0.5
"""So large a part of a group must be affected for the group, rather than single resources, to have an incident."""

REPLACED = 69
"""One member of an instance group that is gone, while others are there, is no more than this."""

NOTABLE = 40
"""What weighs less happens somewhere all the time, and is not joined over resources."""

SHIFTED = "level shift"
"""The nature that shows only after a while."""

_USUAL = ("zone", "prefix", "region")

TOP = 6
"""So many series are named in an incident."""

State: TypeAlias = Literal["open", "ongoing", "closed"]


class TopSeries(BaseModel):
    """One of the series that contribute most."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    anomaly: str = Field(description="Id of the anomaly.")
    metric: str = Field(description="Metric type.")
    where: str = Field(description="Resource, as a person calls it.")
    sentence: str = Field(description="The anomaly's sentence.")


class Incident(BaseModel):
    """Anomalies that belong together, as one thing that happened."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    schema_: int = Field(alias="schema", description=f"Version of this record; {SCHEMA} now.")
    id: str = Field(description="The same for the same incident whenever it is grouped again; 16 hexadecimal digits.")
    state: State = Field(
        description="open: new, and still on when last judged; ongoing: told before, still on; closed."
    )
    severity: int = Field(description="0 to 100; frozen once published, but for amendments upward.")
    amendments: tuple[str, ...] = Field(
        (), description="Each change of a published severity, or to or from a level shift, in words."
    )
    nature: str = Field(description="What kind of thing it probably is.")
    confidence: float = Field(description="How sure the rule is that named it, 0 to 1.")
    evidence: tuple[str, ...] = Field(description="What speaks for that nature.")
    look: str = Field("", description="Where to look first.")
    project: str = Field(description="Project or metrics scope.")
    where: str = Field(description="The resource, or the group of resources, as a person calls it.")
    resource: Resource = Field(description="Type, and the labels that all affected resources share.")
    start: Time = Field(description="Beginning of its first anomaly.")
    end: Time = Field(description="End of its last anomaly (half-open).")
    peak: Time = Field(description="When the first of `top` was worst.")
    duration: int = Field(description="Seconds from start to end.")
    resources: int = Field(description="How many resources are affected.")
    tested: int | None = Field(
        description="How many resources of the group were judged; null where nobody recorded it."
    )
    series: int = Field(description="How many series are affected.")
    excess_bytes: float | None = Field(description="Bytes too many (or too few), in and out; null without byte series.")
    excess_packets: float | None = Field(description="Packets too many (or too few); null without packet series.")
    top: tuple[TopSeries, ...] = Field(
        description="The series that contribute most: first what its nature is told by, then the worst."
    )
    anomalies: tuple[str, ...] = Field(description="Ids of all its anomalies, in the order of time.")
    over: bool = Field(False, description="Whether it is closed for so long that nothing can join it any more.")
    told: bool = Field(False, description="Whether it was announced as opened in the log.")
    muted: str | None = Field(None, description="Why it is muted; null when it is not.")
    link: str = Field("", description="Metrics Explorer, at the worst series and its time.")
    sentence: str = Field(description="The incident in a few plain sentences.")

    def line(self) -> str:
        """The record as one line of JSON."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True)
class Judged:
    """What was looked at: which slots each type of resource was judged by, and how many resources each group has.

    `slots` is by (project, resource type); `census` has, for the same, the counts of `kinship.census`; `until` is how
    far each (project, query) was judged.
    """

    slots: Mapping[tuple[str, str], Collection[Slot]] = field(default_factory=dict)
    census: Mapping[tuple[str, str], Mapping[str, int]] = field(default_factory=dict)
    until: Mapping[tuple[str, str], datetime] = field(default_factory=dict)

    def on(self, anomaly: Anomaly) -> bool:
        """Whether an anomaly is still on: it reached the end of what was judged then, and no later period is judged."""
        return anomaly.ongoing and anomaly.end >= self.until.get((anomaly.project, anomaly.query), anomaly.end)

    def over(self, anomaly: Anomaly) -> bool:
        """Whether so much was judged after an anomaly that no later one can be of the same incident."""
        until = self.until.get((anomaly.project, anomaly.query))
        return until is None or until - anomaly.end > APART


@dataclass(frozen=True)
class Cluster:
    """Anomalies that belong together, and the group that they have in common (`zone=…`; empty for one resource)."""

    anomalies: tuple[Anomaly, ...]
    group: str = ""
    shift: bool = False

    @cached_property
    def start(self) -> datetime:
        """When the first began."""
        return min(a.start for a in self.anomalies)

    @cached_property
    def end(self) -> datetime:
        """When the last ended."""
        return max(a.end for a in self.anomalies)

    @cached_property
    def things(self) -> tuple[Thing, ...]:
        """The resources, in order."""
        return tuple(sorted({thing(a) for a in self.anomalies}, key=lambda t: (t.project, t.type, t.labels)))

    @cached_property
    def net(self) -> float:
        """Bytes too many or too few, or packets where there are no bytes."""
        totals = excess(self.anomalies)
        return totals.get("bytes", totals.get("packets", 0.0))


def group(
    anomalies: Iterable[Anomaly],
    judged: Judged | None = None,
    published: Iterable[Incident] = (),
    shapes: Mapping[str, Shape] | None = None,
) -> list[Incident]:
    """Join anomalies to incidents, the worst first.

    `judged` lets an incident say how much of a group it took, and that a direction stayed as usual. Incidents that were
    `published` keep their id and their severity. `shapes` holds, by anomaly id, what its series did round it.
    """
    judged, shapes = judged or Judged(), shapes or {}
    clusters = _wide(_local(anomalies), judged, shapes)
    before = {a: incident for incident in published for a in incident.anomalies}
    found = [_incident(c, judged, shapes) for c in clusters]
    return sorted(_kept(_counted(found), before), key=rank)


def rank(incident: Incident) -> tuple[object, ...]:
    """The order in which incidents are shown: worst first, then widest, then earliest; muted ones last."""
    return (incident.muted is not None, -incident.severity, -incident.resources, incident.start, incident.id)


def excess(anomalies: Iterable[Anomaly]) -> dict[str, float]:
    """What was too much of traffic, added up by bytes and packets."""
    totals: dict[str, float] = {}
    for a in anomalies:
        what = slot(a.metric, a.labels, a.unit).what
        if what in {"bytes", "packets"}:
            totals[what] = totals.get(what, 0.0) + a.excess
    return totals


def _local(anomalies: Iterable[Anomaly]) -> list[Cluster]:
    """The anomalies of each resource, joined where they touch or nearly do; midnight is no gap."""
    by: dict[Thing, list[Anomaly]] = {}
    for a in sorted(anomalies, key=lambda a: (a.start, a.id)):
        by.setdefault(thing(a), []).append(a)
    return [cluster for one in by.values() for cluster in _runs(one)]


def _runs(ordered: Sequence[Anomaly]) -> Iterator[Cluster]:
    run: list[Anomaly] = []
    end: datetime | None = None
    for a in ordered:
        if end and a.start - end > APART:
            yield Cluster(tuple(run))
            run, end = [], None
        run.append(a)
        end = max(end or a.end, a.end)
    if run:
        yield Cluster(tuple(run))


def _wide(clusters: list[Cluster], judged: Judged, shapes: Mapping[str, Shape]) -> list[Cluster]:
    """Join what began together in several resources of one group: shifts of traffic first, then the widest."""
    left = {id(c): c for c in clusters}
    offers = [*_offers(clusters, judged, shapes, shift=True), *_offers(clusters, judged, shapes, shift=False)]
    joined: list[Cluster] = []
    for name, members in offers:
        rest = [c for c in members if id(c) in left]
        shift = len({c.net > 0 for c in rest}) > 1
        if len(rest) == len(members) or (rest and not shift and _enough(name, rest, judged)):
            every = sorted((a for c in rest for a in c.anomalies), key=lambda a: (a.start, a.id))
            joined.append(Cluster(tuple(every), name, shift))
            for c in rest:
                del left[id(c)]
    return [*joined, *left.values()]


def _offers(
    clusters: Iterable[Cluster], judged: Judged, shapes: Mapping[str, Shape], *, shift: bool
) -> list[tuple[str, list[Cluster]]]:
    """What could be joined, under the name of its group: the most resources first, then the narrowest group."""
    buckets: dict[tuple[object, ...], list[Cluster]] = {}
    telling = (c for c in clusters if any(_weight(a) >= NOTABLE for a in c.anomalies))
    for cluster in sorted(telling, key=lambda c: c.start):
        one = cluster.things[0]
        for label, value in groups(one).items():
            side = "" if shift else cluster.net > 0
            buckets.setdefault((one.project, one.type, side, f"{label}={value}"), []).append(cluster)
    offers = [
        (str(key[-1]), part)
        for key, members in buckets.items()
        for part in _together(members)
        if (_shifting(str(key[-1]), part, shapes) if shift else _enough(str(key[-1]), part, judged))
    ]
    return sorted(
        offers, key=lambda o: (-len(o[1]), _size(o[0], o[1], judged) or 0, o[1][0].start, _narrow(o[0]), o[0])
    )


def _narrow(name: str) -> int:
    """Of groups of the same size, a place is more telling than a name, and a zone than its region."""
    return _USUAL.index(label) if (label := name.partition("=")[0]) in _USUAL else 1


def _together(ordered: Iterable[Cluster]) -> Iterator[list[Cluster]]:
    """Split clusters where the next begins too long after the first."""
    part: list[Cluster] = []
    for cluster in ordered:
        if part and cluster.start - part[0].start > TOGETHER:
            yield part
            part = []
        part.append(cluster)
    if part:
        yield part


def _enough(name: str, members: list[Cluster], judged: Judged) -> bool:
    """Whether so many of a group are affected that it is the group's incident."""
    affected = len({c.things[0] for c in members})
    size = _size(name, members, judged)
    if size is None:
        return affected >= 3
    return affected >= 2 and affected >= SHARE * size


def _shifting(name: str, members: list[Cluster], shapes: Mapping[str, Shape]) -> bool:
    """Whether some fall by about as much as others rise, or as their peers took, of whom only these were flagged."""
    more = sum(c.net for c in members if c.net > 0)
    less = -sum(c.net for c in members if c.net < 0)
    if min(more, less) >= BALANCED * max(more, less) > 0:
        return True
    told = relief((a for c in members if c.net < 0 for a in c.anomalies), shapes)
    return told is not None and told.taken and told.group == name and 0 < BALANCED * more <= less


def _size(name: str, members: list[Cluster], judged: Judged) -> int | None:
    one = members[0].things[0]
    return judged.census.get((one.project, one.type), {}).get(name)


def _incident(cluster: Cluster, judged: Judged, shapes: Mapping[str, Shape]) -> Incident:
    """Write down a cluster, as if nobody had told of it before."""
    things, every = cluster.things, cluster.anomalies
    one = things[0]
    kept = {key: value for key, value in one.labels if all((key, value) in t.labels for t in things)}
    named = _nature(cluster, judged, shapes)
    if _one_of_many(cluster, judged):
        named = replace(named, evidence=(*named.evidence, "its name is one that an instance group gives and takes"))
    top = _top(every, LEADS.get(named.name))
    worst = top[0]
    totals = excess(every)
    ends = [a for a in last(every) if cluster.end - a.end <= BEHIND]
    state: State = "open" if any(judged.on(a) for a in ends) else "closed"
    draft = Incident.model_construct(
        schema_=SCHEMA,
        id=hashlib.sha256(f"incident {min(every, key=lambda a: (a.start, a.id)).id}".encode()).hexdigest()[:16],
        state=state,
        severity=min(severity(every, len(things)), REPLACED if _one_of_many(cluster, judged) else 100),
        nature=named.name,
        confidence=named.confidence,
        evidence=named.evidence,
        look=LOOK.get(named.name, ""),
        project=one.project,
        where=account.where(things, cluster.group),
        resource=Resource(type=one.type, labels=kept),
        start=cluster.start,
        end=cluster.end,
        peak=worst.peak,
        duration=round((cluster.end - cluster.start).total_seconds()),
        resources=len(things),
        tested=judged.census.get((one.project, one.type), {}).get(cluster.group),
        series=len({_series(a) for a in every}),
        excess_bytes=totals.get("bytes"),
        excess_packets=totals.get("packets"),
        top=tuple(TopSeries(anomaly=a.id, metric=a.metric, where=thing(a).name, sentence=a.sentence) for a in top),
        anomalies=tuple(a.id for a in every),
        over=state == "closed" and all(judged.over(a) for a in ends),
        link=link(worst),
        sentence="",
    )
    return draft.model_copy(update={"sentence": account.sentence(draft, worst, _ended(ends))})


def _nature(cluster: Cluster, judged: Judged, shapes: Mapping[str, Shape]) -> Nature:
    told = relief(cluster.anomalies, shapes) if cluster.net < 0 or cluster.shift else None
    if cluster.shift:
        known = _shift(cluster)
        return told.nature if told and told.taken and told.nature.confidence > known.confidence else known
    one = cluster.things[0]
    place = groups(one).get("region", "")
    slots = judged.slots.get((one.project, one.type), ())
    said = nature(movement(cluster.anomalies, slots, shapes, place))
    if not told or not told.words:
        return said
    return told.nature if told.taken else replace(said, evidence=(*said.evidence, told.words))


def _shift(cluster: Cluster) -> Nature:
    """What a shift of traffic goes by: the better it balances, the surer."""
    what = "bytes" if "bytes" in excess(cluster.anomalies) else "packets"
    moved = [a.excess for a in cluster.anomalies if slot(a.metric, a.labels, a.unit).what == what]
    gone, come = -sum(n for n in moved if n < 0), sum(n for n in moved if n > 0)
    unit = "By" if what == "bytes" else what
    lost, gained = quantity(gone, unit), quantity(come, unit)
    evidence = f"some resources lost {lost} while their peers gained {gained}, beginning together"
    balance = min(gone, come) / max(gone, come, 1.0)
    return Nature("traffic shift", round(min(max(balance, BALANCED), 0.85), 2), (evidence,))


def _ended(ends: Sequence[Anomaly]) -> account.Ended:
    """How an incident that is closed came to its end: unknown, where its day did before it."""
    if any(a.adopted for a in ends):
        return "adopted"
    return "" if any(a.ongoing for a in ends) else "over"


def _one_of_many(cluster: Cluster, judged: Judged) -> bool:
    """Whether it is one member of an instance group that is gone, as members come and go."""
    one = cluster.things[0]
    kinds = {a.kind for a in cluster.anomalies}
    gone = "absent" in kinds and "spike" not in kinds
    others = judged.census.get((one.project, one.type), {}).get(f"prefix={groups(one).get('prefix')}", 1) - 1
    return len(cluster.things) == 1 and gone and others > 0 and replaceable(one)


def _top(every: Iterable[Anomaly], lead: Slot | None) -> list[Anomaly]:
    """The worst anomaly of each of the worst series, those of the leading slot first.

    Drops and ratios, which follow from traffic, come last; what is known from its beginning comes before what came over
    from the day before; of those that are as bad, what misses or has most is first.
    """

    def order(a: Anomaly) -> tuple[object, ...]:
        follows = _drops(a) or a.metric in RATIOS
        leads = slot(a.metric, a.labels, a.unit) == lead
        return (follows, not leads, a.continued, -_weight(a), -abs(a.score), -abs(a.excess), a.start, a.id)

    worst: dict[str, Anomaly] = {}
    for a in sorted(every, key=order):
        worst.setdefault(_series(a), a)
    return list(worst.values())[:TOP]


def _series(a: Anomaly) -> str:
    return json.dumps(
        [a.project, a.query, a.resource.type, sorted(a.resource.labels.items()), sorted(a.labels.items())]
    )


def severity(every: Sequence[Anomaly], resources: int) -> int:
    """How bad, 0 to 100: the worst anomaly, up to 6 more for its other series and up to 12 more for other resources.

    A few dropped packets are no night call, whatever their score: an anomaly of drops counts for no more than 12 for
    each power of ten of what was dropped, and 20. That one resource misses some points happens; that several do at once
    does not: each doubling of them adds 10 to points that are missed, at most 30.
    """
    series = len({_series(a) for a in every})
    gone = len({thing(a) for a in every if a.kind == "absent"})
    worst = max(_weight(a) + (_together_gone(gone) if a.kind == "absent" else 0.0) for a in every)
    more = min(1.5 * math.log2(series), 6.0) + min(4 * math.log2(resources), 12.0)
    return round(min(worst + more, 100.0))


def _together_gone(resources: int) -> float:
    """What it adds to the severity of missing points that so many resources miss them at once."""
    return min(10 * math.log2(max(resources, 1)), 30.0)


def _weight(a: Anomaly) -> float:
    """An anomaly's severity as it counts for its incident."""
    if not _drops(a):
        return a.severity
    packets = abs(a.excess) / (64 if a.excess_unit == "By" else 1)
    return min(float(a.severity), 20 + 12 * math.log10(max(packets, 1.0)))


def _drops(a: Anomaly) -> bool:
    return slot(a.metric, a.labels, a.unit).what == "drops"


def _counted(found: Iterable[Incident]) -> Iterator[Incident]:
    """The incidents, of which each says how many of its kind began there earlier that day."""
    earlier: dict[tuple[object, ...], list[datetime]] = {}
    for incident in sorted(found, key=lambda i: (i.start, i.id)):
        same = earlier.setdefault((incident.project, incident.where, incident.nature, incident.start.date()), [])
        same.append(incident.start)
        more = f" {account.again(len(same), same[0])}" if len(same) > 1 else ""
        yield incident.model_copy(update={"sentence": incident.sentence + more})


def _kept(found: Iterable[Incident], before: Mapping[str, Incident]) -> Iterator[Incident]:
    """The incidents, with the id and the severity of those that were published before and share an anomaly."""
    taken: set[str] = set()
    for incident in sorted(found, key=lambda i: (i.start, i.id)):
        known = [before[a] for a in incident.anomalies if a in before and before[a].id not in taken]
        if not known:
            yield incident
            continue
        old = min(known, key=lambda i: (i.start, i.id))
        taken.add(old.id)
        yield incident.model_copy(update=_frozen(old, incident))


def _frozen(old: Incident, now: Incident) -> dict[str, object]:
    """What a published incident keeps: its id, and its severity unless it has got worse by a band.

    That it turned out to be a new level, or none, is an amendment, too.
    """
    kept: dict[str, object] = {"id": old.id, "severity": old.severity}
    turned = old.nature != now.nature and SHIFTED in {old.nature, now.nature}
    said = [f"{old.nature} became {now.nature}"] if turned else []
    kept |= {"told": old.told, "over": old.over or now.over}
    if now.state == "open":
        kept["state"] = "ongoing"
    if now.severity > old.severity and band(now.severity) != band(old.severity):
        said.append(f"{old.severity} became {now.severity}")
        kept["severity"] = now.severity
    kept["amendments"] = (*old.amendments, *(f"{change} at {now.end:%Y-%m-%dT%H:%M:%SZ}" for change in said))
    return kept
