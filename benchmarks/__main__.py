"""python -m benchmarks [--short]: the table of what the program costs, and an error where a ratio is lost."""

import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from typing import Any

from benchmarks.child import BYTES, LOAD, measured
from benchmarks.server import NOW, serving

MARGIN = 0.7
"""A short run is lost only below so much of what is asked: machines that are shared are noisy."""

DETECTORS = ("zscore", "ewma", "stl")

UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "PYTHONDONTWRITEBYTECODE")
"""Variables that would slow one side; without bytecode it is compiling that is measured, as no image does it."""


@dataclass(frozen=True)
class Row:
    """One line of the table. `ratio` is wanted to be at least `asked`, or with `most` at most; 0 asks nothing.

    `known` says why a row is lost that nobody expects to be won: it is told, and is no error.
    """

    what: str
    ours: str
    other: str
    ratio: float
    asked: float = 0.0
    most: bool = False
    known: str = ""

    def lost(self, margin: float) -> bool:
        """Whether it is not what is asked, even by a margin."""
        if not self.asked:
            return False
        return self.ratio > self.asked / margin if self.most else self.ratio < self.asked * margin

    def line(self, margin: float) -> str:
        """The row as Markdown."""
        bound = f"{'≤' if self.most else '≥'} {self.asked:g}" if self.asked else ""
        verdict = ("**lost**" if self.lost(1.0) else "won") if self.asked else ""
        if verdict == "**lost**":
            verdict += f": {self.known}" if self.known else "" if self.lost(margin) else ", within the margin"
        return f"| {self.what} | {self.ours} | {self.other} | {self.ratio:.3g} | {bound} | {verdict} |"


def reading(short: bool) -> Iterator[Row]:
    """CPU a point against Google's helper, and against bytes that nobody reads."""
    many = 300 if short else 1000
    with serving(many, 15) as fleet, serving(5, 3) as few, serving(5_000, 2) as wide, serving(100, 2) as narrow:
        for what, metric, asked in (("doubles", LOAD, 200.0), ("INT64", BYTES, 100.0)):
            asking = {"address": fleet.address, "metric": metric, "minutes": 14 * 1440}
            turns = [
                [measured(name, **asking)["cpu"] for name in ("read", "only_bytes")] for _ in range(2 if short else 4)
            ]
            ours, plain = (min(times) / (many * 14 * 288) for times in zip(*turns, strict=True))
            theirs = _cpu_a_point("as_dataframe", few.address, metric, 2880)
            yield Row(f"read, long pages of {what}", _ns(ours), f"as_dataframe {_ns(theirs)}", theirs / ours, asked)
            yield Row("the same", _ns(ours), f"bytes only {_ns(plain)}", ours / plain, 3.0, most=True)
        for what, metric in (("INT64", BYTES),) if short else (("doubles", LOAD), ("INT64", BYTES)):
            ours = _cpu_a_point("read", wide.address, metric, 360)
            theirs = _cpu_a_point("as_dataframe", narrow.address, metric, 360)
            title = f"read, windows of 72 points, {what}"
            yield Row(title, _ns(ours), f"as_dataframe {_ns(theirs)}", theirs / ours, 80.0)


def _cpu_a_point(name: str, address: str, metric: str, minutes: int) -> float:
    """The better of two, in seconds: of what other programs take meanwhile, some is ours."""
    times = 1 if name == "script" else 2  # which takes long, so that it is little disturbed
    told = [measured(name, address=address, metric=metric, minutes=minutes) for _ in range(times)]
    return min(float(one["cpu"] / (one["told"]["points"] if name == "script" else one["told"])) for one in told)


def streams(short: bool) -> Iterator[Row]:
    """A query of many pages that each take their time."""
    series = 500 if short else 2000
    with serving(series, 15, 0.5) as fleet:
        one, eight = (
            measured("read", address=fleet.address, metric=BYTES, minutes=14 * 1440, calls=calls, preset=True)["wall"]
            for calls in (1, 8)
        )
    what = f"8 streams at 0.5 s a page, one query of {-(-series * 14 * 288 // 100_000)} pages"
    yield Row(what, f"{eight:.1f} s", f"1 stream {one:.1f} s", one / eight, 6.0)


def history(short: bool) -> Iterator[Row]:
    """Hourly runs of the fleet of the whole run over kept history, which one in three adds to, against the first."""
    series, given = (100 if short else 10_000), {"detectors": ",".join(DETECTORS)}
    before, *hourly = ((NOW - timedelta(hours=hours)).isoformat() for hours in (3, 2, 1, 0))
    bare, cold, warm = [], [], []
    with serving(series, 15) as fleet:
        reads = []
        for _ in range(1 if short else 3):
            with tempfile.TemporaryDirectory() as kept:
                reads.append([measured("through", address=fleet.address, cache=kept, days=14) for _ in range(2)])
        first, second = map(_least, zip(*reads, strict=True))
        for _ in range(1 if short else 3):
            with tempfile.TemporaryDirectory() as kept:
                fleet.told()
                bare += [] if short else [measured("job", address=fleet.address, cache="off", now=before, **given)]
                without = fleet.told()["points"]
                cold.append(measured("job", address=fleet.address, now=before, cache=kept, **given))
                all_of_it = fleet.told()["points"]
                after = [measured("job", address=fleet.address, now=now, cache=kept, **given) for now in hourly]
                rest = round(fleet.told()["points"] / len(after))
                mean = sum(told["cpu"] for told in after) / len(after)
                warm.append({"cpu": mean, "peak": max(told["peak"] for told in after)})
    what = f"reading 14 days of {series:,} series, warm: CPU"
    yield Row(what, _s(second), f"cold {_s(first)}", first["cpu"] / second["cpu"], 5.0 if not short else 3.0)
    what = "hourly run of the same fleet as the whole run's, warm, mean of 3"
    points = f"{rest:,}", f"cold {all_of_it:,}", all_of_it / rest, 20.0
    if short:
        yield Row(f"{what}: points read", *points)
        return
    plain, empty, full = map(_least, (bare, cold, warm))
    why = "to start, to read what is new and to judge it cost the same"
    yield Row(f"{what}: CPU", _s(full), f"cold {_s(empty)}", empty["cpu"] / full["cpu"], 5.0, known=why)
    yield Row("the same: points read", *points)
    yield Row("the same: peak memory", _mb(full), "1 GiB", full["peak"] / 2**30, 1.0, most=True)
    yield Row("the same, cold: CPU", _s(empty), f"without a cache {_s(plain)}", empty["cpu"] / plain["cpu"])
    yield Row("the same: points read", f"{all_of_it:,}", f"without a cache {without:,}", all_of_it / without)
    yield Row("the same: peak memory", _mb(empty), "1 GiB", empty["peak"] / 2**30, 1.0, most=True)
    far = measured("kept", days=34, series=50, wait=0.02)
    told = far["told"]
    yield Row(
        f"34 days of history, {told['objects']} objects, 20 ms a request",
        f"{far['wall'] * 1000:.0f} ms, {_ns(far['cpu'] / told['points'])} a point",
        f"8 bytes a point: {told['bytes'] / told['points']:.2f}",
        8 * told["points"] / told["bytes"],
    )


def whole(short: bool) -> Iterator[Row]:
    """Whole runs with three detectors and no cache: against a script, ten times the series, and several tasks."""
    small, large, asked = (50, 500, 100.0) if short else (1000, 10_000, 500.0)  # of few series, most is to begin
    plain: dict[str, Any] = {"cache": "off", "detectors": ",".join(DETECTORS)}
    with serving(small, 15) as few, serving(large, 15) as many, serving(2 if short else 24, 15) as least:
        one = measured("job", address=few.address, **plain)
        ten, served = measured("job", address=many.address, **plain), many.told()["points"]
        address, plainly = (many.address, ten) if short else (few.address, one)
        messages = measured("job", address=address, messages=True, **plain)
        tasked = [] if short else [*_tasks(many.address, ten, plain)]
        written = _cpu_a_point("script", least.address, BYTES, 14 * 1440)
    points = ten["told"]["points"]
    what, scaled = f"whole run, {large:,} series x 14 days, {', '.join(DETECTORS)}", written * points
    other = f"a script, from few series {scaled:,.0f} s"
    yield Row(f"{what}: CPU", _s(ten), other, scaled / ten["cpu"], asked)
    if not short:
        yield Row("the same", _s(ten), "10 s", ten["cpu"] / 10, 1.0, most=True)
    yield Row("the same: peak memory", _mb(ten), "1 GiB", ten["peak"] / 2**30, 1.0, most=True)
    yield Row("the same: points served", f"{served:,}", f"there are {points:,}", served / points, 1.0, most=True)
    yield Row("the same: CPU", _s(ten), f"{small:,} series {_s(one)}", ten["cpu"] / one["cpu"], 10.5, most=True)
    flat = 0.0 if short else 1.15  # fewer series than these do not fill what is held at once
    grown = ten["peak"] / one["peak"]
    yield Row("the same: peak memory", _mb(ten), f"{small:,} series {_mb(one)}", grown, flat, most=True)
    yield from tasked
    what = f"whole run, {large if short else small:,} series: CPU"
    other = f"points by protobuf's messages {_s(messages)}"
    yield Row(what, _s(plainly), other, messages["cpu"] / plainly["cpu"], 1.25)


def _tasks(address: str, one: dict[str, Any], plain: dict[str, Any]) -> Iterator[Row]:
    """What four tasks take beside one: of the same run, which is in four parts, and of one that is not divided.

    The same by the robust variant.
    """
    robust = plain | {"detector": {"stl": {"robust": True}}}
    undivided = (
        _least([one, *(_run(address, **plain) for _ in range(3))]),
        _least(_run(address, **robust) for _ in range(2)),
    )
    bare = undivided[0]["cpu"] + 3 * min(measured("bare")["cpu"] for _ in range(3))
    started = "the same, if each task but one did no more than import numpy and `MetricServiceClient`"
    kinds = (plain, "the same", 4), (robust, "the same, stl robust", 2)
    for (given, name, times), whole in zip(kinds, undivided, strict=True):
        four = sum(
            _least(_run(address, parts=4, index=n, tasks=4, **given) for _ in range(times))["cpu"] for n in range(4)
        )
        parts = _least(_run(address, parts=4, **given) for _ in range(times))
        what = f"{name}, 4 parts, 4 tasks: CPU of all"
        yield Row(what, f"{four:.2f} s", f"1 task {_s(parts)}", four / parts["cpu"], 1.15, most=True)
        other = f"1 task, undivided {_s(whole)}"
        yield Row(what, f"{four:.2f} s", other, four / whole["cpu"], 1.15, most=True, known="each has to start")
        if given is plain:
            yield Row(started, f"{bare:.2f} s", other, bare / whole["cpu"])
    why = "three seasons of ten days a series, each of six turns"
    sturdy = undivided[1]
    yield Row("the same, stl robust: CPU", _s(sturdy), "20 s", sturdy["cpu"] / 20, 1.0, most=True, known=why)


def _run(address: str, **given: Any) -> dict[str, Any]:
    return measured("job", address=address, **given)


def _least(told: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The run that took the least CPU: of what other programs take meanwhile, some is ours."""
    return min(told, key=lambda one: float(one["cpu"]))


def ratios(short: bool) -> Iterator[Row]:
    """The four metrics of machines, and the ratios that are made of them, which cost detection and no reading."""
    machines, plain = 50 if short else 2_500, {"cache": "off", "detectors": ",".join(DETECTORS)}
    with serving(machines, 15) as fleet:
        alone, before = measured("job", address=fleet.address, metrics="vm", **plain), fleet.told()["points"]
        both, read = measured("job", address=fleet.address, metrics=(), **plain), fleet.told()["points"]
    what = f"whole run, 4 metrics of {machines:,} machines x 14 days and 4 ratios of them"
    yield Row(f"{what}: points served", f"{read:,}", f"without ratios {before:,}", read / before, 1.0, most=True)
    yield Row("the same: CPU", _s(both), f"without ratios {_s(alone)}", both["cpu"] / alone["cpu"])
    yield Row("the same: peak memory", _mb(both), "1 GiB", both["peak"] / 2**30, 1.0, most=True)


def starting(short: bool) -> Iterator[Row]:
    """From nothing to the first request; a time and no ratio, which a short run does not ask for."""
    with serving(1, 1) as fleet:
        best = min(measured("start", address=fleet.address)["told"] for _ in range(3 if short else 5))
    yield Row("CPU before the first request", f"{best:.2f} s", "0.6 s", best / 0.6, 0.0 if short else 1.0, most=True)


ASKED = (3.0, 3.0, 5.0, 200.0, 1000.0, 30.0)
PEERS = (*("pandas",) * 3, *("statsmodels",) * 3)
APART = 1e-9
"""A kernel whose answer is farther than this from its peer's has lost, however fast it is."""


def kernels(short: bool) -> Iterator[Row]:
    """CPU a point of the detectors' kernels."""
    told = measured("kernels", short=short)["told"]
    for (what, ours, theirs, apart), asked, peer in zip(told, ASKED, PEERS, strict=True):
        ratio = theirs / ours if apart <= APART else 0.0
        yield Row(what, f"{ours * 1e9:,.1f} ns, error {apart:.0e}", f"{peer} {_ns(theirs)}", ratio, asked)


def default(short: bool) -> Iterator[Row]:
    """CPU a point of the default detection, which has no peer of its kind; a short run asks for no times."""
    runs = [measured("default")["told"] for _ in range(0 if short else 4)]
    for rows in zip(*runs, strict=True):
        what, ours = min(rows, key=lambda row: float(row[1]))
        yield Row(what, _ns(ours), "300 ns", ours * 1e9 / 300, 1.0, most=True)


VERSIONS = ("numpy", "grpcio", "protobuf", "google-cloud-monitoring", "pandas", "statsmodels")

ROWS: tuple[Callable[[bool], Iterator[Row]], ...] = (
    reading,
    streams,
    history,
    kernels,
    default,
    whole,
    ratios,
    starting,
)


def main(words: list[str]) -> int:
    """Measure everything, and print it as it comes."""
    short = "--short" in words
    for name in UNSET:
        os.environ.pop(name, None)
    print(f"Python {platform.python_version()} on {platform.machine()}, {os.cpu_count()} cores; ", end="")
    print(", ".join(f"{name} {version(name)}" for name in VERSIONS))
    print("\n| what | ours | the other | ratio | asked | |\n|---|---|---|---|---|---|")
    rows, margin = [], MARGIN if short else 1.0
    for measure in ROWS:
        for row in measure(short):
            print(row.line(margin), flush=True)
            rows.append(row)
    lost = [row for row in rows if row.lost(margin) and not row.known]
    for row in lost:
        print(f"lost: {row.what}", file=sys.stderr)
    return bool(lost)


def _ns(seconds: float) -> str:
    return f"{seconds * 1e9:,.0f} ns"


def _s(told: dict[str, float]) -> str:
    return f"{told['cpu']:.2f} s"


def _mb(told: dict[str, float]) -> str:
    return f"{told['peak'] / 2**20:.0f} MB"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
