"""A trial of several contestants on some series: as they are, and with incidents put in."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    project: str = ""


@dataclass
class Trial:
    """All that was found of some series.

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

    def extend(self, other: "Trial") -> None:
        """Take in what was found of other series, which follow these."""
        base = len(self.series)
        self.series.extend(other.series)
        self.found.extend(replace(one, series=base + one.series) for one in other.found)
        self.plain.extend(replace(one, series=base + one.series) for one in other.plain)
        for mine, theirs in ((self.skipped, other.skipped), (self.tested, other.tested), (self.aside, other.aside)):
            mine.update(theirs)
        self.untold |= other.untold
        self.points += other.points


@dataclass(frozen=True)
class Subject:
    """Series of one query, from the history on that they need, and the days that are judged, `[start, end)`.

    `muted` says which points lie in a muted time.
    """

    query: Query
    unit: str
    frame: Frame
    days: Sequence[Span]
    muted: NDArray[np.bool_] | None = None

    def told(self, frame: Frame, contestant: Contestant, changed: Sequence[Place] | None = None) -> Told:
        """What a contestant tells of the series; of changed ones, on the days of their incidents."""
        only: dict[int, list[tuple[int, int]]] = {}
        for place in changed or ():
            only.setdefault(place.row, []).append((place.start, place.stop))
        some = None if changed is None else only
        return replay(frame, self.query, self.unit, contestant, self.days, some, self.muted)


def tried(subject: Subject, contestants: Sequence[Contestant], plan: Plan, labelled: Sequence[Window]) -> Trial:
    """Try every contestant on some series."""
    frame, usual = subject.frame, noise(subject.frame)
    known = [[w for w in labelled if fits(w, subject.query, labels)] for labels in frame.labels]
    kinds = tellable(plan.rules.kinds, contestants[0].policy(subject.query))
    every, skipped = _places(subject, replace(plan.rules, kinds=kinds), known)
    trial = Trial(
        series=list(_series(subject, usual)),
        skipped=skipped,
        untold={kind.name for kind in plan.rules.kinds if kind not in kinds},
        points=int(np.isfinite(frame.values[:, frame.column(subject.days[0][0]) :]).sum()),
    )
    before = {contestant.name: subject.told(frame, contestant) for contestant in contestants}
    for name, told in before.items():
        trial.tested[name] += told.tested
        trial.plain.extend(_plain(name, subject, told, known, plan.cooldown))
    for incidents in rounds(every, plan.sizes, plan.rounds):
        _inject(trial, subject, incidents, [(contestant, before[contestant.name]) for contestant in contestants], usual)
    return trial


def _places(subject: Subject, rules: Rules, known: Sequence[Sequence[Window]]) -> tuple[list[Place], Counter[str]]:
    """Where incidents may go: neither in labelled windows nor in muted times."""
    frame, query = subject.frame, subject.query
    labelled = {row: [_columns(frame, window) for window in mine] for row, mine in enumerate(known)}
    muted = {} if subject.muted is None else {row: runs(mute) for row, mute in enumerate(subject.muted)}
    first = frame.column(subject.days[0][0])
    return places(frame, first, rules, {"labelled": labelled, "muted": muted}, (query.project, query.name))


def _inject(
    trial: Trial,
    subject: Subject,
    incidents: Sequence[tuple[Place, float]],
    contestants: Iterable[tuple[Contestant, Told]],
    usual: NDArray[np.float64],
) -> None:
    """Put incidents in, and note what each contestant, who told so much without them, makes of them."""
    changed = inject(subject.frame, incidents)
    sizes = [_deviations(subject.frame, changed, place, usual) for place, _ in incidents]
    for contestant, was in contestants:
        now = subject.told(changed, contestant, [place for place, _ in incidents])
        for (place, size), deviates in zip(incidents, sizes, strict=True):
            if was.young[place.row, place.start]:
                trial.aside[contestant.name] += 1
            else:
                trial.found.append(_found(contestant.name, subject.frame, place, size, deviates, was, now))


def tellable(kinds: tuple[Kind, ...], policy: Policy) -> tuple[Kind, ...]:
    """The kinds that a policy lets be told: those that go its way, and missing points where they mean something."""
    way = {"both": 0, "up": 1, "down": -1}[policy.direction]
    fitting = [kind for kind in kinds if way in {0, kind.way}]
    return tuple(kind for kind in fitting if kind.name != "absent" or policy.absence != "ignore")


def _series(subject: Subject, usual: NDArray[np.float64]) -> Iterator[Series]:
    levels = median(subject.frame.values, axis=1)
    for labels, level, spread in zip(subject.frame.labels, levels.tolist(), usual.tolist(), strict=True):
        yield Series(name_of(labels), subject.query.metric, subject.unit, level, spread, subject.query.project)


def _columns(frame: Frame, window: Window) -> tuple[int, int]:
    """The columns that a window touches."""
    return frame.column(window.start), -((frame.start - window.end) // frame.step)


def _deviations(frame: Frame, changed: Frame, place: Place, usual: NDArray[np.float64]) -> float | None:
    row, columns = place.row, slice(place.start, place.stop)
    return deviations(frame.values[row, columns], changed.values[row, columns], float(usual[row]))


def _plain(
    name: str, subject: Subject, told: Told, known: Sequence[Sequence[Window]], cooldown: timedelta
) -> Iterator[Plain]:
    """What was told of each row as it is, against its labelled windows; all in steps of the grid."""
    frame, muted = subject.frame, subject.muted
    for row, windows in enumerate(known):
        spans = [_columns(frame, window) for window in windows]
        judged = [not told.young[row, max(0, begin) : max(0, end)].all() for begin, end in spans]
        kept = [span for span, known_then in zip(spans, judged, strict=True) if known_then]
        mine = [window for window, known_then in zip(windows, judged, strict=True) if known_then]
        flagged = np.flatnonzero(told.on[row] if muted is None else told.on[row] & ~muted[row])
        apart, grace = max(2.0, cooldown / frame.step), GRACE / frame.step
        said = score_events(kept, flagged, apart, grace)
        false = score_events(spans, flagged, apart, grace).false_alarms
        yield Plain(name, row, false, dict(zip(mine, said.delays, strict=True)))


def _found(name: str, frame: Frame, place: Place, size: float, deviates: float | None, was: Told, now: Told) -> Found:
    """Whether the incident was told while it was on, in a period in which nothing was told without it."""
    columns = slice(place.start, place.stop)
    fresh = np.flatnonzero(now.on[place.row, columns] & ~was.on[place.row, columns])
    return Found(
        contestant=name,
        series=place.row,
        kind=place.kind.name,
        size=size,
        deviations=deviates,
        start=frame.start + place.start * frame.step,
        delay=(int(fresh[0]) + 1) * frame.step if len(fresh) else None,
    )
