"""What a read of the source makes of the server's points."""

import math
import os
import subprocess
import sys
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job.errors import ConfigError
from tests.monitoring.fixtures import DAY, GAUGE, MINUTE, NODE, SENT, minutes, query, source, vm
from tests.monitoring_server import Metric, MonitoringServer

NAN = math.nan
ID = "resource.labels.instance_id"


def rows(server: MonitoringServer, wanted: object, first: float, last: float, **more: object) -> list[list[float]]:
    frame = source(server, **more).read(wanted, minutes(first), minutes(last))  # type: ignore[arg-type]  # a Query
    return [[round(x, 9) for x in row] for row in frame.values.tolist()]


def same(found: list[list[float]], wanted: list[list[float]]) -> None:
    np.testing.assert_array_equal(np.array(found), np.array(wanted, dtype=float))


def test_a_point_stamped_at_its_end_fills_the_column_that_begins_at_its_start(server: MonitoringServer) -> None:
    server.add(SENT, vm(1), [60, 120, 180, 240], DAY)
    same(rows(server, query(SENT), 0, 4), [[1, 2, 3, 4]])
    same(rows(server, query(SENT), 1, 3), [[2, 3]])


def test_neighbouring_reads_share_no_point_and_lose_none(server: MonitoringServer) -> None:
    server.add(SENT, vm(1), 60 * np.arange(1, 13), DAY)
    halves = [rows(server, query(SENT), first, first + 6)[0] for first in (0, 6)]
    assert halves[0] + halves[1] == [float(n) for n in range(1, 13)]


def test_a_step_of_minutes_sums_them_into_a_rate_per_second(server: MonitoringServer) -> None:
    server.add(SENT, vm(1), [300, 0, 0, 0, 0, 600, 600, 600, 600, 600], DAY)
    same(rows(server, query(SENT, step=5 * MINUTE), 0, 10), [[1, 10]])


def test_a_step_shorter_than_the_sample_period_repeats_the_rate(server: MonitoringServer) -> None:
    server.add(SENT, vm(1), [60, 120], DAY)
    same(rows(server, query(SENT, step=MINUTE / 2), 0, 2), [[1, 1, 2, 2]])
    same(rows(server, query(SENT, step=MINUTE / 2), 0.5, 1.5), [[1, 2]])


def test_a_period_that_is_not_settled_is_not_read_in_part(server: MonitoringServer) -> None:
    metric = Metric("custom.googleapis.com/slow", sample=300, delay=0)
    server.add(metric, vm(1), [300, 300, 300], DAY)
    server.now = minutes(9)
    assert rows(server, query(metric, step=2 * MINUTE), 0, 8) == []
    server.now = minutes(16)
    same(rows(server, query(metric, step=2 * MINUTE), 0, 8), [[1, 1, 1, 1]])
    same(rows(server, query(metric, step=2 * MINUTE), 0, 12), [[1, 1, 1, 1, 1, NAN]])


def test_a_gap_stays_a_gap(server: MonitoringServer) -> None:
    server.add(SENT, vm(1), [60, NAN, NAN, 0, 60], DAY)
    same(rows(server, query(SENT), 0, 5), [[1, NAN, NAN, 0, 1]])


def test_idle_is_zero_and_absent_is_left_out(server: MonitoringServer) -> None:
    server.add(SENT, vm(1), [0, 0], DAY)
    server.add(SENT, vm(2), [NAN, NAN, 60], DAY)
    frame = source(server).read(query(SENT), DAY, minutes(2))
    same(frame.values.tolist(), [[0, 0]])
    assert frame.labels[0][ID] == "1"


def test_no_series_is_an_empty_frame(server: MonitoringServer) -> None:
    server.metric(SENT)
    frame = source(server).read(query(SENT), DAY, minutes(3))
    assert frame.values.shape == (0, 3)
    assert frame.end == minutes(3)


def test_series_cut_by_pages_are_whole_again(server: MonitoringServer) -> None:
    for number in range(5):
        server.add(SENT, vm(number), 60.0 * np.arange(number, number + 7), DAY)
    server.page_size = 3
    same(rows(server, query(SENT), 0, 7), [list(range(n, n + 7)) for n in range(5)])
    assert server.calls["ListTimeSeries"] == 12


def test_a_page_of_many_megabytes_is_read(server: MonitoringServer) -> None:
    for number in range(60):
        server.add(SENT, vm(number, instance_name="x" * 100_000), [60], DAY)
    assert len(rows(server, query(SENT), 0, 1)) == 60


def test_rows_come_in_the_order_of_their_labels(server: MonitoringServer) -> None:
    for number in ("20", "1", "3"):
        server.add(SENT, vm(number, instance_name="x"), [60], DAY)
    frame = source(server).read(query(SENT), DAY, minutes(1))
    assert [labels[ID] for labels in frame.labels] == ["1", "20", "3"]
    assert dict(frame.labels[0]) == {
        "resource.type": "gce_instance",
        "resource.labels.project_id": "p",
        "resource.labels.zone": "z",
        ID: "1",
        "metric.labels.instance_name": "x",
    }


def test_the_loadbalanced_halves_of_a_vm_are_summed(server: MonitoringServer) -> None:
    server.add(SENT, vm(1, instance_name="a", loadbalanced="true"), [60, 60, NAN], DAY)
    server.add(SENT, vm(1, instance_name="a", loadbalanced="false"), [120, NAN, NAN], DAY)
    (wanted,) = source(server).metrics((SENT.type,))
    frame = source(server).read(wanted, DAY, minutes(3))
    same(frame.values.tolist(), [[3, 1, NAN]])
    assert frame.labels[0]["metric.labels.instance_name"] == "a"
    assert "metric.labels.loadbalanced" not in frame.labels[0]


@pytest.mark.parametrize(("reducer", "value"), [("sum", 4), ("mean", 2), ("min", 1), ("max", 3)])
@pytest.mark.parametrize("metric", [SENT, NODE], ids=["delta", "cumulative"])
def test_a_group_is_reduced_as_asked(server: MonitoringServer, metric: Metric, reducer: str, value: float) -> None:
    for name, rate in (("1", 1), ("2", 3)):
        values = np.full(9, 60 * rate) if metric is SENT else 60 * rate * np.arange(1, 10)
        label = ID if metric is SENT else "resource.labels.node_name"
        server.add(metric, {label: name}, values, DAY)
    asked = query(metric, group_by=("resource.labels.project_id",), reducer=reducer)
    frame = source(server).read(asked, minutes(4), minutes(6))
    same(frame.values.tolist(), [[value, value]])
    assert set(frame.labels[0]) == {"resource.type", "resource.labels.project_id"}
    assert source(server).count(asked, minutes(4), minutes(6)) == 1


def test_an_unknown_reducer_is_refused(server: MonitoringServer) -> None:
    server.metric(SENT)
    with pytest.raises(ConfigError, match="'median'; there are: sum, mean, min, max"):
        source(server).read(query(SENT, reducer="median"), DAY, minutes(1))


def test_a_gauge_is_its_mean_and_keeps_its_unit(server: MonitoringServer) -> None:
    server.add(GAUGE, vm(1), [1, 3, NAN, 5], DAY)
    same(rows(server, query(GAUGE, step=2 * MINUTE), 0, 4), [[2, 5]])
    assert source(server).describe(query(GAUGE)).unit == "1"


def test_a_gauge_of_true_and_false_is_the_part_that_is_true(server: MonitoringServer) -> None:
    metric = Metric("router.googleapis.com/nat/nat_allocation_failed", kind="GAUGE", value="BOOL")
    server.add(metric, vm(1), [1, 0, 0, 0], DAY)
    same(rows(server, query(metric, step=2 * MINUTE), 0, 4), [[0.5, 0]])


def test_points_off_the_grid_belong_to_the_period_they_end_in(server: MonitoringServer) -> None:
    server.add(GAUGE, vm(1), [1, 2, 3], DAY, stamps=[60.001, 120, 179.999])
    same(rows(server, query(GAUGE), 0, 3), [[NAN, 1.5, 3]])


def test_what_is_no_measurement_is_a_gap(server: MonitoringServer) -> None:
    server.add(GAUGE, vm(1), [1, math.inf, -math.inf, 4], DAY)
    server.add(GAUGE, vm(2), [1, NAN, 3, 4], DAY, as_given=True)
    server.add(GAUGE, vm(3), [1, 1.7e308, -1e300, 1e99], DAY)
    same(rows(server, query(GAUGE), 0, 4), [[1, NAN, NAN, 4], [1, NAN, 3, 4], [1, NAN, NAN, 1e99]])


def test_a_counter_becomes_a_rate_from_the_first_column_on(server: MonitoringServer) -> None:
    server.add(NODE, {"resource.labels.node_name": "n"}, [60, 180, 360, 600], DAY)
    same(rows(server, query(NODE), 1, 4), [[2, 3, 4]])


def test_a_counter_that_starts_anew_counts_from_zero(server: MonitoringServer) -> None:
    values = [600, 1200, 60, 180]
    server.add(NODE, {"resource.labels.node_name": "n"}, values, DAY, resets=[0, 0, 120, 120])
    same(rows(server, query(NODE), 1, 4), [[10, 1, 2]])


def test_a_counter_that_restarts_in_mid_minute_loses_only_what_nobody_counted(server: MonitoringServer) -> None:
    server.add(NODE, {"resource.labels.node_name": "n"}, [600, 1200, 30, 90], DAY, resets=[0, 0, 150, 150])
    same(rows(server, query(NODE), 1, 4), [[10, 1, 1]])


def test_a_counter_that_restarts_with_a_point_of_no_time_counts_from_there(server: MonitoringServer) -> None:
    stamps, resets = [60, 120, 150, 210], [0, 0, 150, 150]
    server.add(NODE, {"resource.labels.node_name": "n"}, [600, 1200, 0, 60], DAY, stamps=stamps, resets=resets)
    same(rows(server, query(NODE), 1, 4), [[10, 1, 1]])


def test_a_start_before_the_point_before_does_not_count_twice(server: MonitoringServer) -> None:
    server.add(NODE, {"resource.labels.node_name": "n"}, [600, 1200, 60, 120], DAY, resets=[0, 0, 90, 90])
    same(rows(server, query(NODE), 1, 4), [[10, 1, 1]])


def test_a_counter_that_falls_without_a_new_start_says_nothing(server: MonitoringServer) -> None:
    server.add(NODE, {"resource.labels.node_name": "n"}, [600, 1200, 60, 120], DAY)
    same(rows(server, query(NODE), 1, 4), [[10, NAN, 1]])


def test_a_counter_has_no_value_inside_a_gap(server: MonitoringServer) -> None:
    server.add(NODE, {"resource.labels.node_name": "n"}, [60, 120, NAN, NAN, NAN, 360, 420], DAY)
    same(rows(server, query(NODE), 1, 7), [[1, NAN, NAN, NAN, NAN, 1]])
    same(rows(server, query(NODE, step=2 * MINUTE), 0, 8), [[1, NAN, NAN, 1]])


def test_a_counter_stamped_off_the_grid_is_shared_among_the_columns(server: MonitoringServer) -> None:
    stamps = [30, 90, 150, 210]
    server.add(NODE, {"resource.labels.node_name": "n"}, [0, 60, 180, 180], DAY, stamps=stamps)
    same(rows(server, query(NODE), 1, 3), [[1.5, 1]])


def test_a_counter_stamped_between_seconds_loses_none_of_them(server: MonitoringServer) -> None:
    metric = Metric("custom.googleapis.com/seconds", kind="CUMULATIVE", value="DOUBLE")
    stamps = [30.5, 90.5, 150.25, 210.75]
    server.add(metric, vm(1), stamps, DAY, stamps=stamps)
    same(rows(server, query(metric), 1, 3), [[1, 1]])


def test_a_counter_served_twice_and_out_of_order_is_the_same(server: MonitoringServer) -> None:
    order = np.array([4, 2, 2, 0, 1, 3, 4])
    values = np.array([60, 180, 360, 600, 900])
    server.add(NODE, {"resource.labels.node_name": "n"}, values[order], DAY, stamps=60 * (order + 1), as_given=True)
    server.page_size = 2
    same(rows(server, query(NODE), 1, 5), [[2, 3, 4, 5]])


def test_of_two_counts_at_one_moment_the_one_read_last_wins(server: MonitoringServer) -> None:
    # Points are served in reverse, so that the 180 comes after the 240.
    stamps = [60, 120, 120, 180]
    server.add(NODE, {"resource.labels.node_name": "n"}, [60, 180, 240, 300], DAY, stamps=stamps, as_given=True)
    same(rows(server, query(NODE), 1, 3), [[2, 2]])


def test_a_counter_that_is_no_number_is_a_gap(server: MonitoringServer) -> None:
    metric = Metric("custom.googleapis.com/double", kind="CUMULATIVE", value="DOUBLE")
    server.add(metric, vm(1), [60, math.inf, 180, 240, NAN, 300, 360], DAY, as_given=True)
    same(rows(server, query(metric), 1, 7), [[NAN, NAN, 1, NAN, NAN, 1]])


def test_a_counter_sparser_than_the_descriptor_says_is_read(server: MonitoringServer) -> None:
    server.add(NODE, {}, 600 * np.arange(1, 13), DAY, stamps=300 * np.arange(1, 13))
    same(rows(server, query(NODE), 5, 60), [[2.0] * 55])


def test_a_column_of_a_counter_needs_half_of_its_time(server: MonitoringServer) -> None:
    values = [60, 120, 180, 240, NAN, NAN, NAN, NAN, 300, 360, NAN, 420, 480, 540, 600]
    server.add(NODE, {"resource.labels.node_name": "n"}, values, DAY)
    same(rows(server, query(NODE, step=5 * MINUTE), 0, 15), [[1, NAN, 1]])


def test_a_counter_past_what_a_float_holds_keeps_its_differences(server: MonitoringServer) -> None:
    huge = Metric("kubernetes.io/huge", kind="CUMULATIVE", delay=None)
    server.add(huge, vm(1), 2**60 + np.array([0, 60, 60, 180]), DAY)
    same(rows(server, query(huge), 1, 4), [[1, 0, 2]])


def test_a_counter_of_doubles_is_read_as_well(server: MonitoringServer) -> None:
    metric = Metric("custom.googleapis.com/double", kind="CUMULATIVE", value="DOUBLE")
    server.add(metric, vm(1), [0.5, 30.5, 60.5], DAY)
    same(rows(server, query(metric), 1, 3), [[0.5, 0.5]])


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 59), st.lists(st.integers(0, 10**9), min_size=30, max_size=30), st.integers(3, 20), st.integers(1, 6)
)
def test_a_counter_read_in_pieces_has_the_same_bits(offset: int, growth: list[int], cut: int, step: int) -> None:
    with MonitoringServer() as server:
        stamps = 60 * np.arange(1, 31) + offset
        server.add(NODE, {"resource.labels.node_name": "n"}, np.cumsum(growth), DAY, stamps=stamps)
        asked = query(NODE, step=step * MINUTE)
        first, last = 2 * step, 24 // step * step
        middle = min(max(first + step, cut // step * step), last)
        whole = source(server).read(asked, minutes(first), minutes(last + step)).values.tobytes()
        parts = [(first, middle), (middle, last + step)]
        pieces = [source(server).read(asked, minutes(a), minutes(b)).values for a, b in parts]
        assert np.hstack(pieces).tobytes() == whole


def test_past_six_weeks_ten_minute_points_fill_their_columns(server: MonitoringServer) -> None:
    old = server.now.replace(hour=0) - timedelta(days=60)
    server.add(SENT, vm(1), np.repeat([60.0, 600.0], 10), old)
    frame = source(server).read(query(SENT), old, old + 20 * MINUTE)
    same(frame.values.tolist(), [[1.0] * 10 + [10.0] * 10])


@pytest.mark.parametrize("step", [1, 8, 15])
def test_ten_minute_points_make_an_even_rate_at_any_step(server: MonitoringServer, step: int) -> None:
    old = server.now.replace(hour=0) - timedelta(days=60)
    server.add(SENT, vm(1), np.full(240, 60.0), old)
    frame = source(server).read(query(SENT, step=step * MINUTE), old, old + 240 * MINUTE)
    same(frame.values.tolist(), [[1.0] * (240 // step)])


@pytest.mark.parametrize(("sample", "step"), [(120, 3), (90, 1), (300, 2), (3607, 5)])
def test_an_odd_sample_period_makes_an_even_rate(server: MonitoringServer, sample: int, step: int) -> None:
    metric = Metric("custom.googleapis.com/odd", sample=sample)
    server.add(metric, vm(1), np.full(max(2, 3600 // sample), 2.0 * sample), DAY)
    found = np.array(rows(server, query(metric, step=step * MINUTE), 0, 120)[0])
    wanted = 2.0 if sample < 3600 else 2.0 * 3607 / 3900
    np.testing.assert_allclose(found[~np.isnan(found)], wanted)
    assert (~np.isnan(found)).sum() * step >= 60


@pytest.mark.parametrize("metric", [SENT, NODE, GAUGE], ids=["delta", "cumulative", "gauge"])
def test_a_window_over_the_six_week_edge_is_whole(server: MonitoringServer, metric: Metric) -> None:
    begin = server.now - timedelta(days=43)
    n = 3 * 24 * 60
    values = {"DELTA": np.full(n, 120.0), "CUMULATIVE": 120.0 * np.arange(1, n + 1), "GAUGE": np.full(n, 2.0)}[
        metric.kind
    ]
    server.add(metric, {}, values, begin)
    asked = query(metric, step=5 * MINUTE)
    frame = source(server).read(asked, begin + timedelta(hours=1), begin + timedelta(days=3) - timedelta(hours=1))
    assert frame.values.shape == (1, 70 * 12)
    np.testing.assert_allclose(frame.values, 2.0)


@pytest.mark.parametrize("metric", [SENT, GAUGE], ids=["delta", "gauge"])
def test_points_sparser_than_the_descriptor_says_fill_their_columns(server: MonitoringServer, metric: Metric) -> None:
    value = 600.0 if metric is SENT else 2.0
    server.add(metric, vm(1), np.full(12, value), DAY, stamps=300 * np.arange(1, 13))
    found = rows(server, query(metric), 0, 60)
    same(found, [[2.0] * 60])


def test_a_few_scattered_points_are_not_taken_for_a_spacing(server: MonitoringServer) -> None:
    values = np.full(60, NAN)
    values[[3, 9, 12, 21, 30, 33, 42, 51, 57]] = 60
    server.add(SENT, vm(1), values, DAY)
    same(rows(server, query(SENT), 0, 60), [(values / 60).tolist()])


def test_points_that_arrive_late_are_seen_by_a_later_read(server: MonitoringServer) -> None:
    server.now = minutes(10)
    server.add(SENT, vm(1), [60, 120, 180], DAY, late=timedelta(minutes=8, seconds=30))
    reader = source(server)
    same(reader.read(query(SENT), DAY, minutes(3)).values.tolist(), [[1, NAN, NAN]])
    server.now = minutes(12)
    same(reader.read(query(SENT), DAY, minutes(3)).values.tolist(), [[1, 2, 3]])


def test_several_projects_are_read_apart_and_a_scope_whole(server: MonitoringServer) -> None:
    server.projects |= {"q", "scope"}
    server.scopes["scope"] = {"p", "q"}
    server.add(SENT, vm(1), [60], DAY)
    server.add(SENT, vm(2) | {"resource.labels.project_id": "q"}, [120], DAY)
    reader = source(server, projects=("p", "q", "scope"))
    found = {one.project: reader.read(one, DAY, minutes(1)) for one in reader.metrics((SENT.type,))}
    assert {name: frame.values.ravel().tolist() for name, frame in found.items()} == {
        "p": [1],
        "q": [2],
        "scope": [1, 2],
    }
    assert [labels["resource.labels.project_id"] for labels in found["scope"].labels] == ["p", "q"]


def test_labels_of_the_metadata_come_with_a_group(server: MonitoringServer) -> None:
    server.add(SENT, vm(1) | {"metadata.user_labels.env": "prod"}, [60], DAY)
    server.add(SENT, vm(2) | {"metadata.user_labels.env": "prod", "metadata.system_labels.x": "y"}, [60], DAY)
    wanted = query(SENT, group_by=("metadata.user_labels.env",))
    frame = source(server).read(wanted, DAY, minutes(1))
    assert dict(frame.labels[0]) == {"resource.type": "gce_instance", "metadata.user_labels.env": "prod"}
    assert frame.values.tolist() == [[2]]


@pytest.mark.parametrize("metric", [SENT, NODE], ids=lambda metric: metric.kind)
def test_a_label_may_be_written_in_the_singular(server: MonitoringServer, metric: Metric) -> None:
    for project in ("p", "q"):
        server.add(metric, {"resource.labels.project_id": project}, [60, 120], DAY)
    server.scopes["p"] = {"p", "q"}
    wanted = query(
        metric, group_by=("resource.type", "resource.label.project_id"), split_by="resource.label.project_id"
    )
    frame = source(server).read(wanted, minutes(1), minutes(2))
    assert [labels["resource.labels.project_id"] for labels in frame.labels] == ["p", "q"]


def test_pages_that_each_cut_a_series_are_all_placed(server: MonitoringServer) -> None:
    server.page_size = 4
    for number in range(7):
        server.add(SENT, vm(number), 60 * np.arange(number, number + 3), DAY)
    same(rows(server, query(SENT), 0, 3), [[n, n + 1, n + 2] for n in range(7)])


def test_a_counter_cannot_be_grouped_by_metadata(server: MonitoringServer) -> None:
    server.metric(NODE)
    with pytest.raises(ConfigError, match="cumulative"):
        source(server).read(query(NODE, group_by=("metadata.user_labels.env",)), DAY, minutes(1))


@pytest.mark.parametrize("parts", [1, 2, 7, 36])
@pytest.mark.parametrize("metric", [SENT, NODE], ids=["delta", "cumulative"])
def test_the_parts_are_disjoint_and_complete(server: MonitoringServer, metric: Metric, parts: int) -> None:
    names = ["", "a", "b9", "Z", "é", "x\n", 'q"', "\\", "7", "10", "世", "-", "]"]
    label = ID if metric is SENT else "resource.labels.node_name"
    for name in names:
        server.add(metric, {label: name}, [60, 120], DAY)
    found = []
    for part in range(parts):
        wanted = query(metric, split_by=label, parts=parts, part=part)
        frame = source(server).read(wanted, minutes(1), minutes(2))
        assert source(server).count(wanted, minutes(1), minutes(2)) == len(frame.labels)
        found += [labels.get(label, "") for labels in frame.labels]
    assert sorted(found) == sorted(names)


def test_a_filter_narrows_and_cannot_reach_further(server: MonitoringServer) -> None:
    server.add(SENT, vm(1), [60], DAY)
    server.add(SENT, vm(2), [120], DAY)
    wide = source(server, filter=f'{ID} = "1" OR {ID} = "3"')
    (wanted,) = wide.metrics((SENT.type,))
    assert wide.read(wanted, DAY, minutes(1)).values.tolist() == [[1]]
    with pytest.raises(ConfigError, match="does not match"):
        source(server, filter=f'{ID} = "1") OR ({ID} = "2"')


def test_counting_reads_no_point(server: MonitoringServer) -> None:
    for number in range(7):
        server.add(SENT, vm(number), [60, 60], DAY)
    server.page_size = 3
    assert source(server).count(query(SENT), DAY, minutes(2)) == 7
    assert all(asked.view == 1 for asked in server.requests if hasattr(asked, "view"))
    assert server.calls["ListTimeSeries"] == 3


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (minutes(0.5), minutes(2)),
        (minutes(0), minutes(1.5)),
        (minutes(1), minutes(1)),
        (minutes(0).replace(tzinfo=None), minutes(1)),
    ],
)
def test_a_window_off_the_grid_is_refused(server: MonitoringServer, start: object, end: object) -> None:
    server.metric(SENT)
    with pytest.raises((ConfigError, TypeError)):
        source(server).read(query(SENT), start, end)  # type: ignore[arg-type]  # datetimes


def test_the_local_time_zone_shifts_nothing(server: MonitoringServer) -> None:
    server.add(SENT, vm(1), [60, 120, 180], DAY)
    script = (
        "from tests.monitoring.fixtures import *\n"
        f"s = Monitoring(('p',), MINUTE, now=minutes(2880), endpoint={server.endpoint!r})\n"
        "f = s.read(query(SENT), minutes(1), minutes(3))\n"
        "print(f.values.tolist(), f.start.isoformat())"
    )
    environ = {**os.environ, "TZ": "America/New_York"}
    done = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[[2.0, 3.0]] 2026-11-20T00:01:00+00:00", done.stderr
