"""Records to write and read back."""

from datetime import UTC, datetime, timedelta
from typing import Any

from job import sentence
from job.anomaly import Anomaly, Resource

START = datetime(2026, 11, 22, 3, 10, tzinfo=UTC)


def anomaly(number: int = 1, **given: Any) -> Anomaly:
    """One record, valid and complete but for what is given."""
    start = given.pop("start", START)
    plain: dict[str, Any] = {
        "schema": 1,
        "id": f"{number:016x}",
        "project": "demo",
        "metric": "compute.googleapis.com/instance/network/sent_bytes_count",
        "query": "compute.googleapis.com-instance-network-sent_bytes_count",
        "resource": Resource(type="gce_instance", labels={"zone": "europe-west1-b", "instance_id": "12"}),
        "labels": {"instance_name": "web-1"},
        "start": start,
        "end": start + timedelta(minutes=25),
        "peak": start + timedelta(minutes=5),
        "continued": False,
        "ongoing": False,
        "kind": "spike",
        "direction": "up",
        "severity": 72,
        "score": 12.4,
        "votes": {"ewma": 11.9, "zscore": 12.9},
        "detectors": 3,
        "observed": 12_400_000.0,
        "expected": 2_000_000.0,
        "lower": 1_000_000.0,
        "upper": 3_000_000.0,
        "unit": "By/s",
        "excess": 9_000_000_000.0,
        "excess_unit": "By",
        "step": 300,
        "history": {"ewma": "2d", "zscore": "2d6h"},
        "sentence": "",
    }
    draft = Anomaly.model_validate(plain | given)
    return draft.model_copy(update={"sentence": sentence.of(draft)})
