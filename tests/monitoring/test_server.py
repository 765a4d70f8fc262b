"""The server refuses what Google refuses, and answers as Google documents."""

import signal
import subprocess
import sys
from datetime import datetime, timedelta
from typing import Any

import grpc
import numpy as np
import pytest
from google.api_core import exceptions
from google.cloud import monitoring_v3
from google.cloud.monitoring_v3.services.metric_service.transports import MetricServiceGrpcTransport

from job.presets import expand
from tests.monitoring.fixtures import DAY, GAUGE, MINUTE, NODE, SENT, minutes, source, vm
from tests.monitoring_server import Fault, Metric, MonitoringServer
from tests.monitoring_server.filters import parse
from tests.monitoring_server.fleet import fill

LABELS = {
    "metric.type": "t",
    "resource.labels.zone": "eu-b",
    "metric.labels.x": 'q"\\',
    "resource.labels.project_id": "p",
}


def ask(server: MonitoringServer, metric: Metric, start: datetime, end: datetime, **more: Any) -> Any:
    channel = grpc.insecure_channel(server.endpoint)
    client = monitoring_v3.MetricServiceClient(transport=MetricServiceGrpcTransport(channel=channel))
    request = {
        "name": "projects/p",
        "filter": f'metric.type = "{metric.type}"',
        "interval": {"start_time": start, "end_time": end},
        **more,
    }
    with channel:
        return [monitoring_v3.ListTimeSeriesResponse.pb(page) for page in client.list_time_series(request).pages]


def points(pages: Any) -> list[list[tuple[float, float]]]:
    """Of each series, minutes after DAY and value, as served."""
    found = []
    for page in pages:
        for series in page.time_series:
            kind = {2: "int64_value", 3: "double_value"}[series.value_type]
            origin = int(DAY.timestamp())
            found.append([((p.interval.end_time.seconds - origin) / 60, getattr(p.value, kind)) for p in series.points])
    return found


def aggregation(aligner: str, period: int = 60, reducer: str = "REDUCE_NONE", group_by: tuple[str, ...] = ()) -> Any:
    return {
        "alignment_period": {"seconds": period},
        "per_series_aligner": monitoring_v3.Aggregation.Aligner[aligner],  # type: ignore[misc]  # an enum after all
        "cross_series_reducer": monitoring_v3.Aggregation.Reducer[reducer],  # type: ignore[misc]  # an enum after all
        "group_by_fields": list(group_by),
    }


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('resource.labels.zone = "eu-b"', True),
        ('resource.label.zone = "eu"', False),
        ('resource.labels.zone != "eu"', True),
        ('resource.labels.zone = starts_with("eu")', True),
        ('resource.labels.zone = ends_with("-c")', False),
        ('resource.labels.zone = has_substring("u-")', True),
        ('resource.labels.zone = one_of("a", "eu-b")', True),
        ('resource.labels.zone = monitoring.regex.full_match("eu")', False),
        ('resource.labels.zone = monitoring.regex.full_match("eu.*")', True),
        ('metric.labels.x = "q\\"\\\\"', True),
        ('NOT resource.labels.zone = "eu-b"', False),
        ('-(resource.labels.zone = "eu-b")', False),
        ('project = "p" AND NOT (resource.labels.zone = "a" OR metric.label.x = "")', True),
        ('project = "q" OR resource.labels.zone = "eu-b"', True),
        ('metadata.user_labels.env = "prod"', False),
        ('metric.labels.gone = ""', True),
    ],
)
def test_a_filter_keeps_what_it_says(text: str, kept: bool) -> None:
    assert parse(text)(LABELS) is kept


@pytest.mark.parametrize(
    "text",
    [
        "",
        "resource.labels.zone",
        "resource.labels.zone = eu",
        "resource.labels.zone = 'eu'",
        'resource.labels.zone = "eu',
        'resource.labels.zone = "\\q"',
        'resource.labels.zone ~ "eu"',
        'zone = "eu"',
        'project = "p" AND',
        'project = "p" project = "q"',
        '(project = "p"',
        'project = "p")',
        'project = "p" AND project = "q" OR project = "r"',
        'resource.labels.zone = one_of("a" "b")',
        'resource.labels.zone = starts_with("a", "b")',
        'resource.labels.zone = sounds_like("a")',
        'resource.labels.zone = monitoring.regex.full_match("(")',
    ],
)
def test_a_malformed_filter_is_refused(server: MonitoringServer, text: str) -> None:
    server.metric(SENT)
    both = f'metric.type = "{SENT.type}" AND ({text})'
    with pytest.raises(exceptions.InvalidArgument):
        ask(server, SENT, DAY, minutes(1), filter=both)


@pytest.mark.parametrize(
    "text",
    [
        'resource.type = "gce_instance"',
        f'metric.type = "{SENT.type}" OR metric.type = "{GAUGE.type}"',
        f'metric.type != "{SENT.type}"',
        'metric.type = starts_with("compute")',
        f'NOT metric.type = "{SENT.type}"',
        f'metric.type = "{SENT.type}" AND resource.labels.colour = "red"',
        f'metric.type = "{SENT.type}" AND metric.labels.colour = "red"',
        f'metric.type = "{SENT.type}" AND resource.type = "gce_router"',
    ],
)
def test_a_filter_must_name_one_metric_and_labels_that_it_has(server: MonitoringServer, text: str) -> None:
    server.metric(SENT)
    server.metric(GAUGE)
    with pytest.raises(exceptions.InvalidArgument):
        ask(server, SENT, DAY, minutes(1), filter=text)


def test_an_unknown_metric_is_not_found_and_no_match_is_empty(server: MonitoringServer) -> None:
    server.metric(SENT)
    with pytest.raises(exceptions.NotFound, match="Cannot find metric"):
        ask(server, GAUGE, DAY, minutes(1))
    assert points(ask(server, SENT, DAY, minutes(1))) == []


def test_a_read_leaves_its_start_out_and_takes_its_end_in_newest_first(server: MonitoringServer) -> None:
    server.add(SENT, vm(1), [10, 20, 30, 40], DAY)
    assert points(ask(server, SENT, minutes(1), minutes(3))) == [[(3, 30), (2, 20)]]


@pytest.mark.parametrize(
    "more",
    [
        {"interval": {"start_time": DAY, "end_time": DAY}},
        {"interval": {"end_time": DAY}},
        {"interval": {"start_time": DAY - timedelta(days=800), "end_time": DAY}},
        {"order_by": "x"},
        {"name": "p"},
        {"page_token": "elsewhere.3"},
        {"aggregation": aggregation("ALIGN_SUM", 59)},
        {"aggregation": aggregation("ALIGN_PERCENT_CHANGE")},
        {"aggregation": aggregation("ALIGN_NONE", reducer="REDUCE_SUM")},
        {"aggregation": aggregation("ALIGN_FRACTION_TRUE")},
        {"aggregation": aggregation("ALIGN_SUM", reducer="REDUCE_SUM", group_by=("resource.labels.colour",))},
        {"aggregation": aggregation("ALIGN_SUM", reducer="REDUCE_SUM", group_by=("zone",))},
    ],
    ids=str,
)
def test_a_bad_request_is_refused(server: MonitoringServer, more: dict[str, Any]) -> None:
    server.add(SENT, vm(1), [10], DAY)
    with pytest.raises(exceptions.InvalidArgument):
        ask(server, SENT, DAY, minutes(1), **more)


@pytest.mark.parametrize(("metric", "aligner"), [(NODE, "ALIGN_SUM"), (NODE, "ALIGN_COUNT"), (GAUGE, "ALIGN_RATE")])
def test_an_aligner_must_fit_the_kind(server: MonitoringServer, metric: Metric, aligner: str) -> None:
    server.add(metric, {}, [10], DAY)
    with pytest.raises(exceptions.InvalidArgument, match="aligner cannot be applied"):
        ask(server, metric, DAY, minutes(1), aggregation=aggregation(aligner))


def test_a_page_of_points_cuts_a_series_and_a_page_of_headers_does_not(server: MonitoringServer) -> None:
    for number in range(3):
        server.add(SENT, vm(number), [1, 2, 3], DAY)
    pages = ask(server, SENT, DAY, minutes(3), page_size=2)
    assert [[len(series.points) for series in page.time_series] for page in pages] == [[2], [1, 1], [2], [2], [1]]
    assert all(page.unit == "By" for page in pages)
    headers = ask(server, SENT, DAY, minutes(3), page_size=2, view=1)
    assert [[len(series.points) for series in page.time_series] for page in headers] == [[0, 0], [0]]
    assert server.points == 9, "labels are no points"


def test_a_page_token_belongs_to_its_request(server: MonitoringServer) -> None:
    server.add(SENT, vm(1), [1, 2, 3], DAY)
    token = ask(server, SENT, DAY, minutes(3), page_size=2)[0].next_page_token
    assert points(ask(server, SENT, DAY, minutes(3), page_token=token)) == [[(1, 1)]]
    with pytest.raises(exceptions.InvalidArgument, match="pageToken"):
        ask(server, SENT, DAY, minutes(4), page_token=token)


@pytest.mark.parametrize(
    ("aligner", "wanted"),
    [
        ("ALIGN_SUM", [(6, 80), (2, 30)]),
        ("ALIGN_MEAN", [(6, 40), (2, 15)]),
        ("ALIGN_MIN", [(6, 30), (2, 10)]),
        ("ALIGN_MAX", [(6, 50), (2, 20)]),
        ("ALIGN_COUNT", [(6, 2), (2, 2)]),
        # The 30 of minute 5 seems to have grown evenly from minute 2 on.
        ("ALIGN_DELTA", [(6, 60), (4, 20), (2, 30)]),
    ],
)
def test_only_delta_and_rate_invent_points_in_a_gap(
    server: MonitoringServer, aligner: str, wanted: list[tuple[float, float]]
) -> None:
    server.add(SENT, vm(1), [10, 20, np.nan, np.nan, 30, 50], DAY)
    (found,) = points(ask(server, SENT, DAY, minutes(6), aggregation=aggregation(aligner, 120)))
    assert found == wanted


def test_a_rate_over_a_counter_interpolates_and_counts_a_reset_from_zero(server: MonitoringServer) -> None:
    server.add(NODE, {}, [60, 120, np.nan, 240, 60], DAY, resets=[0, 0, 0, 0, 240])
    (found,) = points(ask(server, NODE, DAY, minutes(5), aggregation=aggregation("ALIGN_RATE")))
    assert found == [(5, 1), (4, 1), (3, 1), (2, 1)]


def test_the_grid_hangs_from_the_end_of_the_request(server: MonitoringServer) -> None:
    server.add(SENT, vm(1), [10, 20, 30, 40, 50], DAY)
    (found,) = points(ask(server, SENT, DAY, minutes(5), aggregation=aggregation("ALIGN_SUM", 120)))
    assert found == [(5, 90), (3, 50), (1, 10)]


def test_a_group_keeps_its_labels_and_the_type_of_resource(server: MonitoringServer) -> None:
    server.add(SENT, vm(1, loadbalanced="true"), [10, 20], DAY)
    server.add(SENT, vm(1, loadbalanced="false"), [1, np.nan], DAY)
    more = aggregation("ALIGN_SUM", reducer="REDUCE_SUM", group_by=("resource.label.zone",))
    (page,) = ask(server, SENT, DAY, minutes(2), aggregation=more)
    assert points([page]) == [[(2, 20), (1, 11)]]
    (series,) = page.time_series
    assert dict(series.resource.labels) == {"zone": "z"}
    assert series.resource.type == "gce_instance"
    assert not series.metric.labels


def test_a_point_is_seen_only_after_its_delay(server: MonitoringServer) -> None:
    server.add(SENT, vm(1), [10, 20], DAY)
    server.now = minutes(5)
    assert points(ask(server, SENT, DAY, minutes(2))) == [[(1, 10)]]
    server.now = minutes(6)
    assert points(ask(server, SENT, DAY, minutes(2))) == [[(2, 20), (1, 10)]]


@pytest.mark.parametrize(
    ("metric", "wanted"), [(SENT, 600), (NODE, 600), (GAUGE, 60)], ids=lambda m: getattr(m, "kind", "")
)
def test_past_six_weeks_ten_minute_points_are_left(server: MonitoringServer, metric: Metric, wanted: float) -> None:
    values = 60.0 * np.arange(1, 21) if metric is NODE else np.full(20, 60.0)
    server.add(metric, {}, values, DAY)
    server.now = DAY + timedelta(days=43)
    (found,) = points(ask(server, metric, DAY, minutes(20)))
    assert [minute for minute, _ in found] == [20, 10]
    assert found[1][1] == wanted


def test_a_fault_waits_for_its_page_and_passes(server: MonitoringServer) -> None:
    server.add(SENT, vm(1), [1, 2, 3], DAY)
    server.faults = [Fault(grpc.StatusCode.PERMISSION_DENIED, page=1)]
    with pytest.raises(exceptions.PermissionDenied):
        ask(server, SENT, DAY, minutes(3), page_size=2)
    assert server.calls["ListTimeSeries"] == 2
    assert points(ask(server, SENT, DAY, minutes(3), page_size=2)) == [[(3, 3), (2, 2)], [(1, 1)]]


@pytest.mark.parametrize("project", ["q", "elsewhere"])
def test_a_project_that_is_denied_or_unknown_is_refused(server: MonitoringServer, project: str) -> None:
    server.projects.add("q")
    server.denied.add("q")
    with pytest.raises(exceptions.PermissionDenied):
        ask(server, SENT, DAY, minutes(1), name=f"projects/{project}")


def test_the_demo_is_the_same_for_the_same_seed_and_has_its_incident() -> None:
    found = []
    for _ in range(2):
        with MonitoringServer(now=DAY + timedelta(hours=12)) as server:
            fill(server, vms=2, days=4, seed=7)
            reader = source(server, step=5 * MINUTE)
            sent = reader.metrics((expand(["vm"])[1].type,))[0]
            found.append(reader.read(sent, DAY - timedelta(days=3), DAY))
    one, other = found
    assert one.values.shape == (2, 3 * 288)
    assert one.values.tobytes() == other.values.tobytes()
    calm = one.values / np.nanmedian(one.values, axis=1, keepdims=True)
    assert sorted(np.nanmax(calm, axis=1) > 5) == [False, True]


def test_it_starts_by_hand_and_says_how_to_reach_it() -> None:
    command = [sys.executable, "-m", "tests.monitoring_server", "--vms", "1", "--days", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        try:
            said = running.stdout.readline() + running.stdout.readline()
        finally:
            running.send_signal(signal.SIGKILL)
    assert "MONITORING_EMULATOR_HOST=127.0.0.1:" in said
