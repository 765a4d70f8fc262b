"""The EWMA control chart: an exponentially weighted mean and variance, one step ahead."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from detectors.blocks import Floats, by_rows, enough
from detectors.frame import Frame
from detectors.guard import Guard, Rows
from detectors.scores import Scores

_HALVINGS = 10
_TINY = 1e-300

State: TypeAlias = tuple[Floats, Floats, Floats, Floats]


@dataclass(frozen=True)
class Ewma:
    """Scores a point against the exponentially weighted mean and deviation of the points before it.

    With `b = 2 ** (-step / half_life)` and weights `w_i = b ** (age of point i)`,

        mean = sum(w x) / sum(w)
        variance = sum(w (x - mean)**2) / (sum(w) - sum(w**2) / sum(w))
        score = (x - mean) / sqrt(variance), before x is learned.

    Both sums start empty, so the mean needs no start-up correction by `1 - b**n` and the variance is unbiased from the
    second point on. Every column ages the weights, with a point or without.

    `half_life`: shorter follows the level faster and trusts fewer points. Below a dozen steps the deviation is a guess
    and false alarms multiply; much above 6h it no longer follows the day.
    `warm_up`: this much of the `2 * warm_up` before a point must have points, else its score is NaN.
    `guard`: a point farther off than this many deviations teaches nothing. `adopt`: a shift that lasts this long is the
    new normal; the level before it stays normal too for another `2 * warm_up`.

    `history` is ten half-lives and what the guard remembers: more past changes no score of quiet data by 0.01
    deviations.

    >>> import numpy as np
    >>> from datetime import UTC, datetime, timedelta
    >>> values = np.tile([9.0, 11.0], 150)[None]
    >>> values[0, -1] = 30.0
    >>> frame = Frame(values, datetime(2026, 11, 22, tzinfo=UTC), timedelta(minutes=5), ({},))
    >>> Ewma()(frame).score.round(1)[0, -2:]
    array([-1., 20.])

    Roberts, "Control Chart Tests Based on Geometric Moving Averages", Technometrics 1(3), 1959;
    Finch, "Incremental calculation of weighted mean and variance", 2009.
    """

    half_life: timedelta = timedelta(hours=6)
    warm_up: timedelta = timedelta(hours=12)
    guard: float = 5.0
    adopt: timedelta = timedelta(hours=6)

    def __post_init__(self) -> None:
        if min(self.half_life, self.warm_up, self.adopt) <= timedelta(0):
            raise ValueError(f"{self} has a duration that is not positive")
        if not self.guard > 0:
            raise ValueError(f"guard {self.guard} is not a positive number of deviations")

    @property
    def history(self) -> timedelta:
        """How much past before a point its score needs."""
        return max(_HALVINGS * self.half_life, 2 * self.warm_up) + self.adopt

    def __call__(self, frame: Frame) -> Scores:
        """Score every point of the frame."""
        memory = 2 * frame.periods(self.warm_up)
        guard = Guard(self.guard, frame.periods(self.adopt), memory)
        decay = 2.0 ** -(frame.step / self.half_life)

        def kernel(values: Floats) -> tuple[Floats, Floats]:
            ready = enough(values, memory, max(2, frame.periods(self.warm_up)))
            return guard.run(values, ready, _Moments(values, decay))

        return by_rows(frame, kernel)


@dataclass
class _Moments:
    """Weighted sums of each series: of the weights, of their squares, of the squared deviations; and the mean."""

    values: Floats
    decay: float
    level: State = field(init=False)
    aside: State = field(init=False)
    learned: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        self.level, self.aside = _nothing(self.values.shape[1]), _nothing(self.values.shape[1])
        self.learned = np.zeros(self.values.shape, dtype=np.bool_)

    def at(self, _: int) -> tuple[Floats, Floats]:
        mean, weight, squares, off = self.level
        return mean.copy(), np.sqrt(off / (weight - squares / weight))

    def learn(self, column: int, taken: NDArray[np.bool_]) -> None:
        self.learned[column] = taken
        self.level = _learn(self.level, self.values[column], taken, self.decay)

    def adopt(self, column: int, first: int, rows: Rows) -> None:
        self._lay_aside(rows)
        level = _nothing(len(rows))
        for j in range(first, column + 1):
            x = self.values[j, rows]
            level = _learn(level, x, ~(np.isnan(x) | self.learned[j, rows]), self.decay)
            self.learned[j, rows] = True
        self._put(rows, level)

    def recall(self, _: int, rows: Rows) -> None:
        back = tuple(part[rows] for part in self.aside)
        self._lay_aside(rows)
        self._put(rows, back)

    def _lay_aside(self, rows: Rows) -> None:
        for kept, part in zip(self.aside, self.level, strict=True):
            kept[rows] = part[rows]

    def _put(self, rows: Rows, level: tuple[Floats, ...]) -> None:
        for part, new in zip(self.level, level, strict=True):
            part[rows] = new


def _nothing(rows: int) -> State:
    return np.zeros(rows), np.full(rows, _TINY), np.full(rows, _TINY), np.zeros(rows)


def _learn(level: State, x: Floats, taken: NDArray[np.bool_], decay: float) -> State:
    mean, weight, squares, off = level
    weight = np.maximum(weight * decay, _TINY)
    total = weight + taken
    change = np.where(taken, x - mean, 0.0)
    step = change / total
    change *= weight
    change *= step
    squares *= decay * decay
    squares += taken
    off *= decay
    off += change
    mean += step
    return mean, total, squares, off
