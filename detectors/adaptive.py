"""The default detector: a few views of a series, each judged by its own past, as one score."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from detectors import tail, views
from detectors.beyond import Beyond, Side
from detectors.blocks import Floats
from detectors.calendar import Calendar
from detectors.crossing import Places, crossing
from detectors.deviates import deviates, log_probability
from detectors.duration import text
from detectors.frame import Frame
from detectors.scores import CAP, RELATIVE_FLOOR, Scores

_DAY = timedelta(days=1)

_POINTS = 2**18
"""A block of rows has about so many points: 2 MB an array, of which some thirty live at once."""

_JUMP, _DRIFT, _PERSISTENCE = timedelta(minutes=4), timedelta(minutes=40), timedelta(hours=2)
"""Of which stretches the views of the last minutes and hours take means."""

_FAR = -np.log(1e-8)
"""A point to which both slow views give less than this probability is no lesson for the quick ones."""

_SIDES = (
    Side(-1, patience=timedelta(minutes=15), early=timedelta(minutes=45), power=0.5),
    Side(+1, patience=timedelta(minutes=30), early=timedelta(minutes=90), power=0.6),
)
"""Bursts are short, so a rise must last longer than a drop before it is something else."""

_REFRESH = 4
"""So many times a day the tail of the last days is fitted anew; that of the whole memory once a day."""

_YOUNG = 14
"""Days for which a series is judged by its last days alone: until then a longer memory knows little more."""

_CLEAR = 5.0
"""Views that point both ways weaken a score where their sum is less than one part in so many of their sizes."""

_LANES = 2048
"""Tails are fitted to about so many windows at a time: fewer, and the calls cost more than the work; more, and the
largest of their hours do not stay in the processor's cache."""

_ODD = 0.02
"""So many hours of the last days may have had incidents; of the memory, what is rare is told from all of it."""

_SUREST = 1e-6
"""No view is surer than another by more than the inverse of this."""


@dataclass(frozen=True)
class Adaptive:
    """Scores a point by how rarely the largest deviation of an hour was as large, in the views that its past allows.

    Four views say what to expect of a point: the last minutes, the last two hours, the last day (each a median of
    means), and the profile (the median of the same quarter of an hour on the last `days`, or on that day of the last
    four weeks, where that was nearer in the last fortnight). How far the point is off in each is compared with the
    largest deviations of past hours, in the last `recent` and in the last `memory` (`detectors.tail`): the more spiky
    half of all real series is spiky in its own way, and no number of standard deviations serves two of them. The score
    is the normal deviate of the resulting probability,

        log P = (1 - strongest) * mean(log P of the four views) + strongest * min(log P of the four and of the
                mean deviation from the profile over two hours)
        |score| = the z of which P(|normal| >= z) = P

    and, where the views disagree about the side, less than that. So on calm data one hour in 1 / P has a score of z
    or more, whatever the step, the unit and the noise: `detectors.deviates.alarms_a_week` turns a threshold into an
    expected number of false alarms a week for each series, and `threshold` turns it back.

    Rises are most of such a past, and hide drops; short bursts hide a rise that stays. So how deep every point of a
    quarter of an hour lies below the last day and below all that the profile has within three quarters of an hour, and
    how high every point of half an hour lies above both, is judged by tails of its own: where a part of that log P is
    less than the other, it makes the score. It makes none where hours usually go as far beyond either.

    A point that is far off in both slow views is not learned by the quick ones, so that the end of an incident is no
    second one; a shift that stays is the new level after half a day, and the new profile after half of `days`.

    `days`: seven, so that one odd day and a weekend are outvoted.
    `recent`, `memory`: shorter forgives recurring bursts later and forgets them sooner. `recent` is more than a
    week, so that what comes every week is in it.
    `tail`, `rare`: which part of the hours counts as the tail of the last days, and of the memory; smaller follows the
    largest more closely, with less to go by. The memory has more of them, and what is rare is told from it: bursts that
    are another thing than the rest of the tail are not averaged with that.
    `strongest`: 0 demands that all views agree, 1 that one of them is sure.
    `warm_up`: so much of `recent` must have points, else the score is NaN.

    The score of a point needs `memory` and the time that the daily profile takes; what came before changes no score of
    quiet data by 0.01. What the week is like is told by as much of that as there is.

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
    rare: float = 0.05
    strongest: float = 0.3
    warm_up: timedelta = timedelta(days=1)

    def __post_init__(self) -> None:
        if self.days < 1:
            raise ValueError(f"days is {self.days}; a daily profile needs at least one day")
        if not _DAY <= self.recent <= self.memory:
            raise ValueError(f"recent {text(self.recent)} is not between one day and memory {text(self.memory)}")
        for name, part in (("tail", self.tail), ("rare", self.rare)):
            if not 0 < part < 1:
                raise ValueError(f"{name} {part} is not a part of the hours: it lies between 0 and 1")
        if not 0 <= self.strongest <= 1:
            raise ValueError(f"strongest {self.strongest} is not a weight between 0 and 1")
        if not timedelta(0) < self.warm_up <= self.recent:
            raise ValueError(f"warm_up {text(self.warm_up)} is not between nothing and recent {text(self.recent)}")

    @property
    def history(self) -> timedelta:
        """How much past before a point its score needs."""
        return self.memory + (self.days + 2) * _DAY

    def __call__(self, frame: Frame) -> Scores:
        """Score every point of the frame; the answer's arrays have the frame's shape."""
        return self.late(frame, 0)

    def late(self, frame: Frame, first: int) -> Scores:
        """The scores of the columns from `first` on, to the bit, for less work: few tails are fitted for a few."""
        return Scores(*self._in_blocks(frame, 3, first, self._score))

    def band(self, frame: Frame, threshold: float, first: int = 0) -> tuple[Floats, Floats]:
        """The lowest and the highest value of each column from `first` on that score less than `threshold`.

        That is: of each point, had it been any other while all points before it were what they are.
        """

        def edges(some: Frame, first: int) -> tuple[Floats, ...]:
            return self._edges(some, threshold, first)

        lower, upper = self._in_blocks(frame, 2, first, edges)
        return lower, upper

    def _in_blocks(
        self, frame: Frame, arrays: int, first: int, work: Callable[[Frame, int], tuple[Floats, ...]]
    ) -> tuple[Floats, ...]:
        """Run `work` on blocks of rows, from the column `first` on, and put its arrays together.

        It is spared the days before a block's series began, of which nothing can be said.
        """
        count, time = frame.values.shape
        answer = tuple(np.full((count, time - first), np.nan) for _ in range(arrays))
        for some, begin in _blocks(Calendar.of(frame).births(frame.values), time):
            block = frame.rows(some).since(begin)
            with np.errstate(all="ignore"):  # NaN is "nothing known" throughout
                for whole, part in zip(answer, work(block, max(0, first - begin)), strict=True):
                    whole[some, max(0, begin - first) :] = part
        return answer

    def _score(self, frame: Frame, first: int) -> tuple[Floats, ...]:
        """What is expected, the usual deviation and the score, for each column from `first` on."""
        past = self._past(frame, first)
        score, way = self._together(past.logs[:-1], past.logs[-1], past.sure)
        np.copyto(score, np.nan, where=np.isnan(past.values))
        expected = _balance(past)
        for one in past.beyond:
            choose = np.fmax if one.side.way < 0 else np.fmin
            choose(expected, one.limit, out=expected, where=way == one.side.way)
        usual = np.repeat(_mean([tails[0].start for tails in past.tails[:-1]]), past.span, axis=1)
        usual /= deviates(np.log(self.tail))
        spread = np.abs(expected)
        spread *= RELATIVE_FLOOR
        np.maximum(usual, spread, out=spread)
        part = slice(past.lead, past.lead + frame.values.shape[1] - first)
        return expected[:, part], spread[:, part], score[:, part]

    def _past(self, frame: Frame, first: int) -> "_Past":
        """What the past says of the columns from `first` on, which the slow views must know of all."""
        calendar = Calendar.of(frame)
        values = calendar.whole(frame.values)
        judge = _Judge(self, calendar)
        since = (calendar.lead + first) // judge.span
        begin = since * judge.span
        sums = views.Sums(values)
        level, profile = views.daily_level(sums, calendar), views.profile(sums, calendar, self.days)
        slow, slow_tails = judge([values - level, values - profile], 0)
        far = np.fmin(*(np.abs(log) for log in slow)) > _FAR
        calm, places = values.copy(), np.nonzero(far)
        calm[places] = np.where(np.isnan(profile[places]), level[places], profile[places])
        sums = views.Sums(calm)
        minutes, hours = (views.recent(sums, frame.periods(span)) for span in (_JUMP, _DRIFT))
        off, width = calm - profile, frame.periods(_PERSISTENCE)
        past = round(self.recent / _DAY * calendar.blocks)
        beyond = [Beyond.of(side, frame, calendar, values, level, profile, past) for side in _SIDES]
        quick = [values - minutes, values - hours, views.lasting(off, width)]
        logs, tails = judge([*quick, *(one.distance for one in beyond)], since)
        beyond = [one.later(begin) for one in beyond]
        return _Past(
            values[:, begin:],
            calendar.lead + first - begin,
            judge.span,
            [centre[:, begin:] for centre in (level, profile, minutes, hours)],
            [*(log[:, begin:] for log in slow), *logs[: len(quick)]],
            [*((tail.later(one, since), tail.later(two, since)) for one, two in slow_tails), *tails[: len(quick)]],
            lambda: tuple(part[:, begin:] for part in views.before(off, width - 1)),
            beyond,
            tails[len(quick) :],
            # No distance is less than 0, and so its logarithm with its sign is what speaks for it.
            [one.sure(log, one.distance) for one, log in zip(beyond, logs[len(quick) :], strict=True)],
        )

    def _together(
        self, logs: Sequence[Floats], lasting: Floats, beyond: Sequence[Floats]
    ) -> tuple[Floats, NDArray[np.int8]]:
        """One score from the logarithms of the views' probabilities, each with its deviation's sign.

        And the side on which it is what lies beyond that speaks; 0 where it does not.
        """
        sizes, evidence = [np.abs(log) for log in logs], np.abs(lasting)
        for size in sizes:
            np.fmax(evidence, size, out=evidence)
        size = _mean(sizes)
        evidence *= self.strongest
        evidence += (1 - self.strongest) * size
        score = _mean(logs)
        score *= _CLEAR
        np.divide(score, size, out=score, where=size > 0)
        np.clip(score, -1.0, 1.0, out=score)
        size = deviates(np.negative(evidence, out=evidence))
        score *= np.minimum(size, CAP, out=size)
        way = np.zeros(score.shape, dtype=np.int8)
        for one, sure in zip(_SIDES, beyond, strict=True):
            places = np.flatnonzero(sure > 0)  # few
            size = np.minimum(deviates(-sure.reshape(-1)[places]), CAP)
            surer = size > np.abs(score.reshape(-1)[places])
            score.reshape(-1)[places[surer]] = one.way * size[surer]
            way.reshape(-1)[places[surer]] = one.way
        return score, way

    def _edges(self, frame: Frame, threshold: float, first: int) -> tuple[Floats, ...]:
        """Where the score crosses the threshold on either side, for each column from `first` on."""
        past, evidence = self._past(frame, first), log_probability(threshold)
        columns = np.arange(past.lead, past.lead + frame.values.shape[1] - first)
        points = _Points.of(past, columns)
        low, high = np.fmin.reduce(points.centres), np.fmax.reduce(points.centres)
        far = np.fmax.reduce([tail.quantile(evidence, tails) for tails in points.tails[:-1]])

        def score(values: Floats, at: Places) -> Floats:
            logs = points.logs(values, at)
            return self._together(logs[:-1], logs[-1], points.sure(values, at))[0]

        lower = crossing(lambda values, at: -threshold - score(values, at), high, low - far)
        upper = crossing(lambda values, at: score(values, at) - threshold, low, high + far)
        shape = len(frame.values), len(columns)
        return lower.reshape(shape), upper.reshape(shape)


@dataclass(frozen=True)
class _Past:
    """What the past says of every point, in whole days, in which what was asked for begins at column `lead`.

    `centres` are the values that the four views expect, `tails` those of the four and of the lasting deviation, each of
    which holds for `span` columns, and `logs` what they say of the values. `left` gives the sum and the number of the
    deviations from the profile that the points before have left in the lasting one. `sure` is how sure the distances
    `beyond` the day and the profile are on either side, by the tails `far`.
    """

    values: Floats
    lead: int
    span: int
    centres: Sequence[Floats]
    logs: Sequence[Floats]
    tails: Sequence[tail.Pair]
    left: Callable[[], tuple[Floats, ...]]
    beyond: Sequence[Beyond]
    far: Sequence[tail.Pair]
    sure: Sequence[Floats]


@dataclass(frozen=True)
class _Points:
    """The same for some columns, in flat arrays, so that any of their points can be asked for any value.

    `total` and `count` are what was `left`.
    """

    centres: Sequence[Floats]
    tails: Sequence[tail.Pair]
    total: Floats
    count: Floats
    beyond: Sequence[Beyond]
    far: Sequence[tail.Pair]

    @classmethod
    def of(cls, past: _Past, columns: Places) -> "_Points":
        moments = columns // past.span
        total, count = past.left()
        return cls(
            [centre[:, columns].ravel() for centre in past.centres],
            [tail.flat(tails, moments) for tails in past.tails],
            total[:, columns].ravel(),
            count[:, columns].ravel(),
            [one.at(columns) for one in past.beyond],
            [tail.flat(tails, moments) for tails in past.far],
        )

    def logs(self, values: Floats, at: Places) -> list[Floats]:
        """What the views would say of other values at some of the points; the last of it is the lasting deviation."""
        off = [values - centre[at] for centre in self.centres]
        known = ~np.isnan(off[1])
        off.append((self.total[at] + np.where(known, off[1], 0.0)) / (self.count[at] + known))
        pairs = zip(off, self.tails, strict=True)
        return [np.copysign(tail.log_at(np.abs(one), tails, at), one) for one, tails in pairs]

    def sure(self, values: Floats, at: Places) -> list[Floats]:
        """What the distance of other values would say on either side, after that of the points just before."""
        off = [one.distance_of(values, at) for one in self.beyond]
        return [
            one.sure(-tail.log_at(far, tails, at), far, at)
            for one, far, tails in zip(self.beyond, off, self.far, strict=True)
        ]


class _Judge:
    """Tells how rare each deviation is, by the tails of its own past."""

    def __init__(self, detector: Adaptive, calendar: Calendar) -> None:
        self._detector, self._calendar = detector, calendar
        self._every = max(1, calendar.blocks // _REFRESH)
        while calendar.blocks % self._every:
            self._every -= 1
        self.span = self._every * calendar.block

    def __call__(self, deviations: Sequence[Floats], since: int) -> tuple[list[Floats], list[tail.Pair]]:
        """For each view the logarithms of the probabilities, with the deviations' signs, and its tails.

        Both from the moment `since` on, of which each has `span` columns.
        """
        sizes = [np.abs(one) for one in deviations]
        recent, whole = self._tails(np.concatenate([views.maxima(size, self._calendar.block) for size in sizes]), since)
        logs, tails = [], []
        for i, size in enumerate(sizes):
            rows, part = slice(i * len(size), (i + 1) * len(size)), slice(since * self.span, None)
            tails.append((tail.rows(recent, rows), tail.rows(whole, rows)))
            logs.append(tail.log_probability(size[:, part], tails[-1], self.span))
            np.copysign(logs[-1], deviations[i][:, part], out=logs[-1])
        return logs, tails

    def _tails(self, largest: Floats, since: int) -> tuple[tail.Tail, tail.Tail]:
        """The tails of the last days and of the memory, which is told from the last days while it is young."""
        rows = max(1, _LANES * self._calendar.blocks // max(1, largest.shape[1]))
        parts = [self._tails_of(largest[i : i + rows], since) for i in range(0, len(largest), rows)]
        recent, whole = (tail.together(some) for some in zip(*parts, strict=True))
        return recent, whole

    def _tails_of(self, largest: Floats, since: int) -> tuple[tail.Tail, tail.Tail]:
        """The same of so few rows that they stay in the cache; before the memory nothing counts."""
        day, detector, every = self._calendar.blocks, self._detector, self._every
        recent, memory, warm = (round(x / _DAY * day) for x in (detector.recent, detector.memory, detector.warm_up))
        begin, times = max(0, since * every - memory - day) // day * day, day // every
        born = np.argmax(~np.isnan(largest), axis=1)[:, None]
        grown = -(-int(born.max(initial=0) + _YOUNG * day) // day) * times
        hours, since = tail.Hours(largest[:, begin:], day, max(2, warm), recent), since - begin // every
        laws = [tail.Law(detector.tail, _ODD), tail.Law(detector.rare, until=max(since, grown - begin // every))]
        last, rarest = hours.fits(every, recent, laws, since)
        (whole,) = hours.fits(day, memory, [tail.Law(detector.rare)], since // times)
        whole = tail.later(tail.repeat(whole, times), since % times)
        young = (begin // every + since + np.arange(rarest.start.shape[1])) * every < born + _YOUNG * day
        whole = tail.begin(whole, rarest, young | np.isnan(whole.start[:, : young.shape[1]]))
        last = tail.where(np.isnan(last.start) | (last.scale == 0), whole, last)
        return last, tail.where(whole.scale == 0, last, whole)  # equal ones say nothing of larger ones


def _blocks(births: Places, time: int) -> Iterator[tuple[Places | slice, int]]:
    """Rows of about the same age, and the column at which the oldest of them began; none that have no point."""
    old = not births.any()
    order, row = np.argsort(births, kind="stable"), 0
    many = np.count_nonzero(births < time)
    while row < many:
        begin = int(births[order[row]])
        stop = min(int(many), row + max(1, _POINTS // (time - begin)))
        yield slice(row, stop) if old else order[row:stop], begin
        row = stop


def _balance(past: _Past) -> Floats:
    """What the views expect, each weighed by how sure it is: where what they say of small deviations adds up to 0."""
    doubt = np.array([1 / -tail.slope(tails) for tails in past.tails[:-1]])
    doubt[np.isinf(doubt)] = 0.0  # never was a deviation
    most = np.fmax.reduce(doubt)
    sure = 1 / np.maximum(doubt, np.where(most > 0, most * _SUREST, 1.0))
    sure[np.isnan(sure)] = 0.0
    weights = sure / sure.sum(axis=0)
    pieces = [centre.reshape(*most.shape, past.span) for centre in past.centres]
    total = pieces[1] - pieces[0]
    total *= weights[1][:, :, None]
    for centre, weight in zip(pieces[2:], weights[2:], strict=True):
        part = centre - pieces[0]
        part *= weight[:, :, None]
        total += part
    total += pieces[0]
    some = np.flatnonzero(np.isnan(total))  # where not all views know
    centres = np.stack([centre.reshape(-1)[some] for centre in pieces])
    total.reshape(-1)[some] = _balance_of_some(centres, sure.reshape(len(sure), -1)[:, some // past.span])
    return total.reshape(past.centres[0].shape)


def _balance_of_some(centres: Floats, sure: Floats) -> Floats:
    """The same of single points, of which not all views know what to expect; both (views, points)."""
    about = np.fmax.reduce(centres)
    weights = np.where(np.isnan(centres), 0.0, sure)
    total = weights.sum(axis=0)
    answer: Floats = about + np.nansum(weights * (centres - about), axis=0) / np.where(total > 0, total, np.nan)
    return answer


def _mean(arrays: Sequence[Floats]) -> Floats:
    """The mean of those that are known at each place; NaN where none is."""
    total = arrays[0] + arrays[1]
    for array in arrays[2:]:
        total += array
    total /= len(arrays)
    some = np.flatnonzero(np.isnan(total))  # at few places, most of them at the beginning
    known = np.stack([array.reshape(-1)[some] for array in arrays])
    count = np.count_nonzero(~np.isnan(known), axis=0)
    total.reshape(-1)[some] = np.nansum(known, axis=0) / np.where(count > 0, count, np.nan)
    return total
