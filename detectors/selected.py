"""The middle of many values: only what lies near it is put in order."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

_NEAR = 7 / 8, 33 / 32
"""How near the last middle: that of what becomes smaller and smaller, as the rest of a fit that is made again."""

_EVERY, _PART = 13, (0.4, 0.6)
"""Without one, what is near is this part of every so many'th value."""


def middle_two(values: Floats, count: NDArray[np.intp], last: Floats | None) -> Floats:
    """The sum of the middle two of each row's `count` least values, which are one where there is an odd number of them.

    `last` is about the same; where it is not, the answer only takes longer.
    """
    low, high = _sampled(values) if last is None else (_NEAR[0] / 2 * last, _NEAR[1] / 2 * last)
    below = values < low[:, None]
    near = values <= high[:, None]
    near ^= below
    places = np.flatnonzero(near)
    some, ends = values.take(places), np.searchsorted(places, np.arange(len(values) + 1) * values.shape[1])
    answer = np.empty(len(values))
    for row, size in enumerate(count.tolist()):
        left, part = int(np.count_nonzero(below[row])), some[ends[row] : ends[row + 1]]
        first, second = max(0, size - 1) // 2, size // 2
        if not left <= first <= second < left + len(part):
            left, part = 0, values[row].copy()
        part.partition((first - left, second - left))
        answer[row] = part[first - left] + part[second - left]
    return answer


def _sampled(values: Floats) -> tuple[Floats, Floats]:
    """Between what the middle probably is."""
    ordered = np.sort(values[:, ::_EVERY], axis=1)
    low, high = (int(part * ordered.shape[1]) for part in _PART)
    return ordered[:, low], ordered[:, high]
