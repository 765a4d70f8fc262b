"""An incident in words: where, what happened, what was usual, and against what it was judged."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

from detectors import CAP
from job.anomaly import Anomaly
from job.kinship import Thing, groups
from job.sentence import against, history, idling, noun
from job.units import between, clean, lasting, quantity

if TYPE_CHECKING:
    from job.incident import Incident


LEARNED = timedelta(hours=6)
"""A deviation that lasts so long may be taken for usual before it is over."""

_BY = "Compared with "
"""How the part of the sentence begins that says by what it was judged."""

LATER = timedelta(minutes=15)
"""What begins so much later than its incident is said to have."""

SHIFT = "traffic shift"
"""Of what moves from some to others, a series tells nothing unless it is said whose it is."""

NAMED = 3
"""So many resources of a group are named one by one."""


def where(things: Sequence[Thing], group: str) -> str:
    """What a person calls the resource, or the group that several resources have in common."""
    if len(things) == 1 or not group:
        return clean(things[0].name, 120)
    label, _, value = group.partition("=")
    name = f"{value}-*" if label == "prefix" else value
    places = {dict(t.labels).get("zone") or groups(t).get("region", "") for t in things}
    place = places.pop() if len(places) == 1 else ""
    whole = f"{name} ({place})" if place and place != name else name
    members = ", ".join(sorted(t.name.removesuffix(f" ({place})") for t in things))
    return clean(f"{whole}: {members}" if len(things) <= NAMED else whole, 120)


Ended: TypeAlias = Literal["", "over", "adopted"]
"""How something came to its end: unknown, it went back, or the policy took it for the new normal."""


def sentence(incident: "Incident", worst: Anomaly, ended: Ended = "") -> str:
    """Say what it is, where, how much of the group, how long, and by what it was judged."""
    span = _span(incident, ended)
    many = affected(incident)
    of = f" ({many})" if many else ""
    whose = f" of {clean(worst.series, 120)}" if incident.resources > 1 and incident.nature == SHIFT else ""
    since = _later(incident, worst)
    what = f"{_what(worst, whose)}{since}{' ' if since else ', '}{span}"
    parts = [f"{incident.nature.capitalize()} at {incident.where}{of}: {what}."]
    totals = [
        quantity(abs(value), unit) + (" more" if value > 0 else " less")
        for value, unit in ((incident.excess_bytes, "By"), (incident.excess_packets, "packets"))
        if value
    ]
    if totals:
        parts.append(f"In all {' and '.join(totals)} than expected.")
    if incident.evidence:
        parts.append(_because(incident))
    parts.append(_judged(worst))
    return " ".join(parts)


def again(times: int, first: datetime) -> str:
    """That it was not the first of its kind there on its day."""
    nth = {2: "2nd", 3: "3rd"}.get(times, f"{times}th")
    return f"It is the {nth} of its kind there since {first:%H:%M} UTC that day."


def _because(incident: "Incident") -> str:
    """The evidence as a sentence."""
    said = "; ".join(incident.evidence)
    return f"{said[0].upper()}{said[1:]}." if incident.confidence == 0 else f"Because {said}."


def split(incident: "Incident") -> tuple[str, str]:
    """What happened, and by what it was judged: the incident's sentence without its evidence, which stands between."""
    between = f" {_because(incident)} {_BY}" if incident.evidence else f" {_BY}"
    what, found, judged = incident.sentence.rpartition(between)
    return (what, _BY + judged) if found else (incident.sentence, "")


def briefly(incident: "Incident") -> str:
    """What its foremost series did, in a few words: `sent bytes rose to 2.93 MB/s`."""
    top, shifted = incident.top[0], incident.resources > 1 and incident.nature == SHIFT
    said = top.sentence if shifted else top.sentence.replace(f" of {clean(top.where)}", "")
    return clean(re.split(r",| at \d{4}-", said)[0], 90)


def affected(incident: "Incident") -> str:
    """How many resources, and of how many: `1 VM of 12`, `all 12 VMs`; nothing where that says nothing."""
    if incident.resources == 1 and incident.tested is None:
        return ""
    kind = _kind(incident.resource.type)
    many = f"{incident.resources} {kind}{'s' if incident.resources > 1 else ''}"
    if incident.tested is None:
        return many
    if incident.tested == 1:
        return f"the only {kind}"
    return f"all {many}" if incident.tested == incident.resources else f"{many} of {incident.tested}"


def _kind(resource: str) -> str:
    """What people call one of a type of resource; each kind of load balancer has a type of its own."""
    rule = resource.endswith(("_lb_rule", "LoadBalancerRule"))
    return _KINDS.get(resource, "forwarding rule" if rule else "resource")


def _score(score: float) -> str:
    """A score as people read it; it ends at the cap."""
    return f"{score:+.3g}" if abs(score) < CAP else f"beyond {score:+.0f}"


_KINDS = {
    "gce_instance": "VM",
    "nat_gateway": "NAT gateway",
    "vpn_gateway": "VPN tunnel",
    "interconnect": "circuit",
    "interconnect_attachment": "attachment",
    "k8s_node": "node",
    "k8s_pod": "pod",
    "cloud_run_revision": "service",
    "vpc_access_connector": "connector",
    "cloudsql_database": "database",
    "file": "host",
}


def _what(worst: Anomaly, whose: str) -> str:
    """What the worst series did."""
    what = noun(worst.metric) + whose
    band = between(worst.lower, worst.upper, worst.unit)
    usual = f"{quantity(worst.expected, worst.unit)} expected, {band} usual"
    if idling(worst):
        often = lasting(timedelta(seconds=worst.step))
        return f"{what} stopped reporting (idle then, but it had reported every {often})"
    if worst.kind == "absent":
        return f"{what} stopped reporting ({usual})"
    if worst.kind == "zero":
        return f"{what} fell to nothing ({usual})"
    way = "rose" if worst.direction == "up" else "fell"
    return f"{what} {way} to {quantity(worst.observed or 0.0, worst.unit)} ({usual})"


def _later(incident: "Incident", worst: Anomaly) -> str:
    """Since when the worst series did what it did, where that was not from the beginning."""
    if worst.continued or worst.start - incident.start < LATER:
        return ""
    day = "" if worst.start.date() == incident.start.date() else f"{worst.start:%Y-%m-%d} "
    return f", since {day}{worst.start:%H:%M} UTC in an incident"


def _span(incident: "Incident", ended: Ended) -> str:
    """Since when and how long, and whether it is over."""
    length = lasting(timedelta(seconds=incident.duration))
    begun = f"from {incident.start:%Y-%m-%d %H:%M} UTC"
    if incident.state != "closed":
        return f"{begun}, {length} so far, still on"
    if ended == "adopted":
        return f"{begun}, {length}; it did not end, but is taken for the new normal since"
    if not ended and incident.duration >= LEARNED.total_seconds():
        return f"{begun}, {length}; then it was over, or had become usual"
    return f"{begun}, {length}"


def _judged(worst: Anomaly) -> str:
    """The slot of the season and the history that it was judged on, and the votes."""
    judged = f"{_BY}{against(worst)}; history: {history(worst) or 'the day before'}"
    if worst.kind in {"zero", "absent"}:
        return f"{judged}."
    said = ", ".join(f"{name} {_score(score)}" for name, score in sorted(worst.votes.items()))
    return f"{judged}; {len(worst.votes)} of {worst.detectors} agree: {said}."
