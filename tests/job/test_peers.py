"""Machines against their group, by the code that the job runs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors import Frame
from job import examine, lineup, memory
from job.anomaly import Anomaly
from job.policy import Policy
from job.record import Subject
from tests.job.work import backfill, tree
from tests.job.work import told as lines

DAY, STEP = datetime(2026, 11, 20, tzinfo=UTC), timedelta(minutes=15)
NOON = DAY + timedelta(hours=12)
MACHINES, HOUR, A_DAY = 40, 4, 96
DETECTORS = lineup.build(("adaptive", "peers"), {"peers": {"by": ["zone", "prefix"]}})
SUBJECT = Subject("p", "x.com/sent_bytes_count", "sent", "By/s", {name: d.history for name, d in DETECTORS.items()})
DECIDES = Policy(false_alarms=0.33, votes=1)  # the default detector does, being the best informed
BOTH = Policy(false_alarms=0.33)

Floats = NDArray[np.float64]


def fleet() -> Floats:
    time = np.arange((examine.needed(DETECTORS, BOTH, STEP) + timedelta(days=1)) // STEP)
    rng, hump = np.random.default_rng(0), np.clip(np.sin(2 * np.pi * (time / A_DAY - 0.25)), 0, None)
    noise = rng.uniform(0.02, 0.06, (MACHINES, 1)) * rng.standard_normal((MACHINES, len(time)))
    return np.asarray(10 ** rng.uniform(5, 8, (MACHINES, 1)) * (1 + 2 * hump) * (1 + noise))


def told(values: Floats, policy: Policy) -> list[Anomaly]:
    """What is told of the fleet's day that begins at noon or after."""
    labels = tuple(
        {"resource.type": "gce_instance", "resource.labels.zone": "z", "metric.labels.instance_name": f"web-{row}"}
        for row in range(MACHINES)
    )
    frame = Frame(values, DAY + timedelta(days=1) - values.shape[1] * STEP, STEP, labels)
    found = examine.examine(frame, DETECTORS, policy, SUBJECT, DAY)
    return [anomaly for anomaly in found.anomalies if anomaly.start == NOON]


def risen(rows: slice) -> Floats:
    """The fleet, some of which have three times their traffic for two hours from noon on."""
    values = fleet()
    values[rows, -12 * HOUR : -10 * HOUR] *= 3
    return values


def test_a_rise_of_all_is_told_of_none_where_both_must_agree_and_one_machine_of_forty_is() -> None:
    assert len(told(risen(slice(None)), BOTH)) <= 1
    (found,) = told(risen(slice(3, 4)), BOTH)
    assert found.labels["instance_name"] == "web-3"
    assert set(found.votes) == {"adaptive", "peers"}
    assert found.sentence.endswith("; 2 of 2 detectors.")


def test_as_evidence_alone_it_says_which_rise_was_everybodys() -> None:
    every, (one,) = told(risen(slice(None)), DECIDES), told(risen(slice(3, 4)), DECIDES)
    assert len(every) == MACHINES
    evident = [found for found in every if "peers" in found.votes]
    assert len(evident) <= 2
    assert "peers" in one.votes
    assert max(found.score for found in every if found not in evident) < one.score / 2
    assert all(f"; {len(found.votes)} of 2 detectors." in found.sentence for found in every)


def test_peers_are_all_series_of_the_frame_however_many_are_scored_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = told(risen(slice(3, 4)), BOTH)
    monkeypatch.setattr(examine, "BLOCK", 2)
    assert told(risen(slice(3, 4)), BOTH) == whole


def test_peers_are_all_series_of_the_query_however_little_memory_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {
        "detectors": ("zscore", "peers"),
        "detector": {"peers": {"by": ()}},
        "policy": Policy(votes=1),
    }
    backfill(tmp_path / "much", days=1, **given).run()
    monkeypatch.setattr(memory, "rows", lambda *_: 2)
    backfill(tmp_path / "little", days=1, **given).run()
    assert tree(tmp_path / "little") == tree(tmp_path / "much")
    assert any("peers" in anomaly["history"] for anomaly in lines(tmp_path / "much"))


def test_more_series_than_can_be_compared_are_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "together", lambda *_: 3)
    outcomes = backfill(tmp_path, days=1, detectors=("zscore", "peers")).run()
    assert {outcome.status for outcome in outcomes} == {"failed"}
    assert "only 3 of" in outcomes[0].error
    assert "parts" in outcomes[0].error
