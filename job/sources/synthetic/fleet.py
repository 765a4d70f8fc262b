"""Who is there: the machines, NAT gateways and VPN tunnels of an invented project."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from job.sources.synthetic.draws import bits, uniform
from job.sources.synthetic.roles import DAY, NAT, RACK, VPN, Family, Role

ZONES = ("us-central1-a", "us-central1-b", "europe-west1-b")
_OFFSETS = {"us-central1": -6 * 60, "europe-west1": 60}

_LIFE = 23 * DAY
_PAUSE = 5 * 60
_ALWAYS = range(-(10**10), 10**10)
_FIRST_NAT = 1 << 32
_FIRST_VPN = 2 << 32


@dataclass(frozen=True)
class Fleet:
    """How many resources there are, of which seed."""

    seed: int
    project: str
    vms: int

    @property
    def nats(self) -> int:
        """A gateway for every 24 machines, at least one."""
        return -(-self.vms // 24)

    @property
    def tunnels(self) -> int:
        """Two tunnels for each gateway."""
        return 2 * self.nats


@dataclass(frozen=True)
class Member:
    """One resource and its series.

    `series` addresses its random numbers. `labels` are those of its series, `resource` those that every metric of it
    shares. It is there in the minutes since 1970 of `life`, with its day `offset` minutes ahead of UTC; `scale` makes
    it larger or smaller than its role.
    """

    series: int
    role: Role
    zone: str
    resource: Mapping[str, str]
    metric: Mapping[str, str]
    scale: float
    offset: int
    life: range

    @property
    def identity(self) -> dict[str, str]:
        """The labels that tell it from others: a tunnel is not a resource of its own."""
        tunnel = {k: v for k, v in self.metric.items() if k == "metric.labels.tunnel_name"}
        return {**self.resource, **tunnel}

    @property
    def labels(self) -> dict[str, str]:
        """The labels of its traffic series."""
        return {**self.resource, **self.metric}


def members(fleet: Fleet, family: Family, days: range) -> Iterator[Member]:
    """The members of a family that are there at some time in `days` (days since 1970), each with a fixed order."""
    if family == "vm":
        for index in range(fleet.vms):
            yield from _machine(fleet, index, days)
    elif family == "nat":
        yield from (_gateway(fleet, index) for index in range(fleet.nats))
    else:
        yield from (_tunnel(fleet, index) for index in range(fleet.tunnels))


def _traits(fleet: Fleet, series: int) -> tuple[float, int, int, int]:
    """A scale from 0.4 to 2.5, up to 45 minutes that its clock is off, a number of 19 digits, a phase of its life."""
    words = bits(fleet.seed, "traits", series, range(1), 4)[0]
    size, shift, number, phase = (float(u) for u in uniform(words))
    return 2.5 ** (2 * size - 1), round(90 * shift) - 45, int(10**18 * (1 + 8 * number)), int(_LIFE * phase)


def _machine(fleet: Fleet, index: int, days: range) -> Iterator[Member]:
    role = RACK[index % len(RACK)]
    zone = ZONES[index % len(ZONES)]
    scale, shift, number, phase = _traits(fleet, index)
    for name, life, generation in _lives(f"{role.name}-{index + 1}", role, phase, days):
        resource = {
            "resource.type": "gce_instance",
            "resource.labels.project_id": fleet.project,
            "resource.labels.zone": zone,
            "resource.labels.instance_id": str(number + generation),
        }
        metric = {"metric.labels.instance_name": name, "metric.labels.loadbalanced": str(role.name == "web").lower()}
        yield Member(index, role, zone, resource, metric, scale, _OFFSETS[zone[:-2]] + shift, life)


def _lives(name: str, role: Role, phase: int, days: range) -> Iterator[tuple[str, range, int]]:
    """The name, minutes and number of each machine that fills one place; one that churns is replaced every 23 days."""
    if not role.churn:
        yield name, _ALWAYS, 0
        return
    first, stop = days.start * DAY, days.stop * DAY
    for generation in range((first - phase) // _LIFE, (stop - 1 - phase) // _LIFE + 1):
        born = generation * _LIFE + phase
        life = range(born + _PAUSE, born + _LIFE)
        if life.stop > first and life.start < stop:
            yield f"{name}-{generation % 0x10000:04x}", life, generation


def _gateway(fleet: Fleet, index: int) -> Member:
    series = _FIRST_NAT + index
    region = ZONES[index % len(ZONES)][:-2]
    scale, shift, number, _ = _traits(fleet, series)
    resource = {
        "resource.type": "nat_gateway",
        "resource.labels.project_id": fleet.project,
        "resource.labels.region": region,
        "resource.labels.router_id": str(number),
        "resource.labels.gateway_name": f"nat-{index + 1}",
    }
    metric = {"metric.labels.ip_protocol": "TCP"}
    return Member(series, NAT, "", resource, metric, scale, _OFFSETS[region] + shift, _ALWAYS)


def _tunnel(fleet: Fleet, index: int) -> Member:
    series = _FIRST_VPN + index
    region = ZONES[index // 2 % len(ZONES)][:-2]
    _, _, number, _ = _traits(fleet, _FIRST_VPN + index - index % 2)
    scale, shift, _, _ = _traits(fleet, series)
    resource = {
        "resource.type": "vpn_gateway",
        "resource.labels.project_id": fleet.project,
        "resource.labels.region": region,
        "resource.labels.gateway_id": str(number),
    }
    metric = {"metric.labels.tunnel_name": f"tunnel-{index + 1}", "metric.labels.gateway_name": f"vpn-{index // 2 + 1}"}
    return Member(series, VPN, "", resource, metric, scale, _OFFSETS[region] + shift, _ALWAYS)
