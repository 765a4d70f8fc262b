"""Whether the peers of a series that fell took what it lost: what they carried together, before and after."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from job.anomaly import Anomaly
from job.nature import Taken
from job.series import Sum, Trace, means

DAY = timedelta(days=1)

BEFORE = timedelta(hours=1)
"""So long before is what it is compared with, as it changed the day before."""

LATEST = timedelta(hours=2)
"""What comes later says no more of who took it."""

LEAST = 2
"""So many cells there must be on either side."""

TIMES = 6
"""So many other times of the same day are enough to know how the peers go by themselves; else the day before helps."""

WOBBLE = 90
"""The percentile of what the peers gained or lost over as long at other times before, by themselves."""

Numbers = NDArray[np.float64]
Places = NDArray[np.intp]


def taken(trace: Trace, total: Sum, a: Anomaly) -> Taken | None:
    """What a series lost at the onset of an anomaly, and what its peers gained; None where too little is known."""
    step, own = timedelta(seconds=total.step), _own(trace, total)
    onset, first = (a.start - total.start) // step, -(-(a.start - total.start) // step)
    back, count = max(LEAST, BEFORE // step), min((a.end - total.start) // step - first, max(LEAST, LATEST // step))
    if count >= 2 * LEAST:  # the first may be on the way
        first, count = first + 1, count - 1
    if trace.before is None or count < LEAST or onset < back:
        return None
    there = np.array(total.there) - np.isfinite(own)
    usual = there[onset - back : onset].max()
    as_many = np.where(np.arange(len(own)) < onset, there == usual, there >= usual)
    rest = np.where(as_many, np.array(total.value, dtype=np.float64) - np.nan_to_num(own), np.nan)
    steady, drifting = (_Change(DAY // step, back, count, drifts) for drifts in (False, True))
    wobble, drifted = _wobble(rest, onset, steady), _wobble(rest, onset, drifting)
    best, wobble = (drifting, drifted) if drifted < wobble else (steady, wobble)
    at, then = np.array([onset]), np.array([first])
    (lost,), (gained,) = -best(np.nan_to_num(own), at, then), best(rest, at, then)
    if lost <= 0 or not np.isfinite(gained + wobble):
        return None
    return Taken(total.group, total.members, float(lost), float(gained), wobble)


def _own(trace: Trace, total: Sum) -> Numbers:
    """What the series itself had in each cell of its group's sum."""
    day = means(np.array(trace.value, dtype=np.float64), timedelta(seconds=trace.step))
    both = np.concatenate([np.array(trace.before or [], dtype=np.float64), day])
    return np.pad(both, (0, max(0, len(total.value) - len(both))), constant_values=np.nan)[: len(total.value)]


def _wobble(rest: Numbers, onset: int, change: "_Change") -> float:
    """How much the peers gained or lost at other times, by themselves."""
    at = np.arange(change.back, onset - change.count + 1)
    with np.errstate(invalid="ignore", divide="ignore"):  # by their level, since they are at another one at night
        moved = np.abs(change(rest, at, at)) / change.before(rest, at) * change.before(rest, np.array([onset]))
    same = moved[np.isfinite(moved) & (at >= change.day + change.back)]
    some = same if len(same) >= TIMES else moved[np.isfinite(moved)]
    return float(np.percentile(some, WOBBLE)) if len(some) >= TIMES else np.inf


@dataclass(frozen=True)
class _Change:
    """How the level of `count` cells differs from the `back` before, beside the day before where the level `drifts`."""

    day: int
    back: int
    count: int
    drifts: bool

    def before(self, values: Numbers, at: Places) -> Numbers:
        """The level before each place; NaN where it is not known."""
        return _mean(values, at - self.back, self.back)

    def __call__(self, values: Numbers, at: Places, first: Places) -> Numbers:
        """The change at each place, where the later cells begin at `first`; NaN where it is not known."""
        before, after = self.before(values, at), _mean(values, first, self.count)
        if not self.drifts:
            return after - before
        then, later = self.before(values, at - self.day), _mean(values, first - self.day, self.count)
        with np.errstate(invalid="ignore", divide="ignore"):
            drift = np.where(then > 0, np.clip(later / then, 0.5, 2.0), 1.0)
        return np.asarray(after - before * np.where(np.isfinite(drift), drift, 1.0))


def _mean(values: Numbers, first: Places, count: int) -> Numbers:
    """The mean of so many cells from each place on; NaN where less than half of them are known."""
    known = np.isfinite(values)
    sums = np.cumsum(np.append(0.0, np.where(known, values, 0.0))), np.cumsum(np.append(0, known))
    ends = np.clip(first, 0, len(values)), np.clip(first + count, 0, len(values))
    total, some = (each[ends[1]] - each[ends[0]] for each in sums)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(2 * some >= count, total / some, np.nan))
