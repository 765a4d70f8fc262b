"""What a trial comes to for each contestant: recall by kind and size, false alarms, delay, the smallest change."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from job.backtest.events import EventScore
from job.backtest.inject import KINDS
from job.backtest.labels import Window
from job.backtest.trial import Found, Trial
from job.units import significant

WEEK = timedelta(days=7)

SHARE = 0.5
"""A change is caught in a series when at least this part of its places tell it."""


@dataclass(frozen=True)
class Cell:
    """The incidents of one kind and size (infinite where the kind has none), or of several."""

    kind: str
    size: float
    deviations: float | None
    incidents: int
    delays: tuple[timedelta, ...]

    @property
    def caught(self) -> int:
        """How many were told while they were on."""
        return len(self.delays)

    @property
    def recall(self) -> float | None:
        """The share that was; None where there was none."""
        return self.caught / self.incidents if self.incidents else None

    def delay(self, part: float) -> timedelta | None:
        """The delay that this part of the caught ones did not exceed."""
        if not self.delays:
            return None
        return sorted(self.delays)[max(0, int(np.ceil(part * len(self.delays))) - 1)]


@dataclass(frozen=True)
class Summary:
    """What one contestant came to.

    `false_alarms` were told of the series as they are, outside labelled windows, in `weeks` of series with a baseline.
    `smallest` holds for each series the smallest size that it caught, infinite where it missed the largest;
    `each` its false alarms; `aside` the incidents of series that were warming up.
    """

    name: str
    false_alarms: int
    weeks: float
    cells: tuple[Cell, ...]
    smallest: Mapping[int, float]
    each: Mapping[int, int]
    aside: int
    labelled: EventScore | None

    @property
    def rate(self) -> float | None:
        """False alarms a week and series."""
        return self.false_alarms / self.weeks if self.weeks else None

    @property
    def usual(self) -> float | None:
        """The smallest size caught in the middle one of the series."""
        ordered = sorted(self.smallest.values())
        return ordered[(len(ordered) - 1) // 2] if ordered else None

    def over(self, least: float) -> Cell:
        """All incidents of at least this size, those that have none among them."""
        return merged([cell for cell in self.cells if cell.size >= least])


def merged(cells: Sequence[Cell]) -> Cell:
    """Several cells as one, of no kind and size."""
    delays = tuple(delay for cell in cells for delay in cell.delays)
    return Cell("", np.inf, None, sum(cell.incidents for cell in cells), delays)


def summarise(trial: Trial, name: str, step: timedelta, sizes: Sequence[float], windows: Sequence[Window]) -> Summary:
    """Add up what one contestant did."""
    found = [one for one in trial.found if one.contestant == name]
    plain = [one for one in trial.plain if one.contestant == name]
    each = {one.series: one.false_alarms for one in plain}
    return Summary(
        name=name,
        false_alarms=sum(each.values()),
        weeks=trial.tested[name] * (step / WEEK),
        cells=tuple(_cells(found)),
        smallest=_smallest(found, sizes),
        each=each,
        aside=trial.aside[name],
        labelled=_labelled([one.delays for one in plain], sum(each.values())) if windows else None,
    )


def _cells(found: Iterable[Found]) -> list[Cell]:
    groups: dict[tuple[str, float], list[Found]] = {}
    for one in found:
        groups.setdefault((one.kind, one.size), []).append(one)
    order = list(KINDS)
    return [
        Cell(kind, size, _middle(each), len(each), tuple(one.delay for one in each if one.delay is not None))
        for (kind, size), each in sorted(groups.items(), key=lambda item: (order.index(item[0][0]), item[0][1]))
    ]


def _middle(found: Sequence[Found]) -> float | None:
    known = [one.deviations for one in found if one.deviations is not None]
    return significant(float(np.median(known)), 3) if known else None


def _smallest(found: Iterable[Found], sizes: Sequence[float]) -> dict[int, float]:
    """For each series the smallest size that at least `SHARE` of its places told, with every larger one.

    Empty unless each place had every size.
    """
    places: dict[int, dict[tuple[object, ...], dict[float, bool]]] = {}
    for one in found:
        if np.isfinite(one.size):
            of_place = places.setdefault(one.series, {}).setdefault((one.kind, one.start), {})
            of_place[one.size] = one.delay is not None
    if any(len(tried) < len(sizes) for each in places.values() for tried in each.values()):
        return {}
    answer = {}
    for series, each in sorted(places.items()):
        least = sorted(_least(tried) for tried in each.values())
        answer[series] = least[max(0, int(np.ceil(SHARE * len(least))) - 1)]
    return answer


def _least(tried: Mapping[float, bool]) -> float:
    """The smallest size from which on every one was caught."""
    least = np.inf
    for size in sorted(tried, reverse=True):
        if not tried[size]:
            break
        least = size
    return float(least)


def _labelled(delays: Iterable[Mapping[Window, float | None]], false_alarms: int) -> EventScore:
    """The labelled windows, each caught where any of its series told it."""
    best: dict[Window, float | None] = {}
    for of_series in delays:
        for window, delay in of_series.items():
            known = [d for d in (best.get(window), delay) if d is not None]
            best[window] = min(known, default=None)
    return EventScore(tuple(best.values()), false_alarms)


@dataclass(frozen=True)
class Demands:
    """What must hold of the first contestant, None where nothing is demanded."""

    min_recall: float | None = None
    at_size: float = 3.0
    max_false_alarms: float | None = None
    min_f1: float | None = None

    def unmet(self, summary: Summary) -> list[str]:
        """What does not hold, a sentence each."""
        recall = summary.over(self.at_size).recall
        f1 = summary.labelled.f1 if summary.labelled else None
        about = f"recall of incidents of {self.at_size:g}x or more and of outages"
        demands = (
            (about, recall, self.min_recall, 1),
            ("false alarms a week and series", summary.rate, self.max_false_alarms, -1),
            ("F1 of the labelled windows", f1, self.min_f1, 1),
        )
        return [
            f"{what} is {'not known' if value is None else f'{value:.3g}'}; at {'least' if way > 0 else 'most'} "
            f"{bound:g} was demanded of {summary.name}"
            for what, value, bound, way in demands
            if bound is not None and (value is None or (value - bound) * way < 0)
        ]
