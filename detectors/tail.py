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
the slope that it has there. Hourly maxima make one threshold mean one rate of alarms whatever the step of the series
is, and however its noise hangs together within an hour.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from detectors.blocks import Floats
from detectors.scores import RELATIVE_FLOOR

Places = NDArray[np.intp]

_HEAVIEST = 0.25

_RAREST = -10.0
"""From this logarithm on, once in years, the law falls as an exponential one: no past tells a power so far out, and
what is enormous shall look so, even where only one view sees it."""

_CAP, _SHAPELY = 30.0, 2.0
"""No excess counts for more than this many times the second largest of the daily ones: what came on one day only, be it
enormous, is an incident and hides no other; what comes again is learned. The shape is told by still less of it."""

_SURELY = 0.4
"""By this power of it the mean is that of what is no incident, by the rest of one that of all."""

_AT_ONCE = 2**14
"""Tails are fitted to about so many maxima at a time: fewer, and the calls cost more than the work; more, and they do
not stay in the processor's cache."""

_ROWS = 128
"""So many rows are fitted at once: what is sorted then stays in the processor's cache."""


@dataclass(frozen=True)
class Tail:
    """The law of the past hourly maxima at some moments; (series, moments)."""

    start: Floats
    share: Floats
    scale: Floats
    shape: Floats


Pair: TypeAlias = tuple[Tail, Tail]
"""Of the last days and of the whole memory."""


def fits(largest: Floats, every: int, window: int, share: float, least: int, day: int, odd: float = 0.0) -> Tail:
    """The tails of the `window` hourly maxima before each `every`-th block, the first of them unknown.

    The share `odd` of them, the largest, may be incidents. Where fewer than `least` maxima are known, so is no tail. A
    day has `day` blocks, `largest` whole days, `every` is a part of a day; a window is as many times `every` as comes
    nearest.
    """
    parts = [
        _fits(largest[i : i + _ROWS], every, window, share, least, day, odd) for i in range(0, len(largest), _ROWS)
    ]
    return Tail(*np.concatenate(parts, axis=1))


def _fits(largest: Floats, every: int, window: int, share: float, least: int, day: int, odd: float) -> Floats:
    known = np.where(np.isnan(largest), -1.0, largest)  # below every deviation
    spans = max(1, min(round(window / every), known.shape[1] // every))
    moments = known.shape[1] // every
    seen = np.zeros((len(known), moments + 1))
    np.cumsum(np.count_nonzero(known.reshape(len(known), moments, every) >= 0, axis=2), axis=1, out=seen[:, 1:])
    before = np.maximum(np.arange(moments) - spans, 0)
    count = seen[:, :moments] - seen[:, before]
    usual = _second(known, before * every, np.arange(moments) * every, day)
    answer = np.full((4, len(known), moments), np.nan)
    most = max(1, round(share * spans * every)) + 1
    for some, tops in _gathered(_tops(known, every, spans, most), spans, moments):
        fitted = _fit(tops, count[:, some], usual[:, some], share, odd)
        answer[:, :, some] = np.where(count[:, some] >= least, fitted, np.nan)
    return answer


def _gathered(tops: Iterable[Floats], spans: int, moments: int) -> Iterator[tuple[Places, Floats]]:
    """The same with the moments that they are of, so many at a time that the calls themselves cost little."""
    places: list[int] = []
    waiting: list[Floats] = []
    for place, top in enumerate(tops):
        some = range(place, moments, spans)
        places.extend(some)
        waiting.append(top[:, : len(some)])
        if place == spans - 1 or len(places) * top.shape[0] * top.shape[2] >= _AT_ONCE:
            yield np.array(places, dtype=np.intp), np.concatenate(waiting, axis=1)
            places, waiting = [], []


def _tops(known: Floats, every: int, spans: int, most: int) -> Iterator[Floats]:
    """The `most` largest of the `spans` pieces before each moment, in ascending order; a piece is `every` columns.

    First of the moments 0, spans, 2 * spans ..., then of 1, spans + 1 ... and so on; (rows, moments, most). A window
    is the end of one group of pieces and the beginning of the next; of each only the largest need be sorted.
    """
    rows, groups = len(known), -(-known.shape[1] // (every * spans))
    pieces = np.full((rows, (groups + 1) * spans * every), -1.0)
    pieces[:, spans * every :][:, : known.shape[1]] = known
    pieces = np.sort(pieces.reshape(rows, groups + 1, spans, every), axis=3)
    ends = [np.full((rows, groups, most), -1.0)]
    for place in range(spans - 1, -1, -1):
        ends.append(_largest(ends[-1], pieces[:, :-1, place]))
    begun = ends[0]
    for place in range(spans):
        yield _largest(ends.pop(), begun)
        begun = _largest(begun, pieces[:, 1:, place])


def _largest(some: Floats, others: Floats) -> Floats:
    """The largest of both, as many as `some` has; all are in ascending order.

    They are the larger of one's k-th least and the other's k-th largest, for every k (Batcher 1968).
    """
    both, many = some.copy(), min(some.shape[2], others.shape[2])
    np.maximum(both[:, :, :many], others[:, :, ::-1][:, :, :many], out=both[:, :, :many])
    both.sort(axis=2)
    return both


def _fit(top: Floats, count: Floats, usual: Floats, share: float, odd: float) -> Floats:
    """The tail's start, share, scale and shape from the largest of `count` known maxima, the others being -1."""
    wanted = np.maximum(1, np.rint(share * count)).astype(np.intp)
    start = np.take_along_axis(top, top.shape[2] - 1 - wanted[:, :, None], axis=2)
    excess = np.maximum(top - start, 0.0)
    start = start[:, :, 0]
    beyond = np.count_nonzero(excess, axis=2)
    total, square = excess.sum(axis=2), np.einsum("ijk,ijk->ij", excess, excess)
    limit = np.where(usual > start, usual - start, np.inf)
    few = np.nonzero(excess[:, :, -1] > _SHAPELY * limit)
    plain, far, most = total.copy(), excess[few], limit[few][:, None]
    total[few] = np.minimum(far, _CAP * most).sum(axis=1)
    np.minimum(far, _SHAPELY * most, out=far)
    plain[few], square[few] = far.sum(axis=1), np.einsum("ij,ij->i", far, far)
    many = np.maximum(beyond, 1)
    heavy = _heaviness(plain / many, square / many)
    shape = heavy + 1 / np.where(beyond > 0, beyond, wanted)
    mean = total / many
    if odd:
        mean = _sure(mean, excess, beyond, np.rint(odd * count).astype(np.intp))
    return np.stack([start, np.maximum(beyond, 0.5) / np.maximum(count, 1), (1 - heavy) * mean, shape])


def _sure(mean: Floats, excess: Floats, beyond: Places, odd: Places) -> Floats:
    """The mean excess where the `odd` largest of those beyond the start may be incidents, and what is less is none."""
    most = np.take_along_axis(excess, excess.shape[2] - 1 - odd[:, :, None], axis=2)
    total = np.minimum(excess, most).sum(axis=2)
    sure = np.minimum(total / np.maximum(beyond - odd, 1), mean)
    return np.where(sure > 0, mean ** (1 - _SURELY) * sure**_SURELY, mean)


def _heaviness(mean: Floats, square: Floats) -> Floats:
    """What the mean of the excesses and that of their squares say of the shape."""
    variance = square - mean**2
    ratio = mean**2 / np.where(variance > 0, variance, np.inf)
    return np.where(variance > 0, np.clip((1 - ratio) / 2, 0.0, _HEAVIEST), 0.0)


def _second(known: Floats, first: Places, last: Places, day: int) -> Floats:
    """The second largest of the daily maxima among the blocks [first, last) of each moment; -1 where fewer are known.

    The last day counts as far as it has come.
    """
    daily = known.reshape(len(known), -1, day)
    so_far = np.maximum.accumulate(daily, axis=2).reshape(known.shape)[:, np.maximum(last - 1, 0)]
    begin, end = -(-first // day), np.maximum(last - 1, 0) // day
    (begin, end), which = np.unique([begin, end], axis=1, return_inverse=True)  # of a day's moments most have the same
    days = begin[:, None] + np.arange(max(2, int((end - begin).max(initial=0))))
    past = np.where(days < end[:, None], daily.max(axis=2)[:, np.minimum(days, daily.shape[1] - 1)], -1.0)
    past.partition(-2, axis=2)
    second, largest = past[:, which, -2], past[:, which, -1]
    return np.maximum(second, np.minimum(largest, so_far))


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
    return _each(lambda one, two: np.asarray(np.where(condition, one, two), dtype=np.float64), tail, other)


def _each(change: Callable[..., Floats], *tails: Tail) -> Tail:
    return Tail(*(change(*(getattr(tail, name) for tail in tails)) for name in Tail.__annotations__))
