"""Random numbers that are addressed, not drawn in turn: the same place always holds the same number.

Philox is a counter-based generator and its raw output is fixed by numpy's compatibility promise, so a day of a series
is reached without generating the days before it, on any platform and in any version.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint64]

_EPOCH = 1 << 20
"""Added to a day so that days before 1970 have a counter too."""

_BLOCK = 4
"""How many numbers one step of Philox's counter yields."""


@cache
def _root(seed: int, stream: str, size: int) -> int:
    words = [seed, size, *stream.encode()]
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0])


def bits(seed: int, stream: str, series: int, days: range, size: int) -> Bits:
    """The random bits of a series, `size` numbers a day, as an array (day, number).

    Different streams, series, days and sizes are independent of each other.
    """
    blocks = -(-size // _BLOCK)
    key = np.array([_root(seed, stream, size), series], dtype=np.uint64)
    start = (days.start + _EPOCH) * blocks
    raw = np.random.Philox(key=key, counter=start).random_raw(len(days) * blocks * _BLOCK)
    return raw.reshape(len(days), blocks * _BLOCK)[:, :size]


def uniform(words: Bits) -> NDArray[np.float64]:
    """Numbers evenly between 0 and 1, neither of which occurs."""
    return ((words >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def bell(words: Bits) -> NDArray[np.float64]:
    """Numbers of mean 0 and deviation 1 from a logistic distribution: like a normal one, with heavier tails."""
    u = uniform(words)
    spread: float = np.sqrt(3.0) / np.pi
    return np.log(u / (1 - u)) * spread


def rare(words: Bits, one_in: int) -> NDArray[np.bool_]:
    """True once in `one_in` (a power of two up to 4096), independent of what `uniform` makes of the same bits."""
    return np.asarray((words & np.uint64(one_in - 1)) == 0)
