"""A small fleet behind Cloud Monitoring and Cloud Storage on loopback, and the console script run against them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.emulator import Cloud
from tests.monitoring_server import Metric, MonitoringServer

COMMAND = Path(sys.executable).parent / "netanomaly"
STEP = 300
PER_DAY = 86_400 // STEP
DAYS = 36

PREFIX = "compute.googleapis.com/instance/network/"
KINDS = ("received_bytes_count", "sent_bytes_count", "received_packets_count", "sent_packets_count")


def metric(name: str) -> Metric:
    unit = "By" if "bytes" in name else "1"
    return Metric(PREFIX + name, unit=unit, sample=STEP, labels=("instance_name", "loadbalanced"))


@dataclass
class World:
    """The two services, and where the fleet's days lie: `midnight` is the last one that is over for an hour."""

    monitoring: MonitoringServer
    cloud: Cloud
    midnight: datetime
    truth: list[tuple[str, str, datetime, datetime]] = field(default_factory=list)

    def day(self, back: int) -> str:
        return f"{self.midnight - timedelta(days=back):%Y-%m-%d}"

    def environ(self, **more: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("NETANOMALY_", "CLOUD_RUN", "GOOGLE_"))}
        return {
            **kept,
            "MONITORING_EMULATOR_HOST": self.monitoring.endpoint,
            "STORAGE_EMULATOR_HOST": self.cloud.url,
            "NETANOMALY_SOURCE": "monitoring",
            "NETANOMALY_PROJECT": "p",
            "NETANOMALY_METRICS": "vm",  # and no ratios of them
            "NETANOMALY_DETECTION": "textbook",  # no false alarm at all, so that tests can count
            "NETANOMALY_RETRY_FOR": "3s",
            **more,
        }

    def run(self, *words: str, status: int = 0, environ: Mapping[str, str] = MappingProxyType({})) -> "Ran":
        words = (str(COMMAND), *words)
        env = self.environ(**environ)
        done = subprocess.run(words, env=env, capture_output=True, text=True, check=False, timeout=240)
        assert done.returncode == status, f"exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return Ran(done.stdout, done.stderr)

    def objects(self, bucket: str, prefix: str = "anomalies/") -> dict[str, bytes]:
        client = self.cloud.client()
        try:
            return {blob.name: blob.download_as_bytes() for blob in client.list_blobs(bucket, prefix=prefix)}
        finally:
            client.close()


@dataclass(frozen=True)
class Ran:
    """What a command printed."""

    out: str
    err: str

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.log if line["event"] == name]


def records(objects: Mapping[str, bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for data in objects.values() for line in data.splitlines()]


@contextmanager
def world(cloud: Cloud, vms: int = 3) -> Iterator[World]:
    now = datetime.now(UTC)
    # Just after midnight the day before is not settled yet, and no window may end with it.
    midnight = (now - timedelta(hours=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    with MonitoringServer(now=now) as server:
        made = World(server, cloud, midnight)
        _fill(made, vms)
        yield made


def _fill(world: World, vms: int) -> None:
    """Five weeks of a fleet that breathes with day and week; two days ago one was flooded and two went dark."""
    start = world.midnight - timedelta(days=DAYS - 1)
    for vm in range(vms):
        rng = np.random.default_rng(vm)
        time = np.arange((DAYS + 1) * PER_DAY)  # nobody has gone in the first hour after midnight
        shape = 1 + 0.5 * np.sin(2 * np.pi * (time / PER_DAY - 0.3)) + 0.1 * np.sin(2 * np.pi * time / (7 * PER_DAY))
        packets = 4e5 * (vm + 1) * shape * rng.gamma(200, 1 / 200, len(time))
        flood = slice((DAYS - 3) * PER_DAY + 40, (DAYS - 3) * PER_DAY + 52)
        dark = slice((DAYS - 3) * PER_DAY + 200, (DAYS - 3) * PER_DAY + 212)
        for name in KINDS:
            values = np.round(packets * (700 if "bytes" in name else 1))
            if vm == 0 and name == "received_packets_count":
                values[flood] *= 9
            if vm == 1:
                values[dark] = 0
            if vm == 2 and vms > 2:
                values[dark] = np.nan
            _add(world.monitoring, metric(name), vm, values, start)
    for machine, kind, first in (("web-0", "spike", 40), ("web-1", "zero", 200), ("web-2", "absent", 200)):
        begin = world.midnight - timedelta(days=2) + first * timedelta(seconds=STEP)
        world.truth.append((machine, kind, begin, begin + timedelta(hours=1)))


def _add(server: MonitoringServer, of: Metric, vm: int, values: NDArray[np.float64], start: datetime) -> None:
    """One machine's series, split in two by `loadbalanced` as Compute Engine splits them."""
    labels = {"resource.labels.instance_id": f"{1000 + vm}", "resource.labels.zone": "europe-west1-b"}
    name = {"metric.labels.instance_name": f"web-{vm}"}
    part = np.round(values * 0.25)
    server.add(of, {**labels, **name, "metric.labels.loadbalanced": "true"}, part, start)
    server.add(of, {**labels, **name, "metric.labels.loadbalanced": "false"}, values - part, start)
