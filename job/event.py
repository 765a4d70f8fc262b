"""Hits and outages as events: from when to when, which way, and since when it was known."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from detectors import Frame
from job.anomaly import Kind
from job.lasting import AROUND, LEARNED, REMEMBERED, Numbers, Row, Span, Spell, carried, spells
from job.opinion import Opinion
from job.outage import BEFORE, Outage
from job.policy import Policy
from job.worth import WAKE, certainty

Way = Literal[1, -1]
Hits: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True)
class Event:
    """One event of one row, in columns: `[start, stop)`, its hits, where it was known, and whose baseline tells it.

    `levels`: what was expected of each column and the ends of its band, by what was known at the onset; None where each
    column has its own. `down` is the outage that it is, if it is one. `adopted`: it did not end, but was then the new
    normal.
    """

    row: int
    start: int
    stop: int
    hits: Hits
    kind: Kind
    way: Way
    continued: bool
    known: int
    peak: int
    baseline: int
    adopted: bool
    levels: Numbers | None = None
    down: Outage | None = None

    @property
    def direction(self) -> Literal["up", "down"]:
        """The way in words."""
        return "up" if self.way > 0 else "down"


def events_of(
    frame: Frame,
    opinion: Opinion,
    downs: Sequence[Sequence[Outage]],
    policy: Policy,
    first: int,
    suppressed: Counter[str],
    hidden: NDArray[np.bool_] | None = None,
) -> Iterator[Event]:
    """The events of each row and of its outages; hits that make none are counted among the suppressed."""
    past = frame.values if hidden is None else np.where(hidden, np.nan, frame.values)
    span = span_of(frame, policy)
    certain = certainty(opinion.side, opinion.score, policy)
    known = np.where(np.isfinite(opinion.lower + opinion.upper), opinion.expected, np.nan)
    for n, side in enumerate(opinion.side):
        silent = sorted(downs[n], key=lambda down: down.start)
        runs, openings = _apart(_runs(side, span.apart), side, silent, policy.persistence.hits)
        quiet = [Spell(np.arange(down.start, down.stop), -1, adopted=down.adopted, silent=True) for down in silent]
        row = Row(frame.values[n], past[n], side, certain[n], known[n], opinion.lower[n], opinion.upper[n], quiet)
        found, stale = spells(row, runs, span)
        for down in silent:
            yield _silence(opinion, n, down, first, _left(openings.get(down), found, certain[n]), certain[n])
        for why, hits in stale.items():
            suppressed[why] += int(np.count_nonzero(hits >= first))
        for spell in found:
            if certain[n, spell.hits].any() and spell.stop > first:
                yield _deviation(row, opinion.score[n], n, spell, first, span)
            else:
                suppressed["persistence"] += int(np.count_nonzero(spell.hits >= first))


def span_of(frame: Frame, policy: Policy) -> Span:
    """The durations by which events last, in periods of the frame."""
    return Span(
        day=frame.periods(BEFORE),
        around=frame.periods(AROUND),
        learned=frame.periods(LEARNED),
        apart=max(policy.persistence.periods, frame.periods(policy.merge)),
        wake=frame.periods(WAKE),
        adopt=frame.periods(policy.adopt),
        remembered=frame.periods(REMEMBERED),
        least=policy.min_relative,
    )


def _runs(side: NDArray[np.int8], apart: int) -> Iterator[NDArray[np.intp]]:
    """Split a row's hits into events: a new one begins where the side changes or so many periods have no hit."""
    hits = np.flatnonzero(side)
    if len(hits):
        breaks = (np.diff(hits) > apart) | (np.diff(side[hits]) != 0)
        yield from np.split(hits, np.flatnonzero(breaks) + 1)


def _deviation(row: Row, score: NDArray[np.float64], n: int, spell: Spell, first: int, span: Span) -> Event:
    """The event of a run of hits."""
    known = int(spell.hits[row.certain[spell.hits]][0])
    continued = known < first
    hits = spell.hits[spell.hits >= first] if continued else spell.hits
    way: Way = 1 if spell.way > 0 else -1
    spoke = hits[row.side[hits] == way]
    spoke = spoke if len(spoke) else spell.hits[row.side[spell.hits] == way]  # it may go on without any
    baseline = int(spoke[np.argmax(way * score[spoke])])
    start, stop = first if continued else int(hits[0]), int(hits[-1]) + 1
    peak, levels = max(baseline, start), None
    if spell.stop - spell.onset > span.learned and np.isfinite(row.expected[spell.onset]):
        levels = carried(row, spell.onset, np.arange(start, stop), span)
        peak = int(hits[np.argmax(way * (row.values[hits] - levels[0, hits - start]))])
    return Event(
        row=n,
        start=start,
        stop=stop,
        hits=hits,
        kind="spike" if way > 0 else "drop",
        way=way,
        continued=continued,
        known=max(known, first),
        peak=peak,
        baseline=baseline,
        adopted=spell.adopted,
        levels=levels,
    )


def _apart(
    runs: Iterable[Hits], side: NDArray[np.int8], silent: Sequence[Outage], least: int
) -> tuple[list[Hits], dict[Outage, Hits]]:
    """The runs of hits without those that are how the scores see an outage, and these by their outage.

    A run belongs to an outage when it had hits in it before that was certain. One that had not keeps only its hits
    before the outage. What goes on after an outage is an event of its own, if it has hits enough.
    """
    rest: list[Hits] = []
    openings: dict[Outage, Hits] = {}
    left = deque(runs)
    while left:
        hits = left.popleft()
        down = next((d for d in silent if side[hits[0]] < 0 and hits[0] < d.stop and hits[-1] >= d.start), None)
        if down is None:
            rest.append(hits)
            continue
        if ((hits >= down.start) & (hits <= down.certain)).any():
            openings.setdefault(down, hits[hits < down.stop])
        elif hits[0] < down.start:
            rest.append(hits[hits < down.start])
        after = hits[hits > down.stop]  # one period may be half an outage
        if len(after) >= least and not down.adopted:
            left.append(after)
    return rest, openings


def _left(opening: Hits | None, spells: Iterable[Spell], certain: NDArray[np.bool_]) -> Hits | None:
    """The hits that open an outage without those of a drop that was told before them and still lasted."""
    if opening is None:
        return None
    told = [one.stop for one in spells if one.way < 0 and one.onset < opening[0] and certain[one.hits].any()]
    return opening[opening >= max(told, default=0)]


def _silence(
    opinion: Opinion, row: int, down: Outage, first: int, opening: Hits | None, certain: NDArray[np.bool_]
) -> Event:
    """The event of an outage, told by the last baseline that did not yet know of it.

    Where it was certain as a drop before it was certain as an outage, it is that drop's event, and keeps its start.
    """
    start, known_at = down.start, down.certain
    if opening is not None and len(early := opening[certain[opening] & (opening < down.certain)]):
        start, known_at = int(opening[0]), int(early[0])
    continued = known_at < first
    start = first if continued else start
    last = min(start, down.start) + 1
    known = np.flatnonzero(np.isfinite(opinion.expected[row, :last] + opinion.spread[row, :last]))
    return Event(
        row=row,
        start=start,
        stop=down.stop,
        hits=np.arange(start, down.stop),
        kind=down.kind,
        way=-1,
        continued=continued,
        known=max(known_at, first),
        peak=max(start, down.start),
        baseline=int(known[-1]) if len(known) else down.start,
        adopted=down.adopted,
        down=down,
    )
