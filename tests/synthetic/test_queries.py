from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from job.errors import ConfigError
from job.sources import Source
from job.sources.synthetic import Synthetic
from tests.synthetic.reading import DAY, EVERYTHING, MONDAY, VM, query, rows

SOURCE: Source = Synthetic()
PACKETS = VM + "sent_packets_count"


def test_no_name_stands_for_the_machines() -> None:
    assert SOURCE.metrics(()) == SOURCE.metrics(("vm",))
    assert [q.metric.removeprefix(VM) for q in SOURCE.metrics(())] == [
        "received_bytes_count",
        "sent_bytes_count",
        "received_packets_count",
        "sent_packets_count",
    ]


def test_a_metric_is_asked_once_and_queries_are_complete() -> None:
    queries = SOURCE.metrics((*EVERYTHING, "vm", PACKETS))
    assert len({q.metric for q in queries}) == len(queries)
    for q in queries:
        assert q.name
        assert q.step == timedelta(minutes=5)
        assert q.split_by in q.group_by
        assert SOURCE.count(q, MONDAY, MONDAY + 7 * DAY) > 0


def test_units_are_rates() -> None:
    units = {q.metric.rsplit("/")[-1]: SOURCE.describe(q).unit for q in SOURCE.metrics(EVERYTHING)}
    assert units["received_bytes_count"] == "By/s"
    assert units["sent_packets_count"] == "packets/s"
    assert units["dropped_bytes_count"] == "By/s"
    assert units["dropped_packets_count"] == "packets/s"
    assert units["new_connections_count"] == "connections/s"


def test_all_means_all_that_is_invented() -> None:
    assert {q.metric for q in SOURCE.metrics(("all",))} == {q.metric for q in SOURCE.metrics(EVERYTHING)}


@pytest.mark.parametrize("name", ["run", "compute.googleapis.com/instance/cpu/utilization"])
def test_a_metric_that_is_not_invented_is_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(ConfigError, match=r"synthetic source has no metric .*instance/network/sent_bytes_count"):
        SOURCE.metrics((name,))


def test_a_name_that_means_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="no preset 'vms'"):
        SOURCE.metrics(("vms",))


@pytest.mark.parametrize("end", [MONDAY, MONDAY + DAY])
def test_a_frame_covers_exactly_what_was_asked(end: object) -> None:
    assert end in (MONDAY, MONDAY + DAY)
    stop = MONDAY if end == MONDAY else MONDAY + DAY
    frame = SOURCE.read(query(Synthetic(), PACKETS), MONDAY, stop)
    assert frame.start == MONDAY
    assert frame.end == stop or not frame.labels


def test_series_without_points_are_left_out() -> None:
    drops = query(Synthetic(), "compute.googleapis.com/firewall/dropped_packets_count")
    hour = SOURCE.read(drops, MONDAY, MONDAY + timedelta(hours=1))
    assert len(hour.labels) < 12
    assert not np.isnan(hour.values).all(axis=1).any()
    assert SOURCE.count(drops, MONDAY, MONDAY + timedelta(hours=1)) == len(hour.labels)


@pytest.mark.parametrize(
    ("reducer", "reduce"), [("sum", np.nansum), ("mean", np.nanmean), ("min", np.nanmin), ("max", np.nanmax)]
)
def test_groups_are_made_of_their_series(reducer: str, reduce: np.ufunc) -> None:
    asked = query(Synthetic(), PACKETS)
    single = rows(SOURCE.read(asked, MONDAY, MONDAY + DAY))
    zones = replace(asked, group_by=("resource.labels.zone",), reducer=reducer)
    grouped = rows(SOURCE.read(zones, MONDAY, MONDAY + DAY))
    assert len(grouped) == 3
    for labels, values in grouped.items():
        assert [name for name, _ in labels] == ["resource.labels.zone", "resource.type"]
        members = np.stack([v for k, v in single.items() if set(labels) <= set(k)])
        assert len(members) == 4
        there = ~np.isnan(members).all(axis=0)
        assert np.allclose(values[there], reduce(members[:, there], axis=0))
        assert np.isnan(values[~there]).all()


def test_a_group_counts_its_series() -> None:
    asked = replace(query(Synthetic(), PACKETS), group_by=("resource.labels.project_id",), reducer="count")
    (counts,) = SOURCE.read(asked, MONDAY, MONDAY + DAY).values
    assert 11 <= np.median(counts) <= 12


def test_no_grouping_keeps_every_label() -> None:
    asked = replace(query(Synthetic(), PACKETS), group_by=())
    assert all("metric.labels.loadbalanced" in labels for labels in SOURCE.read(asked, MONDAY, MONDAY + DAY).labels)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"filter": 'resource.labels.zone = "a"'}, "cannot filter"),
        ({"project": "other"}, "no project 'other'; it has 'demo'"),
        ({"reducer": "median", "group_by": ("resource.labels.zone",)}, "no reducer 'median'"),
        ({"step": timedelta(minutes=7)}, "whole minutes that divide a day"),
        ({"step": timedelta(seconds=30)}, "whole minutes that divide a day"),
        ({"step": 2 * DAY}, "whole minutes that divide a day"),
        ({"step": timedelta(0)}, "whole minutes that divide a day"),
        ({"metric": "compute.googleapis.com/other"}, "no metric"),
    ],
)
def test_a_query_that_cannot_be_answered_is_refused(change: dict[str, object], message: str) -> None:
    asked = replace(query(Synthetic(), PACKETS), **change)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ConfigError, match=message):
        SOURCE.read(asked, MONDAY, MONDAY + DAY)


@pytest.mark.parametrize("shift", [timedelta(minutes=1), timedelta(seconds=1)])
def test_a_window_off_the_grid_is_refused(shift: timedelta) -> None:
    asked = query(Synthetic(), PACKETS)
    for start, end in ((MONDAY + shift, MONDAY + DAY), (MONDAY, MONDAY + DAY + shift), (MONDAY, MONDAY - DAY)):
        with pytest.raises(ConfigError, match="from grid line to grid line of 5m"):
            SOURCE.read(asked, start, end)


@pytest.mark.parametrize("settings", [{"seed": -1}, {"vms": 0}, {"step": timedelta(minutes=7)}])
def test_a_setting_out_of_bounds_is_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        Synthetic(**settings)  # type: ignore[arg-type]  # wrong on purpose


def test_the_present_is_the_clocks() -> None:
    assert SOURCE.now(MONDAY) == MONDAY


def test_the_repr_tells_the_settings() -> None:
    assert "seed=3" in repr(Synthetic(seed=3))
    assert "incidents=False" in repr(Synthetic(incidents=False))
