"""The middle of a few values in each of very many lanes, by a sorting network: whole arrays are compared at once.

Knuth, "The Art of Computer Programming" 3, section 5.2.2, algorithm M (Batcher's merge exchange).
"""

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

MOST = 24
"""Of more values than this, sorting lane by lane is faster."""

LANES = 8192
"""So many lanes are compared at once: the wires of a network stay in the cache."""


def middle(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median along the first axis, of no more than `MOST` values; NaN where one of them is."""
    count, *shape = values.shape
    step = max(1, LANES // max(1, math.prod(shape[1:])))
    answer = np.empty(shape)
    wires = np.empty((count + 1, step, *shape[1:]))
    for first in range(0, shape[0], step):
        some = values[:, first : first + step]
        wires[:count, : some.shape[1]] = some
        low, high = _selected([wire[: some.shape[1]] for wire in wires])
        out = np.subtract(high, low, out=answer[first : first + step])
        out /= 2
        out += low
    return answer


def _selected(wires: list[NDArray[np.float64]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The middle two, which are one of an odd number; the wires change, and the last of them is spare."""
    spare = wires.pop()
    for i, j, lower, upper in _network(len(wires)):
        if lower and upper:
            np.minimum(wires[i], wires[j], out=spare)
            np.maximum(wires[i], wires[j], out=wires[j])
            wires[i], spare = spare, wires[i]
        elif lower:
            np.minimum(wires[i], wires[j], out=wires[i])
        else:
            np.maximum(wires[i], wires[j], out=wires[j])
    return wires[(len(wires) - 1) // 2], wires[len(wires) // 2]


@lru_cache(maxsize=MOST)
def _network(count: int) -> tuple[tuple[int, int, bool, bool], ...]:
    """The comparisons that the middle needs: of which wires, and which of the lesser and the greater is used."""
    needed, kept = {(count - 1) // 2, count // 2}, []
    for i, j in reversed(list(_exchanges(count))):
        if i in needed or j in needed:
            kept.append((i, j, i in needed, j in needed))
            needed |= {i, j}
    return tuple(reversed(kept))


def _exchanges(count: int) -> Iterator[tuple[int, int]]:
    """The comparisons that sort so many values."""
    top = 1 << max(0, (count - 1).bit_length() - 1)
    step = top
    while step:
        reach, rest, apart = top, 0, step
        while apart:
            yield from ((i, i + apart) for i in range(count - apart) if i & step == rest)
            apart, reach, rest = reach - step, reach // 2, step
        step //= 2
