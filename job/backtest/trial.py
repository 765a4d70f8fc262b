"""A trial of several contestants on some series: as they are, and with incidents put in."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from detectors import Frame
from detectors.blocks import median
from job.backtest.events import score_events
from job.backtest.inject import Kind, Place, Rules, deviations, inject, noise, places, rounds, runs
from job.backtest.labels import Window, fits, name_of
from job.backtest.replay import Contestant, Span, Told, replay
from job.policy import Policy
from job.query import Query

GRACE = timedelta(hours=1)
"""Flags up to so long after a labelled window, and no longer than it lasted, belong to its end."""

BLOCK = 256
"""So many series are tried at once, which bounds the memory."""


@dataclass(frozen=True)
class Plan:
    """What is tried: where incidents go, their sizes, and in how many replays; how alarms are counted."""

    rules: Rules = field(default_factory=Rules)
    sizes: tuple[float, ...] = (1.2, 1.5, 2.0, 3.0, 5.0, 10.0)
    rounds: int = 6
    cooldown: timedelta = timedelta(hours=1)


@dataclass(frozen=True)
class Found:
    """What a contestant made of one incident: when it told it, counted from the start, or None."""

    contestant: str
    series: int
    kind: str
    size: float
    deviations: float | None
    start: datetime
    delay: timedelta | None


@dataclass(frozen=True)
class Plain:
    """What a contestant told of one series as it is: false alarms, and the delay of each labelled window."""

    contestant: str
    series: int
    false_alarms: int
    delays: Mapping[Window, float | None]


@dataclass(frozen=True)
class Series:
    """One series that was tried: its names, its usual level and noise, in its metric's unit."""

    name: str
    metric: str
    unit: str
    level: float
    noise: float


@dataclass
class Trial:
    """All that was found, gathered query by query.

    By contestant: `tested` are the periods with a baseline, `aside` the incidents of series that were warming up.
    `skipped` says why some places got no incident; `untold` are the kinds that some metric's policy never tells.
    """

    series: list[Series] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)
    plain: list[Plain] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    tested: Counter[str] = field(default_factory=Counter)
    aside: Counter[str] = field(default_factory=Counter)
    untold: set[str] = field(default_factory=set)
    points: int = 0


@dataclass(frozen=True)
class Subject:
    """The series of one query, from the history on that they need, and the days that are judged, `[start, end)`.

    `muted` says which points lie in a muted time.
    """

    query: Query
    unit: str
    frame: Frame
    days: Sequence[Span]
    muted: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Block:
    """Some rows of a subject, the first of which is the trial's series number `base`."""

    subject: Subject
    frame: Frame
    muted: NDArray[np.bool_] | None
    base: int

    def told(self, frame: Frame, contestant: Contestant, changed: Sequence[Place] | None = None) -> Told:
        """What a contestant tells of the rows; of changed ones, on the days of their incidents."""
        only: dict[int, list[tuple[int, int]]] = {}
        for place in changed or ():
            only.setdefault(place.row, []).append((place.start, place.stop))
        subject = self.subject
        days = only if changed is not None else None
        return replay(frame, subject.query, subject.unit, contestant, subject.days, days, self.muted)


def add(
    trial: Trial, subject: Subject, contestants: Sequence[Contestant], plan: Plan, labelled: Sequence[Window]
) -> None:
    """Try every contestant on a query's series, a block of them at a time."""
    query, frame, rows = subject.query, subject.frame, len(subject.frame.labels)
    known = {row: [w for w in labelled if fits(w, query, labels)] for row, labels in enumerate(frame.labels)}
    barred = {row: [_columns(frame, window) for window in mine] for row, mine in known.items()}
    still = {} if subject.muted is None else {row: runs(mute) for row, mute in enumerate(subject.muted)}
    rules = replace(plan.rules, kinds=tellable(plan.rules.kinds, contestants[0].policy(query)))
    trial.untold.update(kind.name for kind in set(plan.rules.kinds) - set(rules.kinds))
    first = frame.column(subject.days[0][0])
    every, skipped = places(frame, first, rules, {"labelled": barred, "muted": still}, (query.project, query.name))
    trial.skipped.update(skipped)
    trial.points += int(np.isfinite(frame.values[:, first:]).sum())
    incidents = list(rounds(every, plan.sizes, plan.rounds))
    size = rows if any(contestant.peers for contestant in contestants) else BLOCK
    for low in range(0, rows, max(1, size)):
        some = slice(low, low + size)
        muted = None if subject.muted is None else subject.muted[some]
        block = Block(subject, frame.rows(some), muted, len(trial.series))
        mine = [[(p, s) for place, s in each if (p := _within(place, low, size))] for each in incidents]
        _block(
            trial, block, contestants, [known[row] for row in range(low, min(low + size, rows))], mine, plan.cooldown
        )


def _within(place: Place, low: int, size: int) -> Place | None:
    """The place in a block of rows, if it is in it."""
    return replace(place, row=place.row - low) if low <= place.row < low + size else None


def _block(
    trial: Trial,
    block: Block,
    contestants: Sequence[Contestant],
    known: Sequence[Sequence[Window]],
    incidents: Sequence[Sequence[tuple[Place, float]]],
    cooldown: timedelta,
) -> None:
    frame, usual = block.frame, noise(block.frame)
    trial.series.extend(_series(block, usual))
    before = {contestant.name: block.told(frame, contestant) for contestant in contestants}
    for name, told in before.items():
        trial.tested[name] += told.tested
        trial.plain.extend(_plain(name, block, told, known, cooldown))
    for each in incidents:
        changed = inject(frame, each)
        sizes = [_deviations(frame, changed, place, usual) for place, _ in each]
        for contestant in contestants:
            was, now = before[contestant.name], block.told(changed, contestant, [place for place, _ in each])
            for (place, size), deviates in zip(each, sizes, strict=True):
                if was.young[place.row, place.start]:
                    trial.aside[contestant.name] += 1
                else:
                    trial.found.append(_found(contestant.name, block, place, size, deviates, was, now))


def tellable(kinds: tuple[Kind, ...], policy: Policy) -> tuple[Kind, ...]:
    """The kinds that a policy lets be told: those that go its way, and missing points where they mean something."""
    way = {"both": 0, "up": 1, "down": -1}[policy.direction]
    fitting = [kind for kind in kinds if way in {0, kind.way}]
    return tuple(kind for kind in fitting if kind.name != "absent" or policy.absence != "ignore")


def _series(block: Block, usual: NDArray[np.float64]) -> Iterator[Series]:
    subject, levels = block.subject, median(block.frame.values, axis=1)
    for labels, level, spread in zip(block.frame.labels, levels.tolist(), usual.tolist(), strict=True):
        yield Series(name_of(labels), subject.query.metric, subject.unit, level, spread)


def _columns(frame: Frame, window: Window) -> tuple[int, int]:
    """The columns that a window touches."""
    return frame.column(window.start), -((frame.start - window.end) // frame.step)


def _deviations(frame: Frame, changed: Frame, place: Place, usual: NDArray[np.float64]) -> float | None:
    row, columns = place.row, slice(place.start, place.stop)
    return deviations(frame.values[row, columns], changed.values[row, columns], float(usual[row]))


def _plain(
    name: str, block: Block, told: Told, known: Sequence[Sequence[Window]], cooldown: timedelta
) -> Iterator[Plain]:
    """What was told of each row as it is, against its labelled windows; all in steps of the grid."""
    frame = block.frame
    for row, windows in enumerate(known):
        spans = [_columns(frame, window) for window in windows]
        judged = [not told.young[row, max(0, begin) : max(0, end)].all() for begin, end in spans]
        kept = [span for span, known_then in zip(spans, judged, strict=True) if known_then]
        mine = [window for window, known_then in zip(windows, judged, strict=True) if known_then]
        flagged = np.flatnonzero(told.on[row] if block.muted is None else told.on[row] & ~block.muted[row])
        apart, grace = max(2.0, cooldown / frame.step), GRACE / frame.step
        said = score_events(kept, flagged, apart, grace)
        false = score_events(spans, flagged, apart, grace).false_alarms
        yield Plain(name, block.base + row, false, dict(zip(mine, said.delays, strict=True)))


def _found(name: str, block: Block, place: Place, size: float, deviates: float | None, was: Told, now: Told) -> Found:
    """Whether the incident was told while it was on, in a period in which nothing was told without it."""
    columns = slice(place.start, place.stop)
    fresh = np.flatnonzero(now.on[place.row, columns] & ~was.on[place.row, columns])
    return Found(
        contestant=name,
        series=block.base + place.row,
        kind=place.kind.name,
        size=size,
        deviations=deviates,
        start=block.frame.start + place.start * block.frame.step,
        delay=(int(fresh[0]) + 1) * block.frame.step if len(fresh) else None,
    )
