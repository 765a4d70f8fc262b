"""How far a series lies beyond both its last day and its daily profile, on one side, and for a while.

Rises are most of what a series of traffic does that is unusual; beside them a drop, which can be no deeper than its
level, is nothing, and beside a burst a rise that stays is small. So what lies so far on one side point after point is
measured by itself.
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from detectors import views
from detectors.blocks import Floats
from detectors.calendar import Calendar
from detectors.crossing import Places
from detectors.frame import Frame

_SURER = 7.0
"""As sure a distance is at most, in logarithms, for each time that it is as far as the worst of an hour usually lies
beyond the day or the profile: where a series never lay beyond both, a distance is new for want of a past."""


@dataclass(frozen=True)
class Side:
    """What counts as lying beyond: `way` is 1 for above and -1 for below.

    For `patience` every point must lie there. What comes every day may come so much `early` or late. What is said of it
    counts by this `power` of its probability, so that it alone adds next to nothing to the rate of alarms.
    """

    way: int
    patience: timedelta
    early: timedelta
    power: float


@dataclass(frozen=True)
class Beyond:
    """Distances beyond the `limit`, of which `usual` is the usual one; arrays are (series, time), or flat for points.

    A point's `distance` is the least of its own and that of the points just before, which is `before`; 0 on the other
    side of the limit.
    """

    side: Side
    limit: Floats
    usual: Floats
    before: Floats
    distance: Floats

    @classmethod
    def of(
        cls, side: Side, frame: Frame, calendar: Calendar, values: Floats, level: Floats, profile: Floats, past: int
    ) -> "Beyond":
        """The distances of the frame's `values` in whole days, and the usual one over `past` hours."""
        reach = frame.periods(side.early)
        if side.way > 0:
            limit = np.fmax(level, views.highest(profile, calendar, reach))
            far, high = values - limit, values - np.fmin(level, profile)
        else:
            limit = np.fmin(level, -views.highest(-profile, calendar, reach))
            far, high = limit - values, np.fmax(level, profile) - values
        _positive(far)
        before = views.least(far, frame.periods(side.patience) - 1)
        distance = np.fmin(far, before)
        np.copyto(distance, np.nan, where=np.isnan(far))
        worst = _positive(views.maxima(high, calendar.block))
        usual = np.repeat(views.Sums(worst).mean(past)[:, :-1], calendar.block, axis=1)
        return cls(side, limit, usual, before, distance)

    def at(self, columns: Places) -> "Beyond":
        """Those of some columns, a row after the other."""
        arrays = (self.limit, self.usual, self.before, self.distance)
        return Beyond(self.side, *(array[:, columns].ravel() for array in arrays))

    def later(self, begin: int) -> "Beyond":
        """Those from a column on."""
        arrays = (self.limit, self.usual, self.before, self.distance)
        return Beyond(self.side, *(array[:, begin:] for array in arrays))

    def distance_of(self, values: Floats, at: Places) -> Floats:
        """How far other values would be at some of the points."""
        return np.fmin(np.maximum(self.side.way * (values - self.limit[at]), 0.0), self.before[at])

    def sure(self, evidence: Floats, distance: Floats, at: Places | slice = slice(None)) -> Floats:
        """How sure a distance is: its -log P to the side's power, as far as it is also far beside what is usual."""
        sure = _SURER * distance
        sure /= self.usual[at]
        np.fmin(evidence, sure, out=sure)
        sure *= self.side.power
        return sure


def _positive(values: Floats) -> Floats:
    """The same, 0 where it is less; for half of what the larger of two takes."""
    return np.clip(values, 0.0, np.inf, out=values)
