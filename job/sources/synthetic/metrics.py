"""Which metrics are invented, and what of a resource each one counts."""

from dataclasses import dataclass

from job.errors import ConfigError
from job.sources.synthetic.roles import Family


@dataclass(frozen=True)
class Metric:
    """What a metric counts, of which family, and in which unit it reads as a rate."""

    family: Family
    quantity: str
    unit: str


def _metrics(prefix: str, family: Family, quantities: str) -> dict[str, Metric]:
    return {
        f"{prefix}{quantity}_count": Metric(family, quantity, "By/s" if "bytes" in quantity else "packets/s")
        for quantity in quantities.split()
    }


_TRAFFIC = "received_bytes sent_bytes received_packets sent_packets"
_DROPS = "dropped_received_packets dropped_sent_packets"

METRICS: dict[str, Metric] = {
    **_metrics("compute.googleapis.com/instance/network/", "vm", _TRAFFIC),
    **_metrics("compute.googleapis.com/firewall/", "vm", "dropped_bytes dropped_packets"),
    **_metrics("router.googleapis.com/nat/", "nat", f"{_TRAFFIC} {_DROPS}"),
    "router.googleapis.com/nat/new_connections_count": Metric("nat", "connections", "connections/s"),
    **_metrics("vpn.googleapis.com/network/", "vpn", f"{_TRAFFIC} {_DROPS}"),
}


def metric(name: str) -> Metric:
    """The metric of a type.

    Raises:
        ConfigError: it is not one that is invented here.
    """
    if name not in METRICS:
        raise ConfigError(f"the synthetic source has no metric {name!r}; it has: {', '.join(METRICS)}")
    return METRICS[name]


def types(family: Family, quantities: frozenset[str]) -> tuple[str, ...]:
    """The types of the metrics that count any of these quantities of a family."""
    return tuple(name for name, metric in METRICS.items() if metric.family == family and metric.quantity in quantities)
