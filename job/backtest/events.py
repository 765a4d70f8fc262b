"""Flags against windows, event by event: what was caught, how late, and how many alarms were false."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class EventScore:
    """What came of the windows of one series, or of several (`+`).

    `delays` holds for each window how long after its start the first flag in it was, None where there was none.
    """

    delays: tuple[float | None, ...] = ()
    false_alarms: int = 0

    @property
    def windows(self) -> int:
        """How many windows there were to catch."""
        return len(self.delays)

    @property
    def caught(self) -> int:
        """How many windows had a flag in them; each counts once."""
        return sum(delay is not None for delay in self.delays)

    @property
    def recall(self) -> float | None:
        """The share of the windows that were caught; None where there is no window."""
        return self.caught / self.windows if self.windows else None

    @property
    def precision(self) -> float | None:
        """The share of what was told that was a window; None where nothing was told."""
        told = self.caught + self.false_alarms
        return self.caught / told if told else None

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall; None where there is neither a window nor an alarm."""
        every = self.windows + self.caught + self.false_alarms
        return 2 * self.caught / every if every else None

    def __add__(self, other: "EventScore") -> "EventScore":
        return EventScore(self.delays + other.delays, self.false_alarms + other.false_alarms)


def score_events(
    windows: Sequence[tuple[float, float]], flagged: ArrayLike, cooldown: float, grace: float = 0.0
) -> EventScore:
    """Score the flagged stamps of one series against its windows, half-open `[start, end)`, all in one unit of time.

    A window is caught by any flag in it and counts once. Of the flags that lie in no window, the first raises a false
    alarm, which swallows those less than `cooldown` after it; the next one raises another, so that a detector that
    flags everything pays for all the time it is on. Flags up to `grace` after a window, and no longer after it than it
    lasted, belong to the end of its event and count for nothing.

    Raises:
        ValueError: a window does not end after it began, or the cool-down is no time.
    """
    if not cooldown > 0:
        raise ValueError(f"cooldown {cooldown} is no time; give more than 0")
    stamps = np.unique(np.asarray(flagged, dtype=np.float64))
    alone = np.ones(len(stamps), dtype=bool)
    delays: list[float | None] = []
    for start, end in windows:
        if not start < end:
            raise ValueError(f"the window {start} to {end} does not end after it began")
        first, stop = np.searchsorted(stamps, (start, end))
        delays.append(float(stamps[first] - start) if first < stop else None)
        alone[first : np.searchsorted(stamps, end + min(grace, end - start))] = False
    return EventScore(tuple(delays), len(alarms(stamps[alone], cooldown)))


def alarms(stamps: NDArray[np.float64], cooldown: float) -> list[float]:
    """The stamps, in their order, that raise an alarm when each swallows those less than `cooldown` after it."""
    raised: list[float] = []
    place = 0
    while place < len(stamps):
        raised.append(float(stamps[place]))
        place = int(np.searchsorted(stamps, stamps[place] + cooldown))
    return raised
