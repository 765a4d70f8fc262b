"""What kind of thing an incident probably is, from how its series moved together.

Each rule looks for one nature and answers with its evidence and how sure it is; the surest one names the incident, and
none of them is an answer too. "Flat" is said only of what was judged and not flagged.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median

from job.anomaly import Anomaly
from job.kinship import Slot, Way, What, last, slot
from job.ratio import RATIOS
from job.units import lasting, quantity

UNCLASSIFIED = "unclassified"

SURE = 0.5
"""A rule that is less sure than this names nothing."""

TINY, SMALLISH, LARGE = 100.0, 300.0, 900.0
"""Bytes: added packets below carry next to nothing, below are no bulk transfer, and above are nearly full."""

ABRUPT = 0.4
"""What has less of its deviation within the first quarter of an hour grows rather than begins."""

FAR = 2.0
"""What rises less says little of what did not rise."""

ALIKE = 2.5
"""Kinds of traffic that have moved by the same factor for long have added up alike."""

OUTSIDE = 2.0
"""What is less than so many times as far off as its band reaches says little of what stayed within its own."""

BRIEF = timedelta(minutes=15)
"""What leaves, or comes, in a shorter time is a burst rather than somebody's data, or what another direction lost."""

GAP = timedelta(minutes=30)
"""So long, metrics now and then have no points for no other reason."""

LONG, LASTING, STANDING = timedelta(minutes=90), timedelta(hours=3), timedelta(hours=12)
"""A change that lasts so long is a new level rather than a surge; one that went back, if longer; any, if so long."""

TOGETHER = 1.5
"""Kinds of traffic whose levels are within this factor of each other have moved by the same one."""

FACTOR = 6.0
"""What went back, and was more times as much or as little, was no new level, unless it stood half a day."""

AGAIN, SATURATED, HELD = 3, 0.6, 0.35
"""What comes to the same top so often is held there, rather than sent at that rate; so sure it is without drops.

What is held leaves so much less surely than what is sent.
"""

SHOWS = 4.0
"""So many times as much would be flagged, mostly: where it is not, the other direction has fallen, rather."""

GONE = 0.02
"""So small a part of what was expected is nothing."""

STAYED = 0.7
"""What keeps so large a part of its deviation is at a new level."""


@dataclass(frozen=True)
class Taken:
    """What a series lost when it fell, what the rest of its group gained, and how much that goes by itself.

    Each is a mean rate; `members` counts the resources of the group, with its own.
    """

    group: str
    members: int
    lost: float
    gained: float
    wobble: float


@dataclass(frozen=True)
class Top:
    """A flat top of a series that else goes up and down: at which level, to within which share of it, how often.

    `usual`: how much of its level it went up and down by before. `held`: that would show beside the top, too, had
    something only been added to it.
    """

    level: float
    flat: float
    visits: int
    usual: float
    held: bool = False


@dataclass(frozen=True)
class Shape:
    """What the series of an anomaly did round it; None where too little of it is known.

    `flat`: the range of the upper half of its values, as a share of the largest. `before`: its level in the hour
    before. `stays`: which part of the deviation from that was left in the hour after. `onset`: which part of its
    largest deviation from that was there within the first quarter of an hour. `taken`: what of one that fell others
    took. `top`: where it stayed for most of the time, if it did. `factor`: how many times the expected it was, in the
    middle.
    """

    flat: float | None = None
    before: float | None = None
    stays: float | None = None
    onset: float | None = None
    taken: Taken | None = None
    top: Top | None = None
    factor: float | None = None


@dataclass(frozen=True)
class Nature:
    """A name for an incident, how sure the rule is (0 to 1), and what speaks for it."""

    name: str
    confidence: float
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True)
class Move:
    """How the series of one slot moved, added up over series.

    `observed` and `expected` are at the peaks, per second; `excess` is over the whole time. `kinds` counts anomalies
    by kind. `before` is the level in the hour before, and `stays` the least part of a deviation that was left after it,
    `onset` the least part that was there at once. `beyond`: how many times farther off it was than the band's edge.
    `factor`: how many times the expected it was in the middle of its time, `lasted` how long that was, of the series
    for which it was longest. `adopted`: it did not end, but is taken for the new normal.
    """

    observed: float
    expected: float
    excess: float
    kinds: Mapping[str, int]
    unit: str
    before: float | None = None
    stays: float | None = None
    onset: float | None = None
    beyond: float = float("inf")
    factor: float | None = None
    lasted: timedelta = timedelta(0)
    adopted: bool = False

    @property
    def up(self) -> bool:
        """Whether it rose."""
        return self.excess > 0

    @property
    def ratio(self) -> float:
        """Observed over expected at the peak."""
        return self.observed / self.expected if self.expected > 0 else float("inf")

    @property
    def times(self) -> float:
        """How many times more or less it was than the expected, at least one of them."""
        return max(self.ratio, 1 / self.ratio) if self.ratio > 0 else float("inf")

    @property
    def added(self) -> float:
        """How many seconds of the expected were too much (or too little) in all."""
        return self.excess / self.expected if self.expected > 0 else float("inf")

    @property
    def gone(self) -> bool:
        """Whether next to nothing was left for most of the time, of what may have been at nothing before, too."""
        return not self.up and bool(self.kinds.get("drop", 0)) and max(self.ratio, self.factor or 0.0) <= GONE

    @property
    def silent(self) -> bool:
        """Whether nothing was left: zero, or no points."""
        return bool(self.kinds.get("zero", 0) or self.kinds.get("absent", 0))


@dataclass(frozen=True)
class Movement:
    """All that the rules look at: the moves by slot, what else was judged, when, where, and whether a top was flat.

    `over`: it came to an end, rather than to that of what was judged or of what the policy calls an event. `tops`: the
    flat tops of its traffic, of the slots that had one.
    """

    moves: Mapping[Slot, Move]
    judged: Collection[Slot]
    start: datetime
    lasted: timedelta
    place: str = ""
    gateway: bool = False
    firewall: bool = False
    plateau: float | None = field(default=None)
    over: bool = False
    tops: Mapping[Slot, Top] = field(default_factory=dict)

    def move(self, way: Way, what: str) -> Move | None:
        """The move of a slot, if it was flagged."""
        return next((m for s, m in self.moves.items() if (s.way, s.what) == (way, what)), None)

    def rose(self, way: Way, what: str) -> Move | None:
        """The move of a slot, if it rose."""
        found = self.move(way, what)
        return found if found and found.up else None

    def fell(self, way: Way, what: str) -> Move | None:
        """The move of a slot, if it fell."""
        found = self.move(way, what)
        return found if found and not found.up else None

    def flat(self, way: Way, what: str) -> bool:
        """Whether a slot was judged and did not move."""
        return any((s.way, s.what) == (way, what) for s in self.judged) and self.move(way, what) is None

    def added(self, way: Way, what: str) -> float:
        """What a slot had too much; 0 for one that did not rise."""
        found = self.rose(way, what)
        return found.excess if found else 0.0

    @property
    def drops(self) -> Move | None:
        """Dropped packets of any direction, if they rose."""
        return next((m for s, m in self.moves.items() if s.what == "drops" and m.up), None)

    @property
    def traffic(self) -> dict[Slot, Move]:
        """The moves of bytes and packets."""
        return {s: m for s, m in self.moves.items() if s.what in {"bytes", "packets"}}

    @property
    def steady(self) -> dict[Slot, Move]:
        """Those that were on for most of the time: a burst besides says nothing of what stays."""
        return {s: m for s, m in self.traffic.items() if 2 * m.lasted >= self.lasted}


def movement(
    anomalies: Iterable[Anomaly],
    judged: Collection[Slot] = (),
    shapes: Mapping[str, Shape] | None = None,
    place: str = "",
) -> Movement:
    """How the series of these anomalies moved together; `shapes` is by anomaly id."""
    every, shapes = list(anomalies), shapes or {}
    moves: dict[Slot, list[Anomaly]] = {}
    for a in every:
        moves.setdefault(slot(a.metric, a.labels, a.unit), []).append(a)
    start, end = min(a.start for a in every), max(a.end for a in every)
    types = {a.resource.type for a in every}
    carried = [key for key in moves if key.what in {"bytes", "packets"}]
    tops = [shapes.get(a.id, _UNKNOWN).flat for key in carried for a in moves[key]]
    return Movement(
        moves={key: _move(moves[key], shapes) for key in sorted(moves, key=str)},
        judged=judged,
        start=start,
        lasted=end - start,
        place=place,
        gateway=any(word in kind for kind in types for word in ("gateway", "interconnect", "nat", "vpn")),
        firewall=any("firewall" in a.metric for a in every),
        plateau=min((top for top in tops if top is not None), default=None),
        over=not any(a.adopted or a.ongoing for a in last(every) if end - a.end <= GAP),
        tops={key: top for key in carried if (top := _top(moves[key], shapes))},
    )


def _top(anomalies: Iterable[Anomaly], shapes: Mapping[str, Shape]) -> Top | None:
    """The flat top of the worst anomaly of a slot, if that had one."""
    worst = max(anomalies, key=lambda a: (abs(a.excess), a.id))
    return shapes.get(worst.id, _UNKNOWN).top


_UNKNOWN = Shape()


def _move(anomalies: list[Anomaly], shapes: Mapping[str, Shape]) -> Move:
    """Add up the peaks of the worst anomaly of each series, and everything that was too much; packets, if both.

    Of ratios, which do not add up, it is their mean.
    """
    units = {a.unit for a in anomalies}
    anomalies = [a for a in anomalies if a.unit == "packets/s"] if {"packets/s", "By/s"} <= units else anomalies
    worst: dict[str, Anomaly] = {}
    for a in anomalies:
        key = f"{a.query} {a.series}"
        if key not in worst or abs(a.excess) > abs(worst[key].excess):
            worst[key] = a
    share = len(worst) if anomalies[0].metric in RATIOS else 1
    kinds: dict[str, int] = {}
    for a in worst.values():
        kinds[a.kind] = kinds.get(a.kind, 0) + 1
    length: dict[str, timedelta] = {}
    for a in anomalies:
        key = f"{a.query} {a.series}"
        length[key] = length.get(key, timedelta(0)) + (a.end - a.start)
    round_it = [shapes.get(a.id, _UNKNOWN) for a in worst.values()]
    factors = [shape.factor for shape in round_it if shape.factor is not None]
    before = [shape.before for shape in round_it if shape.before is not None]
    stays = [shape.stays for shape in round_it if shape.stays is not None]
    onset = [shape.onset for shape in round_it if shape.onset is not None]
    return Move(
        observed=sum(a.observed or 0.0 for a in worst.values()) / share,
        expected=sum(a.expected for a in worst.values()) / share,
        excess=sum(a.excess for a in anomalies),
        kinds=kinds,
        unit=anomalies[0].unit,
        before=sum(before) if len(before) == len(worst) else None,
        stays=min(stays) if len(stays) == len(worst) else None,
        onset=min(onset) if len(onset) == len(worst) else None,
        beyond=_beyond(worst.values()),
        factor=median(factors) if len(factors) == len(worst) else None,
        lasted=max(length.values()),
        adopted=all(a.adopted for a in last(anomalies)),
    )


def _beyond(anomalies: Collection[Anomaly]) -> float:
    """How many times farther from what was expected they were than the edges of their bands, taken together."""
    off = sum(abs((a.observed or 0.0) - a.expected) for a in anomalies)
    edge = sum((a.upper - a.expected) if a.direction == "up" else (a.expected - a.lower) for a in anomalies)
    return off / edge if edge > 0 else float("inf")


def nature(of: Movement) -> Nature:
    """The nature of an incident: what the surest rule says, or unclassified."""
    said = sorted((answer for rule in RULES if (answer := rule(of))), key=lambda answer: -answer.confidence)
    if said and said[0].confidence >= SURE:
        return said[0]
    return Nature(UNCLASSIFIED, 0.0, tuple(f"perhaps {n.name}: {'; '.join(n.evidence)}" for n in said[:1]))


def absent(of: Movement) -> Nature | None:
    """Absent resource: the points of its traffic stopped coming."""
    gone = sum(move.kinds.get("absent", 0) for move in of.traffic.values())
    every = sum(sum(move.kinds.values()) for move in of.traffic.values())
    if not gone or 2 * gone < every:
        return None
    slots = [s for s, move in of.traffic.items() if move.kinds.get("absent", 0)]
    evidence = [f"{gone} of {every} series stopped reporting"]
    sure = min(0.95, 0.55 + 0.1 * len(slots))
    if rest := [s for s in of.judged if s.what in {"bytes", "packets"} and s not in of.traffic]:
        evidence.append(f"nothing was flagged of {', '.join(sorted(map(str, rest)))}, so it may be there all the same")
        sure = SURE
    if of.lasted <= GAP:
        evidence.append(f"{lasting(of.lasted)} may also be points that the metric lost, or that come late")
        sure -= 0.1 * (sure > SURE + 0.1)
    return Nature("absent resource", round(sure, 2), tuple(evidence))


def blackout(of: Movement) -> Nature | None:
    """Blackout: traffic falls to nothing, in every direction that was looked at."""
    down = {s: m for s, m in of.traffic.items() if m.kinds.get("zero", 0) or m.gone}
    if not any(m.silent for m in down.values()) or any(s not in down for s in of.traffic):
        return None
    ways = {s.way for s in down}
    other = {s.way for s in of.judged if s.what in {"bytes", "packets"}} - ways
    if other:
        return None
    evidence = (f"{', '.join(map(str, down))} fell to nothing", "points still come, so it still reports")
    return Nature("blackout", 0.95 if len(ways) > 1 else 0.7, evidence)


def flood(of: Movement) -> Nature | None:
    """Flood: packets come in far more than bytes, so that their mean size falls."""
    packets = of.rose("in", "packets")
    small = packets and list(_small(of, "in"))
    if not packets or not small or of.added("out", "packets") > packets.excess / 1.5:
        return _either("flood", of, "in")
    evidence = [_rose("received packets", packets), *small]
    if of.drops:
        evidence.append("dropped packets rose with them")
    if (size := of.fell("in", "packet size")) is not None:
        evidence.append(f"their mean size fell to {quantity(size.observed, size.unit)}")
    sure = 0.7 + 0.1 * (of.drops is not None) + 0.1 * (packets.ratio >= 3)
    return Nature("flood", round(sure, 2), tuple(evidence))


def scan(of: Movement) -> Nature | None:
    """Scan-like: many small packets go out, fewer come back, and perhaps drops rise; drops alone are no proof."""
    if of.drops and of.firewall and not of.traffic:
        refused = f"{quantity(of.drops.observed, of.drops.unit)} refused or dropped while no traffic was flagged"
        return Nature("flood or scan-like", 0.4, (refused,))
    packets = of.rose("out", "packets")
    small = packets and list(_small(of, "out"))
    if not packets or not small or of.added("in", "packets") > packets.excess / 1.5:
        return _either("scan-like", of, "out")
    evidence = [_rose("sent packets", packets), *small]
    if of.drops:
        evidence.append("refused or dropped packets rose with them")
    if (size := of.fell("out", "packet size")) is not None:
        evidence.append(f"their mean size fell to {quantity(size.observed, size.unit)}")
    return Nature("scan-like", 0.65 + 0.2 * (of.drops is not None), tuple(evidence))


def _either(name: str, of: Movement, way: Way) -> Nature | None:
    """What many packets are where nobody knows how large those are that were added."""
    packets = of.rose(way, "packets")
    if not packets or not of.flat(way, "bytes"):
        return None
    unseen = f"{Slot(way, 'bytes')} were not flagged, but may have risen within their band"
    return Nature(f"{name} or volumetric surge", 0.4, (_rose(str(Slot(way, "packets")), packets), unseen))


def exfiltration(of: Movement) -> Nature | None:
    """Exfiltration-like: far more bytes go out while hardly more come in."""
    sent = of.rose("out", "bytes")
    back = of.rose("in", "bytes")
    size = _added_size(of, "out")
    if not sent or (size and size < SMALLISH) or of.fell("in", "bytes") or not (back or of.flat("in", "bytes")):
        return None
    if back and (back.excess > 0.3 * sent.excess or _alike(back, sent)):
        return None
    evidence = [_rose("sent bytes", sent), "received bytes hardly rose" if back else "received bytes were not flagged"]
    sure = 0.6 + 0.05 * (back is None) - 0.3 * (of.lasted < BRIEF)
    full = size is not None and size > LARGE
    if back is None:  # as much may have come in without being flagged
        sure -= 0.1 if sent.ratio < FAR else 0.05 * (sent.beyond < OUTSIDE and not full)
    if sent.onset is not None and sent.onset < ABRUPT:  # who takes data away begins at once
        sure -= 0.25
    if (ratio := of.rose("", "ratio")) is not None:
        evidence.append(f"{ratio.observed:.3g} times as much goes out as comes in, {ratio.expected:.3g} is usual")
        sure += 0.05
    if full:
        evidence.append(f"the added packets are nearly full, {size:.0f} B each")
        sure += 0.1
    evidence += _flat_tops(of)
    sure -= HELD * _held(of)
    hour = local_hour(of.start, of.place)
    if hour is not None and not 6 <= hour < 21:
        evidence.append(f"it began at an unusual hour, about {hour:02d} o'clock there")
        sure += 0.15
    return Nature("exfiltration-like", round(sure, 2), tuple(evidence))


def _alike(back: Move, sent: Move) -> bool:
    """Whether what came in grew by about as much as what went out, beside what each of them usually is."""
    if back.expected > 0:
        return back.added > 0.4 * sent.added
    return back.excess > 0.1 * sent.excess


def surge(of: Movement) -> Nature | None:
    """Volumetric surge: more bytes, in packets of about the usual size."""
    risen = {s: m for s, m in of.traffic.items() if m.up}
    if not any(s.what == "bytes" for s in risen) or len(risen) < len(of.traffic):
        return None
    if any(said and said.confidence >= SURE for said in (flood(of), scan(of), saturation(of))):
        return None
    evidence = [*(_rose(str(s), m) for s, m in risen.items()), *_flat_tops(of)]
    if (sent := of.rose("out", "bytes")) and sent.onset is not None and sent.onset < ABRUPT:
        evidence.append("it grew little by little")
    if not any(s.way == "in" for s in of.judged) and {s.way for s in risen} == {"out"}:
        evidence.append("whether as much came in is not known, so it may also be data that leaves")
    sure = 0.6 + 0.05 * sum(1 for s in risen if s.what == "packets") + 0.05 * (of.rose("in", "bytes") is not None)
    sure -= 0.1 * ({s.way for s in risen} == {"out"} and of.flat("in", "bytes"))
    return Nature("volumetric surge", round(sure, 2), tuple(evidence))


def level_shift(of: Movement) -> Nature | None:
    """Level shift: everything moves by about the same factor, for long or without going back."""
    moves = of.steady
    if len({s.way for s in moves}) < 2 or any(m.silent for m in of.traffic.values()):
        return None
    if of.flat("in", "bytes") or of.flat("out", "bytes") or _held(of):
        return None
    stands = of.lasted >= STANDING or all(m.adopted for m in moves.values())
    factors = [m.factor or m.ratio for m in moves.values()]
    if not 0 < min(factors) <= max(factors) <= min((ALIKE if stands else TOGETHER) * min(factors), 1e6):
        return None
    if len({m.up for m in moves.values()}) > 1 or not (stands or _stays_long(of, moves.values(), factors)):
        return None
    least, most = f"{min(factors):.2g}", f"{max(factors):.2g}"
    factor = least if least == most else f"{least} to {most}"
    evidence = f"{len(factors)} kinds of traffic moved to {factor} times the expected"
    stayed = _stayed(moves.values()) or all(m.adopted for m in moves.values())
    return Nature("level shift", 0.8, (evidence, "and stayed there" if stayed else f"for {lasting(of.lasted)}"))


def _stays_long(of: Movement, moves: Collection[Move], factors: Sequence[float]) -> bool:
    """Whether what moved stays where it is, or was there for long; not so far, if it went back."""
    if _stayed(moves):
        return True
    back = of.lasted < LASTING and all(m.stays is not None and m.stays <= 1 - STAYED for m in moves)
    added = [abs(m.added) for m in moves]
    alike = all(m.factor for m in moves) or max(added) <= ALIKE * min(added)
    small = not of.over or 1 / FACTOR <= min(factors) <= max(factors) <= FACTOR
    return of.lasted >= LONG and alike and small and not back


def _stayed(moves: Collection[Move]) -> bool:
    """Whether most of every deviation was there after it, too."""
    return all(m.stays is not None and m.stays >= STAYED for m in moves)


def partial_loss(of: Movement) -> Nature | None:
    """Partial loss: traffic falls, not to nothing; or a gateway drops packets."""
    fallen = {s: m for s, m in of.traffic.items() if not m.up}
    if fallen and fallen.keys() >= of.steady.keys() and not any(m.silent for m in fallen.values()):
        evidence = [f"{s} fell to {m.ratio:.0%} of the expected" for s, m in fallen.items()]
        if of.drops:
            evidence.append("dropped packets rose")
        evidence += [f"{s} rose to {m.observed:.1%}" for s, m in of.moves.items() if s.what == "drop share" and m.up]
        flat = [s for s in (Slot("in", "bytes"), Slot("out", "bytes")) if of.flat(s.way, s.what)]
        evidence += [f"{s} were not flagged" for s in flat]
        return Nature("partial loss", 0.9 if of.drops else 0.65, tuple(evidence))
    if of.drops and not of.traffic and of.gateway:
        return Nature(
            "partial loss", 0.5, (f"{quantity(of.drops.observed, of.drops.unit)} dropped, traffic not flagged",)
        )
    return None


def asymmetry(of: Movement) -> Nature | None:
    """Asymmetry: one direction stops or falls while the other goes on or rises."""
    ways = {way: [m for s, m in of.traffic.items() if s.way == way] for way in ("in", "out")}
    for one, other in (("in", "out"), ("out", "in")):
        down = [m for m in ways[one] if not m.up and not m.kinds.get("absent", 0)]
        rest = ways[other]
        goes_on = any(s.way == other for s in of.judged) if not rest else all(m.up for m in rest)
        if down and len(down) == len(ways[one]) and goes_on and (rest or any(m.silent for m in down)):
            said = "rose" if rest else "was not flagged"
            words = f"{_WORDS[one]} traffic fell while {_WORDS[other]} traffic {said}"
            part = {s for s in of.judged if s.way == one and s.what in {"bytes", "packets"}} - of.traffic.keys()
            if part and not rest:  # bytes do not stop while packets go on
                return Nature("asymmetry", SURE - 0.05, (f"{words}, nor were {', '.join(sorted(map(str, part)))}",))
            return Nature("asymmetry", 0.75 if rest else 0.6, (words,))
    return None


def saturation(of: Movement) -> Nature | None:
    """Saturation of a gateway or a link: its traffic has a flat top while it drops packets, or comes back to it."""
    if of.firewall or any(not m.up for m in of.traffic.values()):
        return None
    if not of.drops:
        again = max((top.visits for top in of.tops.values()), default=0)
        if not _held(of) and again < AGAIN:
            return None
        return Nature("saturation", SATURATED + 0.1 * (len(of.tops) > 1), tuple(_flat_tops(of)))
    if of.plateau is None or of.plateau > 0.05:
        return None
    evidence = (f"the top of the traffic is flat to within {of.plateau:.1%}", "dropped packets rose")
    return Nature("saturation", 0.8 + 0.1 * of.gateway, evidence)


def _held(of: Movement) -> bool:
    """Whether a rise is held at its top, so that what was usual below does not show there."""
    return any(top.held for top in of.tops.values())


def _flat_tops(of: Movement) -> Iterator[str]:
    """The flat tops in words."""
    for key, top in of.tops.items():
        often = f", which it came back to {top.visits - 1} times" if top.visits > 2 else ""
        level = quantity(top.level, of.moves[key].unit)
        yield f"{key} had a flat top at {level}, to within {top.flat:.1%}{often}, and had varied by {top.usual:.0%}"


def ratios(of: Movement) -> Nature | None:
    """What ratios tell while no traffic was flagged: they are steadier than what they are ratios of."""
    if of.traffic:
        return None
    return _small_ones(of) or _leaving(of) or _arriving(of) or _lopsided(of)


def _small_ones(of: Movement) -> Nature | None:
    """Flood or scan-like: the packets of a direction have become smaller while others are refused or dropped."""
    shrunk = [(size.ratio, way, size) for way in _WAYS if (size := of.fell(way, "packet size"))]
    if not shrunk or not of.drops:
        return None
    _, way, size = min(shrunk, key=lambda one: one[0])
    fell = f"the mean size of {_WORDS[way]} packets fell to {quantity(size.observed, size.unit)}"
    evidence = (
        f"{fell}, so small ones were added",
        f"{quantity(of.drops.observed, of.drops.unit)} were refused or dropped",
    )
    return Nature("flood" if way == "in" else "scan-like", 0.6, evidence)


def _leaving(of: Movement) -> Nature | None:
    """Exfiltration-like: more goes out for each byte that comes in, in larger packets.

    Small answers alone would be those to a scan as well.
    """
    ratio, larger = of.rose("", "ratio"), of.rose("out", "packet size")
    if not ratio or not larger or of.drops:
        return None
    return Nature("exfiltration-like", 0.55, (_for_each("out", ratio), *_sizes(of)))


def _arriving(of: Movement) -> Nature | None:
    """Volumetric surge: more comes in for each byte that goes out, in larger packets."""
    inverse, larger = of.rose("", "inverse"), of.rose("in", "packet size")
    if not inverse or not larger or of.drops:
        return None
    return Nature("volumetric surge", 0.55, (_for_each("in", inverse), *_sizes(of)))


def _lopsided(of: Movement) -> Nature | None:
    """Partial loss of a direction, or asymmetry: less comes or goes for each byte of the other direction."""
    found = [(m.up, m.times, _FOR[s.what], m) for s, m in of.moves.items() if s.what in _FOR]
    if not found:
        return None
    up, times, way, ratio = max(found, key=lambda one: one[:2])
    more, said = way if up else _OTHER[way], _for_each(way, ratio)
    risen, fallen = Slot(more, "bytes"), Slot(_OTHER[more], "bytes")
    sizes = any(s.what == "packet size" for s in of.moves)
    if up and times >= SHOWS and of.flat(more, "bytes") and not sizes and of.lasted >= BRIEF:
        fell = f"{fallen} were {1 / times:.0%} of what {risen} let expect"
        flat = f"{risen} were not flagged, as {times:.2g} times as many mostly are"
        return Nature("partial loss", 0.55, (said, fell, flat))
    either = "less comes in, or more goes out" if more == "out" else "less goes out, or more comes in"
    return Nature("asymmetry", SURE, (said, *_sizes(of), f"neither was flagged by itself: {either}"))


def _sizes(of: Movement) -> Iterator[str]:
    """Which mean sizes of packets changed."""
    for way in ("out", "in"):
        if size := of.move(way, "packet size"):
            yield f"the mean size of {_WORDS[way]} packets became {quantity(size.observed, size.unit)}"


def _for_each(way: Way, ratio: Move) -> str:
    usual = f"{ratio.expected:.3g} were expected"
    return f"{ratio.observed:.3g} bytes {_GOES[way]} for each that {_COMES[_OTHER[way]]}, {usual}"


_FOR: dict[What, Way] = {"ratio": "out", "inverse": "in"}
_OTHER: dict[Way, Way] = {"out": "in", "in": "out"}
_GOES = {"in": "come in", "out": "go out"}
_COMES = {"in": "comes in", "out": "goes out"}
_WAYS: tuple[Way, ...] = ("in", "out")
_WORDS = {"in": "received", "out": "sent"}

RULES: tuple[Callable[[Movement], Nature | None], ...] = (
    absent,
    blackout,
    saturation,
    flood,
    scan,
    exfiltration,
    level_shift,
    partial_loss,
    asymmetry,
    surge,
    ratios,
)

LOOK = {
    "flood": "who sends it (flow or firewall logs, by source); then a firewall rule or Cloud Armor",
    "scan-like": "which program sends it, and to whom (flow logs, by destination); isolate it if nobody knows",
    "exfiltration-like": "where it goes (flow logs, by destination), and whether the owner knows of it",
    "volumetric surge": "whether it is wanted (a release, a batch), who the peers are, and whether capacity lasts",
    "blackout": "whether it still answers, and what changed just before: routes, firewall rules, a deployment",
    "absent resource": "whether it was stopped, deleted or replaced (audit log); if not, whether it or its host failed",
    "partial loss": "what stands before it: health checks, routes, quotas, drops at its gateway",
    "asymmetry": "which direction changed: routes and firewall rules of one that fell, who sends it of one that rose",
    "level shift": "what was deployed or moved at that time; if that was wanted, nothing is to be done",
    "traffic shift": "what moved it (load balancer, failover, autoscaler), and whether those that gained can bear it",
    "saturation": "its limit (ports of a gateway, bandwidth of a link), and the heaviest user behind it",
    "unclassified": "the charts, and what else changed at that time",
}
"""Where a person looks first, by nature."""

NATURES = tuple(LOOK)

LEADS = {
    "flood": Slot("in", "packets"),
    "scan-like": Slot("out", "packets"),
    "exfiltration-like": Slot("out", "bytes"),
}
"""What an incident of such a nature is told by first."""


def _small(of: Movement, way: Way) -> Iterator[str]:
    """What shows that the packets that were added in a direction are small, if it does."""
    size, usual = _added_size(of, way), _usual_size(of, way)
    packets = of.rose(way, "packets")
    if packets and size is None:
        far = 1.5 if of.drops else 2.5
        flat, shrunk = of.flat(way, "bytes"), of.fell(way, "packet size") is not None
        if flat and (shrunk or (packets.ratio >= far and (of.drops or packets.beyond >= OUTSIDE))):
            yield f"{Slot(way, 'bytes')} were not flagged, so the added packets are small"
    elif size is not None and (size < TINY or _shrunk(of, way)):
        compared = f", {usual:.0f} B are usual" if usual else ""
        yield f"the added packets have {size:.0f} B each{compared}"


def _shrunk(of: Movement, way: Way) -> bool:
    """Whether the packets that were added are much smaller than the usual ones, and small."""
    size, usual = _added_size(of, way), _usual_size(of, way)
    return bool(size and usual and size < min(0.5 * usual, SMALLISH))


def _added_size(of: Movement, way: Way) -> float | None:
    """Mean bytes of the packets that were too many at the peak."""
    packets, total = of.rose(way, "packets"), of.rose(way, "bytes")
    if not packets or not total:
        return None
    many, much = packets.observed - packets.expected, total.observed - total.expected
    return much / many if many > 0 < much else None


def _usual_size(of: Movement, way: Way) -> float | None:
    """Mean bytes of the packets of the hour before, or else of those that were expected."""
    packets, total = of.move(way, "packets"), of.move(way, "bytes")
    if not packets or not total:
        return None
    if packets.before and total.before:
        return total.before / packets.before
    return total.expected / packets.expected if packets.expected > 0 < total.expected else None


def _rose(what: str, move: Move) -> str:
    times = f", {move.ratio:.3g} times the expected" if move.ratio < 1000 else ""
    return f"{what} rose to {quantity(move.observed, move.unit)}{times}"


_HOURS = {"us-west": -8, "us-": -6, "northamerica": -5, "southamerica": -3, "europe": 1, "me-": 3, "africa": 2}
_HOURS |= {"asia-south": 5, "asia-southeast": 8, "asia-east": 8, "asia-northeast": 9, "australia": 10}


def local_hour(moment: datetime, place: str) -> int | None:
    """About which hour it is in a region or zone of Google Cloud, without daylight saving; None where that is unknown.

    >>> from datetime import UTC, datetime
    >>> local_hour(datetime(2026, 11, 22, 8, 0, tzinfo=UTC), "us-central1-a")
    2
    """
    near = [prefix for prefix in _HOURS if place.startswith(prefix)]
    return (moment.hour + _HOURS[max(near, key=len)]) % 24 if near else None
