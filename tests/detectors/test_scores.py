import numpy as np
import pytest

from detectors.scores import CAP, score


@pytest.mark.parametrize(
    ("value", "expected", "spread", "wanted"),
    [
        (13.0, 10.0, 1.5, 2.0),
        (7.0, 10.0, 1.5, -2.0),
        (0.0, 0.0, 0.0, 0.0),
        (7.1, 7.1, 0.0, 0.0),
        (7.1, 7.1, 2.0, 0.0),
        (1.0, 0.0, 0.0, CAP),
        (0.0, 1e9, 0.0, -CAP),
        (1e9 + 1, 1e9, 1.0, 1.0),
        (1e300, -1e300, 0.0, CAP),
        (1.5e308, -1.5e308, 1.0, CAP),
        (np.nan, 1.0, 1.0, np.nan),
        (1.0, np.nan, 1.0, np.nan),
        (1.0, 2.0, np.nan, np.nan),
        (1.0, 1.0, np.nan, np.nan),
        (0.0, 0.0, np.nan, np.nan),
        (np.nan, np.nan, 0.0, np.nan),
    ],
)
def test_a_score_is_the_deviation_in_spreads(value: float, expected: float, spread: float, wanted: float) -> None:
    given = [np.array([[x]]) for x in (value, expected, spread)]
    before = [x.copy() for x in given]
    np.testing.assert_array_equal(score(*given).score, [[wanted]])
    np.testing.assert_array_equal(given, before)


def test_rounding_is_not_a_deviation() -> None:
    level = np.array([[0.1 * 3, 1e9 / 3]])
    assert (np.abs(score(np.nextafter(level, 1e12), level, np.zeros_like(level)).score) < 1e-3).all()
