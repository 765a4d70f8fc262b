"""How rare a deviation is, judged by the largest ones of the series' own past hours.

    P(the largest deviation of an hour >= s) = p * (1 + shape * (s - u) / scale) ** (-1 / shape)    for s > u
    shape = xi + 1 / k        scale = (1 - xi) * mean        xi = (1 - mean ** 2 / variance) / 2, from 0 to 0.25

u is the quantile of the past hourly maxima that a given share of them exceeds, p the share that does exceed it, k
their number; mean and variance are those of the excesses over u, of which what came on one day only is cut. Where the
largest may be incidents, the mean is drawn towards that of an exponential law of which these are only known to be no
less than the rest: their number teaches, their size does not (Epstein and Sobel 1953). This is a generalised Pareto law
(Balkema and de Haan 1974, Pickands 1975) fitted by moments (Hosking and Wallis 1987), its shape held between the
exponential law's and a little more, as a few dozen numbers cannot tell it, and heavier while the mean is only known
from k of them. Below u the logarithm runs straight to 0; from where s is too rare for any past to tell it goes on with
the slope that it has there. Where the past is short it counts by a part. Hourly maxima make one threshold mean one rate
of alarms whatever the step of the series is, and however its noise hangs together within an hour.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from detectors.blocks import Floats
from detectors.largest import NONE, Groups
from detectors.scores import RELATIVE_FLOOR

Places = NDArray[np.intp]

_HEAVIEST = 0.25

_RAREST = -10.0
"""From this logarithm on, once in years, the law falls as an exponential one: no past tells a power so far out, and
what is enormous shall look so, even where only one view sees it."""

_CAP, _SHAPELY = 30.0, 2.0
"""No excess counts for more than this many times the second largest of the daily ones: what came on one day only, be it
enormous, is an incident and hides no other; what comes again is learned. The shape is told by still less of it."""

_SURELY = 0.35
"""By this power of it the mean is that of what is no incident, by the rest of one that of all."""

_UNSURE = 12
"""A law of as many maxima is half as sure as one of very many: a series raised more than three times the alarms that
were asked for in its second and third day, before its usual range was known."""


@dataclass(frozen=True)
class Tail:
    """The law of the past hourly maxima at some moments; (series, moments)."""

    start: Floats
    share: Floats
    scale: Floats
    shape: Floats


Pair: TypeAlias = tuple[Tail, Tail]
"""Of the last days and of the whole memory."""


@dataclass(frozen=True)
class Law:
    """How a tail is fitted: the share of the maxima that is the tail, and the share that may be incidents.

    None is wanted from the moment `until` on.
    """

    share: float
    odd: float = 0.0
    until: int | None = None


class Hours:
    """The hourly maxima of some series, NaN where one is unknown, to which tails are fitted.

    They are whole days of `day` blocks. Where fewer than `least` maxima are known, so is no tail; where they are fewer
    than `enough`, a tail is the less sure.
    """

    def __init__(self, largest: Floats, day: int, least: int, enough: int = 0) -> None:
        self._known = np.where(np.isnan(largest), NONE, largest)
        self._day, self._least, self._enough = day, least, enough
        self._groups: dict[int, Groups] = {}

    def fits(self, every: int, window: int, laws: Sequence[Law], since: int = 0) -> list[Tail]:
        """The tails of the `window` maxima before each `every`-th block, from the moment `since` on.

        `every` is a part of a day; a window is as many times `every` as comes nearest.
        """
        moments = self._known.shape[1] // every
        spans = max(1, min(round(window / every), moments))
        count, usual = _count(self._known >= 0, every, spans), _second(self._known, every, spans, self._day)
        numbers = [max(1, round(law.share * spans * every)) + 1 for law in laws]
        answers = [np.full((4, moments, len(self._known)), np.nan) for _ in laws]
        size = max(1, self._day // every) * every
        for some, tops in self._grouped(size, max(numbers)).tops(every, spans, max(numbers), since):
            for law, number, answer in zip(laws, numbers, answers, strict=True):
                part = slice(some.start, some.stop if law.until is None else min(some.stop, law.until), some.step)
                counted = count[part].ravel()
                fitted = _fit(tops[-number:, : len(counted)], counted, usual[part].ravel(), law)
                _doubt(fitted, counted, self._enough)
                fitted[:, counted < self._least] = np.nan
                answer[:, part] = fitted.reshape(4, -1, len(self._known))
        stops = [slice(since, law.until) for law in laws]
        return [Tail(*answer.swapaxes(1, 2)[:, :, stop]) for answer, stop in zip(answers, stops, strict=True)]

    def _grouped(self, size: int, most: int) -> Groups:
        """The maxima in groups, which are days where `every` divides a day, for no more than `most` of each."""
        if size not in self._groups or self._groups[size].most < most:
            self._groups[size] = Groups(self._known, size, most)
        return self._groups[size]


def _count(present: NDArray[np.bool_], every: int, spans: int) -> Places:
    """How many are there in the `spans` pieces before each moment; (moments, rows)."""
    moments = present.shape[1] // every
    seen = np.zeros((spans + moments, len(present)), dtype=np.intp)
    seen[spans + 1 :] = np.cumsum(present, axis=1, dtype=np.intp).T[every - 1 :: every][: moments - 1]
    return seen[spans:] - seen[:moments]


def _fit(top: Floats, count: Places, usual: Floats, law: Law) -> Floats:
    """The tail's start, share, scale and shape from the largest of `count` known maxima, the others being NONE.

    A lane each, down which they ascend.
    """
    wanted = np.maximum(1, np.rint(law.share * count)).astype(np.intp)
    start = _largest(top, wanted)
    excess = top - start
    np.clip(excess, 0.0, np.inf, out=excess)  # takes less than the larger of two
    beyond, ties = wanted.copy(), np.flatnonzero(_largest(top, wanted - 1) == start)
    beyond[ties] = np.count_nonzero(excess[:, ties], axis=0)
    total, square = _total(excess), _total(excess * excess)
    limit = np.where(usual > start, usual - start, np.inf)
    few = np.flatnonzero(excess[-1] > _SHAPELY * limit)
    plain, far, most = total.copy(), excess[:, few], limit[few]
    total[few] = _total(np.minimum(far, _CAP * most))
    np.minimum(far, _SHAPELY * most, out=far)
    plain[few], square[few] = _total(far), _total(far * far)
    many = np.maximum(beyond, 1)
    heavy = _heaviness(plain / many, square / many)
    shape = heavy + 1 / np.where(beyond > 0, beyond, wanted)
    mean = total / many
    if law.odd:
        mean = _sure(mean, excess, beyond, np.rint(law.odd * count).astype(np.intp))
    return np.stack([start, np.maximum(beyond, 0.5) / np.maximum(count, 1), (1 - heavy) * mean, shape])


def _doubt(fitted: Floats, count: Places, enough: int) -> None:
    """Let the logarithms of laws that come from few maxima count by a part, beside those that come from `enough`."""
    few = np.flatnonzero(count < enough)
    part = (1 + _UNSURE / max(enough, 1)) / (1 + _UNSURE / np.maximum(count[few], 1))
    fitted[1, few] **= part
    fitted[2:, few] /= part


def _largest(ordered: Floats, place: Places) -> Floats:
    """The number in each lane than which so many are larger."""
    largest: Floats = ordered[len(ordered) - 1 - place, np.arange(len(place))]
    return largest


def _total(values: Floats) -> Floats:
    """The sum of each lane: numpy adds up a single one in another order, and it must not matter what is beside it."""
    lanes = values.shape[1]
    total: Floats = (values if lanes > 1 else np.repeat(values, 2, axis=1)).sum(axis=0)[:lanes]
    return total


def _sure(mean: Floats, excess: Floats, beyond: Places, odd: Places) -> Floats:
    """The mean excess where the `odd` largest of those beyond the start may be incidents, and what is less is none."""
    total = _total(np.minimum(excess, _largest(excess, odd)))
    sure = np.minimum(total / np.maximum(beyond - odd, 1), mean)
    return np.where(sure > 0, mean ** (1 - _SURELY) * sure**_SURELY, mean)


def _heaviness(mean: Floats, square: Floats) -> Floats:
    """What the mean of the excesses and that of their squares say of the shape."""
    variance = square - mean**2
    ratio = mean**2 / np.where(variance > 0, variance, np.inf)
    return np.where(variance > 0, np.clip((1 - ratio) / 2, 0.0, _HEAVIEST), 0.0)


def _second(known: Floats, every: int, spans: int, day: int) -> Floats:
    """The second largest of the daily maxima in the window before each moment; NONE where fewer are known.

    Of the days that begin in it, of which the last counts as far as it has come; (moments, rows).
    """
    last = np.arange(known.shape[1] // every) * every
    so_far = np.maximum.accumulate(known.reshape(len(known), -1, day), axis=2).reshape(known.shape)
    daily, today = so_far[:, day - 1 :: day].T.copy(), np.maximum(last - 1, 0) // day
    widths, second = today + (spans * every - last) // day, np.empty((len(last), len(known)))
    for width in set(widths.tolist()):
        at = np.flatnonzero(widths == width)
        one, two = (some[today[at]] for some in _two_before(daily, width))
        second[at] = np.maximum(two, np.minimum(one, so_far[:, np.maximum(last[at] - 1, 0)].T))
    return second


def _two_before(daily: Floats, width: int) -> tuple[Floats, Floats]:
    """The largest and the second largest of the `width` days before each; NONE where there is none; (days, rows)."""
    one, two = (np.full(daily.shape, NONE) for _ in range(2))
    for by in range(1, min(width, len(daily)) + 1):
        np.maximum(two[by:], np.minimum(one[by:], daily[:-by]), out=two[by:])
        np.maximum(one[by:], daily[:-by], out=one[by:])
    return one, two


def log_probability(deviations: Floats, tails: Pair, span: int) -> Floats:
    """The logarithm of the tail probability, the mean of two tails'; `span` columns are judged by one moment of them.

    Points beyond either start are few; only for these the tail itself is worked out.
    """
    pieces = deviations.reshape(len(deviations), -1, span)
    one, two = tails
    answer = pieces * slope(tails)[:, :, None]
    places = np.flatnonzero(pieces > np.minimum(one.start, two.start)[:, :, None])
    flat = [_each(np.ravel, tail) for tail in tails]
    answer.reshape(-1)[places] = log_at(pieces.reshape(-1)[places], (flat[0], flat[1]), places // span)
    return answer.reshape(deviations.shape)


def slope(tails: Pair) -> Floats:
    """By how much the logarithm falls with each unit of a deviation that lies below both starts."""
    one, two = (np.log(tail.share) / np.where(tail.start > 0, tail.start, np.inf) for tail in tails)
    return np.asarray((one + two) / 2)


def _log_beyond(deviations: Floats, tail: Tail, at: Places) -> Floats:
    start, shape, share = tail.start[at], tail.shape[at], np.log(tail.share[at])
    scale = np.maximum(tail.scale[at], RELATIVE_FLOOR * deviations)
    excess = np.maximum(deviations - start, 0.0) * shape / scale
    straight = share * deviations / np.where(start > 0, start, np.inf)
    bend = np.expm1(shape * (share - _RAREST))  # where the excess is that rare
    beyond = np.maximum(excess - bend, 0.0) / (1 + bend)
    answer: Floats = share - (np.log1p(np.minimum(excess, bend)) + beyond) / shape
    return np.where(excess > 0, answer, straight)


def log_at(deviations: Floats, tails: Pair, at: Places) -> Floats:
    """The same for single points, by the tails that are found `at` a place of flat ones."""
    one, two = tails
    return (_log_beyond(deviations, one, at) + _log_beyond(deviations, two, at)) / 2


def quantile(log_probability: float, tails: Pair) -> Floats:
    """A deviation that is no more probable than that by either tail."""
    one, two = (_quantile(log_probability, tail) for tail in tails)
    return np.asarray(np.fmax(one, two))


def _quantile(log_probability: float, tail: Tail) -> Floats:
    share = np.log(tail.share)
    times = np.expm1(tail.shape * np.maximum(share - max(log_probability, _RAREST), 0.0)) / tail.shape
    times += max(_RAREST - log_probability, 0.0) * np.exp(tail.shape * (share - _RAREST))
    least = 2 * RELATIVE_FLOOR * (tail.start + tail.scale * times)
    answer: Floats = tail.start + np.maximum(tail.scale, least) * times
    return answer


def flat(tails: Pair, moments: Places) -> Pair:
    """The tails at some moments, a row after the other."""
    one, two = (_each(lambda array: array[:, moments].ravel(), tail) for tail in tails)
    return one, two


def rows(tail: Tail, some: slice) -> Tail:
    """The tail of some of the rows."""
    return _each(lambda array: array[some], tail)


def later(tail: Tail, since: int) -> Tail:
    """The tail from that moment on."""
    return _each(lambda array: array[:, since:], tail)


def repeat(tail: Tail, times: int) -> Tail:
    """The tail at moments that are `times` as frequent."""
    return _each(lambda array: np.repeat(array, times, axis=1), tail)


def begin(tail: Tail, other: Tail, condition: NDArray[np.bool_]) -> Tail:
    """The tail, of which the first moments are the other's where the condition holds."""
    many = condition.shape[1]
    return _each(lambda one, two: np.hstack([np.where(condition, two, one[:, :many]), one[:, many:]]), tail, other)


def where(condition: NDArray[np.bool_], tail: Tail, other: Tail) -> Tail:
    """The tail where the condition holds, else the other."""
    if not condition.any():
        return other
    return _each(lambda one, two: np.asarray(np.where(condition, one, two), dtype=np.float64), tail, other)


def together(parts: Iterable[Tail]) -> Tail:
    """The tails of some rows after those of others."""
    return _each(lambda *arrays: np.concatenate(arrays), *parts)


def _each(change: Callable[..., Floats], *tails: Tail) -> Tail:
    return Tail(*(change(*(getattr(tail, name) for tail in tails)) for name in Tail.__annotations__))
