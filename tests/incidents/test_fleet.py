"""How much of the fleet an incident took, for everything that a preset reads."""

import pytest

from job.anomaly import Anomaly, Resource
from job.incident import Judged, group
from job.kinship import Slot, census, thing_of
from job.presets import PRESETS, Spec
from tests.incidents.events import event

TYPES = {
    "vm": ("gce_instance", "VM"),
    "firewall": ("gce_instance", "VM"),
    "flow": ("gce_instance", "VM"),
    "nat": ("nat_gateway", "NAT gateway"),
    "vpn": ("vpn_gateway", "VPN tunnel"),
    "interconnect": ("interconnect_attachment", "attachment"),
    "lb-l3": ("internal_tcp_lb_rule", "forwarding rule"),
    "lb-http": ("https_lb_rule", "forwarding rule"),
    "gke-node": ("k8s_node", "node"),
    "gke-pod": ("k8s_pod", "pod"),
    "run": ("cloud_run_revision", "service"),
    "vpc-access": ("vpc_access_connector", "connector"),
    "cloudsql": ("cloudsql_database", "database"),
}
SHARED = {"project_id": "demo", "zone": "europe-west1-b", "region": "europe-west1", "location": "europe-west1"}


def labels(spec: Spec, number: int) -> tuple[dict[str, str], dict[str, str]]:
    """The resource's and the metric's labels of one series as the preset groups them."""
    ours: dict[str, dict[str, str]] = {"resource": {}, "metric": {}}
    for kept in spec.group_by:
        of, _, name = kept.replace(".labels.", ".").partition(".")
        ours[of][name] = SHARED.get(name, f"{'abcdefghijkl'[number]}{name}")
    return ours["resource"], ours["metric"]


def one(preset: str, number: int) -> Anomaly:
    spec = PRESETS[preset][0]
    resource, metric = labels(spec, number)
    kind, _ = TYPES[preset]
    return event("in bytes", 9e9, 1e6, str(number), resource=Resource(type=kind, labels=resource), labels=metric)


def judged(preset: str, count: int) -> Judged:
    kind, _ = TYPES[preset]
    things = [thing_of("demo", a.resource, a.labels) for a in (one(preset, n) for n in range(count))]
    return Judged({("demo", kind): {Slot("in", "bytes")}}, {("demo", kind): census(things)})


@pytest.mark.parametrize("preset", PRESETS)
def test_it_says_one_of_how_many_or_all_of_where(preset: str) -> None:
    _, noun = TYPES[preset]
    (alone,) = group([one(preset, 0)], judged(preset, 12))
    assert f"(1 {noun} of 12)" in alone.sentence
    (every,) = group([one(preset, n) for n in range(4)], judged(preset, 4))
    assert f"(all 4 {noun}s)" in every.sentence
    assert "europe-west1" in every.where
    (only,) = group([one(preset, 0)], judged(preset, 1))
    assert f"(the only {noun})" in only.sentence
