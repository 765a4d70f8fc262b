"""What goes wrong, when, and what it does to the traffic of a resource.

| kind | what happens | size | minutes |
|---|---|---|---|
| surge | more comes in, in packets of the usual size, and some more goes out | 0.8 to 10 x the level, added | 15-120 |
| flood | many packets of 60 bytes come in; the firewall drops a tenth more | 2 to 30 x the packets, added | 10-90 |
| exfiltration | large packets go out at night | 0.5 to 5 x the bytes sent, added | 30-180 |
| scan | many packets of 60 bytes go out; answers are refused by the firewall | 1 to 15 x the packets, added | 10-60 |
| blackout | points of 0 in both directions | 1 | 15-120 |
| absence | no points at all | 1 | 30-240 |
| received-loss, sent-loss | one direction shrinks by this part; gateways count it as drops | 0.5 to 0.95 | 20-180 |
| level-shift | everything is multiplied by this | 1.5 to 4, or 1 / that | 180-600 |
| ramp | everything grows slowly by up to this, then falls back | 0.8 to 5 | 120-480 |
| zone-outage | all machines of a zone send and receive 0 | 1 | 15-60 |

Sizes are spread evenly on a logarithmic scale: the small ones are hard to tell from a busy hour, the large ones are
not. New connections follow the packets sent.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TypeAlias

from job.sources.synthetic.draws import bits, uniform
from job.sources.synthetic.fleet import ZONES, Fleet, Member
from job.sources.synthetic.roles import DAY

SMALL = 60.0
"""Bytes in a packet that carries nothing."""

LARGE = 1400.0
"""Bytes in a full packet."""


@dataclass(frozen=True)
class Kind:
    """A kind of incident: how long it lasts (minutes) and how large it is, each (least, most)."""

    name: str
    minutes: tuple[int, int]
    size: tuple[float, float]
    needs_traffic: bool = False
    night: bool = False
    families: tuple[str, ...] = ("vm", "nat", "vpn")


KINDS = (
    Kind("surge", (15, 120), (0.8, 10)),
    Kind("flood", (10, 90), (2, 30)),
    Kind("exfiltration", (30, 180), (0.5, 5), night=True),
    Kind("scan", (10, 60), (1, 15), families=("vm",)),
    Kind("blackout", (15, 120), (1, 1), needs_traffic=True),
    Kind("absence", (30, 240), (1, 1)),
    Kind("received-loss", (20, 180), (0.5, 0.95), needs_traffic=True),
    Kind("sent-loss", (20, 180), (0.5, 0.95), needs_traffic=True),
    Kind("level-shift", (180, 600), (1.5, 4), needs_traffic=True),
    Kind("ramp", (120, 480), (0.8, 5), needs_traffic=True),
)

OUTAGE = Kind("zone-outage", (15, 60), (1, 1))

_CHANCE = {"vm": 0.6, "nat": 0.3, "vpn": 0.3}
_OUTAGE_CHANCE = 1 / 45
_FIRST_ZONE = 3 << 32


@dataclass(frozen=True)
class Injected:
    """An incident that was put into the data: the answer key.

    `labels` are labels that every series it touches carries: those of the resource, with a tunnel's name, or only a
    zone's for an outage of the zone (whose idle machines were at 0 anyway);
    `metrics` are the types that it changes, in `[start, end)`. `size` is read as its kind says in this module's table.
    """

    kind: str
    labels: Mapping[str, str]
    metrics: tuple[str, ...]
    start: datetime
    end: datetime
    size: float


@dataclass(frozen=True)
class Event:
    """An incident of one resource: a kind, the minutes since 1970 that it covers, and its size."""

    kind: str
    span: range
    size: float


@dataclass(frozen=True)
class Effect:
    """What an event does to one quantity: multiply it, and add a rate per second. A ramp does so little by little."""

    gain: float = 1.0
    more: float = 0.0
    gradual: bool = False


def events(fleet: Fleet, member: Member, days: range) -> list[Event]:
    """The events of a member that touch `days` (days since 1970), in the order of their start."""
    around = range(days.start - 1, days.stop)
    own = _own(fleet, member, around)
    shared = outages(fleet.seed, member.zone, range(days.start - 2, days.stop + 1)) if member.zone else ()
    clear = [event for event in own if not any(_meet(event.span, outage.span) for outage in shared)]
    window = range(days.start * DAY, days.stop * DAY)
    return sorted((e for e in (*clear, *shared) if _meet(e.span, window)), key=lambda event: event.span.start)


@lru_cache(maxsize=64)
def outages(seed: int, zone: str, days: range) -> tuple[Event, ...]:
    """The outages of a zone that begin in `days`."""
    words = bits(seed, "outages", _FIRST_ZONE + ZONES.index(zone), days, 4)
    return tuple(
        _event(OUTAGE, day, when, long, size, 0)
        for day, (chance, when, long, size) in zip(days, uniform(words), strict=True)
        if chance < _OUTAGE_CHANCE
    )


def _own(fleet: Fleet, member: Member, days: range) -> Iterator[Event]:
    """A member's own events. Only every other day can begin one, so that no two of a member ever meet."""
    kinds = [kind for kind in KINDS if _suits(kind, member)]
    chances = uniform(bits(fleet.seed, "incidents", member.series, days, 5))
    for day, (chance, which, when, long, size) in zip(days, chances, strict=True):
        if (day + member.series) % 2 or chance >= _CHANCE[member.role.family]:
            continue
        event = _event(kinds[int(which * len(kinds))], day, when, long, size, member.offset)
        if event.span.start in member.life and event.span[-1] in member.life:
            yield event


def _suits(kind: Kind, member: Member) -> bool:
    return member.role.family in kind.families and (member.role.steady or not kind.needs_traffic)


def _event(kind: Kind, day: int, when: float, long: float, size: float, offset: int) -> Event:
    """An event of a kind that begins on a day; one of the night begins between 0 and 4 o'clock local time."""
    minutes = round(_between(kind.minutes, long))
    start = day * DAY + ((int(when * 240) - offset) % DAY if kind.night else int(when * DAY))
    return Event(kind.name, range(start, start + minutes), _sized(kind, size))


def _sized(kind: Kind, u: float) -> float:
    """A size from easy to hard; a level shift goes up or down."""
    if kind.name == "level-shift":
        size = _between(kind.size, 2 * u % 1)
        return size if u < 0.5 else 1 / size
    return _between(kind.size, u)


def _between(bounds: tuple[float, float], u: float) -> float:
    """The number that lies at the part `u` of the way, on a logarithmic scale."""
    least, most = bounds
    return float(least * (most / least) ** u)


def _meet(one: range, other: range) -> bool:
    return one.start < other.stop and other.start < one.stop


_PACKETS_PER_CONNECTION = 20


def levels(member: Member) -> dict[str, float]:
    """The rate per second of each quantity of a member at the top of an ordinary weekday."""
    role = member.role
    received = role.level * member.scale
    sent = received * role.ratio
    packets = {"received_packets": received / role.size_in, "sent_packets": sent / role.size_out}
    connections = packets["sent_packets"] / _PACKETS_PER_CONNECTION
    return {"received_bytes": received, "sent_bytes": sent, **packets, "connections": connections}


def effects(event: Event, usual: Mapping[str, float]) -> dict[str, Effect]:
    """What an event does to each quantity that it touches; `usual` is the level of each, per second."""
    touched = _EFFECTS.get(event.kind, _silence)(event.size, usual)
    if sent := touched.get("sent_packets"):
        touched["connections"] = Effect(sent.gain, sent.more / _PACKETS_PER_CONNECTION, sent.gradual)
    return touched


_Levels: TypeAlias = Mapping[str, float]
_Effects: TypeAlias = dict[str, Effect]


def _packets(what: str, rate: float, size: float) -> _Effects:
    return {f"{what}_packets": Effect(more=rate), f"{what}_bytes": Effect(more=rate * size)}


def _everything(effect: Effect) -> _Effects:
    return dict.fromkeys(("received_bytes", "sent_bytes", "received_packets", "sent_packets"), effect)


def _surge(f: float, usual: _Levels) -> _Effects:
    parts = {"received_bytes": f, "received_packets": f, "sent_bytes": f / 4, "sent_packets": f / 4}
    return {name: Effect(more=part * usual[name]) for name, part in parts.items()}


def _flood(f: float, usual: _Levels) -> _Effects:
    rate = f * usual["received_packets"]
    return _packets("received", rate, SMALL) | _packets("dropped", rate / 10, SMALL)


def _exfiltration(f: float, usual: _Levels) -> _Effects:
    rate = f * usual["sent_bytes"] / LARGE
    return _packets("sent", rate, LARGE) | _packets("received", rate / 3, SMALL)


def _scan(f: float, usual: _Levels) -> _Effects:
    rate = f * usual["sent_packets"]
    answers = rate / 4
    return _packets("sent", rate, SMALL) | _packets("received", answers, SMALL) | _packets("dropped", answers, SMALL)


def _received_loss(f: float, usual: _Levels) -> _Effects:
    return _loss("received", f, usual)


def _sent_loss(f: float, usual: _Levels) -> _Effects:
    return _loss("sent", f, usual)


def _loss(way: str, f: float, usual: _Levels) -> _Effects:
    packets = f"{way}_packets"
    lost = Effect(more=f * usual[packets] / 2)
    return {f"{way}_bytes": Effect(1 - f), packets: Effect(1 - f), f"dropped_{packets}": lost}


def _level_shift(f: float, _: _Levels) -> _Effects:
    return _everything(Effect(f))


def _ramp(f: float, _: _Levels) -> _Effects:
    return _everything(Effect(1 + f, gradual=True))


def _silence(_f: float, _: _Levels) -> _Effects:
    return _everything(Effect(0.0))


_EFFECTS: Mapping[str, Callable[[float, _Levels], _Effects]] = {
    "surge": _surge,
    "flood": _flood,
    "exfiltration": _exfiltration,
    "scan": _scan,
    "received-loss": _received_loss,
    "sent-loss": _sent_loss,
    "level-shift": _level_shift,
    "ramp": _ramp,
}
"""The kinds that leave something; the others leave silence."""
