"""The rolling z-score."""

from dataclasses import dataclass
from datetime import timedelta

from detectors.blocks import Floats, by_tiles, enough
from detectors.carried import Carried
from detectors.frame import Frame
from detectors.guard import Guard
from detectors.rolling import Medians, Moments, stretch
from detectors.running import border
from detectors.scores import Scores
from detectors.settings import check


@dataclass(frozen=True)
class ZScore:
    """Scores a point against the mean and standard deviation of the `window` before it.

        score = (x - mean(window)) / std(window, ddof=1), x itself not in the window;
        robust: (x - median(window)) / (1.4826 * MAD(window))

    `window`: a day, or whole days, so that it holds the day's busy and quiet hours in their proportion; shorter follows
    the level faster and alarms every morning.
    `robust`: for series whose ordinary days have bursts that nobody wants to hear of less of; a tenth of the window may
    be rubbish. The median and MAD are taken anew every 1/12 of the window. Where more than half of the window is one
    value, the mean absolute deviation (times 1.2533) stands in for the MAD.
    `warm_up`: this much of the window must have points, else the score is NaN.
    `guard`: a point farther off than this many deviations teaches nothing. `adopt`: a shift that lasts this long is the
    new normal; the level before it stays normal too for another window, and the spread does not shrink meanwhile.

    `history` is two windows and `adopt`: more past changes no score of quiet data by 0.01
    deviations.

    >>> import numpy as np
    >>> from datetime import UTC, datetime, timedelta
    >>> values = np.tile([9.0, 11.0], 150)[None]
    >>> values[0, -1] = 30.0
    >>> frame = Frame(values, datetime(2026, 11, 22, tzinfo=UTC), timedelta(minutes=5), ({},))
    >>> ZScore()(frame).score.round(1)[0, -2:]
    array([-1., 20.])

    Shewhart, "Economic Control of Quality of Manufactured Product", 1931; for the robust form, Iglewicz and Hoaglin,
    "How to Detect and Handle Outliers", ASQC 1993.
    """

    window: timedelta = timedelta(days=1)
    robust: bool = False
    warm_up: timedelta = timedelta(hours=12)
    guard: float = 5.0
    adopt: timedelta = timedelta(hours=6)

    def __post_init__(self) -> None:
        check(self, window=self.window)

    @property
    def history(self) -> timedelta:
        """How much past before a point its score needs."""
        return 2 * self.window + self.adopt

    def recent(self, step: timedelta) -> timedelta:
        """How much past a resumed frame still needs: a stretch, and the window before it or what may be adopted."""
        return 2 * max(self.window, 2 * self.adopt) + 2 * step

    def __call__(self, frame: Frame) -> Scores:
        """Score every point of the frame."""
        return self._scored(frame, 0)[0]

    def late(self, frame: Frame, first: int) -> Scores:
        """The scores of the columns from `first` on."""
        return self._scored(frame, first)[0]

    def carry(self, frame: Frame, first: int, midnight: int) -> tuple[Scores, Carried]:
        """The scores of the columns from `first` on, and what those from `midnight` on need of the past."""
        return self._scored(frame, first, midnight)

    def resume(self, carried: Carried, frame: Frame, midnight: int) -> Scores:
        """The scores of the columns from `midnight` on, of a frame that begins `recent` before them."""
        return self._scored(frame, midnight, midnight, carried)[0]

    def _scored(
        self, frame: Frame, first: int, midnight: int = 0, past: Carried | None = None
    ) -> tuple[Scores, Carried]:
        window = frame.periods(self.window)
        guard = Guard(self.guard, frame.periods(self.adopt), window)
        least, size = max(2, guard.adopt // 2), stretch(window) if self.robust else window
        lead = -frame.origin % size
        at = border(midnight, size, lead)
        if past:  # what is before is in there
            low = max(0, at - max(window, guard.reach))
            frame, first, lead, at = frame.since(low), first - low, lead - low, at - low

        def kernel(values: Floats, expected: Floats, spread: Floats, past: Carried) -> Carried:
            ready = enough(values, window, max(2, frame.periods(self.warm_up)), axis=1)
            robust = Medians(values, window, least, frame.origin) if self.robust else None
            baseline = robust or Moments(values, window, least, lead)
            return guard.run(values, ready, baseline, expected, spread, at, past)

        return by_tiles(frame, size, kernel, first, past)
