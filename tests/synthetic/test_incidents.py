from collections import Counter
from datetime import timedelta
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors import Frame
from job.sources.synthetic import Injected, Synthetic
from tests.synthetic.reading import DAY, EVERYTHING, MONDAY, VM, query, read

KINDS = {
    "surge",
    "flood",
    "exfiltration",
    "scan",
    "blackout",
    "absence",
    "received-loss",
    "sent-loss",
    "level-shift",
    "ramp",
    "zone-outage",
}
MINUTES = timedelta(minutes=1)


def mine(frame: Frame, incident: Injected) -> list[int]:
    return [i for i, labels in enumerate(frame.labels) if incident.labels.items() <= labels.items()]


def during(frame: Frame, incident: Injected) -> slice:
    """The columns that the incident covers wholly."""
    return slice(-((frame.start - incident.start) // frame.step), (incident.end - frame.start) // frame.step)


@cache
def four_weeks(metric: str, *, incidents: bool) -> Frame:
    return read(Synthetic(incidents=incidents), metric, 28)


def excerpt(metric: str, incident: Injected, *, incidents: bool = True) -> NDArray[np.float64]:
    frame = four_weeks(metric, incidents=incidents)
    (place,) = mine(frame, incident)
    return frame.values[place, during(frame, incident)]


def found(kind: str) -> list[Injected]:
    incidents = Synthetic().incidents(MONDAY + DAY, MONDAY + 27 * DAY)
    return [i for i in incidents if i.kind == kind and i.labels["resource.type"] == "gce_instance"]


def before_and_after(incident: Injected, quantity: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    metric = f"{VM}{quantity}_count"
    quiet, loud = (excerpt(metric, incident, incidents=on) for on in (False, True))
    there = ~np.isnan(quiet) & ~np.isnan(loud)
    return quiet[there], loud[there]


def test_a_dozen_machines_have_three_to_five_incidents_a_day() -> None:
    days = 200
    incidents = Synthetic().incidents(MONDAY, MONDAY + days * DAY)
    assert 3 <= len(incidents) / days <= 5


def test_every_kind_happens_and_resources_of_all_families_have_some() -> None:
    incidents = Synthetic().incidents(MONDAY, MONDAY + 120 * DAY)
    kinds = Counter(i.kind for i in incidents)
    assert set(kinds) == KINDS
    assert {i.labels["resource.type"] for i in incidents} == {"gce_instance", "nat_gateway", "vpn_gateway"}


def test_little_of_the_time_is_anomalous() -> None:
    incidents = Synthetic().incidents(MONDAY, MONDAY + 100 * DAY)
    time = sum((i.end - i.start for i in incidents if "resource.labels.instance_id" in i.labels), timedelta(0))
    assert 0.01 < time / (12 * 100 * DAY) < 0.05


def test_values_differ_from_quiet_ones_where_incidents_are_recorded_and_nowhere_else() -> None:
    loud, quiet = Synthetic(seed=1), Synthetic(seed=1, incidents=False)
    incidents = loud.incidents(MONDAY, MONDAY + 28 * DAY)
    for asked in loud.metrics(EVERYTHING):
        frame, calm = (source.read(asked, MONDAY, MONDAY + 28 * DAY) for source in (loud, quiet))
        assert frame.labels == calm.labels
        differs = ~np.isclose(frame.values, calm.values, rtol=1e-12, atol=0, equal_nan=True)
        recorded = np.zeros_like(differs)
        for incident in incidents:
            if asked.metric in incident.metrics:
                columns = slice(
                    max((incident.start - MONDAY) // frame.step, 0), -((MONDAY - incident.end) // frame.step)
                )
                recorded[mine(frame, incident), columns] = True
        assert differs.any() == recorded.any()
        assert not (differs & ~recorded).any(), asked.metric


@pytest.mark.parametrize("kind", sorted(KINDS - {"zone-outage"}))
def test_an_incident_shows_in_every_metric_that_it_names(kind: str) -> None:
    incidents = found(kind)
    assert incidents
    for incident in incidents[:4]:
        for metric in incident.metrics:
            loud = excerpt(metric, incident)
            quiet = excerpt(metric, incident, incidents=False)
            assert not np.allclose(loud, quiet, equal_nan=True), (incident, metric)


@pytest.mark.parametrize("kind", ["blackout", "absence"])
def test_silence_is_zero_or_missing(kind: str) -> None:
    for incident in found(kind):
        for metric in incident.metrics:
            loud = excerpt(metric, incident)
            assert np.isnan(loud).all() if kind == "absence" else np.nanmax(loud) == 0


def test_a_flood_is_of_packets_more_than_of_bytes() -> None:
    for incident in found("flood"):
        quiet, loud = before_and_after(incident, "received_packets")
        more_packets = loud.sum() - quiet.sum()
        quiet, loud = before_and_after(incident, "received_bytes")
        assert 50 < (loud.sum() - quiet.sum()) / more_packets < 70


def test_an_exfiltration_sends_large_packets() -> None:
    for incident in found("exfiltration"):
        quiet, loud = before_and_after(incident, "sent_bytes")
        more_bytes = loud.sum() - quiet.sum()
        quiet, loud = before_and_after(incident, "sent_packets")
        assert more_bytes / (loud.sum() - quiet.sum()) > 1300


def test_a_scan_leaves_drops_at_the_firewall() -> None:
    for incident in found("scan"):
        drops = excerpt("compute.googleapis.com/firewall/dropped_packets_count", incident)
        assert not np.isnan(drops).any()
        assert drops.min() > 0


@pytest.mark.parametrize("way", ["received", "sent"])
def test_a_loss_takes_its_part_of_one_direction(way: str) -> None:
    for incident in found(f"{way}-loss"):
        for unit in ("bytes", "packets"):
            quiet, loud = before_and_after(incident, f"{way}_{unit}")
            assert np.isclose(loud.sum() / quiet.sum(), 1 - incident.size, rtol=0.01)
            other = "sent" if way == "received" else "received"
            quiet, loud = before_and_after(incident, f"{other}_{unit}")
            assert np.array_equal(quiet, loud)


def test_a_level_shift_multiplies_everything() -> None:
    sizes = [incident.size for incident in found("level-shift")]
    for incident in found("level-shift"):
        for quantity in ("received_bytes", "sent_packets"):
            quiet, loud = before_and_after(incident, quantity)
            assert np.isclose(loud.sum() / quiet.sum(), incident.size, rtol=0.01)
    assert min(sizes) < 1 < max(sizes)


def test_a_ramp_grows() -> None:
    for incident in found("ramp"):
        quiet, loud = before_and_after(incident, "sent_bytes")
        growth = loud / quiet
        assert (np.diff(growth) > -1e-3).all()
        assert growth[0] < 1.1
        assert np.isclose(growth[-1], 1 + incident.size, rtol=0.05)


def test_a_zone_goes_out_as_one_and_alone() -> None:
    source = Synthetic()
    outage = next(i for i in source.incidents(MONDAY, MONDAY + 200 * DAY) if i.kind == "zone-outage")
    day = outage.start.replace(hour=0, minute=0)
    frame = source.read(query(source, VM + "sent_bytes_count"), day, day + 2 * DAY)
    columns = during(frame, outage)
    inside = mine(frame, outage)
    assert 2 < len(inside) < len(frame.labels)
    assert np.nanmax(frame.values[inside, columns]) == 0
    outside = np.delete(frame.values, inside, axis=0)
    assert np.nanmax(outside[:, columns]) > 0


def test_sizes_run_from_easy_to_hard() -> None:
    incidents = Synthetic(vms=200).incidents(MONDAY, MONDAY + 30 * DAY)
    surges = [i.size for i in incidents if i.kind == "surge"]
    assert min(surges) < 1
    assert max(surges) > 8
    assert 2 < float(np.median(surges)) < 4


def test_incidents_of_a_resource_never_meet() -> None:
    incidents = Synthetic(vms=50).incidents(MONDAY, MONDAY + 60 * DAY)
    ends: dict[tuple[str, ...], object] = {}
    for i in incidents:
        if i.kind == "zone-outage":
            assert not any(
                j.labels.items() >= i.labels.items() and j.start < i.end and i.start < j.end
                for j in incidents
                if j is not i
            )
            continue
        resource = tuple(sorted(i.labels.values()))
        assert resource not in ends or ends[resource] <= i.start  # type: ignore[operator]  # datetimes all
        ends[resource] = i.end


def test_some_incidents_cross_midnight() -> None:
    incidents = Synthetic().incidents(MONDAY, MONDAY + 28 * DAY)
    assert any(i.start.date() != (i.end - MINUTES).date() for i in incidents)


def test_a_window_of_incidents_is_what_touches_it() -> None:
    source = Synthetic(seed=9)
    start, end = MONDAY + 1.5 * DAY, MONDAY + 3.25 * DAY
    whole = source.incidents(MONDAY - DAY, MONDAY + 7 * DAY)
    assert source.incidents(start, end) == tuple(i for i in whole if i.start < end and start < i.end)
    assert source.incidents(start, start) == ()


def test_a_quiet_source_has_no_incidents() -> None:
    assert Synthetic(incidents=False).incidents(MONDAY, MONDAY + 100 * DAY) == ()
