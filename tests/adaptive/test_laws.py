import doctest
from datetime import timedelta
from typing import Any

import pytest

import detectors.adaptive
import detectors.deviates
from detectors.adaptive import Adaptive
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
        ({"recent": timedelta(hours=23)}, "recent 23:00:00"),
        ({"memory": timedelta(days=7)}, "memory 7 days"),
        ({"tail": 1.0}, "tail 1.0"),
        ({"tail": 0.0}, "tail 0.0"),
        ({"rare": 1.0}, "rare 1.0"),
        ({"strongest": 1.1}, "strongest 1.1"),
        ({"warm_up": timedelta(0)}, "warm_up 0:00:00"),
        ({"warm_up": timedelta(days=11)}, "warm_up 11 days"),
    ],
)
def test_a_setting_that_cannot_be_is_named(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Adaptive(**settings)
