"""Silence where there never was any: a series that drops to zero, or whose points stop coming.

No score can see these alike: a wide band reaches below zero and hides the drop, and a missing point has no score. Both
are found by what the series itself did in the day before: it always reported, and never came near nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from detectors import Frame
from job.policy import Policy

BEFORE = timedelta(days=1)
"""How long before an outage the series must have been there, and never near zero."""

PRESENT = 0.9
"""The share of the periods before in which it must have had a point; half of `BEFORE` must be in the frame."""

NEAR_ZERO = 0.02
"""What is under this share of the least value of the day before counts as nothing."""

Silence = Literal["zero", "absent"]


@dataclass(frozen=True)
class Outage:
    """Columns `[start, stop)` of silence, of which it was certain at column `certain`."""

    start: int
    stop: int
    certain: int
    kind: Silence


def outages(
    frame: Frame, policy: Policy, first: int, hidden: NDArray[np.bool_] | None = None
) -> dict[int, tuple[Outage, ...]]:
    """The outages of each row that last into the columns from `first` on, by row; `hidden` points say nothing."""
    quiet: dict[Silence, NDArray[np.bool_]] = {"zero": _nearly_zero(frame.values)}
    if policy.absence == "absent":
        quiet["absent"] = np.isnan(frame.values)
    found: dict[int, tuple[Outage, ...]] = {}
    for kind, mask in quiet.items():
        for row in np.flatnonzero(mask[:, first:].any(axis=1)).tolist():
            lasting = _lasting(frame, mask[row], policy, first, kind)
            told = None if hidden is None else ~hidden[row]
            here = tuple(down for down in lasting if _unusual(frame, row, down, policy, told))
            if here:
                found[row] = (*found.get(row, ()), *here)
    return found


def _nearly_zero(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where a value is next to nothing beside the largest before it: a first look, which `_unusual` makes sure of."""
    largest = np.fmax.accumulate(values, axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray((values >= 0) & (values <= NEAR_ZERO * largest) & (largest > 0))


def _lasting(frame: Frame, quiet: NDArray[np.bool_], policy: Policy, first: int, kind: Silence) -> Iterator[Outage]:
    """The runs of silence of one row that lasted long enough to be certain, up to where they are the new normal."""
    after, adopted = frame.periods(policy.absence_after), frame.periods(policy.adopt)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], quiet, [False]))))
    for start, stop in edges.reshape(-1, 2).tolist():
        end, certain = min(stop, start + adopted), start + after - 1
        if first < end and certain < end:
            yield Outage(start, end, certain, kind)


def _unusual(frame: Frame, row: int, down: Outage, policy: Policy, told: NDArray[np.bool_] | None) -> bool:
    """Whether the day before the silence, or what of it is told, gave no reason to expect it."""
    day = frame.periods(BEFORE)
    before = slice(max(0, down.start - day), down.start)
    usual = frame.values[row, before] if told is None else frame.values[row, before][told[before]]
    there = usual[np.isfinite(usual)]
    if 2 * len(usual) < day or len(there) < PRESENT * len(usual):
        return False
    if np.median(there) < max(policy.min_volume, policy.min_absolute):
        return False
    least, now = there.min(), frame.values[row, down.start : down.stop]
    return down.kind == "absent" or bool(least > 0 and now.max() <= NEAR_ZERO * least)
