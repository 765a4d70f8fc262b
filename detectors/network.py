"""The middle of a few values in each of very many lanes, by a sorting network: whole arrays are compared at once.

Knuth, "The Art of Computer Programming" 3, section 5.2.2, algorithm M (Batcher's merge exchange).
"""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Places: TypeAlias = tuple[int, ...]

MOST = 24
"""Of more values than this, sorting lane by lane is faster."""

LANES = 8192
"""So many lanes are compared at once: the wires of a network stay in the cache."""


def middle(values: Floats) -> Floats:
    """The median along the first axis, of no more than `MOST` values; NaN where one of them is."""
    answer = np.empty(values.shape[1:])
    for some, (low, high) in _chosen(values, ((len(values) - 1) // 2, len(values) // 2)):
        between(low, high, answer[some])
    return answer


def between(low: Floats, high: Floats, out: Floats) -> None:
    """Write the middle of two values, of which the lesser one is given first."""
    np.subtract(high, low, out=out)
    out /= 2
    out += low


def ordered(values: Floats, places: Places) -> Floats:
    """What would be at those places along the first axis, were it in ascending order; NaN where one of them is."""
    answer = np.empty((len(places), *values.shape[1:]))
    for some, wires in _chosen(values, places):
        for one, wire in zip(answer, wires, strict=True):
            one[some] = wire
    return answer


def _chosen(values: Floats, places: Places) -> Iterator[tuple[slice, list[Floats]]]:
    """The same of so many lanes at a time that they stay in the cache; until the next ones are asked for."""
    count, *shape = values.shape
    step = max(1, LANES // max(1, math.prod(shape[1:])))
    wires = np.empty((count + 1, step, *shape[1:]))
    for first in range(0, shape[0], step):
        some = values[:, first : first + step]
        wires[:count, : some.shape[1]] = some
        yield slice(first, first + step), _selected([wire[: some.shape[1]] for wire in wires], places)


def _selected(wires: list[Floats], places: Places) -> list[Floats]:
    """The values at those places; the wires change, and the last of them is spare."""
    spare = wires.pop()
    for i, j, lower, upper in _network(len(wires), places):
        if lower and upper:
            np.minimum(wires[i], wires[j], out=spare)
            np.maximum(wires[i], wires[j], out=wires[j])
            wires[i], spare = spare, wires[i]
        elif lower:
            np.minimum(wires[i], wires[j], out=wires[i])
        else:
            np.maximum(wires[i], wires[j], out=wires[j])
    return [wires[place] for place in places]


@lru_cache(maxsize=2 * MOST)
def _network(count: int, places: Places) -> tuple[tuple[int, int, bool, bool], ...]:
    """The comparisons that these places need: of which wires, and which of the lesser and the greater is used."""
    needed, kept = set(places), []
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
