"""Which labelled events are told by whom, and what is measured of those that the default does not tell.

An event is compared with its own past: how far off its worst point was, in each of the default's four views, beside
the worst points of the hours of the four weeks before. Where even in the view that shows it best more of these hours
were as far off than may raise an alarm, no line in any of the views tells the event at that rate of false alarms. Where
they were so many only with the hours of past events, it is these that hide it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

import numpy as np
from numpy.typing import NDArray

from benchmarks.labelled import HOUR, Series, rates, within
from detectors import Frame, views
from detectors.adaptive import Adaptive
from detectors.calendar import Calendar
from job.backtest.events import EventScore

DAY = timedelta(days=1)

QUICK = (timedelta(minutes=4), timedelta(minutes=40))
"""Of which stretches the default's views of the last minutes and hours take means."""

OURS = Adaptive()

QUIET = 1.0
"""A method raises few false alarms where they are at most so many a week for each series."""

HEAD = (
    "which events|in all|told|past events muted|a quiet method|a loud one|nobody|ordinary|hidden|clear|before, on days"
)
"""Each tells so many that none of those before does; of what the default misses, why and after how many."""


@dataclass(frozen=True)
class Past:
    """What came before an event: in how many hours of a week of its memory the series was as far off.

    Of all `hours` and of `ordinary` ones, each in the view in which they were fewest; and how many labelled `events`
    began in the ten days before, on how many `days` of them.
    """

    hours: float
    ordinary: float
    events: int
    days: int


def pasts(series: Series) -> Iterator[Past]:
    """What came before each of the series' windows."""
    calendar = Calendar.of(series.frame)
    with np.errstate(all="ignore"):  # NaN is "nothing known" throughout
        off = _deviations(series.frame, calendar)
        worst = views.maxima(off, calendar.block)
    columns = np.arange(off.shape[1], dtype=np.float64)
    starts = series.frame.start.timestamp() + series.step * (columns - calendar.lead)
    taught = [(start, end + min(HOUR, end - start)) for start, end in series.events]
    ordinary = np.asarray(~within(starts, taught).reshape(-1, calendar.block).any(axis=1))
    memory, recent = OURS.memory // DAY * calendar.blocks, OURS.recent.total_seconds()
    for start, end in series.windows:
        event = np.flatnonzero((starts >= start) & (starts < end))
        stop = int(event[0]) // calendar.block
        before = slice(max(0, stop - memory), stop)
        far = worst[:, before] >= np.fmax.reduce(off[:, event], axis=1)[:, None]
        known = ~np.isnan(worst[:, before])
        hours, rest = (_share(far, some) * 7 * calendar.blocks for some in (known, known & ordinary[before]))
        ages = [start - one for one, _ in series.events if start - recent <= one < start]
        yield Past(hours, rest, len(ages), len({age // (24 * HOUR) for age in ages}))


def _deviations(frame: Frame, calendar: Calendar) -> NDArray[np.float64]:
    """How far off each point is in each of the four views, in whole days."""
    values = calendar.whole(frame.values)
    sums = views.Sums(values)
    slow = views.daily_level(sums, calendar), views.profile(sums, calendar, OURS.days)
    quick = (views.recent(sums, frame.periods(span)) for span in QUICK)
    return np.concatenate([np.abs(values - centre) for centre in (*slow, *quick)])


def _share(there: NDArray[np.bool_], known: NDArray[np.bool_]) -> float:
    """In which part of the known hours it is there, in the view in which it is so least."""
    shares = [float(one.sum() / some.sum()) for one, some in zip(there & known, known, strict=True) if some.any()]
    return min(shares, default=0.0)


def lines(
    every: Sequence[Series], scores: Mapping[str, Sequence[EventScore]], default: str, muted: str, asked: float
) -> Iterator[str]:
    """The table, as Markdown: of each corpus who tells how many of its events, and why the default misses some.

    `asked` is how many false alarms a week the default bears.
    """
    head = [*HEAD.split("|"), "false alarms", "past events muted"]
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for corpus in dict.fromkeys(series.corpus for series in every):
        ours = [(n, series) for n, series in enumerate(every) if series.corpus == corpus]
        told = {name: _told([found[n] for n, _ in ours]) for name, found in scores.items()}
        rate = {name: rates(every, found)[corpus] for name, found in scores.items()}
        before = (one for _, series in ours for one in pasts(series))
        missed = [one for one, seen in zip(before, told[default], strict=True) if not seen]
        alarms = (f"{rate[name]:.2f}" for name in (default, muted))
        cells = [*_who(told, rate, default, muted), *_why(missed, asked), *alarms]
        yield f"| {corpus} | {' | '.join(cells)} |"


def _told(found: Sequence[EventScore]) -> NDArray[np.bool_]:
    return np.array([delay is not None for one in found for delay in one.delays], dtype=bool)


def _who(told: Mapping[str, NDArray[np.bool_]], rate: Mapping[str, float], default: str, muted: str) -> tuple[str, ...]:
    """How many events there are, and how many each kind of method tells that none of the kinds before does."""
    cost = np.full(len(told[default]), np.inf)  # false alarms of the quietest method that tells an event
    for name in told.keys() - {default, muted}:
        cost[told[name]] = np.minimum(cost[told[name]], rate[name])
    ours, left = told[default], ~told[default] & ~told[muted]
    loud = cost[left & (cost > QUIET) & np.isfinite(cost)]
    counts = len(ours), ours.sum(), (told[muted] & ~ours).sum(), (left & (cost <= QUIET)).sum(), len(loud)
    price = f" ({median(loud):.2g})" if len(loud) else ""
    return *(f"{count}" for count in counts[:-1]), f"{len(loud)}{price}", f"{(left & np.isinf(cost)).sum()}"


def _why(missed: Sequence[Past], asked: float) -> tuple[str, ...]:
    """How many of the missed lie among ordinary hours, among past events, among neither; what came before them."""
    ordinary = sum(one.ordinary > asked for one in missed)
    events = sum(one.ordinary <= asked < one.hours for one in missed)
    counts = (median(getattr(one, name) for one in missed) for name in ("events", "days") if missed)
    before = " on ".join(f"{count:.2g}" for count in counts)
    return f"{ordinary}", f"{events}", f"{len(missed) - ordinary - events}", before
