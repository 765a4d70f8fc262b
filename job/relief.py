"""Whether what some resources lost was taken by their peers, none of which need have been flagged."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from job.anomaly import Anomaly
from job.kinship import slot, thing
from job.nature import Nature, Shape, Taken
from job.units import quantity

BALANCED = 0.65
"""So much of what some lose, others must gain (or the other way round), for it to be the same traffic."""

BEYOND = 1.5
"""So many times more than they gain or lose by themselves must peers gain."""

LITTLE = 0.2
"""Who gained no more of what was lost took nothing of it, where no more is gained or lost at other times."""

AT_ONCE = timedelta(minutes=10)
"""What falls later has not fallen with the first."""


@dataclass(frozen=True)
class Relief:
    """What resources lost when they fell together, and what so many peers of theirs gained; a mean rate."""

    unit: str
    group: str
    fell: int
    peers: int
    lost: float
    gained: float
    wobble: float

    @property
    def taken(self) -> bool:
        """Whether the peers took it."""
        least, most = sorted((self.lost, self.gained))
        return least >= BALANCED * most > 0 and self.gained >= BEYOND * self.wobble

    @property
    def nature(self) -> Nature:
        """The shift that it is if they took it: the better it balances, the surer."""
        balance = min(self.lost, self.gained) / max(self.lost, self.gained)
        return Nature("traffic shift", round(min(balance, 0.85), 2), (self.words,))

    @property
    def words(self) -> str:
        """What they took of it, in words; nothing where that is not known."""
        whose, gone = ("its", "it lost") if self.fell == 1 else ("their", "they lost")
        one = "peer" if self.peers == 1 else "peers"
        label, _, value = self.group.partition("=")
        who = f"{whose} {self.peers} {one} ({value}{'-*' if label == 'prefix' else ''})"
        if self.taken:
            more, lost = quantity(self.gained, self.unit), quantity(self.lost, self.unit)
            return f"{who} carried {more} more, {self.gained / self.lost:.0%} of the {lost} that {gone}"
        if max(abs(self.gained), self.wobble) <= LITTLE * self.lost:
            return f"{who} carried no more than before"
        return ""


def relief(anomalies: Iterable[Anomaly], shapes: Mapping[str, Shape]) -> Relief | None:
    """What became of that which the first to fall among these anomalies lost; None where nobody knows."""
    falls = [a for a in anomalies if a.direction == "down" and not a.continued]
    first = min((a.start for a in falls), default=None)
    falls = [a for a in falls if first is not None and a.start - first <= AT_ONCE]
    for what in ("bytes", "packets"):
        here = [a for a in falls if slot(a.metric, a.labels, a.unit).what == what]
        known = [(a, told) for a in here if a.id in shapes and (told := shapes[a.id].taken)]
        if known and len(known) == len(here):
            return _summed(known)
    return None


def _summed(known: list[tuple[Anomaly, Taken]]) -> Relief:
    """All of it; among the peers of each are those that fell with it, and what they lost hides what others gained."""
    lost = gained = wobble = 0.0
    for query in sorted({a.query for a, _ in known}):
        some = [told for a, told in known if a.query == query]
        gone = sum(one.lost for one in some)
        lost, wobble = lost + gone, wobble + max(one.wobble for one in some)
        gained += (sum(one.gained for one in some) + (len(some) - 1) * gone) / len(some)
    (one, told), fell = known[0], len({thing(a) for a, _ in known})
    return Relief(one.unit, told.group, fell, max(told.members - fell, 1), lost, gained, wobble)
