"""What an anomaly's own sentence says, and where its link leads."""

from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest

from job.explorer import link
from tests.job.anomalies import START, anomaly
from tests.job.judging import verdict


@pytest.mark.parametrize(
    ("history", "words"),
    [
        ({"adaptive": "37d"}, "judged by the hours before and a usual 03:15 UTC (history: up to 37d for adaptive); "),
        (
            {"ewma": "2d", "seasonal": "28d"},
            "judged by a usual Sunday 03:15 UTC (history: up to 2d for ewma, up to 28d for seasonal); ",
        ),
        ({"stl": "10d"}, "judged by a usual 03:15 UTC (history: up to 10d for stl); "),
        ({"peers": "1h"}, "judged by its group (history: up to 1h for peers); "),
        ({"zscore": "1d"}, "judged by the time before (history: up to 1d for zscore); "),
    ],
)
def test_it_names_the_slot_of_the_season_and_the_history(history: dict[str, str], words: str) -> None:
    assert words in anomaly(history=history).sentence


def test_silence_is_judged_by_the_day_before_too() -> None:
    silent: dict[str, Any] = {"kind": "absent", "direction": "down", "observed": None}
    known = anomaly(history={"adaptive": "37d"}, **silent).sentence
    assert "; 1 to 3 MB/s was expected, by the hours before, a usual 03:15 UTC and the day before " in known
    assert anomaly(history={}, **silent).sentence.endswith(" was expected, by the day before.")


def test_what_began_on_another_day_than_it_was_worst_says_on_which() -> None:
    assert "25m from 03:10;" in anomaly().sentence
    assert "25m from 2026-11-22 03:10;" in anomaly(peak=START + timedelta(days=1)).sentence


def test_a_record_leads_to_its_own_series() -> None:
    one, two = verdict([[100, 170], [100, 180]]).anomalies
    assert one.link == link(one) != two.link
    assert 'metric.label."instance_name"="web-1"' in unquote(str(one.link)).replace("\\", "")
