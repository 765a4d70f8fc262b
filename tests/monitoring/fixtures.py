"""What the tests of the source share: a moment, metrics, and a source that is quickly out of patience."""

from datetime import UTC, datetime, timedelta
from typing import Any

from job.query import Query
from job.sources.monitoring import Monitoring, Patience
from tests.monitoring_server import Metric, MonitoringServer

DAY = datetime(2026, 11, 20, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
QUICK = Patience(
    attempt=timedelta(seconds=10), total=timedelta(seconds=0.4), first=MINUTE / 60_000, longest=MINUTE / 6_000
)

SENT = Metric("compute.googleapis.com/instance/network/sent_bytes_count", labels=("instance_name", "loadbalanced"))
NODE = Metric(
    "kubernetes.io/node/network/sent_bytes_count",
    kind="CUMULATIVE",
    delay=None,
    resources={"k8s_node": ("project_id", "node_name", "cluster_name")},
)
GAUGE = Metric("custom.googleapis.com/load", kind="GAUGE", value="DOUBLE", unit="1", labels=("core",))


def source(server: MonitoringServer, **settings: Any) -> Monitoring:
    wanted = {"step": MINUTE, "now": server.now, "endpoint": server.endpoint, "patience": QUICK, **settings}
    return Monitoring(wanted.pop("projects", ("p",)), wanted.pop("step"), **wanted)


def query(metric: Metric, **settings: Any) -> Query:
    return Query(metric.type, **{"project": "p", "step": MINUTE, **settings})


def vm(number: int | str, **more: str) -> dict[str, str]:
    """The labels of a VM; `more` are metric labels."""
    labels = {"resource.labels.instance_id": str(number), "resource.labels.zone": "z"}
    return labels | {f"metric.labels.{name}": value for name, value in more.items()}


def minutes(n: float) -> datetime:
    return DAY + n * MINUTE
