import json
import random
from cProfile import Profile
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from job.incident import Incident, group, severity
from job.kinship import Thing, census, groups, slot, thing
from tests.incidents.events import MINUTE, NIGHT, event, fleet
from tests.job.anomalies import anomaly

MIDNIGHT = NIGHT.replace(hour=0, minute=0) + timedelta(days=1)
FOUR = ("in bytes", "out bytes", "in packets", "out packets")


def test_the_four_directions_of_a_machine_are_one_incident() -> None:
    (incident,) = group(event(what, 5000, 1000) for what in FOUR)
    assert (incident.series, incident.resources) == (4, 1)
    assert incident.excess_bytes == 2 * 4000 * 1800
    assert incident.excess_packets == 2 * 4000 * 1800


def test_machines_that_have_nothing_in_common_are_two() -> None:
    found = group([event("in bytes", 5000, 1000, "web-1"), event("in bytes", 5000, 1000, "db-1", zone="us-east1-b")])
    assert [i.resources for i in found] == [1, 1]


def test_an_event_over_midnight_is_one_incident() -> None:
    evening = event("in bytes", 5000, 1000, start=MIDNIGHT - 40 * MINUTE, minutes=40, ongoing=True)
    morning = event("in bytes", 5000, 1000, start=MIDNIGHT, minutes=25, continued=True)
    (incident,) = group([morning, evening])
    assert (incident.start, incident.end) == (evening.start, morning.end)
    assert incident.state == "closed"
    assert incident.series == 1


def test_what_lasts_for_days_is_told_as_it_began() -> None:
    evening = event("in bytes", 0, 1e6, start=MIDNIGHT - 40 * MINUTE, minutes=40, kind="zero", severity=85)
    next_day = event("in bytes", 0, 1e3, start=MIDNIGHT, minutes=600, continued=True, kind="zero", severity=95)
    (incident,) = group([evening, next_day])
    assert "(1 MB/s expected" in incident.sentence
    assert (incident.severity, incident.peak) == (95, evening.peak)


def test_the_id_is_that_of_the_first_anomaly_however_much_follows() -> None:
    first = event("in bytes", 5000, 1000)
    later = event("out bytes", 5000, 1000, start=NIGHT + 10 * MINUTE)
    (alone,) = group([first])
    (both,) = group([later, first])
    assert alone.id == both.id


@pytest.mark.parametrize(("minutes", "count"), [(30, 1), (31, 2)])
def test_a_pause_ends_an_incident(minutes: int, count: int) -> None:
    first = event("in bytes", 5000, 1000)
    found = group([first, event("in bytes", 5000, 1000, start=first.end + minutes * MINUTE)])
    assert len(found) == count


def test_the_order_of_anomalies_does_not_matter() -> None:
    every = [event(w, 5000, 1000, f"web-{n}", start=NIGHT + n * 7 * MINUTE) for n in range(6) for w in FOUR]
    expected = group(every, fleet(*(f"web-{n}" for n in range(9))))
    random.Random(1).shuffle(every)
    assert group(every, fleet(*(f"web-{n}" for n in range(9)))) == expected


def test_a_zone_that_falls_silent_is_one_incident_and_says_of_how_many() -> None:
    names = ["cache-2", "db-7", "mail-3", "web-1"]
    gone = [event("in bytes", 0, 1000, name, kind="zero") for name in names[:3]]
    (incident,) = group(gone, fleet(*names, "far-1", **{"far-1": "us-east1-b"}))
    assert (incident.where, incident.resources, incident.tested) == ("europe-west1-b: cache-2, db-7, mail-3", 3, 4)
    assert "(3 VMs of 4)" in incident.sentence
    assert incident.resource.labels["zone"] == "europe-west1-b"
    assert "instance_id" not in incident.resource.labels


def test_one_machine_of_forty_is_one_machine() -> None:
    (incident,) = group([event("in bytes", 5000, 1000)], fleet(*(f"web-{n}" for n in range(40))))
    assert "(1 VM of 40)" in incident.sentence


def test_three_of_a_large_zone_are_three_incidents() -> None:
    some = [event("in bytes", 5000, 1000, name) for name in ("web-1", "db-7", "mail-3")]
    assert len(group(some, fleet("web-1", "db-7", "mail-3", *(f"x{n}y" for n in range(20))))) == 3


def test_machines_of_one_instance_group_are_one_incident() -> None:
    names = [f"web-{suffix}" for suffix in ("x3k9", "a1b2", "q7zz")]
    some = [event("in bytes", 5000, 1000, name, zone=f"europe-west{n}-b") for n, name in enumerate(names)]
    (incident,) = group(some)
    assert (incident.where.partition(":")[0], incident.resources) == ("web-*", 3)


def test_what_begins_an_hour_later_elsewhere_is_another_incident() -> None:
    found = group(
        [event("in bytes", 5000, 1000, f"web-{n}", start=NIGHT + n * 60 * MINUTE) for n in range(3)],
        fleet("web-0", "web-1", "web-2"),
    )
    assert len(found) == 3


def test_a_few_dropped_packets_are_not_severe() -> None:
    (few,) = group([event("refused", 0.01, 0, severity=100)])
    (many,) = group([event("refused", 1000, 0, severity=100)])
    assert few.severity <= 40
    assert many.severity >= 85


def test_more_series_and_more_machines_are_worse() -> None:
    one, four = [event("in bytes", 5000, 1000)], [event(w, 5000, 1000) for w in FOUR]
    assert severity(one, 1) < severity(four, 1) < severity(four, 8) <= 100


def published(*anomalies: object, **given: object) -> Incident:
    (incident,) = group(anomalies)  # type: ignore[arg-type]  # anomalies are made by `event`
    return incident.model_copy(update=given)


def test_a_published_incident_keeps_its_id_though_an_earlier_anomaly_turns_up() -> None:
    known = event("in bytes", 5000, 1000)
    told = published(known)
    (now,) = group([known, event("out bytes", 5000, 1000, start=NIGHT - 5 * MINUTE)], published=[told])
    assert now.id == told.id
    assert now.start == NIGHT - 5 * MINUTE


@pytest.mark.parametrize(("was", "shown", "amended"), [(71, 71, 0), (90, 90, 0), (55, 72, 1)])
def test_a_published_severity_is_frozen_but_for_a_worse_band(was: int, shown: int, amended: int) -> None:
    known = event("in bytes", 5000, 1000, severity=72)
    (now,) = group([known], published=[published(known, severity=was)])
    assert (now.severity, len(now.amendments)) == (shown, amended)


def test_that_a_surge_turned_out_to_be_a_level_shift_is_an_amendment_and_so_is_the_contrary() -> None:
    ways = ("in bytes", "in packets", "out bytes", "out packets")
    brief, long = ([event(w, 2100, 1000, minutes=minutes) for w in ways] for minutes in (30, 200))
    (told,) = group(brief)
    (now,) = group(long, published=[told])
    assert (told.nature, now.nature) == ("volumetric surge", "level shift")
    assert now.amendments == ("volumetric surge became level shift at 2026-11-22T06:30:00Z",)
    assert [i.amendments for i in group(long, published=[now])] == [now.amendments], "said once"
    (back,) = group(brief, published=[now])
    assert back.amendments[1:] == ("level shift became volumetric surge at 2026-11-22T03:40:00Z",)
    (flood,) = group([event("in packets", 20_000, 1000)], fleet("web-1"), published=[published(brief[1])])
    assert (flood.nature, flood.amendments) == ("flood", ())


def test_states() -> None:
    on = event("in bytes", 5000, 1000, ongoing=True)
    assert [i.state for i in group([on])] == ["open"]
    assert [i.state for i in group([on], published=[published(on)])] == ["ongoing"]
    assert [i.state for i in group([event("in bytes", 5000, 1000)], published=[published(on)])] == ["closed"]


def test_an_event_that_reached_midnight_is_over_once_the_next_day_is_judged() -> None:
    on = event("in bytes", 5000, 1000, ongoing=True)
    later = fleet("web-1")
    judged = type(later)(later.slots, later.census, {("demo", on.query): on.end + timedelta(hours=1)})
    assert [i.state for i in group([on], judged)] == ["closed"]


def test_the_sentence_has_numbers_units_history_and_votes() -> None:
    (incident,) = group([event("in bytes", 12_400_000, 1.5e6)], fleet("web-1", "web-2"))
    for words in ("12.4 MB/s", "1.2 to 1.8 MB/s", "up to 2d for ewma", "2 of 3 agree", "30m"):
        assert words in incident.sentence
    assert "19.6 GB more" in incident.sentence


def test_the_link_opens_metrics_explorer_at_the_series_and_its_time() -> None:
    labels = {"instance_name": 'we"b-1', "path": "a\\\u00fc&#", "metadata.user_labels.role": "db"}
    (incident,) = group([event("in bytes", 5000, 1000, labels=labels)])
    parts = urlsplit(incident.link)
    query = parse_qs(parts.query)
    state = json.loads(query["pageState"][0])
    conditions = state["xyChart"]["dataSets"][0]["timeSeriesFilter"]["filter"]
    assert query["project"] == ["demo"]
    assert 'metric.label."instance_name"="we\\"b-1"' in conditions
    assert 'metric.label."path"="a\\\\\u00fc&#"' in conditions
    assert 'metadata.user_labels."role"="db"' in conditions
    assert 'metric.type="compute.googleapis.com/instance/network/received_bytes_count"' in conditions
    assert "startTime=2026-11-21T21:10:00Z;endTime=2026-11-22T09:40:00Z" in unquote(parts.path)


def test_the_link_of_a_ratio_opens_both_of_its_metrics() -> None:
    (incident,) = group([anomaly(metric="derived.netanomaly/vm/received_packet_size", unit="By/packet")])
    state = json.loads(parse_qs(urlsplit(incident.link).query)["pageState"][0])
    shown = [one["timeSeriesFilter"] for one in state["xyChart"]["dataSets"]]
    for one, name in zip(shown, ("bytes", "packets"), strict=True):
        assert f'metric.type="compute.googleapis.com/instance/network/received_{name}_count"' in one["filter"]
        assert 'metric.label."instance_name"="web-1"' in one["filter"]
        assert one["aggregations"][0]["perSeriesAligner"] == "ALIGN_RATE"


@pytest.mark.parametrize(
    "given",
    [
        {"resource": {"type": "file", "labels": {}}, "metric": "bytes_in"},
        {"labels": {"endless": "x" * 10_000}},
    ],
)
def test_what_metrics_explorer_does_not_know_has_no_link(given: dict[str, Any]) -> None:
    (incident,) = group([anomaly(**given)])
    assert incident.link == ""


def test_the_directions_of_a_file_s_host_are_one_resource() -> None:
    two = [
        anomaly(n, resource={"type": "file", "labels": {}}, metric="bytes", labels={"host": "a", "direction": way})
        for n, way in enumerate(["ingress", "egress"])
    ]
    assert len({thing(a) for a in two}) == 1
    assert {slot(a.metric, a.labels, a.unit).way for a in two} == {"in", "out"}


def test_census_counts_a_resource_once_whatever_its_series() -> None:
    one = Thing("p", "gce_instance", (("instance_name", "web-1"), ("zone", "europe-west1-b")))
    other = Thing("p", "gce_instance", (("instance_name", "web-2"), ("zone", "europe-west1-c")))
    assert census([one, one, other]) == {
        "": 2,
        "prefix=web": 2,
        "region=europe-west1": 2,
        "zone=europe-west1-b": 1,
        "zone=europe-west1-c": 1,
    }
    assert groups(Thing("p", "x", ())) == {}


def test_a_record_is_one_line_and_reads_back() -> None:
    (incident,) = group([event("in bytes", 5000, 1000, "web\n<b>")])
    assert "\n" not in incident.line()
    assert Incident.model_validate_json(incident.line()) == incident


def test_who_sent_nothing_is_not_said_to_be_missed_by_numbers() -> None:
    (one,) = group([event("in bytes", None, 0, kind="absent")])
    assert "received bytes stopped reporting (idle then, but it had reported every 5m)" in one.sentence


@pytest.mark.parametrize(
    ("names", "worst"), [(("web-x3k9", "web-ab12"), 69), (("web-7", "web-8"), 90), (("web-x3k9",), 90)]
)
def test_one_member_of_an_instance_group_that_is_gone_is_no_night_call(names: tuple[str, ...], worst: int) -> None:
    gone = event("in bytes", None, 1000, names[0], kind="absent", severity=90)
    (incident,) = group([gone], fleet(*names))
    assert incident.severity == worst
    assert any("instance group" in words for words in incident.evidence) == (worst == 69)


def test_several_that_miss_points_at_once_are_worse_than_one() -> None:
    names = [f"web-{n}" for n in range(8)]
    gone = [event("in bytes", None, 1000, name, kind="absent", severity=43) for name in names]
    assert [severity(gone[:n], n) for n in (1, 2, 4, 8)] == [43, 58, 74, 90]


def test_an_incident_says_how_many_of_its_kind_were_there_that_day() -> None:
    evening = NIGHT.replace(hour=22)
    times = [NIGHT, evening, evening + 50 * MINUTE, evening + 90 * MINUTE, evening + 180 * MINUTE]
    every = [event("in bytes", 2e6, 1e5, start=start, minutes=5) for start in times]
    other = event("in bytes", 2e6, 1e5, "web-2", start=evening, zone="us-east1-b", minutes=5)
    found = sorted((i for i in group([*every, other]) if i.where.startswith("web-1")), key=lambda i: i.start)
    said = ["", "2nd of its kind there since 03:10 UTC that day.", "3rd", "4th", ""]
    assert [words in i.sentence for words, i in zip(said, found, strict=True)] == [True] * 5
    assert ["of its kind" in i.sentence for i in found] == [False, True, True, True, False]
    (late,) = [i for i in group(every[1:3]) if i.start > evening]
    assert late.id == found[2].id, "what was there before changes no more than the sentence"


def test_what_is_worst_is_said_to_have_begun_later_where_it_did() -> None:
    rose = event("in bytes", 2e6, 1e5, minutes=60)
    fell = [event(w, 0, 1e5, start=NIGHT + 60 * MINUTE, kind="zero", severity=95) for w in ("in bytes", "out bytes")]
    (incident,) = group([rose, *fell])
    assert "since 04:10 UTC in an incident from 2026-11-22 03:10 UTC, 1h30m." in incident.sentence
    (alone,) = group(fell)
    assert "in an incident" not in alone.sentence


@pytest.mark.parametrize(
    ("metric", "unit", "said"),
    [
        ("x.com/rx_pkts", "1/s", "received packets"),
        ("x.com/in", "packets/s", "received packets"),
        ("x.com/tx_octets", "1/s", "sent bytes"),
        ("x.com/out", "By/s", "sent bytes"),
        ("x.com/rx_packet_drops", "1/s", "received drops"),
        ("x.com/sessions", "1/s", "connections"),
        ("x.com/cpu", "1", "other"),
    ],
)
def test_what_a_metric_counts_is_told_by_its_name_or_its_unit(metric: str, unit: str, said: str) -> None:
    assert str(slot(metric, {}, unit)) == said


@pytest.mark.parametrize("alone", [False, True])
def test_ten_times_as_many_anomalies_are_ten_times_the_work(alone: bool) -> None:
    def calls(count: int) -> int:
        where = [("web-1", n * 20) if alone else (f"web-{n}", 0) for n in range(count)]
        every = [event("out bytes", None, 4e6, one, kind="absent", start=NIGHT + at * MINUTE) for one, at in where]
        known, profile = fleet(*{name for name, _ in where}), Profile()
        assert len(profile.runcall(group, every, known)) == 1
        return sum(entry.callcount for entry in profile.getstats())

    assert calls(300) < 12 * calls(30)
