"""The middle of many values against sorting all of them."""

import numpy as np
import pytest

from detectors.selected import middle_two

SIZES = (1, 2, 3, 12, 13, 14, 27, 200, 201)


def of_sorted(row: list[float], count: int) -> float:
    ordered = sorted(row)[: max(1, count)]
    return ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("guess", ["none", "right", "too low", "too high", "nothing is there"])
def test_whatever_the_guess_the_middle_is_found(size: int, guess: str) -> None:
    rng = np.random.default_rng(size)
    values = np.abs(rng.normal(size=(5, size)))
    values[1], values[2] = np.round(values[1]), 0.0
    values[3, size // 3 :] = np.inf
    count = np.isfinite(values).sum(axis=1)
    wanted = np.array([of_sorted(row.tolist(), n) for row, n in zip(values, count, strict=True)])
    finite = np.where(np.isfinite(wanted), wanted, 1.0)
    last = {"right": finite * 1.02, "too low": finite / 3, "too high": finite * 3, "nothing is there": finite - np.inf}
    before = values.copy()
    np.testing.assert_array_equal(middle_two(values, count, last.get(guess)), wanted)
    np.testing.assert_array_equal(values, before)
