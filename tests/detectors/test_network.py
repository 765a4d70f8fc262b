"""Medians by a network against numpy's."""

from itertools import product

import numpy as np
import pytest

from detectors import network
from detectors.blocks import median

COUNTS = range(1, network.MOST + 2)


@pytest.mark.parametrize("count", range(1, 13))
def test_whatever_the_order_the_middle_is_found(count: int) -> None:
    """What is right for all zeros and ones is right for all values (Knuth, 5.3.4, theorem Z)."""
    values = np.array(list(product((0.0, 1.0), repeat=count))).T
    np.testing.assert_array_equal(network.middle(values), np.median(values, axis=0))


@pytest.mark.parametrize("count", COUNTS)
def test_many_lanes_have_the_medians_of_few(count: int) -> None:
    rng = np.random.default_rng(count)
    values = rng.normal(size=(count, 3, 400))
    values[rng.random(values.shape) < 0.02] = np.nan
    values[:, 0, 0], values[:, 1, :] = np.nan, np.round(values[:, 1, :])
    few = np.stack([median(values[:, :, i : i + 1])[:, 0] for i in range(400)], axis=1)
    np.testing.assert_array_equal(median(values), few)
    np.testing.assert_array_equal(median(np.moveaxis(values, 0, 1), axis=1), few)
    np.testing.assert_array_equal(median(np.repeat(values, 2, axis=2)[:, :, ::2]), few)


def test_what_comes_in_is_not_changed_and_nothing_has_no_median() -> None:
    values = np.random.default_rng(0).normal(size=(21, 600))
    before = values.copy()
    network.middle(values)
    np.testing.assert_array_equal(values, before)
    assert np.isnan(median(values[:0])).all()
