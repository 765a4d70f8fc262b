"""How rare a deviation is, judged by the largest ones of the series' own past hours.

    P(the largest deviation of an hour >= s) = p * (1 + shape * (s - u) / scale) ** (-1 / shape)    for s > u
    shape = xi + 1 / k        scale = (1 - xi) * mean        xi = (1 - mean ** 2 / variance) / 2, from 0 to 0.1

u is the quantile of the past hourly maxima that a share `tail` of them exceeds, p the share that does exceed it, k
their number; mean and variance are those of the excesses over u. This is a generalised Pareto law (Balkema and de Haan
1974, Pickands 1975) fitted by moments (Hosking and Wallis 1987), its shape held between the exponential law's and a
little more, as a dozen numbers cannot tell it, and heavier while the mean is only known from k of them. Below u the
logarithm runs straight to 0. Hourly maxima make one threshold mean one rate of alarms whatever the step of the series
is, and however its noise hangs together within an hour.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.blocks import Floats
from detectors.scores import RELATIVE_FLOOR

Places = NDArray[np.intp]

_HEAVIEST = 0.1

_DAYS, _CAP = 2, 30.0
"""No excess counts for more than this many times the second largest of the daily ones: what came on one day only, be it
enormous, is an incident and hides no other; what comes again is learned."""


@dataclass(frozen=True)
class Tail:
    """The law of the past hourly maxima at some moments; (series, moments)."""

    start: Floats
    share: Floats
    scale: Floats
    shape: Floats


def maxima(deviations: Floats, width: int) -> Floats:
    """The largest deviation of each block of `width` columns; NaN where it has no point."""
    largest = deviations[:, ::width].copy()
    for k in range(1, width):
        np.fmax(largest, deviations[:, k::width], out=largest)
    return largest


def fits(largest: Floats, every: int, window: int, share: float, least: int, day: int) -> Tail:
    """The tails of the `window` hourly maxima before each `every`-th block, the first of them unknown.

    Where fewer than `least` maxima are known, so is no tail. A day has `day` blocks, `largest` whole days.
    """
    known = np.where(np.isnan(largest), -1.0, largest)  # below every deviation
    seen = np.zeros((len(known), known.shape[1] + 1))
    np.cumsum(known >= 0, axis=1, out=seen[:, 1:])
    so_far = np.maximum.accumulate(known.reshape(len(known), -1, day), axis=2).reshape(known.shape)
    columns = [np.full((4, len(known)), np.nan)]
    for block in range(every, known.shape[1], every):
        first = max(0, block - window)
        count = seen[:, block] - seen[:, first]
        days = [*range(-(-first // day) * day + day - 1, block - 1, day), block - 1]
        tail = _fit(known[:, first:block], count, so_far[:, days], share)
        columns.append(np.where(count >= least, tail, np.nan))
    return Tail(*np.moveaxis(np.array(columns), 0, 2))


def _fit(known: Floats, count: Floats, daily: Floats, share: float) -> Floats:
    """The tail's start, share, scale and shape for each row of maxima, of which `count` are known and the others -1."""
    ordered = np.sort(known, axis=1)[:, ::-1]
    wanted = np.maximum(1, np.rint(share * count)).astype(np.intp)
    start = ordered[np.arange(len(known)), np.minimum(wanted, ordered.shape[1] - 1)]
    excess = np.maximum(ordered[:, : max(1, round(share * ordered.shape[1]))] - start[:, None], 0.0)
    np.minimum(excess, (_CAP * _usual(daily, start))[:, None], out=excess)
    beyond = np.count_nonzero(excess, axis=1)
    mean = excess.sum(axis=1) / np.maximum(beyond, 1)
    variance = np.einsum("ij,ij->i", excess, excess) / np.maximum(beyond, 1) - mean**2
    spread = np.where(variance > 0, variance, np.inf)
    heavy = np.where(variance > 0, np.clip((1 - mean**2 / spread) / 2, 0.0, _HEAVIEST), 0.0)
    shape = heavy + 1 / np.where(beyond > 0, beyond, wanted)
    return np.stack([start, np.maximum(beyond, 0.5) / np.maximum(count, 1), (1 - heavy) * mean, shape])


def _usual(daily: Floats, start: Floats) -> Floats:
    """The second largest of the daily excesses; infinite where fewer days have any."""
    if daily.shape[1] < _DAYS:
        return np.full(len(daily), np.inf)
    excess = np.partition(daily, -_DAYS, axis=1)[:, -_DAYS] - start
    return np.where(excess > 0, excess, np.inf)


def log_probability(deviations: Floats, tails: tuple[Tail, Tail], span: int) -> Floats:
    """The logarithm of the tail probability, the mean of two tails'; `span` columns are judged by one moment of them.

    Points beyond either start are few; only for these the tail itself is worked out.
    """
    one, two = tails
    pieces = deviations.reshape(len(deviations), -1, span)
    answer = pieces * ((_slope(one) + _slope(two)) / 2)[:, :, None]
    row, moment, column = np.nonzero(pieces > np.minimum(one.start, two.start)[:, :, None])
    beyond, at = pieces[row, moment, column], (row, moment)
    answer[row, moment, column] = (_log_beyond(beyond, one, at) + _log_beyond(beyond, two, at)) / 2
    return answer.reshape(deviations.shape)


def _slope(tail: Tail) -> Floats:
    slope: Floats = np.log(tail.share) / np.where(tail.start > 0, tail.start, np.inf)
    return slope


def _log_beyond(deviations: Floats, tail: Tail, at: tuple[Places, Places]) -> Floats:
    start, shape, share = tail.start[at], tail.shape[at], np.log(tail.share[at])
    scale = np.maximum(tail.scale[at], RELATIVE_FLOOR * deviations)
    excess = np.maximum(deviations - start, 0.0) * shape / scale
    straight = share * deviations / np.where(start > 0, start, np.inf)
    answer: Floats = np.where(excess > 0, share - np.log1p(excess) / shape, straight)
    return answer


def rows(tail: Tail, some: slice) -> Tail:
    """The tail of some of the rows."""
    return _each(lambda array: array[some], tail)


def repeat(tail: Tail, times: int) -> Tail:
    """The tail at moments that are `times` as frequent."""
    return _each(lambda array: np.repeat(array, times, axis=1), tail)


def where(condition: NDArray[np.bool_], tail: Tail, other: Tail) -> Tail:
    """The tail where the condition holds, else the other."""
    return _each(lambda one, two: np.asarray(np.where(condition, one, two), dtype=np.float64), tail, other)


def _each(change: Callable[..., Floats], *tails: Tail) -> Tail:
    return Tail(*(change(*(getattr(tail, name) for tail in tails)) for name in Tail.__annotations__))
