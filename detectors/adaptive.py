"""The default detector: a few views of a series, each judged by its own past, as one score."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from detectors import tail, views
from detectors.blocks import Floats
from detectors.calendar import Calendar
from detectors.deviates import deviates
from detectors.frame import Frame
from detectors.scores import CAP, RELATIVE_FLOOR, Scores

_DAY = timedelta(days=1)

_POINTS = 2**18
"""A block of rows has about so many points: 2 MB an array, of which some thirty live at once."""

_JUMP, _DRIFT, _PERSISTENCE = timedelta(minutes=2), timedelta(minutes=40), timedelta(hours=2)
"""Of which stretches the views of the last minutes and hours take means."""

_FAR = -np.log(1e-8)
"""A point to which both slow views give less than this probability is no lesson for the quick ones."""

_REFRESH = 4
"""So many times a day the tail of the last days is fitted anew; that of the whole memory once a day."""

_YOUNG = 14
"""Days for which a series is judged by its last days alone: until then a longer memory knows little more."""

_CLEAR = 3.0
"""Views that point both ways weaken a score where their sum is less than one part in so many of their sizes."""


@dataclass(frozen=True)
class Adaptive:
    """Scores a point by how rarely the largest deviation of an hour was as large, in the views that its past allows.

    Four views say what to expect of a point: the last minutes, the last two hours, the last day (each a median of
    means), and the daily profile (the median of the same quarter of an hour on the last `days`). How far the point is
    off in each is compared with the largest deviations of past hours, in the last `recent` and in the last `memory`
    (`detectors.tail`): the more spiky half of all real series is spiky in its own way, and no number of standard
    deviations serves two of them. The score is the normal deviate of the resulting probability,

        log P = (1 - strongest) * mean(log P of the four views) + strongest * min(log P of the four and of the
                mean deviation from the profile over two hours)
        |score| = the z of which P(|normal| >= z) = P

    and, where the views disagree about the side, less than that. So on calm data one hour in 1 / P has a score of z
    or more, whatever the step, the unit and the noise: `detectors.deviates.alarms_a_week` turns a threshold into an
    expected number of false alarms a week for each series, and `threshold` turns it back.

    A point that is far off in both slow views is not learned by the quick ones, so that the end of an incident is no
    second one; a shift that stays is the new level after half a day, and the new profile after half of `days`.

    `days`: seven, so that one odd day and a weekend are outvoted.
    `recent`, `memory`: shorter forgives recurring bursts later and forgets them sooner. `recent` is more than a
    week, so that what comes every week is in it.
    `tail`: which part of the hours counts as the tail; smaller follows the largest more closely, with less to go by.
    `strongest`: 0 demands that all views agree, 1 that one of them is sure.
    `warm_up`: so much of `recent` must have points, else the score is NaN.

    The score of a point needs `memory` and the time that the profile takes; what came before changes no score of quiet
    data by 0.01.

    >>> from datetime import UTC, datetime
    >>> values = 100 + np.random.default_rng(1).normal(size=(1, 14 * 288))
    >>> values[0, -1] += 8
    >>> frame = Frame(values, datetime(2026, 11, 1, tzinfo=UTC), timedelta(minutes=5), ({},))
    >>> score = Adaptive()(frame).score
    >>> bool(score[0, -1] > 4 > np.nanmax(np.abs(score[0, :-1])))
    True

    Siffer et al., "Anomaly Detection in Streams with Extreme Value Theory", KDD 2017, for thresholds from tails; Vovk
    and Wang, "Combining p-values via averaging", Biometrika 2020, for the geometric mean of probabilities.
    """

    days: int = 7
    recent: timedelta = timedelta(days=10)
    memory: timedelta = timedelta(days=28)
    tail: float = 0.18
    strongest: float = 0.25
    warm_up: timedelta = timedelta(days=1)

    def __post_init__(self) -> None:
        if self.days < 1:
            raise ValueError(f"days is {self.days}; a daily profile needs at least one day")
        if not _DAY <= self.recent <= self.memory:
            raise ValueError(f"recent {self.recent} is not between one day and memory {self.memory}")
        if not 0 < self.tail < 1:
            raise ValueError(f"tail {self.tail} is not a part of the hours: it lies between 0 and 1")
        if not 0 <= self.strongest <= 1:
            raise ValueError(f"strongest {self.strongest} is not a weight between 0 and 1")
        if not timedelta(0) < self.warm_up <= self.recent:
            raise ValueError(f"warm_up {self.warm_up} is not between nothing and recent {self.recent}")

    @property
    def history(self) -> timedelta:
        """How much past before a point its score needs."""
        return self.memory + (self.days + 2) * _DAY

    def __call__(self, frame: Frame) -> Scores:
        """Score every point of the frame; the answer's arrays have the frame's shape."""
        count, time = frame.values.shape
        answer = Scores(*(np.full((count, time), np.nan) for _ in range(3)))
        rows = max(1, _POINTS // max(1, time))
        for first in range(0, count if time else 0, rows):
            some = slice(first, first + rows)
            with np.errstate(all="ignore"):  # NaN is "nothing known" throughout
                scores = self._score(frame.rows(some))
            for name in ("expected", "spread", "score"):
                getattr(answer, name)[some] = getattr(scores, name)
        return answer

    def _score(self, frame: Frame) -> Scores:
        calendar = Calendar.of(frame)
        values = calendar.whole(frame.values)
        judge = _Judge(self, calendar, values.shape[1])
        sums = views.Sums(values)
        level, profile = views.daily_level(sums, calendar), views.daily_profile(sums, calendar, self.days)
        slow, slow_starts = judge([values - level, values - profile])
        far = np.fmin(*(np.abs(log) for log in slow)) > _FAR
        calm = np.where(far, np.where(np.isnan(profile), level, profile), values)
        sums = views.Sums(calm)
        minutes, hours = (views.recent(sums, frame.periods(span)) for span in (_JUMP, _DRIFT))
        lasting = views.lasting(calm - profile, frame.periods(_PERSISTENCE))
        quick, quick_starts = judge([values - minutes, values - hours, lasting])
        score = self._together([*slow, *quick[:2]], quick[2])
        score[np.isnan(values)] = np.nan
        expected = _mean([level, profile, minutes, hours])
        usual = judge.over(_mean([*slow_starts, *quick_starts[:2]]) / deviates(np.log(self.tail)))
        spread = np.maximum(usual, RELATIVE_FLOOR * np.abs(expected))
        part = slice(calendar.lead, calendar.lead + frame.values.shape[1])
        return Scores(expected[:, part], spread[:, part], score[:, part])

    def _together(self, logs: Sequence[Floats], lasting: Floats) -> Floats:
        """One score from the logarithms of the views' probabilities, each with its deviation's sign."""
        sizes = [np.abs(log) for log in logs]
        size = _mean(sizes)
        evidence = (1 - self.strongest) * size + self.strongest * np.fmax.reduce([*sizes, np.abs(lasting)])
        side = np.clip(_CLEAR * _mean(logs) / np.where(size > 0, size, 1.0), -1.0, 1.0)
        answer: Floats = side * np.minimum(deviates(-evidence), CAP)
        return answer


class _Judge:
    """Tells how rare each deviation is, by the tails of its own past."""

    def __init__(self, detector: Adaptive, calendar: Calendar, time: int) -> None:
        self._detector, self._calendar = detector, calendar
        self._every = max(1, calendar.blocks // _REFRESH)
        while calendar.blocks % self._every:
            self._every -= 1
        self._span = self._every * calendar.block
        self._moments = time // self._span

    def __call__(self, deviations: Sequence[Floats]) -> tuple[list[Floats], list[Floats]]:
        """For each view the logarithms of the probabilities, with the deviations' signs, and where its tail starts."""
        sizes = [np.abs(one) for one in deviations]
        recent, whole = self._tails(np.concatenate([tail.maxima(size, self._calendar.block) for size in sizes]))
        logs, starts = [], []
        for i, size in enumerate(sizes):
            rows = slice(i * len(size), (i + 1) * len(size))
            of_view = tail.rows(recent, rows), tail.rows(whole, rows)
            logs.append(np.copysign(tail.log_probability(size, of_view, self._span), deviations[i]))
            starts.append(of_view[0].start)
        return logs, starts

    def over(self, moments: Floats) -> Floats:
        """What holds from each moment to the next, for every column."""
        return np.repeat(moments, self._span, axis=1)

    def _tails(self, largest: Floats) -> tuple[tail.Tail, tail.Tail]:
        day = self._calendar.blocks
        recent = self._fits(largest, self._every, self._detector.recent)
        whole = tail.repeat(self._fits(largest, day, self._detector.memory), day // self._every)
        born = np.argmax(~np.isnan(largest), axis=1)[:, None]
        young = np.arange(self._moments) * self._every < born + _YOUNG * day
        whole = tail.where(young | np.isnan(whole.start), recent, whole)
        return tail.where(np.isnan(recent.start) | (recent.scale == 0), whole, recent), whole

    def _fits(self, largest: Floats, every: int, window: timedelta) -> tail.Tail:
        day = self._calendar.blocks
        least = max(2, round(self._detector.warm_up / _DAY * day))
        return tail.fits(largest, every, round(window / _DAY * day), self._detector.tail, least, day)


def _mean(arrays: Sequence[Floats]) -> Floats:
    """The mean of those that are known at each place; NaN where none is."""
    total, count = np.zeros_like(arrays[0]), np.zeros_like(arrays[0])
    for array in arrays:
        present = ~np.isnan(array)
        np.add(total, array, out=total, where=present)
        count += present
    return np.where(count > 0, total / count, np.nan)
