"""Many scores of one point, as one opinion of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from detectors import CAP, Scores
from job.policy import Policy


@dataclass(frozen=True)
class Opinion:
    """The detectors' answers, reduced to one per point; every array is series x time.

    `side` is +1 or -1 where enough detectors agree that the point is off, else 0; `score` is the median of the scores;
    `expected`, `spread` and the band from `lower` to `upper` come from the detector with the longest history that has a
    baseline there.
    """

    side: NDArray[np.int8]
    score: NDArray[np.float64]
    expected: NDArray[np.float64]
    spread: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


def opinion_of(
    values: NDArray[np.float64], scores: Mapping[str, Scores], policy: Policy, histories: Mapping[str, timedelta]
) -> Opinion:
    """Reduce the detectors' scores to one opinion per point.

    A hit is told by the baseline of the best informed detector that voted for it, and any other point by that of the
    best informed one that has a baseline.
    """
    every = stacked(scores, histories)
    side = sides(every, policy)
    expected, spread, told, lower, upper = (np.full(side.shape, np.nan) for _ in range(5))
    for name, score in zip(_ordered(histories, scores), every, strict=True):
        mine = (np.isnan(expected) | np.isnan(spread)) & ((side == 0) | (_votes(score, policy) == side))
        for into, of in (
            (expected, "expected"),
            (spread, "spread"),
            (told, "score"),
            (lower, "lower"),
            (upper, "upper"),
        ):
            if (array := getattr(scores[name], of)) is not None:
                np.copyto(into, array, where=mine)
    with np.errstate(invalid="ignore", divide="ignore"):
        # A calibrated score is not a plain quotient; the band of a hit is the one that its score speaks of.
        implied = np.abs(values - expected) / np.abs(told)
    spread = np.where((side != 0) & (np.abs(told) < CAP), implied, spread)
    lower = np.where(np.isnan(lower), expected - policy.cut * spread, lower)
    upper = np.where(np.isnan(upper), expected + policy.cut * spread, upper)
    return Opinion(side, median(every), expected, spread, lower, upper)


def _ordered(histories: Mapping[str, timedelta], scores: Mapping[str, Scores]) -> list[str]:
    """The detectors, the best informed first."""
    return sorted(scores, key=lambda name: (-histories[name], name))


def stacked(scores: Mapping[str, Scores], histories: Mapping[str, timedelta]) -> NDArray[np.float64]:
    """Detectors x series x time: every score, in the order of the detectors."""
    return np.stack([scores[name].score for name in _ordered(histories, scores)])


def _votes(every: NDArray[np.float64], policy: Policy) -> NDArray[np.int8]:
    """+1 or -1 where a score is past the threshold, else 0."""
    with np.errstate(invalid="ignore"):
        return np.subtract(every >= policy.cut, every <= -policy.cut, dtype=np.int8)


def sides(every: NDArray[np.float64], policy: Policy) -> NDArray[np.int8]:
    """+1 or -1 where enough of the detectors agree, else 0; series x time."""
    votes = _votes(every, policy)
    side = np.zeros(every.shape[1:], dtype=np.int8)
    if not votes.any():
        return side
    needed = policy.needed(np.isfinite(every).sum(axis=0))
    for way, unwanted in ((1, "down"), (-1, "up")):
        agree = votes == way
        hit = (agree.sum(axis=0) >= needed) & agree.any(axis=0) & (policy.direction != unwanted)
        side[hit & _informed(every, agree) if policy.informed else hit] = way
    return side


def _informed(every: NDArray[np.float64], agree: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where the first of the detectors that has a score at all is among those that agree."""
    first = np.argmax(np.isfinite(every), axis=0)[None]
    return np.asarray(np.take_along_axis(agree, first, axis=0)[0])


def median(every: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median over the first axis of what is a number; NaN where nothing is."""
    ordered = np.sort(every, axis=0)  # NaN sorts last
    count = np.isfinite(ordered).sum(axis=0)[None]
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, axis=0)
    high = np.take_along_axis(ordered, np.minimum(count // 2, len(every) - 1), axis=0)
    return np.asarray(((low + high) / 2)[0])
