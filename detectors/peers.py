"""A series against its group: what sets one machine apart from those beside it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.blocks import Floats, median
from detectors.duration import text
from detectors.frame import Frame, Labels
from detectors.names import prefix
from detectors.scores import Scores, score

Rows = NDArray[np.intp]

_FEWEST = 3
"""A group of fewer says nothing: of two that differ nobody knows which one is odd."""

_UPDATES = 7
"""What is usual is worked out anew this many times a window."""

_LEAST = 7
"""At least one point in so many of a window must be there, else nothing is usual."""

_IDLE = 0.01
"""A series that stands still but for more than this part of its points has no usual swing: nothing is said of it."""

_MOVED = 1.5
"""A group is on the move when it is so many usual errors off, and surely at twice as many."""

_MAD = 1.482602218505602
"""The standard deviation of normal noise, in its median absolute deviations."""


@dataclass(frozen=True)
class Peers:
    """Scores how far a series is from where its group is, each in its own usual swings.

    With m and s the median and the scaled median absolute deviation of the last `window` of the series itself,

        swing    = (value - m) / s
        common   = the middle one of the other series' swings; between two middle ones what is nearest to zero
        expected = m + s * (common + a)        spread = s * b * unrest        score = (value - expected) / spread

    a and b are the median and the scaled median absolute deviation of swing - common in the last `window`, so that the
    scale is that of errors really made. A group that moves (common beyond 1.5 to 3 of b) may do so by as many swings or
    by the same share of each one's level: the expected value is then halfway between the two, and half of what lies
    between is added to the spread, as squares are. Unrest, at least 1, is how far off the middle one of the others is,
    so that where all are odd, each in its own measure, none is. What happens to the whole group is expected of each of
    its series; what happens to one of them is not.

    `by`: labels whose values make a group, by their whole names or the last part of them; those that a series lacks do
    not count. `prefix` is the instance's name without the numbers and letters that its group gave it. None of them:
    all series are one group. Series that count different things (in, out) should not share one.
    `window`: a whole number of weeks; what stays is the new normal after half of it.

    A group of one or two, or a point with fewer than two others, has no score. The group is that of the frame: where a
    query is split into parts, that of the part.

    >>> from datetime import UTC, datetime
    >>> values = 100 + np.random.default_rng(1).normal(size=(5, 16 * 24))
    >>> values[:, -2] += 50
    >>> values[3, -1] += 50
    >>> frame = Frame(values, datetime(2026, 11, 1, tzinfo=UTC), timedelta(hours=1), ({},) * 5)
    >>> Peers()(frame).score[:, -2:].astype(int).T.tolist()
    [[0, 0, 0, 0, 1], [0, 1, 0, 21, -1]]
    """

    peers: ClassVar[bool] = True

    window: timedelta = timedelta(days=7)
    by: tuple[str, ...] = ("zone", "location", "region", "direction")

    def __post_init__(self) -> None:
        if self.window < timedelta(hours=1):
            raise ValueError(f"window {text(self.window)} is under an hour; what is usual takes longer to tell")

    @property
    def history(self) -> timedelta:
        """How much past before a point its score needs: two windows, each up to an update older."""
        return 2 * (self.window + self.window / _UPDATES)

    def __call__(self, frame: Frame) -> Scores:
        """Score every point of the frame; the answer's arrays have the frame's shape."""
        answer = Scores(*(np.full(frame.values.shape, np.nan) for _ in range(3)))
        for rows in _groups(frame.labels, self.by):
            if len(rows) >= _FEWEST and frame.values.size:
                with np.errstate(all="ignore"):  # NaN is "nothing known" throughout
                    scores = self._score(frame.rows(rows))
                for name in ("expected", "spread", "score"):
                    getattr(answer, name)[rows] = getattr(scores, name)
        return answer

    def _score(self, group: Frame) -> Scores:
        level, swing = self._usual(group.values, group)
        off = group.values - level
        swings = off / np.where(swing > 0, swing, np.nan)
        common = _middle_of_others(swings)
        bias, error = self._usual(swings - common, group)
        rising = np.where((swing > 0) & (level > 0), level, np.nan)
        apart = np.nan_to_num(rising * _middle_of_others(off / rising) - swing * common) / 2
        apart *= np.clip(np.abs(common) / (_MOVED * error) - 1, 0.0, 1.0)
        still = swing == 0
        expected = np.where(still, level, level + swing * (common + bias) + apart)
        spread = np.where(still, 0.0, np.hypot(swing * error, apart))
        alone = score(group.values, expected, spread).score
        unrest = np.maximum(_MAD * _middle_of_others(np.abs(alone)), 1.0)
        return Scores(expected, spread * unrest, alone / unrest)

    def _usual(self, values: Floats, group: Frame) -> tuple[Floats, Floats]:
        """For every column the median and the deviation of each row in the window before the last update."""
        size = group.periods(self.window)
        every = max(1, size // _UPDATES)
        centre, spread = np.full(values.shape, np.nan), np.full(values.shape, np.nan)
        for column in range(-group.origin % every, values.shape[1], every):
            part = slice(column, column + every)
            for into, of in zip(
                (centre, spread), _centre(values[:, max(0, column - size) : column], size), strict=True
            ):
                into[:, part] = of[:, None]
        return centre, spread


def _centre(values: Floats, size: int) -> tuple[Floats, Floats]:
    """The median and the deviation of each row; NaN where too few of `size` points are there, or it stands still."""
    count = (~np.isnan(values)).sum(axis=1)
    if not (count * _LEAST >= size).any():
        return np.full(len(values), np.nan), np.full(len(values), np.nan)
    centre = median(values, axis=1)
    off = np.abs(values - centre[:, None])
    spread = _MAD * median(off, axis=1)
    spread[(spread == 0) & ((off > 0).sum(axis=1) > _IDLE * count)] = np.nan
    centre[count * _LEAST < size] = np.nan
    return centre, spread


def _middle_of_others(values: Floats) -> Floats:
    """For each row the middle one of the others, NaN of fewer than two: of two middle ones what is nearest to zero."""
    columns = np.ascontiguousarray(values.T)
    order = np.argsort(columns, axis=1)
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(columns.shape[1])[None], axis=1)
    ordered = np.take_along_axis(columns, order, axis=1)
    known = ~np.isnan(columns)
    others = known.sum(axis=1, keepdims=True) - known
    one, two = (_without(ordered, rank, place) for place in ((others - 1) // 2, others // 2))
    return np.where(others < _FEWEST - 1, np.nan, np.clip(0.0, one, two)).T


def _without(ordered: Floats, rank: Rows, place: Rows) -> Floats:
    """What is at `place` of each column's ordered values when the row's own is taken out."""
    place = np.maximum(place, 0)
    found: Floats = np.take_along_axis(ordered, place + (rank <= place), axis=1)
    return found


def _groups(every: Sequence[Labels], by: Iterable[str]) -> list[Rows]:
    """The places of the rows of each group."""
    wanted = frozenset(by)
    found: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for row, labels in enumerate(every):
        found.setdefault(tuple(sorted(_named(labels, wanted).items())), []).append(row)
    return [np.array(rows, dtype=np.intp) for rows in found.values()]


def _named(labels: Labels, wanted: frozenset[str]) -> dict[str, str]:
    """Those of the labels that make a group."""
    named = {key: value for key, value in labels.items() if {key, key.rpartition(".")[2]} & wanted}
    names = [value for key, value in sorted(labels.items()) if key.endswith("_name")]
    return named | {"prefix": prefix(names[0])} if "prefix" in wanted and names else named
