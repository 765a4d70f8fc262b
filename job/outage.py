"""Silence where there never was any: a series that drops to zero, or whose points stop coming.

No score can see these alike: a wide band reaches below zero and hides the drop, and a missing point has no score. Both
are found by what the series itself did in the day before, without the outages in it: it always reported, and never came
near nothing. How long points must be missing depends on the gaps that it had.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from detectors import Frame
from job.policy import Policy

BEFORE = timedelta(days=1)
"""How long before an outage the series must have been there, and never near zero."""

TWICE = 2
"""So many times longer than any gap of the day before must points be missing."""

PERIODS = 2
"""So many periods of silence make an outage at the least: a day of hours has too few for one of them to be unusual."""

BROKEN = timedelta(minutes=30)
"""What is there again for no longer does not end an outage."""

PRESENT = 0.9
"""The share of the periods before in which it must have had a point; half of `BEFORE` must be in the frame."""

NEAR_ZERO = 0.02
"""What is under this share of the least value of the day before counts as nothing."""

Silence = Literal["zero", "absent"]


@dataclass(frozen=True)
class Outage:
    """Columns `[start, stop)` of silence, of which it was certain at column `certain`.

    `adopted`: it did not end there, but was then taken for the new normal.
    """

    start: int
    stop: int
    certain: int
    kind: Silence
    adopted: bool = False

    def later(self, columns: int) -> "Outage":
        """The same in a frame that begins so many columns earlier."""
        return replace(self, start=self.start + columns, stop=self.stop + columns, certain=self.certain + columns)


def outages(
    frame: Frame, policy: Policy, first: int, hidden: NDArray[np.bool_] | None = None
) -> dict[int, tuple[Outage, ...]]:
    """The outages of each row that last into the columns from `first` on, by row; `hidden` points say nothing."""
    quiet: dict[Silence, NDArray[np.bool_]] = {"zero": nearly_zero(frame.values)}
    if policy.absence == "absent":
        quiet["absent"] = np.isnan(frame.values)
    least = _least(frame, policy)
    lasting = {kind: _long(mask, first, least) for kind, mask in quiet.items()}
    found: dict[int, tuple[Outage, ...]] = {}
    for row in np.flatnonzero(np.any(list(lasting.values()), axis=0)).tolist():
        silent = sorted((*span, kind) for kind, mask in quiet.items() for span in spans(mask[row]).tolist())
        told = np.ones(frame.values.shape[1], dtype=np.bool_) if hidden is None else ~hidden[row]
        here = tuple(down for down in _row(frame, row, silent, policy, told) if down.stop > first)
        if here:
            found[row] = here
    return found


def nearly_zero(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where a value is next to nothing beside the largest before it: a first look, which `_nothing` makes sure of."""
    answer = np.zeros(values.shape, dtype=np.bool_)
    least, most = (fold.reduce(values, axis=1, initial=np.nan) for fold in (np.fmin, np.fmax))
    rows = np.flatnonzero(least <= NEAR_ZERO * most)  # few: of all others the least is no such value
    values = values[rows]
    largest = np.fmax.accumulate(values, axis=1)
    with np.errstate(invalid="ignore"):
        answer[rows] = (values >= 0) & (values <= NEAR_ZERO * largest) & (largest > 0)
    return answer


def _long(quiet: NDArray[np.bool_], first: int, least: int) -> NDArray[np.bool_]:
    """The rows with a run of at least `least` columns of silence that lasts into those from `first` on."""
    near = quiet[:, max(0, first - least + 1) :]
    if near.shape[1] < least:
        return np.zeros(len(quiet), dtype=np.bool_)
    total = np.cumsum(near, axis=1, dtype=np.int32)
    total[:, least:] -= total[:, :-least].copy()
    return np.asarray((total[:, least - 1 :] == least).any(axis=1))


def spans(quiet: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Start and stop of each run of silence of one row."""
    return np.flatnonzero(np.diff(np.concatenate(([False], quiet, [False])))).reshape(-1, 2)


def _row(
    frame: Frame, row: int, silent: list[tuple[int, int, Silence]], policy: Policy, told: NDArray[np.bool_]
) -> list[Outage]:
    """The outages of one row, in the order of time.

    What the day before makes one gives no reason to expect the next; several do. No more than four days before say
    whether silence is one, where none is longer than a day, however much there is.
    """
    found: list[Outage] = []
    values, day = frame.values[row], frame.periods(BEFORE)
    least, adopted, broken = _least(frame, policy), frame.periods(policy.adopt), BROKEN // frame.step
    silent, calm = [one for one in silent if one[1] - one[0] >= least], told.copy()
    for begin, end, kind in silent:
        before = np.where(told, values, np.nan)[max(0, begin - day) : begin]
        for start, stop, _ in _odd(values, (begin, end, kind), before, day, policy, least):
            calm[start:stop] = False
    usual = values[:0]
    for begin, end, kind in silent:
        if not _same(found, kind, begin, broken):
            near = slice(max(0, begin - 2 * day), begin)
            usual = values[near][calm[near]][-day:]
        for start, stop, wait in _odd(values, (begin, end, kind), usual, day, policy, least):
            on = _same(found, kind, start, broken)
            until = min(stop, (on.start if on else start) + adopted)
            if on and until > start:
                found[-1] = replace(on, stop=until, adopted=until < stop)
            elif not on and start + wait <= until:
                found.append(Outage(start, until, start + wait - 1, kind, until < stop))
    return found


def _odd(
    values: NDArray[np.float64],
    silence: tuple[int, int, Silence],
    usual: NDArray[np.float64],
    day: int,
    policy: Policy,
    least: int,
) -> Iterator[tuple[int, int, int]]:
    """The parts of a silence that are long enough beside what is usual, from when to when, and what is long enough."""
    begin, end, kind = silence
    if not _known(usual, day, policy, kind):
        return
    wait = max(least, TWICE * _longest(usual)) if kind == "absent" else least
    for start, stop in _nothing(values, begin, end, usual) if kind == "zero" else [[begin, end]]:
        if stop - start >= wait:
            yield start, stop, wait


def _same(found: list[Outage], kind: Silence, start: int, broken: int) -> Outage | None:
    """The last outage, if silence from `start` on is still that: it was broken for a moment alone."""
    on = found[-1] if found else None
    return on if on and on.kind == kind and not on.adopted and start - on.stop <= broken else None


def _least(frame: Frame, policy: Policy) -> int:
    return max(PERIODS, frame.periods(policy.absence_after))


def _known(usual: NDArray[np.float64], day: int, policy: Policy, kind: Silence) -> bool:
    """Whether the day before is there, and always reported something worth telling of; half of it, for a zero."""
    there = usual[np.isfinite(usual)]
    if 2 * len(usual) < day or len(there) < (PRESENT * len(usual) if kind == "absent" else day / 2):
        return False
    return bool(np.median(there) >= max(policy.min_volume, policy.min_absolute))


def _nothing(values: NDArray[np.float64], begin: int, end: int, usual: NDArray[np.float64]) -> list[list[int]]:
    """The parts of `[begin, end)` that are next to nothing beside the least of the day before, which was something."""
    parts: list[list[int]] = (begin + spans(values[begin:end] <= NEAR_ZERO * np.nanmin(usual))).tolist()
    return parts if np.nanmin(usual) > 0 else []


def _longest(usual: NDArray[np.float64]) -> int:
    """How many periods the longest gap of the day before had."""
    lengths = np.diff(spans(np.isnan(usual)), axis=1)
    return int(lengths.max(initial=0))
