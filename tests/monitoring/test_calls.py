"""What the source asks for, how often, and what it makes of refusals."""

import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import google.auth
import grpc
import numpy as np
import pytest
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError

from job.errors import ConfigError, Failed, NotAllowed
from job.presets import PRESETS, slug
from job.sources.monitoring import Monitoring, Patience
from tests.monitoring.fixtures import DAY, GAUGE, MINUTE, NODE, SENT, minutes, query, source, vm
from tests.monitoring_server import Fault, Metric, MonitoringServer

TRANSIENT = [
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.ABORTED,
]


def read(server: MonitoringServer, metric: Metric = SENT, **settings: object) -> list[list[float]]:
    values: list[list[float]] = source(server, **settings).read(query(metric), DAY, minutes(4)).values.tolist()
    return values


@pytest.fixture
def filled(server: MonitoringServer) -> MonitoringServer:
    server.add(SENT, vm(1), [60, 120, 180, 240], DAY)
    server.page_size = 2
    return server


@pytest.mark.parametrize("page", [0, 1])
@pytest.mark.parametrize("code", TRANSIENT, ids=lambda code: code.name)
def test_a_passing_failure_on_any_page_is_retried(filled: MonitoringServer, code: grpc.StatusCode, page: int) -> None:
    filled.faults = [Fault(code, times=2, page=page)]
    assert read(filled) == [[1, 2, 3, 4]]
    assert filled.calls["ListTimeSeries"] == 4


@pytest.mark.parametrize("code", TRANSIENT, ids=lambda code: code.name)
def test_a_lasting_failure_names_metric_project_and_what_was_said(
    filled: MonitoringServer, code: grpc.StatusCode
) -> None:
    filled.faults = [Fault(code, "the\nbackend is\ttired", times=10**6)]
    with pytest.raises(Failed) as failed:
        read(filled)
    assert all(word in str(failed.value) for word in (SENT.type, "'p'", "the backend is tired"))
    assert filled.calls["ListTimeSeries"] > 2


def test_what_the_server_says_is_cut_short(filled: MonitoringServer) -> None:
    filled.faults = [Fault(grpc.StatusCode.INVALID_ARGUMENT, "x" * 5000)]
    with pytest.raises(ConfigError) as refused:
        read(filled)
    assert len(str(refused.value)) < 800


def test_a_failing_descriptor_is_retried(filled: MonitoringServer) -> None:
    filled.faults = [Fault(grpc.StatusCode.UNAVAILABLE, method="GetMetricDescriptor")]
    assert read(filled) == [[1, 2, 3, 4]]


def test_a_pause_that_the_server_asks_for_is_kept_but_not_for_ever(filled: MonitoringServer) -> None:
    waited: list[float | None] = []

    class Clock(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout)
            return False

    filled.faults = [Fault(grpc.StatusCode.RESOURCE_EXHAUSTED, retry_after=n) for n in (0.004, 9000)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("job.sources.monitoring.client.Pause", Clock)
        assert read(filled) == [[1, 2, 3, 4]]
    assert waited == [0.004, 0.01]


@pytest.mark.parametrize("whole", [True, False])
def test_an_incomplete_answer_is_asked_for_again(filled: MonitoringServer, whole: bool) -> None:
    filled.faults = [Fault(errors=("shard lost",), page=0, whole=whole), Fault(errors=("a", "b"), page=1, whole=whole)]
    assert read(filled) == [[1, 2, 3, 4]]


def test_an_answer_that_stays_incomplete_is_no_answer(filled: MonitoringServer) -> None:
    filled.faults = [Fault(errors=("shard 7 lost", "shard 8 lost"), times=10**6, page=0)]
    with pytest.raises(Failed, match="shard 7 lost; shard 8 lost"):
        read(filled)


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED], ids=lambda c: c.name
)
def test_a_refusal_names_permission_role_and_project(filled: MonitoringServer, code: grpc.StatusCode) -> None:
    filled.faults = [Fault(code)]
    with pytest.raises(NotAllowed) as refused:
        read(filled)
    wanted = ("monitoring.timeSeries.list", "roles/monitoring.viewer", "'p'")
    assert all(word in str(refused.value) for word in wanted)
    assert filled.calls["ListTimeSeries"] == 1


def test_a_token_that_cannot_be_had_is_said_without_quoting_anything(filled: MonitoringServer) -> None:
    filled.faults = [
        Fault(grpc.StatusCode.UNAVAILABLE, "Getting metadata from plugin failed: ya29.secret", times=10**6)
    ]
    with pytest.raises(NotAllowed) as refused:
        read(filled)
    assert "ya29" not in "".join(traceback.format_exception(refused.value))


def test_a_metric_that_is_not_there_is_named(server: MonitoringServer) -> None:
    with pytest.raises(ConfigError, match=r"custom\.googleapis\.com/nothing.*'p'.*Could not find descriptor"):
        source(server).describe(query(Metric("custom.googleapis.com/nothing")))


@pytest.mark.parametrize("page", [0, 1])
def test_what_is_described_but_never_written_has_no_series_unless_some_came(
    filled: MonitoringServer, page: int
) -> None:
    filled.faults.append(Fault(code=grpc.StatusCode.NOT_FOUND, message="Cannot find metric(s) that match", page=page))
    if page:
        with pytest.raises(ConfigError, match="Cannot find"):
            read(filled)
    else:
        assert read(filled) == []


def test_a_metric_of_a_preset_that_nobody_has_written_yet_has_no_series(server: MonitoringServer) -> None:
    (asked,) = source(server).metrics(("vpn.googleapis.com/network/sent_bytes_count",))
    here = source(server)
    assert not here.describe(asked).there
    assert here.count(asked, DAY, minutes(4)) == 0
    frames = [here.read(asked, DAY, minutes(4)), *here.blocks(asked, DAY, minutes(4), 8)]
    assert {frame.values.shape for frame in frames} <= {(0, 4)}
    assert {type(request).__name__ for request in server.requests} == {"GetMetricDescriptorRequest"}


def test_a_bad_filter_is_the_users_to_mend(filled: MonitoringServer) -> None:
    (wanted,) = source(filled, filter='resource.labels.colour = "red"').metrics((SENT.type,))
    with pytest.raises(ConfigError, match="valid combination"):
        source(filled).read(wanted, DAY, minutes(4))


@pytest.mark.parametrize(("kind", "value"), [("DELTA", "DISTRIBUTION"), ("GAUGE", "STRING"), ("DELTA", "BOOL")])
def test_a_metric_without_numbers_is_refused(server: MonitoringServer, kind: str, value: str) -> None:
    metric = server.metric(Metric("custom.googleapis.com/x", kind=kind, value=value))
    with pytest.raises(ConfigError, match=f"{kind} of {value}"):
        source(server).describe(query(metric))


def test_no_more_calls_fly_at_once_than_allowed_and_none_is_lost(server: MonitoringServer) -> None:
    metrics = [Metric(f"custom.googleapis.com/m{n}") for n in range(24)]
    for n, metric in enumerate(metrics):
        server.add(metric, vm(1), [60 * n, 60 * n], DAY)
    reader = source(server, calls=4, patience=Patience())
    server.limit = 4
    for metric in metrics:
        reader.describe(query(metric))
    server.gate = threading.Event()
    with ThreadPoolExecutor(24) as pool:
        reads = [pool.submit(reader.read, query(metric), DAY, minutes(2)) for metric in metrics]
        assert server.crowd(4)
        server.gate.set()
        assert [read.result().values.tolist() for read in reads] == [[[n, n]] for n in range(24)]
    assert server.peak == 4


def test_more_calls_than_the_server_bears_are_still_answered(server: MonitoringServer) -> None:
    server.add(SENT, vm(1), [60, 60], DAY)
    server.limit = 1
    patient = Patience(total=timedelta(seconds=30), first=MINUTE / 60_000, longest=MINUTE / 3_000)
    reader = source(server, calls=8, patience=patient)
    with ThreadPoolExecutor(8) as pool:
        reads = [pool.submit(reader.read, query(SENT), DAY, minutes(2)) for _ in range(16)]
        assert all(read.result().values.tolist() == [[1, 1]] for read in reads)


def test_a_descriptor_is_asked_for_once_however_many_threads_want_it(filled: MonitoringServer) -> None:
    reader = source(filled)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: reader.describe(query(SENT)), range(32)))
    assert filled.calls["GetMetricDescriptor"] == 1


@pytest.mark.parametrize("metric", [SENT, GAUGE, NODE], ids=lambda metric: metric.kind)
def test_no_request_lets_the_server_interpolate(server: MonitoringServer, metric: Metric) -> None:
    server.add(metric, {}, [60, 120, 180, 240], DAY)
    read(server, metric)
    (asked,) = [one for one in server.requests if hasattr(one, "aggregation")]
    assert asked.aggregation.per_series_aligner == {"DELTA": 14, "GAUGE": 12, "CUMULATIVE": 0}[metric.kind]
    assert asked.interval.end_time.seconds % 60 == 0


@pytest.mark.parametrize(
    ("unit", "kind", "noun", "wanted"),
    [
        ("By", "DELTA", "", "By/s"),
        ("By", "DELTA", "packets", "By/s"),
        ("1", "DELTA", "packets", "packets/s"),
        ("", "CUMULATIVE", "requests", "requests/s"),
        ("1", "DELTA", "", "1/s"),
        ("{packet}", "DELTA", "", "packets/s"),
        ("{packets}", "DELTA", "", "packets/s"),
        ("By/s", "GAUGE", "", "By/s"),
    ],
)
def test_the_unit_is_that_of_the_frames(server: MonitoringServer, unit: str, kind: str, noun: str, wanted: str) -> None:
    metric = server.metric(Metric("custom.googleapis.com/x", kind=kind, unit=unit))
    assert source(server).describe(query(metric, noun=noun)).unit == wanted


def test_a_metric_settles_after_its_sample_period_and_its_delay(server: MonitoringServer) -> None:
    server.metric(Metric("custom.googleapis.com/x", sample=300, delay=150))
    server.metric(NODE)
    reader = source(server)
    assert reader.describe(query(Metric("custom.googleapis.com/x"))).settle == timedelta(seconds=450)
    assert reader.describe(query(NODE)).settle == timedelta(minutes=4)


@pytest.mark.parametrize("metric", [SENT, replace(NODE, delay=180)], ids=lambda metric: metric.kind)
def test_what_is_settled_reads_the_same_ever_after(server: MonitoringServer, metric: Metric) -> None:
    values = 60.0 * np.arange(1, 41) ** 2
    server.add(metric, {}, values, DAY, stamps=60 * np.arange(1, 41) + 17 * (metric.kind == "CUMULATIVE"))
    reader = source(server)
    settle = reader.describe(query(metric)).settle
    server.now = minutes(20) + settle
    early = reader.read(query(metric), minutes(2), minutes(20))
    server.now = minutes(2000)
    assert early.values.tobytes() == reader.read(query(metric), minutes(2), minutes(20)).values.tobytes()
    assert not np.isnan(early.values).any()


def test_metrics_are_queries_of_every_project(server: MonitoringServer) -> None:
    found = source(server, projects=("p", "q", "p")).metrics(("vm", SENT.type))
    assert [(one.project, one.metric) for one in found] == [(p, s.type) for p in ("p", "q") for s in PRESETS["vm"]]
    assert all(one.name == slug(one.metric) and one.step == MINUTE for one in found)
    assert {one.missing for one in found} == {"absent"}


@pytest.mark.parametrize("label", ["zone", "resource.zone", 'resource.labels.zone" OR "', "metric.labels.x\n", ""])
def test_a_group_that_is_no_label_is_refused(server: MonitoringServer, label: str) -> None:
    server.metric(SENT)
    with pytest.raises(ConfigError, match="not a label to group by"):
        source(server).read(query(SENT, group_by=(label,)), DAY, minutes(1))


@pytest.mark.parametrize("project", ["", "a/b", "P", "p\n", "../x"])
def test_a_project_that_is_none_is_refused(server: MonitoringServer, project: str) -> None:
    with pytest.raises(ConfigError, match="project"):
        source(server, projects=(project,)).metrics(())


def test_without_any_project_the_way_out_is_told(server: MonitoringServer) -> None:
    with pytest.raises(ConfigError, match="--project"):
        source(server, projects=()).metrics(())


@pytest.mark.parametrize("endpoint", ["localhost", "http://127.0.0.1:80", "127.0.0.1:", "a b:1", "unix:/x"])
def test_an_endpoint_that_is_no_address_is_refused(server: MonitoringServer, endpoint: str) -> None:
    with pytest.raises(ConfigError, match="host:port"):
        source(server, endpoint=endpoint).describe(query(SENT))


def test_without_credentials_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(**_: object) -> None:
        raise DefaultCredentialsError("secret path")  # type: ignore[no-untyped-call]  # not annotated there

    monkeypatch.setattr(google.auth, "default", none)
    with pytest.raises(NotAllowed, match="gcloud auth application-default login") as refused:
        Monitoring((), MINUTE, now=DAY).metrics(())
    assert "secret" not in str(refused.value)


def test_the_credentials_name_the_project_and_the_address_is_googles(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def some(**wanted: object) -> tuple[AnonymousCredentials, str]:
        asked.append(wanted)
        return AnonymousCredentials(), "of-credentials"  # type: ignore[no-untyped-call]  # not annotated there

    monkeypatch.setattr(google.auth, "default", some)
    reader = Monitoring((), MINUTE, now=DAY)
    assert {one.project for one in reader.metrics(())} == {"of-credentials"}
    assert reader._connection()[0].transport.host == "monitoring.googleapis.com:443"
    assert len(asked) == 1


def test_opening_a_source_contacts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(google.auth, "default", None)
    assert Monitoring(("p",), MINUTE, now=DAY).metrics(())
