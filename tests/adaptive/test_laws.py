import doctest
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

import detectors.adaptive
import detectors.deviates
from detectors.adaptive import Adaptive
from detectors.frame import Frame
from detectors.laws import LAWS, Law


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_the_default_obeys(law: Law) -> None:
    law.check(Adaptive())


@pytest.mark.parametrize("module", [detectors.adaptive, detectors.deviates])
def test_the_examples_are_true(module: Any) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"days": 0}, "days is 0"),
        ({"recent": timedelta(hours=23)}, "recent 23h"),
        ({"memory": timedelta(days=7)}, "memory 7d"),
        ({"tail": 1.0}, "tail 1.0"),
        ({"tail": 0.0}, "tail 0.0"),
        ({"rare": 1.0}, "rare 1.0"),
        ({"strongest": 1.1}, "strongest 1.1"),
        ({"warm_up": timedelta(0)}, "warm_up 0s"),
        ({"warm_up": timedelta(days=11)}, "warm_up 11d"),
    ],
)
def test_a_setting_that_cannot_be_is_named(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Adaptive(**settings)


@pytest.mark.parametrize("step", [timedelta(minutes=30), timedelta(minutes=7)])
def test_what_is_said_of_young_series_does_not_depend_on_the_age_of_those_beside_them(step: timedelta) -> None:
    rng = np.random.default_rng(5)
    time = 40 * 86_400 // int(step.total_seconds())
    values = rng.gamma(4.0, 2.0, (6, time))
    for row, born in enumerate([0, time // 4, time - 90, time - 3, time // 4 + 1, time]):
        values[row, :born] = np.nan
    frame = Frame(values, datetime(2026, 3, 4, 5, tzinfo=UTC), step, ({},) * 6)
    detector, first = Adaptive(), time - 60
    together = detector(frame), detector.late(frame, first), detector.band(frame, 3.0, first)
    for row in range(6):
        alone = frame.rows(slice(row, row + 1))
        for one, whole in zip((detector(alone), detector.late(alone, first)), together, strict=False):
            for name in ("expected", "spread", "score"):
                np.testing.assert_array_equal(getattr(one, name)[0], getattr(whole, name)[row])
        np.testing.assert_array_equal(
            [edge[0] for edge in detector.band(alone, 3.0, first)], [e[row] for e in together[2]]
        )
