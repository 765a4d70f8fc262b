"""The grid of days, blocks and slots on which a baseline is refreshed: the same wherever a frame begins."""

from dataclasses import dataclass

import numpy as np

from detectors.blocks import Floats
from detectors.crossing import Places
from detectors.frame import Frame

_BLOCKS = 24
"""A day has at most so many blocks: an hour is the unit in which alarms are counted."""

_SLOTS = 96
"""A day has at most so many slots of the daily profile: a quarter of an hour is as fine as a few days can tell."""


@dataclass(frozen=True)
class Calendar:
    """How many columns make a day, a block (an hour) and a slot of the daily profile (a quarter of an hour).

    Where a step does not divide a day, a day is the nearest whole number of columns; where it is longer than a block or
    a slot, these are one column.
    """

    day: int
    block: int
    slot: int
    lead: int

    @classmethod
    def of(cls, frame: Frame) -> "Calendar":
        """The calendar of a frame; `lead` is how many columns lie between the last midnight (UTC) and its start."""
        day = max(1, round(86_400 / frame.step.total_seconds()))
        return cls(day, _part(day, _BLOCKS), _part(day, _SLOTS), frame.origin % day)

    @property
    def blocks(self) -> int:
        """How many blocks a day has."""
        return self.day // self.block

    def births(self, values: Floats) -> Places:
        """The column at which each series' first day with a point begins; past the last one where there is none."""
        births, unborn, begin = np.full(len(values), values.shape[1]), np.arange(len(values)), 0
        for stop in range(self.day - self.lead, values.shape[1] + self.day, self.day):
            born = (~np.isnan(values[unborn, begin:stop])).any(axis=1)
            births[unborn[born]] = begin
            unborn, begin = unborn[~born], stop
            if not len(unborn):
                break
        return births

    def whole(self, values: Floats) -> Floats:
        """The values with missing points before and after, so that they are whole days."""
        after = -(self.lead + values.shape[1]) % self.day
        return np.pad(values, ((0, 0), (self.lead, after)), constant_values=np.nan)


def _part(day: int, most: int) -> int:
    """The fewest columns that divide a day into at most `most` equal parts."""
    return next(n for n in range(max(1, day // most), day + 1) if day % n == 0 and day // n <= most)
