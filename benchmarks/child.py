"""What is measured, each in a process of its own: `python -m benchmarks.child NAME '{"settings": …}'`.

A measurement is a function of settings that yields once when it begins and once when it ends; what it returns is told
with the CPU and the time between, and the peak memory of the process. Of a whole run it is all CPU of its process.
"""

import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.server import NOW, STEP
from job.__main__ import ALONE, YOUNG
from job.memory import tune_allocator

BYTES = "compute.googleapis.com/instance/network/sent_bytes_count"
LOAD = "custom.googleapis.com/load"
END = NOW - timedelta(minutes=15)
Measurement = Callable[..., Iterator[Any]]


def measured(name: str, **settings: Any) -> dict[str, Any]:
    """Run a measurement in a new process; what it told."""
    words = [sys.executable, "-m", "benchmarks.child", name, json.dumps(settings)]
    environ, before = {**ALONE, **os.environ} if name in OURS else None, _children()
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environ)  # noqa: S603 - ourselves
    if done.returncode:
        raise RuntimeError(f"{name} {settings}: {done.stderr[-2000:]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**told, "cpu": _children() - before} if name in WHOLE else told


def _children() -> float:
    """The CPU of all processes that were begun here and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def read(address: str, metric: str, minutes: int, calls: int = 1, *, preset: bool = False) -> Iterator[Any]:
    """Our source, one query."""
    from job.query import Query
    from job.sources.monitoring import Monitoring

    step = timedelta(seconds=STEP)
    source = Monitoring(("p",), step, now=NOW, endpoint=address, calls=calls)
    query = source.metrics((metric,))[0] if preset else Query(metric, "p", step)
    source.describe(query)
    Monitoring(("p",), step, now=NOW, endpoint=address).read(Query(metric, "p", step), END - step, END)  # imports
    yield
    frame = source.read(query, END - timedelta(minutes=minutes), END)
    yield frame.values.size


def as_dataframe(address: str, metric: str, minutes: int) -> Iterator[Any]:
    """Google's own helper, the same query."""
    list(_frame(address, metric, STEP // 60))
    yield
    (frame,) = _frame(address, metric, minutes)
    yield int(frame.size)


def only_bytes(address: str, metric: str, minutes: int) -> Iterator[Any]:
    """The pages of the same query, as bytes that nobody looks into but for the next page's token."""
    import grpc
    from google.cloud import monitoring_v3

    request = monitoring_v3.ListTimeSeriesRequest.pb(monitoring_v3.ListTimeSeriesRequest())
    request.name, request.filter = "projects/p", f'metric.type = "{metric}"'
    request.interval.end_time.seconds = int(END.timestamp())
    request.interval.start_time.seconds = int(END.timestamp()) - 60 * minutes
    request.aggregation.alignment_period.seconds = STEP
    channel = grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)])
    ask: Any = channel.unary_unary(
        "/google.monitoring.v3.MetricService/ListTimeSeries", type(request).SerializeToString
    )
    yield
    pages = 0
    while True:
        pages += 1
        tail = ask(request)[-12:].rpartition(b"By\x12")[2]
        if not tail[1:].isdigit():
            break
        request.page_token = tail[1:].decode()
    yield pages


def job(
    address: str, now: str = "", index: int = 0, tasks: int = 1, *, messages: bool = False, **given: Any
) -> Iterator[Any]:
    """A whole run, or one task's share of it; with `messages` every point is read from protobuf's."""
    from job.commands.prepare import prepare
    from job.config import Settings
    from job.plan import mine
    from job.run import Task, run

    if messages:
        from job.sources.monitoring import source

        vars(source)["decode"] = _messages
    with tempfile.TemporaryDirectory() as place:
        plain = {"source": "monitoring", "project": "p", "monitoring_endpoint": address, "output": place}
        settings = Settings.model_validate({"metrics": (BYTES,), "hours": 1, **plain, **given})
        moment = datetime.fromisoformat(now) if now else NOW
        yield
        told, every, _ = prepare(settings, {}, moment, lambda *_, **__: None)
        outcomes = run(told, mine(every, index, tasks), Task("e", index, tasks))
        if any(one.status == "failed" for one in outcomes):
            raise RuntimeError(outcomes[0].error)
        yield {"points": sum(one.points for one in outcomes), "flagged": sum(len(one.anomalies) for one in outcomes)}


def _messages(found: Any, _: Any = None, *, starts: bool) -> Iterator[Any]:
    """What `decode` does, for every series as it does for odd ones."""
    from job.sources.monitoring.decode import by_message

    for begin, end in found.spans:
        yield by_message(found.data[begin:end], starts=starts)


def script(address: str, metric: str, minutes: int) -> Iterator[Any]:
    """What one would write without this: a DataFrame, rolling figures, STL a series at a time, lines of JSON."""
    from statsmodels.tsa.seasonal import STL

    list(_frame(address, metric, STEP // 60))
    yield
    (read,) = _frame(address, metric, minutes)
    frame = read.interpolate().bfill()
    day = 86_400 // STEP
    rolling, weighted = frame.rolling(day), frame.ewm(span=day // 24)
    scores = [(frame - rolling.mean()) / rolling.std(), (frame - weighted.mean()) / weighted.std()]
    rest = frame.apply(lambda column: STL(column.to_numpy(), period=day).fit().resid)
    scores.append(rest / rest.rolling(day).std())
    votes = sum((score.abs() > 6).astype(int) for score in scores)
    told = [
        json.dumps({"series": list(map(str, name)), "at": str(at), "value": float(frame.loc[at, name])})
        for name, column in votes.items()
        for at in column.index[column >= 2]
    ]
    yield {"points": int(frame.size), "told": len(told)}


def _frame(address: str, metric: str, minutes: int) -> Iterator[Any]:
    import grpc
    from google.cloud import monitoring_v3
    from google.cloud.monitoring_v3.query import Query
    from google.cloud.monitoring_v3.services.metric_service.transports import MetricServiceGrpcTransport

    channel = grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)])
    client = monitoring_v3.MetricServiceClient(transport=MetricServiceGrpcTransport(channel=channel))
    helper: Any = Query
    query = helper(client, "p", metric, end_time=END.replace(tzinfo=None), minutes=minutes)
    yield query.align(monitoring_v3.Aggregation.Aligner.ALIGN_MEAN, seconds=STEP).as_dataframe()


def through(address: str, cache: str, days: int) -> Iterator[Any]:
    """Our source through a cache in a folder."""
    from pathlib import Path

    from job.sources.cached import Cached
    from job.sources.monitoring import Monitoring
    from job.store.folder import Folder

    step = timedelta(seconds=STEP)
    source = Monitoring(("p",), step, now=NOW, endpoint=address)
    query = source.metrics((BYTES,))[0]
    source.read(query, END - step, END)  # imports
    yield
    cached = Cached(source, Folder(Path(cache)), NOW, lambda *_, **__: None)
    yield sum(frame.values.size for frame in cached.blocks(query, END - timedelta(days=days), END, 512))


def start(address: str) -> Iterator[Any]:
    """A whole run, and third the CPU from the beginning of the process to the first request."""
    from job.sources.monitoring import client

    spent: list[float] = []
    plain = client.Line.call

    def call(*args: Any, **more: Any) -> Any:
        spent.append(time.process_time())
        return plain(*args, **more)

    client.Line.call = call  # type: ignore[method-assign]  # where every request passes
    yield from job(address)
    yield spent[0]


def bare() -> Iterator[None]:
    """What nobody can do without who reads metrics by `MetricServiceClient`, and works with numpy."""
    for package in ("numpy", "google.cloud.monitoring_v3"):
        import_module(package)
    yield
    yield


def kept(days: int, series: int, wait: float) -> Iterator[Any]:
    """History of so many days out of a folder whose every answer takes `wait` seconds, a download two."""
    from job.sources.cached import Cached
    from job.sources.synthetic import Synthetic
    from job.store.folder import Folder

    class Far(Folder):
        def names(self, prefix: str = "") -> Iterator[str]:
            time.sleep(wait)
            return super().names(prefix)

        def get(self, name: str) -> Any:
            time.sleep(2 * wait)
            return super().get(name)

    step = timedelta(seconds=STEP)
    source = Synthetic(seed=0, step=step, vms=series, incidents=False)
    query = source.metrics(("vm",))[0]
    with tempfile.TemporaryDirectory() as place:
        from pathlib import Path

        def once() -> int:
            cached = Cached(source, Far(Path(place)), NOW, lambda *_, **__: None)
            first = (END - timedelta(days=days)).replace(hour=0, minute=0)
            return int(cached.read(query, first, END.replace(hour=0, minute=0)).values.size)

        once()
        yield
        size = once()
        files = [path for path in Path(place).rglob("*d") if path.is_file()]
        yield {"points": size, "objects": len(files), "bytes": sum(path.stat().st_size for path in files)}


def kernels(*, short: bool) -> Iterator[Any]:
    """The detectors' kernels and their peers."""
    from benchmarks.kernels import kernels

    yield
    yield kernels(short)


def default() -> Iterator[Any]:
    """The default detection."""
    from benchmarks.kernels import default

    yield
    yield default()


MEASUREMENTS: dict[str, Measurement] = {
    function.__name__: function
    for function in (read, as_dataframe, script, only_bytes, job, through, start, bare, kept, kernels, default)
}

WHOLE = {"job", "bare"}
"""Of these it is the process that is measured."""


OURS = {"read", "job", "through", "start"}


def main(name: str, settings: str) -> None:
    """Measure, and print what came of it."""
    if name in OURS:
        gc.set_threshold(YOUNG)  # as the program begins
        tune_allocator()  # and a run
    running = MEASUREMENTS[name](**json.loads(settings))
    next(running)
    cpu, wall = time.process_time(), time.perf_counter()
    *_, told = running
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(json.dumps({"cpu": cpu, "wall": wall, "peak": _peak(), "told": told}))
    gc.freeze()  # as the program ends


def _peak() -> int:
    """The most memory that this program had, in bytes; `ru_maxrss` also knows its parent's, from before the exec."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main(*sys.argv[1:])
