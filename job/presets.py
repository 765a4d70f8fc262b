"""The network metrics of Google Cloud, under names that are short enough to type.

A preset says how series are grouped and what a gap means. Kind, unit, value type and delays are Cloud Monitoring's to
say, at run time.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from job.errors import ConfigError
from job.ratio import PRESETS as RATIO_PRESETS

Missing: TypeAlias = Literal["absent", "zero", "ignore"]
"""What no point means: the resource went silent (absent), nothing happened (zero), or nothing at all (ignore)."""


@dataclass(frozen=True)
class Spec:
    """How one metric is read.

    `group_by`, `reducer`, `noun`, `split_by` and `missing` are those of `Query`; `resource` narrows a metric that
    several types of resource write to one of them.
    """

    type: str
    group_by: tuple[str, ...] = ()
    reducer: str = "sum"
    noun: str = ""
    split_by: str = ""
    missing: Missing = "ignore"
    resource: str = ""


def _specs(
    prefix: str, metrics: str, group_by: str, missing: Missing, *, noun: str = "", resource: str = ""
) -> Iterator[Spec]:
    """One spec for each of the `metrics`; the last resource label of `group_by` is the one that splits."""
    labels = tuple(_label(word) for word in group_by.split())
    split_by = [label for label in labels if label.startswith("resource.")][-1]
    for metric in metrics.split():
        yield Spec(prefix + metric, labels, noun=noun, split_by=split_by, missing=missing, resource=resource)


def _label(word: str) -> str:
    return word.replace("metric:", "metric.labels.") if ":" in word else f"resource.labels.{word}"


_VM = "project_id zone instance_id metric:instance_name"
_VM_PREFIX = "compute.googleapis.com/"
_NAT = "project_id region router_id gateway_name"
_NAT_PREFIX = "router.googleapis.com/nat/"
_VPN = "project_id region gateway_id metric:tunnel_name"
_VPN_PREFIX = "vpn.googleapis.com/network/"
_ATTACHMENT = "project_id region interconnect attachment"
_ATTACHMENT_PREFIX = "interconnect.googleapis.com/network/attachment/"
_CIRCUIT = "project_id interconnect"
_CIRCUIT_PREFIX = "interconnect.googleapis.com/network/interconnect/"
_L3 = "project_id region forwarding_rule_name"
_L3_PREFIX = "loadbalancing.googleapis.com/l3/"
_HTTP = "project_id region url_map_name forwarding_rule_name"
_HTTP_PREFIX = "loadbalancing.googleapis.com/https/"
_NODE = "project_id location cluster_name node_name"
_POD = "project_id location cluster_name namespace_name pod_name"
_RUN = "project_id location service_name"
_RUN_PREFIX = "run.googleapis.com/container/network/"
_CONNECTOR = "project_id location connector_name"
_CONNECTOR_PREFIX = "vpcaccess.googleapis.com/connector/"
_FLOW = "project_id zone instance_id metric:remote_location_type"

_BYTES = "received_bytes_count sent_bytes_count"
_PACKETS = "received_packets_count sent_packets_count"
_DROPS = "dropped_received_packets_count dropped_sent_packets_count"

PRESETS: dict[str, tuple[Spec, ...]] = {
    "vm": (
        *_specs(_VM_PREFIX + "instance/network/", _BYTES, _VM, "absent"),
        *_specs(_VM_PREFIX + "instance/network/", _PACKETS, _VM, "absent", noun="packets"),
    ),
    "firewall": (
        *_specs(_VM_PREFIX + "firewall/", "dropped_bytes_count", _VM, "zero"),
        *_specs(_VM_PREFIX + "firewall/", "dropped_packets_count", _VM, "zero", noun="packets"),
    ),
    "flow": (
        *_specs(
            "networking.googleapis.com/vm_flow/",
            "ingress_bytes_count egress_bytes_count",
            _FLOW,
            "zero",
        ),
    ),
    "nat": (
        *_specs(_NAT_PREFIX, _BYTES, _NAT, "absent"),
        *_specs(_NAT_PREFIX, _PACKETS, _NAT, "absent", noun="packets"),
        *_specs(_NAT_PREFIX, _DROPS, _NAT, "zero", noun="packets"),
        *_specs(_NAT_PREFIX, "new_connections_count", _NAT, "zero", noun="connections"),
    ),
    "vpn": (
        *_specs(_VPN_PREFIX, _BYTES, _VPN, "absent"),
        *_specs(_VPN_PREFIX, _PACKETS, _VPN, "absent", noun="packets"),
        *_specs(_VPN_PREFIX, _DROPS, _VPN, "zero", noun="packets"),
    ),
    "interconnect": (
        *_specs(_ATTACHMENT_PREFIX, _BYTES, _ATTACHMENT, "absent"),
        *_specs(_ATTACHMENT_PREFIX, _PACKETS, _ATTACHMENT, "absent", noun="packets"),
        *_specs(
            _ATTACHMENT_PREFIX,
            "ingress_dropped_packets_count egress_dropped_packets_count",
            _ATTACHMENT,
            "zero",
            noun="packets",
        ),
        *_specs(_CIRCUIT_PREFIX, _BYTES, _CIRCUIT, "absent"),
        *_specs(
            _CIRCUIT_PREFIX,
            "received_unicast_packets_count sent_unicast_packets_count",
            _CIRCUIT,
            "absent",
            noun="packets",
        ),
        *_specs(_CIRCUIT_PREFIX, "dropped_packets_count", _CIRCUIT, "zero", noun="packets"),
        *_specs(_CIRCUIT_PREFIX, "receive_errors_count send_errors_count", _CIRCUIT, "zero", noun="errors"),
    ),
    "lb-l3": tuple(
        spec
        for side in ("external/", "internal/")
        for spec in (
            *_specs(_L3_PREFIX + side, "ingress_bytes_count egress_bytes_count", _L3, "zero"),
            *_specs(_L3_PREFIX + side, "ingress_packets_count egress_packets_count", _L3, "zero", noun="packets"),
        )
    ),
    "lb-http": tuple(
        spec
        for kind in ("", "external/regional/", "internal/")
        for spec in (
            *_specs(_HTTP_PREFIX + kind, "request_bytes_count response_bytes_count", _HTTP, "zero"),
            *_specs(_HTTP_PREFIX + kind, "request_count", _HTTP, "zero", noun="requests"),
        )
    ),
    "gke-node": (*_specs("kubernetes.io/node/network/", _BYTES, _NODE, "ignore"),),
    "gke-pod": (*_specs("kubernetes.io/pod/network/", _BYTES, _POD, "ignore"),),
    "run": (
        *_specs(_RUN_PREFIX, _BYTES, _RUN, "zero", resource="cloud_run_revision"),
        *_specs(
            _RUN_PREFIX,
            "throttled_inbound_bytes_count throttled_outbound_bytes_count",
            _RUN,
            "zero",
            resource="cloud_run_revision",
        ),
        *_specs(
            _RUN_PREFIX,
            "throttled_inbound_packets_count throttled_outbound_packets_count",
            _RUN,
            "zero",
            noun="packets",
            resource="cloud_run_revision",
        ),
    ),
    "vpc-access": (
        *_specs(_CONNECTOR_PREFIX, _BYTES, _CONNECTOR, "absent"),
        *_specs(_CONNECTOR_PREFIX, _PACKETS, _CONNECTOR, "absent", noun="packets"),
    ),
    "cloudsql": (
        *_specs("cloudsql.googleapis.com/database/network/", _BYTES, "project_id region database_id", "absent"),
    ),
}

GROUPS: dict[str, tuple[str, ...]] = {
    "lb": ("lb-l3", "lb-http"),
    "gke": ("gke-node", "gke-pod"),
    "all": tuple(PRESETS),
}

DEFAULT = ("vm",)
"""What is read when nothing is asked for."""

_KNOWN = {spec.type: spec for specs in PRESETS.values() for spec in specs}
_TYPE = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+(?:/[\w.:-]+)+", re.ASCII)
_PLAIN = re.compile(r"[a-z0-9_.]+(?:/[a-z0-9_.]+)*")
_LONGEST = 120


def expand(names: Iterable[str] = ()) -> tuple[Spec, ...]:
    """Return the specs of presets, groups of presets and full metric types, each metric once, in the order asked.

    No name at all stands for `DEFAULT`.

    Raises:
        ConfigError: a name is none of the three.
    """
    found = {spec.type: spec for name in tuple(names) or DEFAULT for spec in _expand(name)}
    return tuple(found.values())


def spec(metric: str) -> Spec:
    """How a metric type is read: as its preset says, if it has one."""
    return _KNOWN.get(metric, Spec(metric))


def _expand(name: str) -> tuple[Spec, ...]:
    if name in PRESETS:
        return PRESETS[name]
    if name in GROUPS:
        return tuple(spec for preset in GROUPS[name] for spec in PRESETS[preset])
    if name in _KNOWN or _TYPE.fullmatch(name):
        return (spec(name),)
    raise ConfigError(
        f"no preset {name!r}; there are: {', '.join(sorted([*PRESETS, *GROUPS, *RATIO_PRESETS, 'derived']))}; "
        "or give a full metric type such as compute.googleapis.com/instance/network/sent_bytes_count"
    )


def slug(metric: str) -> str:
    """Write a metric type as a part of an object's name: `/` becomes `-`, and no two types share a slug.

    A type that could be mistaken for another that way, or that is very long, carries a hash of itself.

    >>> slug("vpn.googleapis.com/network/sent_bytes_count")
    'vpn.googleapis.com-network-sent_bytes_count'
    """
    if _PLAIN.fullmatch(metric) and not metric.startswith(".") and len(metric) <= _LONGEST:
        return metric.replace("/", "-")
    readable = re.sub(r"[^a-z0-9_.]", "-", metric[:_LONGEST].lower()).strip(".-")
    return f"{readable}--{hashlib.sha256(metric.encode()).hexdigest()[:16]}"
