"""What detectors answer, and the one place where a deviation is divided by a spread."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CAP = 1000.0
"""No score is larger than this, in either direction: one jump off a flat line is loud and finite."""

RELATIVE_FLOOR = 2.0**-36
"""A spread is never taken as less than this part of the level: rounding is not a deviation."""


@dataclass(frozen=True, eq=False)
class Scores:
    """What a detector expected of every point and how far off the point was.

    Each array has the shape of the frame. `expected` and `spread` (one usual deviation) are in the frame's unit;
    `score` is signed and in usual deviations, between -CAP and CAP, and NaN where nothing can be said: no point, or
    no baseline. `lower` and `upper`, where a detector was asked for its band, are the ends of what is not odd to it.
    """

    expected: NDArray[np.float64]
    spread: NDArray[np.float64]
    score: NDArray[np.float64]
    lower: NDArray[np.float64] | None = None
    upper: NDArray[np.float64] | None = None


def score(values: NDArray[np.float64], expected: NDArray[np.float64], spread: NDArray[np.float64]) -> Scores:
    """Score `values` against a baseline: `(values - expected) / spread`, guarded and capped.

    All three arrays have one shape; NaN in any of them gives NaN there. The spread is floored relative to the size of
    the numbers, so that a flat line scores 0 against itself and +-CAP when it jumps.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        usual = np.abs(expected)
        np.maximum(usual, np.abs(values), out=usual)
        usual *= RELATIVE_FLOOR
        np.maximum(usual, spread, out=usual)
        usual[usual == 0] = 1.0  # 0 where 0 is expected: no deviation, whatever it is divided by
        ratio = values - expected
        ratio /= usual
    return Scores(expected=expected, spread=spread, score=np.clip(ratio, -CAP, CAP, out=ratio))
