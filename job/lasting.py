"""How long an event lasts, by what was usual before it began, and which hits are no news after it.

A detector learns what lasts, within hours: it falls silent while an incident is still on, and is startled when that
ends. So whether one is still on is asked of the days before its onset, whatever was learned since; what has lasted for
`adopt` is the new normal, of which neither its going on nor the way back is told.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from job.opinion import median
from job.outage import PRESENT, nearly_zero, spans

WEEK = 7
"""So many days before an onset tell what is usual at a time of day, by their median."""

AROUND = timedelta(minutes=30)
"""So far around a time of day, a series does about the same."""

HALF = 0.5
"""An event is on while so much of its hits' median deviation is there in half of the last periods, or more."""

LEARNED = timedelta(minutes=15)
"""What lasts longer may have taught the detectors, and is told by what was expected at its onset."""

REMEMBERED = timedelta(days=3)
"""So long after it was adopted, or was silent for as long, what was usual before is no news either."""

Columns = NDArray[np.intp]
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Span:
    """Durations in periods: a day, those of the same names here, and of `WAKE`, `merge` and `adopt`.

    `least`: what is off by a smaller share of what was expected is no event.
    """

    day: int
    around: int
    learned: int
    apart: int
    wake: int
    adopt: int
    remembered: int
    least: float


@dataclass(frozen=True)
class Spell:
    """One event of one row, or what would be one: `hits` are the columns in which it was off, from its onset on.

    `adopted`: it did not end with the last of them, but was then the new normal. `silent`: it was one of silence.
    """

    hits: Columns
    way: int
    adopted: bool = False
    silent: bool = False

    @property
    def onset(self) -> int:
        """Its first column."""
        return int(self.hits[0])

    @property
    def stop(self) -> int:
        """The column after its last."""
        return int(self.hits[-1]) + 1


@dataclass(frozen=True)
class Row:
    """All that is known of one series; every array is over time.

    `past`: the values that say what is usual; `silent`: its outages, as events of their own.
    """

    values: Numbers
    past: Numbers
    side: NDArray[np.int8]
    certain: NDArray[np.bool_]
    expected: Numbers
    lower: Numbers
    upper: Numbers
    silent: Sequence[Spell]


def moved(level: Numbers | float, before: Numbers | float, now: Numbers | float) -> Numbers:
    """A level, after what is usual went from `before` to `now`: as many times less, or as much more."""
    with np.errstate(invalid="ignore", divide="ignore"):
        less = (np.asarray(now) >= 0) & (np.asarray(now) < before)
        away = np.where(less, level * np.divide(now, before), np.asarray(level) + now - before)
    return np.where(np.isfinite(away), away, level)


def usual(values: Numbers, onset: int, columns: Columns, span: Span) -> Numbers:
    """What was usual at the times of day of some columns on the days before an onset; NaN where there was nothing."""
    known = np.isfinite(values[:onset])
    total = np.concatenate([[0.0], np.cumsum(np.where(known, values[:onset], 0.0))])
    count = np.concatenate([[0], np.cumsum(known)])
    days = np.maximum(columns - onset + span.day, 0) // span.day  # back to the last one before the onset
    at = columns - (days + np.arange(WEEK)[:, None]) * span.day
    low, high = (np.clip(edge, 0, onset) for edge in (at - span.around, at + span.around + 1))
    with np.errstate(invalid="ignore"):
        means = (total[high] - total[low]) / (count[high] - count[low])
    return median(np.where(at >= 0, means, np.nan))


def carried(row: Row, onset: int, columns: Columns, span: Span) -> Numbers:
    """What was expected at the onset and its band, carried on by what is usual at some times of day; 3 x columns."""
    before = usual(row.past, onset, np.append(columns, onset), span)
    lower, upper = float(row.lower[onset]), float(row.upper[onset])
    levels = min(max(float(row.expected[onset]), lower), upper), lower, upper
    return np.array([moved(level, before[-1], before[:-1]) for level in levels])


def spells(row: Row, runs: Iterable[Columns], span: Span) -> tuple[list[Spell], dict[str, Columns]]:
    """The events of a row's runs of hits, each as long as it lasts, and the hits that are no news, by the reason.

    Hits of which none is certain make events that do not last.
    """
    found: list[Spell] = []
    told = [*row.silent, *_silences(row.values, span)]
    stale: dict[str, list[Columns]] = {"adopted": [], "return": []}
    left = deque(runs)
    while left:
        hits = left.popleft()
        way = int(row.side[hits[0]])
        for one in told:
            gone = _echo(row, one, hits, span) if one.way == way else _return(row, one, hits, span)
            stale["adopted" if one.adopted else "return"].append(gone)
            hits = np.setdiff1d(hits, gone)
        if not len(hits):
            continue
        if found and found[-1].way == way and hits[0] < found[-1].stop + (0 if found[-1].adopted else span.apart):
            last = found.pop()
            told = [one for one in told if one is not last]
            hits = np.union1d(last.hits, hits)
        spell = _lasting(row, Spell(hits, way), span)
        if len(rest := hits[hits >= spell.stop]):
            left.appendleft(rest)
        found.append(spell)
        if row.certain[spell.hits].any():
            told.append(spell)
    return found, {why: np.concatenate([*some, np.empty(0, np.intp)]) for why, some in stale.items()}


def _lasting(row: Row, spell: Spell, span: Span) -> Spell:
    """The event with the columns in which it was still on, but for those after it was adopted."""
    if not row.certain[spell.hits].any():
        return spell
    adopted = spell.onset + span.adopt
    stop = min([len(row.values), adopted + 1, *(down.onset for down in row.silent if down.onset > spell.onset)])
    off = _off(row, spell, stop, span)
    on = _mostly(off, np.isfinite(row.values[spell.onset : stop]), span.apart)
    last = min(spell.stop, stop) - spell.onset  # of the hits
    rest = on[last:]
    last += len(rest) if rest.all() else int(np.argmin(rest))
    hits = np.union1d(spell.hits, spell.onset + np.flatnonzero(off[:last]))
    if stop == adopted + 1 and last == len(on) and on[-1] and off[-1]:
        return Spell(hits[hits < adopted], spell.way, adopted=True)
    return replace(spell, hits=hits)


def _off(row: Row, spell: Spell, stop: int, span: Span) -> NDArray[np.bool_]:
    """Where a row is off as an event is, from its onset on: a drop, or what is usual less, counts by its share."""
    columns = np.arange(spell.onset, stop)
    level = carried(row, spell.onset, columns, span)[0]
    deviation = spell.way * (row.values[columns] - level)
    seen = spell.hits[spell.hits < stop] - spell.onset
    if not np.isfinite(deviation[seen]).any():
        return np.zeros(len(columns), dtype=np.bool_)
    far, then = np.nanmedian(deviation[seen]), np.nanmedian(level[seen])
    share = level / then if then > 0 else np.ones(len(level))
    least = HALF * far * (share if spell.way < 0 else np.fmin(share, 1.0))
    with np.errstate(invalid="ignore"):
        return np.asarray((deviation >= least) & (deviation > span.least * np.abs(level)) & (far > 0))


def _mostly(off: NDArray[np.bool_], known: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """Where at least half of what is known of the last so many periods is off."""
    total, some = np.cumsum(2 * off.astype(np.int64) - known), np.cumsum(known, dtype=np.int64)
    for sums in (total, some):
        sums[width:] -= sums[:-width].copy()
    return np.asarray((total >= 0) & (some > 0))


def _echo(row: Row, one: Spell, hits: Columns, span: Span) -> Columns:
    """The hits that are only the going on of what was adopted, no farther off than it was."""
    near = hits[(hits >= one.stop) & (hits < one.stop + span.remembered)]
    if not one.adopted or not len(near) or one.silent:
        return near[:0]
    stop = int(near[-1]) + 1
    on = _mostly(_off(row, one, stop, span), np.isfinite(row.values[one.onset : stop]), span.wake)[
        one.stop - one.onset :
    ]
    over = one.stop + (len(on) if on.all() else int(np.argmin(on)))
    most = np.nanmax(one.way * row.values[one.hits])
    return near[(near < over) & (one.way * row.values[near] <= most)]


def _return(row: Row, one: Spell, hits: Columns, span: Span) -> Columns:
    """The hits that only lead back from an event: to where the day before it was, or would have been expected."""
    memory = span.remembered if one.adopted else max(span.wake, min(one.stop - one.onset, span.adopt))
    near = hits[(hits >= one.stop) & (hits < one.stop + memory)]
    day = slice(max(0, one.onset - span.day), one.onset)
    before = one.way * row.past[day][row.side[day] == 0]
    if not len(near) or not np.isfinite(before).any():
        return near[:0]
    edge = carried(row, one.onset, near, span)[1 if one.way > 0 else 2]
    return np.asarray(near[one.way * row.values[near] >= np.fmin(np.nanmin(before), one.way * edge)])


def _silences(values: Numbers, span: Span) -> list[Spell]:
    """Where a series that never did so the day before was at nothing, or had no point, until it was adopted."""
    quiet = nearly_zero(values[None])[0] | np.isnan(values)
    found = []
    for start, stop in spans(quiet).tolist():
        there = (~quiet & (values > 0))[max(0, start - span.day) : start]
        if stop - start >= span.adopt and len(there) and there.mean() >= PRESENT:
            found.append(Spell(np.arange(start, stop), -1, adopted=True, silent=True))
    return found
