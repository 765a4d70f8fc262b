"""What detectors answer, whose code may be anybody's, held against what was asked; a fault is said of its detector."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from detectors import Scores
from job.errors import Faulty


@contextmanager
def blamed(name: str) -> Iterator[None]:
    """Say of which detector something is that goes wrong within.

    Raises:
        Faulty: anything went wrong, or the detector tried to end the program.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        raise Faulty(f"a fault in the detector {name!r}: {error!r}") from error


def checked(scores: Scores, rows: int, columns: int) -> Scores:
    """The scores, if each of their arrays has a number or NaN for every point that was asked for.

    Raises:
        ValueError: an array has another shape or kind, or is infinite somewhere.
    """
    if not isinstance(scores, Scores):
        raise ValueError(f"it answered {type(scores).__name__}, not Scores")
    for name, array in vars(scores).items():
        if array is not None or name not in {"lower", "upper"}:
            _check(name, array, (rows, columns))
    return scores


def _check(name: str, array: Any, shape: tuple[int, int]) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != np.float64:
        raise ValueError(f"{name} is {getattr(array, 'dtype', type(array).__name__)}, not an array of float64")
    if array.shape != shape:
        raise ValueError(f"{name} has the shape {array.shape}, where {shape} was asked for (series x time)")
    if name == "score" and np.isinf(array).any():
        raise ValueError("score is infinite somewhere; a score that is not known is NaN")
