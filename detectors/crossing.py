"""Where a function of one value crosses zero, for many points at once."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from detectors.blocks import Floats

Places = NDArray[np.intp]

_EXACT = 1e-10
"""A crossing is found where the function is so near to zero, or where this part of the bracket is left."""

_STEPS, _HALVED = 99, 3
"""At most so many steps; one in three halves the bracket, whatever the function looks like."""


def crossing(function: Callable[[Floats, Places], Floats], inside: Floats, outside: Floats) -> Floats:
    """The value at which `function(values, places)` crosses zero from `inside`, where it is negative, to `outside`.

    All arrays are flat, and `places` are the points that are asked for. Where it is negative at both ends the answer is
    `outside`, and NaN where it is NaN. By secants between the ends, of which one that stays counts half (Dowell and
    Jarratt, "A modified regula falsi method", BIT 11, 1971).
    """
    places = np.arange(len(inside))
    ends = np.stack([inside, outside])
    sizes = np.stack([function(inside, places), function(outside, places)])
    answer = np.where(np.isnan(sizes.sum(axis=0)), np.nan, outside)
    wide = np.abs(outside - inside)
    some = (sizes[0] < 0) & (sizes[1] > 0)
    places, ends, sizes = places[some], ends[:, some], sizes[:, some]
    last = np.full(len(places), -1)
    for step in range(_STEPS):
        share = 0.5 if step % _HALVED == _HALVED - 1 else sizes[0] / (sizes[0] - sizes[1])
        middle = ends[0] + (ends[1] - ends[0]) * share
        size = function(middle, places)
        end = (size >= 0).astype(np.intp)  # of the two, the one that the middle replaces
        each = np.arange(len(places))
        sizes[1 - end, each] *= np.where(end == last, 0.5, 1.0)
        ends[end, each], sizes[end, each], last = middle, size, end
        answer[places] = np.where(np.abs(size) <= _EXACT, middle, ends[0])
        more = (np.abs(size) > _EXACT) & (np.abs(ends[1] - ends[0]) > _EXACT * wide[places])
        if not more.any():
            break
        places, ends, sizes, last = places[more], ends[:, more], sizes[:, more], last[more]
    return answer
