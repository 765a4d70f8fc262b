"""A Cloud Monitoring whose answers cost it little: a fleet as one array, pages written by numpy, in its own process.

It answers the requests that the job makes, for metrics of one point in five minutes, and checks nothing: the server of
the tests does that. A metric whose name has `load` in it is a gauge of doubles, any other a sum of integers.
"""

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

STEP = 300
DAY = 86_400 // STEP
PAGE = 100_000
NOW = datetime(2026, 11, 20, 15, 5, tzinfo=UTC)
"""The present of every fleet."""


def _varints(numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Numbers of 28 to 35 bits, five bytes each."""
    sevens = (numbers[..., None] >> np.arange(0, 35, 7)) & 0x7F
    sevens[..., :4] |= 0x80
    return sevens.astype(np.uint8)


def _text(number: int, value: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _length(len(value)) + value


def _length(size: int) -> bytes:
    out = bytearray()
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*out, size])


@dataclass
class Fleet:
    """So many machines over so many days, and a metric of theirs at every five minutes."""

    series: int
    days: int
    delay: float = 0.0
    served: dict[str, int] = field(default_factory=lambda: {"pages": 0, "points": 0, "series": 0})
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(1)
        self.end = int(NOW.timestamp()) // STEP * STEP
        columns = self.days * DAY
        self.ends = self.end - STEP * np.arange(columns)
        self.stamps = _varints(self.ends)
        self.starts = _varints(self.ends - STEP)
        swing = 1.5 + 0.5 * np.sin(2 * np.pi * np.arange(columns) / DAY)
        level = rng.uniform(4e8, 1e9, self.series)
        self.values = np.empty((self.series, columns), np.uint32)
        for row in range(self.series):
            self.values[row] = level[row] * swing * (1 + 0.05 * rng.standard_normal(columns, np.float32))
        ids = rng.integers(10**18, 9 * 10**18, self.series)
        self.ids = [str(one) for one in ids]
        self.rows = lru_cache(64)(self._rows)

    def _rows(self, wanted: str) -> tuple[int, ...]:
        """The machines whose id the filter lets through."""
        texts = re.findall(r'instance_id = monitoring\.regex\.full_match\(("(?:[^"\\]|\\.)*")\)', wanted)
        patterns = [re.compile(json.loads(text)) for text in texts]
        return tuple(row for row, one in enumerate(self.ids) if all(p.fullmatch(one) for p in patterns))

    def head(self, row: int, request: Any, *, double: bool) -> bytes:
        """A series without its points."""
        known = {
            "resource.labels.instance_id": self.ids[row],
            "metric.labels.instance_name": f"web-{row:05}",
            "resource.labels.project_id": "p",
            "resource.labels.zone": "europe-west1-b",
        }
        kept = set(request.aggregation.group_by_fields) or set(known)
        labels = {"metric": b"", "resource": b""}
        for name, value in known.items():
            if name in kept:
                kind, _, key = name.split(".")
                labels[kind] += _text(2, _text(1, key.encode()) + _text(2, value.encode()))
        (metric,) = re.findall(r'metric\.type = "([^"]+)"', request.filter)
        kinds = bytes([3 << 3, 1, 4 << 3, 3]) if double else bytes([3 << 3, 2, 4 << 3, 2])
        return (
            _text(1, _text(1, metric.encode()) + labels["metric"])
            + _text(2, _text(1, b"gce_instance") + labels["resource"])
            + kinds
        )

    def points(self, row: int, columns: slice, *, double: bool) -> bytes:
        """Points of a series as they go over the wire, newest first."""
        values = self.values[row, columns].astype(np.int64)
        layout = "2a1d0a100a0608" if double else "2a1a0a100a0608"
        body = np.empty((len(values), 31 if double else 28), np.uint8)
        body[:, :7] = np.frombuffer(bytes.fromhex(layout), np.uint8)
        body[:, 7:12] = self.starts[columns]
        body[:, 12:15] = (0x12, 0x06, 0x08)
        body[:, 15:20] = self.stamps[columns]
        body[:, 20:23] = (0x12, 0x09, 0x19) if double else (0x12, 0x06, 0x10)
        body[:, 23:] = (values / 7).view(np.uint8).reshape(-1, 8) if double else _varints(values)
        return body.tobytes()

    def page(self, data: bytes) -> bytes:
        """The answer to a serialized `ListTimeSeriesRequest`, given after the delay."""
        due = time.monotonic() + self.delay
        answer = self._page(data)
        time.sleep(max(0.0, due - time.monotonic()))
        return answer

    def _page(self, data: bytes) -> bytes:
        from google.cloud.monitoring_v3 import ListTimeSeriesRequest

        request = ListTimeSeriesRequest.pb().FromString(data)
        double, headers = "load" in request.filter, request.view == 1
        first = max(0, (self.end - request.interval.end_time.seconds) // STEP)
        stop = min(len(self.ends), (self.end - request.interval.start_time.seconds) // STEP)
        rows, width = self.rows(request.filter), 1 if headers else max(0, stop - first)
        offset, out = int(request.page_token or 0), []
        limit = min(offset + PAGE, len(rows) * width)
        place = offset
        while place < limit:
            row, column = divmod(place, width)
            taken = min(width - column, limit - place)
            columns = slice(first + column, first + column + (0 if headers else taken))
            body = self.points(rows[row], columns, double=double)
            out.append(_text(1, self.head(rows[row], request, double=double) + body + _text(8, b"By")))
            place += taken
        with self.lock:
            self.served["pages"] += 1
            self.served["points"] += 0 if headers else place - offset
            self.served["series"] += len(out)
        if place < len(rows) * width:
            out.append(_text(2, str(place).encode()))
        return b"".join(out)

    def descriptor(self, data: bytes) -> bytes:
        """The answer to a serialized `GetMetricDescriptorRequest`."""
        from google.api import metric_pb2
        from google.cloud.monitoring_v3 import GetMetricDescriptorRequest

        name = GetMetricDescriptorRequest.pb().FromString(data).name.partition("/metricDescriptors/")[2]
        gauge = "load" in name
        found = metric_pb2.MetricDescriptor(
            type=name, unit="By", metric_kind=1 if gauge else 2, value_type=3 - (not gauge)
        )
        found.metadata.sample_period.seconds, found.metadata.ingest_delay.seconds = STEP, 240
        return bytes(found.SerializeToString())

    def told(self, _: bytes) -> bytes:
        """What was served since this was asked last."""
        with self.lock:
            told = json.dumps(self.served).encode()
            self.served = dict.fromkeys(self.served, 0)
        return told


def serve(fleet: Fleet) -> None:
    """Serve on a free port, which is printed, until the standard input ends."""
    import grpc

    methods = {
        "/google.monitoring.v3.MetricService/ListTimeSeries": fleet.page,
        "/google.monitoring.v3.MetricService/GetMetricDescriptor": fleet.descriptor,
        "/benchmarks/Told": fleet.told,
    }

    class Handler(grpc.GenericRpcHandler):
        def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
            answer = methods[handler_call_details.method]
            return grpc.unary_unary_rpc_method_handler(lambda request, _: answer(request))

    server = grpc.server(ThreadPoolExecutor(64), options=[("grpc.max_send_message_length", -1)])
    server.add_generic_rpc_handlers((Handler(),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(None)


@dataclass(frozen=True)
class Served:
    """A fleet that is being served at an address."""

    address: str

    def told(self) -> dict[str, int]:
        """The pages, points and series served since this was asked last."""
        import grpc

        with grpc.insecure_channel(self.address) as channel:
            ask: Any = channel.unary_unary("/benchmarks/Told")
            told: dict[str, int] = json.loads(ask(b""))
            return told


@contextmanager
def serving(series: int, days: int, delay: float = 0.0) -> Iterator[Served]:
    """Serve a fleet from another process."""
    words = [sys.executable, "-m", "benchmarks.server", str(series), str(days), str(delay)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ourselves
    try:
        assert process.stdout  # noqa: S101 - for the type checker
        yield Served(f"127.0.0.1:{int(process.stdout.readline())}")
    finally:
        process.communicate("")


if __name__ == "__main__":
    serve(Fleet(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
