"""A demo: a few weeks of a small company's traffic, seeded, with two incidents worth finding."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from tests.monitoring_server.data import Metric
from tests.monitoring_server.server import MonitoringServer

_VM = "compute.googleapis.com/instance/network/"
_LABELS = ("instance_name", "loadbalanced")
METRICS = [
    Metric(f"{_VM}{way}_{what}_count", unit=unit, labels=_LABELS)
    for way in ("received", "sent")
    for what, unit in (("bytes", "By"), ("packets", "1"))
]
_NODE = Metric(
    "kubernetes.io/node/network/sent_bytes_count",
    kind="CUMULATIVE",
    delay=None,
    resources={"k8s_node": ("project_id", "location", "cluster_name", "node_name")},
)
_DROPS = Metric(
    "router.googleapis.com/nat/dropped_sent_packets_count",
    unit="{packet}",
    delay=225,
    labels=("ip_protocol", "reason"),
    resources={"nat_gateway": ("project_id", "region", "router_id", "gateway_name")},
)


def fill(server: MonitoringServer, *, vms: int, days: int, seed: int) -> None:
    """Give the server `vms` VMs, a node and a NAT gateway with `days` days of minutes up to its clock's day."""
    end = server.now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    start = end - timedelta(days=days)
    rng = np.random.default_rng(seed)
    ids = random.Random(seed)
    for number in range(vms):
        labels = {
            "resource.labels.instance_id": str(ids.randrange(10**18, 10**19)),
            "resource.labels.zone": "europe-west1-b",
        }
        _vm(server, labels, f"web-{number:03}", _traffic(rng, days), start, rng, incident=number == 0)
    node = np.cumsum(np.round(_traffic(rng, days)))
    server.add(_NODE, {"resource.labels.cluster_name": "prod", "resource.labels.node_name": "node-1"}, node, start)
    drops = rng.poisson(0.02, days * 1440)
    gateway = {"resource.labels.region": "europe-west1", "resource.labels.gateway_name": "nat-1"}
    server.add(_DROPS, gateway | {"metric.labels.reason": "OUT_OF_RESOURCES"}, drops, start)


def _vm(
    server: MonitoringServer,
    labels: dict[str, str],
    name: str,
    traffic: NDArray[np.float64],
    start: datetime,
    rng: np.random.Generator,
    *,
    incident: bool,
) -> None:
    if incident:
        # Yesterday from 14:00: forty minutes at eight times the usual; this morning from 06:00: an hour of silence.
        traffic[-2880 + 840 : -2880 + 880] *= 8
        traffic[-1440 + 360 : -1440 + 420] = np.nan
    # Each minute is missing now and then, as the real ones are.
    traffic[rng.random(len(traffic)) < 0.0005] = np.nan
    for metric, scale in zip(METRICS, (0.3, 0.0006, 1.0, 0.001), strict=True):
        for half, share in _halves():
            more = {"metric.labels.instance_name": name, "metric.labels.loadbalanced": half}
            noise = rng.normal(1, 0.03, len(traffic))
            server.add(metric, labels | more, np.round(np.maximum(traffic * scale * share * noise, 0)), start)


def _halves() -> Iterator[tuple[str, float]]:
    yield "true", 0.7
    yield "false", 0.3


def _traffic(rng: np.random.Generator, days: int) -> NDArray[np.float64]:
    """Bytes a minute: a day's swing, quieter weekends, noise in proportion."""
    minute = np.arange(days * 1440)
    day = 1 + 0.6 * np.sin(2 * np.pi * (minute / 1440 - 0.35))
    week = np.where(minute // 1440 % 7 >= 5, 0.6, 1.0)
    noise = rng.normal(1, 0.08, len(minute)).clip(0.5)
    return np.asarray(6e7 * rng.lognormal(0, 0.5) * day * week * noise)
