"""How deep a series has sunk: below its last day and below its daily profile, and for a while.

Rises are most of what a series of traffic does that is unusual; beside them a drop, which can be no deeper than its
level, is nothing. So depths are measured by themselves.
"""

from dataclasses import dataclass

import numpy as np

from detectors import views
from detectors.blocks import Floats
from detectors.calendar import Calendar
from detectors.crossing import Places

_SURER = 7.0
"""As sure a depth is at most, in logarithms, for each time that it is as deep as an hour usually falls below the day or
the profile: where a series never lay below both, a depth is beyond all of its past for want of a past."""


@dataclass(frozen=True)
class Low:
    """Depths below the `floor`, of which `fall` is the usual one; arrays are (series, time), or flat for some points.

    A point's `depth` is the least of its own and that of the points just before, which is `before`.
    """

    floor: Floats
    fall: Floats
    before: Floats
    depth: Floats

    @classmethod
    def of(
        cls, values: Floats, level: Floats, profile: Floats, calendar: Calendar, *, patience: int, early: int, past: int
    ) -> "Low":
        """The depths of `values`, of which `patience` columns must lie low, and the usual one over `past` hours.

        What comes every day may come `early` columns sooner or later.
        """
        floor = np.fmin(level, views.lowest(profile, calendar, early))
        low = np.maximum(floor - values, 0.0)
        before = views.least(low, patience - 1)
        depth = np.fmin(low, before)
        depth[np.isnan(low)] = np.nan
        falls = views.maxima(np.maximum(np.fmax(level, profile) - values, 0.0), calendar.block)
        fall = np.repeat(views.Sums(falls).mean(past)[:, :-1], calendar.block, axis=1)
        return cls(floor, fall, before, depth)

    def at(self, columns: Places) -> "Low":
        """Those of some columns, a row after the other."""
        return Low(*(array[:, columns].ravel() for array in (self.floor, self.fall, self.before, self.depth)))

    def later(self, begin: int) -> "Low":
        """Those from a column on."""
        return Low(*(array[:, begin:] for array in (self.floor, self.fall, self.before, self.depth)))

    def depth_of(self, values: Floats, at: Places) -> Floats:
        """How deep other values would be at some of the points."""
        return np.fmin(np.maximum(self.floor[at] - values, 0.0), self.before[at])

    def sure(self, log_probability: Floats, depth: Floats, at: Places | slice = slice(None)) -> Floats:
        """How sure a depth is: -log P, as far as it is also deep beside what is usual."""
        return np.fmin(-log_probability, _SURER * depth / self.fall[at])
