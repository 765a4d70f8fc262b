"""What a detector carries over a border between columns: arrays by name, whose first axis is the series.

So whoever keeps them needs to know no detector: rows are cut, put together and stored alike.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Carried: TypeAlias = Mapping[str, NDArray[Any]]
Bools: TypeAlias = NDArray[np.bool_]


def cut(carried: Carried, rows: slice | NDArray[np.intp]) -> Carried:
    """What is carried of some series."""
    return {name: array[rows] for name, array in carried.items()}


def stacked(parts: Sequence[Carried]) -> Carried:
    """What is carried of the series of all parts, in turn."""
    return {name: np.concatenate([part[name] for part in parts]) for name in (parts[0] if parts else ())}


def packed(there: Bools, count: int) -> NDArray[np.uint8]:
    """The last `count` columns, as bits; before the first column there is nothing."""
    bits = np.zeros((len(there), count), dtype=np.bool_)
    bits[:, max(0, count - there.shape[1]) :] = there[:, max(0, there.shape[1] - count) :]
    return np.packbits(bits, axis=1)


def full(bits: NDArray[np.uint8], count: int) -> Bools:
    """Whether all of the `count` columns that were packed are there, row by row."""
    whole: Bools = (bits == np.packbits(np.ones(count, dtype=np.bool_))).all(axis=1)
    return whole


def unpacked(bits: NDArray[np.uint8], count: int, columns: int) -> Bools:
    """The last `columns` of the `count` columns that were packed, as far as there are so many."""
    there: Bools = np.unpackbits(bits, axis=1, count=count).view(np.bool_)
    return there[:, max(0, count - columns) :]
