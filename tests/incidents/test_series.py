import json
import random
import tracemalloc
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from detectors import Frame
from job.anomaly import Anomaly
from job.charts import EACH
from job.found import shape
from job.incident import group
from job.nature import Shape, Top
from job.series import DIGITS, Looked, Survey, Trace, Traces, key_of, numbers, parsed, rank, surveyor
from job.units import significant
from tests.incidents.events import MINUTE, NIGHT, event
from tests.job.work import backfill, bench, told, tree
from tests.page.findings import trace as drawn


def contents(output: Path) -> tuple[list[Looked], list[Trace]]:
    problems: list[str] = []
    records = [r for name, (data, _) in tree(output, "series/").items() for r in parsed(name, data, problems)]
    assert problems == []
    return [r for r in records if isinstance(r, Looked)], [r for r in records if isinstance(r, Trace)]


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("out")
    backfill(place).run()
    return place


def test_every_anomaly_has_its_series_and_every_series_an_anomaly(output: Path) -> None:
    anomalies = [Anomaly.model_validate(line) for line in told(output)]
    _, traces = contents(output)
    assert anomalies
    assert {key_of(a) for a in anomalies} == {trace.key for trace in traces}


def test_at_the_peak_the_series_says_what_the_anomaly_says(output: Path) -> None:
    _, traces = contents(output)
    for line in told(output):
        anomaly = Anomaly.model_validate(line)
        same = key_of(anomaly)
        (trace,) = [t for t in traces if t.key == same and t.start <= anomaly.peak < t.start + timedelta(days=1)]
        at = round((anomaly.peak - trace.start).total_seconds() / trace.step)
        if anomaly.kind in {"spike", "drop"}:
            said = (trace.value[at], trace.expected[at], trace.lower[at], trace.upper[at])
            record = (anomaly.observed, anomaly.expected, anomaly.lower, anomaly.upper)
            assert said == pytest.approx(record, rel=1e-3)
        else:
            assert trace.value[at] == (None if anomaly.kind == "absent" else 0)


def test_what_was_looked_at_is_counted(output: Path) -> None:
    looked, _ = contents(output)
    assert {(one.series, one.types["gce_instance"].census[""]) for one in looked} == {(6, 6)}
    assert sum(one.flagged for one in looked) == len(told(output))
    assert {tuple(one.types["gce_instance"].slots[0]) for one in looked} == {("in", "bytes"), ("out", "bytes")}


def test_tasks_and_reruns_write_the_same_bytes(output: Path, tmp_path: Path) -> None:
    shared = backfill(tmp_path)
    for index in (2, 0, 1):
        shared.run(index, 3)
    assert tree(tmp_path, "series/") == tree(output, "series/")
    backfill(tmp_path, fresh=True).run()
    assert tree(tmp_path, "series/") == tree(output, "series/")


def test_a_live_run_covers_as_much_as_its_anomalies(tmp_path: Path) -> None:
    noon = NIGHT.replace(hour=12, minute=0)
    bench(tmp_path, noon, hours=3).run()
    looked, _ = contents(tmp_path)
    assert {one.until for one in looked} == {noon}
    covers = {name: meta for name, (_, meta) in tree(tmp_path).items()}
    assert {n.replace("series/", "anomalies/", 1): m for n, (_, m) in tree(tmp_path, "series/").items()} == covers


def test_what_has_been_gone_for_a_day_was_not_looked_at() -> None:
    values = np.ones((2, 96))
    values[1, 40:] = np.nan
    labels = tuple(
        {"resource.type": "x", "resource.labels.zone": "z", "metric.labels.instance_name": f"web-{n}"} for n in "12"
    )
    frame = Frame(values, NIGHT, timedelta(hours=1), labels)
    for hours, there in ((39, 2), (40, 1)):
        survey = Survey()
        for row in range(2):  # a block each
            block = frame.rows(slice(row, row + 1))
            survey.add(block, NIGHT + timedelta(hours=hours), surveyor("p", "sent_bytes", "By/s"))
        assert survey.kept()["x"].census["zone=z"] == there


def test_numbers_are_short_and_gaps_are_null() -> None:
    assert numbers(np.array([1234567.0, np.nan, 0.0])) == [1235000.0, None, 0.0]


def test_numbers_are_rounded_as_one_by_one_whatever_their_size() -> None:
    rng, tens = np.random.default_rng(1), 10.0 ** np.arange(-30, 31)
    wide = rng.standard_normal(20_000) * 10.0 ** rng.uniform(-30, 30, 20_000)
    halves = rng.integers(-(10**6), 10**6, 5_000) / 10.0 ** rng.integers(0, 4, 5_000)
    edges = [0.0, -0.0, 5e-324, -1.7e308, 1e22, 1e23, 9999.5, 99995.0, 0.99995, 1234.5, 1235.5]
    row = np.concatenate([wide, halves, tens, np.nextafter(tens, 0), np.nextafter(tens, np.inf), edges])
    assert list(map(repr, numbers(row))) == [repr(significant(value, DIGITS)) for value in row.tolist()]


def test_what_cannot_be_read_is_named_and_the_rest_read(output: Path) -> None:
    name, (data, _) = next((n, d) for n, d in tree(output, "series/").items() if len(d[0].splitlines()) > 2)
    first, second, *others = data.splitlines()
    problems: list[str] = []
    left = list(parsed(name, b"\n".join([first, second[:50], *others]), problems))
    assert len(left) == 1 + len(others)
    assert name in problems[0]
    assert "line 2" in problems[0]


def test_a_trace_tells_what_was_before_and_what_stayed() -> None:
    values = [10.0] * 12 + [50.0, 49.0, 50.0, 48.0, 50.0, 50.0] + [40.0] * 12
    at = event("in bytes", 50, 10, start=NIGHT + 60 * MINUTE)
    trace = drawn(at).model_copy(update={"start": NIGHT, "value": values})
    trace = trace.model_copy(update={"expected": [8.0] * 12 + [10.0, 12.5, 10.0, 0.0, None, 10.0] + [8.0] * 12})
    assert shape(trace, at) == Shape(flat=0.0, before=10.0, stays=0.75, onset=1.0, factor=5.0)
    assert shape(trace.model_copy(update={"expected": []}), at).factor is None, "what is cut off is no reason to fail"
    burst = trace.model_copy(update={"value": [*values[:12], 500.0, *values[13:]]})
    assert shape(burst, at).factor == 5.0, "one point says nothing of where it stays"
    late = event("in bytes", 50, 10, start=NIGHT + 140 * MINUTE, minutes=10)
    assert shape(trace, late).stays is None, "nobody knows yet"


VARIED = [30.0, 50.0, 40.0, 55.0, 35.0, 45.0] * 6
CAP = [100.0, 99.5, 100.0, 99.0]


@pytest.mark.parametrize(
    ("values", "top", "name"),
    [
        ([*CAP, 80.0, *CAP, 85.0, *CAP], Top(100.0, 0.005, 3, 25 / 42.5, held=True), "saturation"),
        ([*CAP, *CAP, *CAP], Top(100.0, 0.0025, 1, 25 / 42.5, held=True), "saturation"),
        ([*CAP, 96.0, *CAP, 97.0, *CAP], Top(100.0, 0.005, 1, 25 / 42.5, held=True), "saturation"),
        ([100.0, 98.5] * 6, Top(100.0, 0.0075, 1, 25 / 42.5, held=True), "saturation"),
        ([100.0, 98.4, 98.4] * 4, Top(100.0, 0.016, 1, 25 / 42.5), "volumetric surge"),
        ([2.6 * v for v in CAP * 3], Top(260.0, 0.0025, 1, 25 / 42.5), "volumetric surge"),
        ([2.6 * v for v in [*CAP, 80.0, *CAP, 85.0, *CAP]], Top(260.0, 0.005, 3, 25 / 42.5), "saturation"),
        ([70.0, 90.0, 100.0, 80.0, 95.0, 85.0] * 2, None, "volumetric surge"),
        (CAP, None, "volumetric surge"),
    ],
)
def test_a_top_that_it_comes_back_to_or_that_hides_what_varied_is_a_limit_and_one_rate_is_none(
    values: list[float], top: Top | None, name: str
) -> None:
    """Beside 260, what goes up and down by 25 would hardly show."""
    at = event("in bytes", 100, 45, start=NIGHT + 180 * MINUTE, minutes=5 * len(values))
    trace = drawn(at).model_copy(update={"start": NIGHT, "value": [*VARIED, *values, *VARIED]})
    found = shape(trace, at)
    assert (found.top and vars(found.top)) == (top and pytest.approx(vars(top)))
    (incident,) = group([at], shapes={at.id: found})
    assert incident.nature == name
    again = top is not None and top.visits > 2
    assert ("flat top at" in incident.sentence, "came back" in incident.sentence) == (top is not None, again)


def test_what_never_varied_has_no_flat_top() -> None:
    at = event("in bytes", 100, 45, start=NIGHT + 180 * MINUTE, minutes=60)
    trace = drawn(at).model_copy(update={"start": NIGHT, "value": [45.0, 46.0] * 18 + CAP * 3})
    assert shape(trace, at).top is None


def test_the_traces_of_a_large_fault_are_held_as_small_as_they_are_stored() -> None:
    given = [drawn(event("in bytes", 5000 / 7 + n, 1000 / 7, f"host{n}x"), minutes=1) for n in range(50)]
    tracemalloc.start()
    traces = Traces()
    for one in reversed(given):
        traces.add(one, (0.0,))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    stored = traces.lines()
    assert held < 1.2 * len(stored)
    assert list(map(Trace.model_validate_json, stored.splitlines())) == sorted(given, key=lambda t: json.dumps(t.key))
    assert all(traces[one.key] == (one,) for one in given)


def of_all(count: int = 40) -> list[Anomaly]:
    """Anomalies of so many machines, some of them as bad as others."""
    return [event("out bytes", 9e6 + 1e4 * (n % 7), 4e6, f"host{n}x", severity=40 + n % 20) for n in range(count)]


@pytest.mark.parametrize("seed", range(3))
def test_of_very_many_the_worst_are_held_whatever_comes_first(seed: int) -> None:
    every = of_all()
    shuffled = random.Random(seed).sample(every, len(every))
    whole = Traces()
    for a in every:
        whole.add(drawn(a), rank([a]))
    most = len(whole.lines()) // 4
    traces = Traces(most)
    for a in shuffled:
        traces.add(drawn(a), rank([a]))
    worst = sorted(every, key=lambda a: (rank([a]), json.dumps(drawn(a).key)))
    assert set(traces) == {drawn(a).key for a in worst[: len(traces)]}
    assert most - len(whole.lines()) // 40 <= len(traces.lines()) <= most


@pytest.mark.parametrize("seed", range(9))
def test_of_very_many_each_is_held_with_all_of_its_days_or_with_none(seed: int) -> None:
    days = [(a, drawn(a).model_copy(update={"start": NIGHT + timedelta(days=n)})) for a in of_all(12) for n in range(9)]
    traces = Traces(250_000)
    for a, trace in random.Random(seed).sample(days, len(days)):
        traces.add(trace, rank([a]))
    assert 1 < len(traces) < 12
    assert all(len(traces[name]) == 9 for name in traces)


def test_what_an_incident_of_very_many_draws_is_held() -> None:
    every = of_all()
    traces = Traces(100_000)
    for a in every:
        traces.add(drawn(a), rank([a]))
    (found,) = group(every)
    by = {a.id: a for a in every}
    assert 4 <= len(traces) < len(every)
    assert all(drawn(by[one.anomaly]).key in traces for one in found.top[:EACH])
