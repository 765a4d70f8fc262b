"""What the groups of a slice's resources carry together: whether its peers took what one of them lost is told by it."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from detectors import Frame, Labels
from job.kinship import groups, thing_of
from job.series import CELL, Sum, Surveyed, Trace, means, numbers, since_day

DAY = timedelta(days=1)

MEMBERS = 64
"""A larger group is a place rather than peers."""

GROUPS = 200
"""Of a slice that has more groups, nothing is told: so much is held of each of the days that are read at once."""

SCALE = 1024
"""The parts of a unit in which values are added up, as whole numbers: their sum has no order."""

Whole: TypeAlias = NDArray[np.int64]

TRAFFIC = {"bytes", "packets"}

Group: TypeAlias = tuple[str, str]
"""Type of resource, and the group's name as a census has it."""


class Sums:
    """The sums of each group of a day's series and of the day before, taken block by block in any order."""

    def __init__(self, start: datetime, step: timedelta) -> None:
        self._start = start
        self._step = max(1, CELL // step) * step
        self._members: dict[Group, set[int]] = {}
        self._sums: dict[Group, Whole] = {}
        self._there: dict[Group, NDArray[np.uint16]] = {}

    def add(self, frame: Frame, surveyed: Callable[[Labels], Surveyed]) -> None:
        """Add the series of a block; those of too large groups, or of too many, are let go."""
        values, rows = since_day(frame.values, frame.column(self._start), DAY // frame.step), dict[Group, list[int]]()
        for row in np.flatnonzero(np.isfinite(values).any(axis=1)).tolist():
            one = surveyed(frame.labels[row])
            for group in one.resource.groups if one.slot.what in TRAFFIC else ():
                members = self._members.setdefault((one.type, group), set())
                if len(members) <= MEMBERS:  # else it stays too large
                    members.add(one.resource.mark)
                    rows.setdefault((one.type, group), []).append(row)
        small = {name: some for name, some in rows.items() if self._small(name)}
        if small:
            values = means(values, frame.step)
            known = np.isfinite(values)
            whole = np.rint(np.clip(np.where(known, values, 0.0), -(2.0**46), 2.0**46) * SCALE).astype(np.int64)
            for name, some in small.items():
                self._sums[name] = self._sums.get(name, np.int64(0)) + whole[some].sum(axis=0)
                self._there[name] = self._there.get(name, np.uint16(0)) + known[some].sum(axis=0, dtype=np.uint16)

    def _small(self, name: Group) -> bool:
        """Whether a group is one to tell of; what is held of one that is not is let go."""
        if len(self._members) > GROUPS:
            self._sums.clear()
            self._there.clear()
            return False
        if len(self._members[name]) > MEMBERS:
            self._sums.pop(name, None)
            self._there.pop(name, None)
            return False
        return True

    def told(self, traces: Iterable[Trace]) -> list[Sum]:
        """The sums of the groups of those series that fell, one for each of them."""
        sizes = {name: len(self._members[name]) for name in self._sums}
        wanted = {name for trace in traces if trace.before is not None and (name := peers(trace, sizes))}
        return [
            Sum(
                type=name[0],
                group=name[1],
                members=sizes[name],
                start=self._start - DAY,
                step=round(self._step.total_seconds()),
                value=numbers(np.where(self._there[name] > 0, self._sums[name] / SCALE, np.nan)),
                there=self._there[name].tolist(),
            )
            for name in sorted(wanted)
        ]


def peers(trace: Trace, sizes: Mapping[Group, int]) -> Group | None:
    """Which of these groups are a series' peers: its instance group, or else the smallest; none where it is alone."""
    kind, mine = trace.resource.type, groups(thing_of(trace.project, trace.resource, trace.labels))
    some = [
        (label != "prefix", sizes.get((kind, f"{label}={value}"), 0), f"{label}={value}")
        for label, value in mine.items()
    ]
    best = min((one for one in some if one[1] > 1), default=None)
    return (kind, best[2]) if best else None
