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


def fit(past: Floats, share: float, least: int, day: int) -> Tail:
    """The tail of each row of `past`, a window of hourly maxima; NaN where it has fewer than `least` of them."""
    known = np.where(np.isnan(past), -1.0, past)  # below every deviation
    ordered = np.sort(known, axis=1)[:, ::-1]
    count = np.count_nonzero(ordered >= 0, axis=1)
    wanted = np.maximum(1, np.rint(share * count)).astype(np.intp)
    start = ordered[np.arange(len(past)), np.minimum(wanted, ordered.shape[1] - 1)]
    excess = np.maximum(ordered[:, : max(1, round(share * ordered.shape[1]))] - start[:, None], 0.0)
    beyond = np.count_nonzero(excess, axis=1)
    np.minimum(excess, (_CAP * _usual(known, day, start))[:, None], out=excess)
    size = np.maximum(beyond, 1)
    mean = excess.sum(axis=1) / size
    variance = np.square(excess).sum(axis=1) / size - mean**2
    heavy = np.clip((1 - mean**2 / np.where(variance > 0, variance, np.inf)) / 2, 0.0, _HEAVIEST)
    heavy = np.where(variance > 0, heavy, 0.0)
    nothing = np.where(count >= least, 0.0, np.nan)
    return Tail(
        start=nothing + start,
        share=nothing + np.maximum(beyond, 0.5) / np.maximum(count, 1),
        scale=nothing + (1 - heavy) * mean,
        shape=nothing + heavy + 1 / np.where(beyond > 0, beyond, wanted),
    )


def _usual(known: Floats, day: int, start: Floats) -> Floats:
    """The second largest of the daily excesses; infinite where fewer days have any."""
    days = known[:, known.shape[1] % day :].reshape(len(known), -1, day).max(axis=2)
    if days.shape[1] < _DAYS:
        return np.full(len(known), np.inf)
    excess = np.partition(days, -_DAYS, axis=1)[:, -_DAYS] - start
    return np.where(excess > 0, excess, np.inf)


def fits(largest: Floats, every: int, window: int, share: float, least: int, day: int) -> Tail:
    """The tails of the `window` hourly maxima before each `every`-th block, the first of them unknown."""
    at = range(every, largest.shape[1], every)
    each = [fit(largest[:, max(0, block - window) : block], share, least, day) for block in at]
    nothing = np.full((len(largest), 1), np.nan)
    columns = {name: [nothing] + [getattr(tail, name)[:, None] for tail in each] for name in Tail.__annotations__}
    return Tail(**{name: np.hstack(parts) for name, parts in columns.items()})


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
