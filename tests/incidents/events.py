"""Anomalies of a small fleet, as the job would have found them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from job.anomaly import Anomaly, Resource, identity
from job.incident import Judged
from job.kinship import Slot, census, thing_of
from tests.job.anomalies import anomaly

NIGHT = datetime(2026, 11, 22, 3, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TRAFFIC = frozenset(Slot(way, what) for way in ("in", "out") for what in ("bytes", "packets"))
METRICS = {
    "in bytes": "compute.googleapis.com/instance/network/received_bytes_count",
    "out bytes": "compute.googleapis.com/instance/network/sent_bytes_count",
    "in packets": "compute.googleapis.com/instance/network/received_packets_count",
    "out packets": "compute.googleapis.com/instance/network/sent_packets_count",
    "refused bytes": "compute.googleapis.com/firewall/dropped_bytes_count",
    "refused": "compute.googleapis.com/firewall/dropped_packets_count",
}


def machine(name: str, zone: str = "europe-west1-b") -> tuple[Resource, dict[str, str]]:
    """The labels of a VM's series."""
    labels = {"project_id": "demo", "zone": zone, "instance_id": str(sum(name.encode()))}
    return Resource(type="gce_instance", labels=labels), {"instance_name": name}


def event(what: str, observed: float | None, expected: float, name: str = "web-1", **given: Any) -> Anomaly:
    """One anomaly of a VM: what it counts, and what was observed and expected at its peak, held all the time."""
    zone = given.pop("zone", "europe-west1-b")
    minutes = given.pop("minutes", 30)
    start = given.pop("start", NIGHT)
    kind = given.pop("kind", None) or ("spike" if (observed or 0) > expected else "drop")
    resource, labels = machine(name, zone)
    metric = METRICS[what]
    flat = {f"resource.labels.{k}": v for k, v in resource.labels.items()} | {"metric.labels.instance_name": name}
    direction = "up" if kind == "spike" else "down"
    unit = "By/s" if "bytes" in what else "packets/s"
    return anomaly(
        **{
            "id": identity("demo", metric, flat, start, direction),
            "metric": metric,
            "query": metric.replace("/", "-"),
            "resource": resource,
            "labels": labels,
            "start": start,
            "end": start + minutes * MINUTE,
            "peak": start + 5 * MINUTE,
            "kind": kind,
            "direction": direction,
            "observed": observed,
            "expected": expected,
            "lower": expected * 0.8,
            "upper": expected * 1.2,
            "unit": unit,
            "excess": ((observed or 0.0) - expected) * minutes * 60,
            "excess_unit": unit.removesuffix("/s"),
            **given,
        }
    )


def fleet(*names: str, zone: str = "europe-west1-b", **places: str) -> Judged:
    """That VMs of these names were judged by the bytes and packets of both directions."""
    things = [thing_of("demo", *machine(name, places.get(name, zone))) for name in names]
    return Judged(slots={("demo", "gce_instance"): TRAFFIC}, census={("demo", "gce_instance"): census(things)})
