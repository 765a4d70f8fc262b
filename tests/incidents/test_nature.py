import itertools
from datetime import timedelta

import pytest

from job.account import briefly
from job.anomaly import Anomaly
from job.incident import Incident, group
from job.kinship import Slot, last
from job.nature import NATURES, RULES, Shape, Top, movement, nature
from tests.incidents.events import MINUTE, NIGHT, TRAFFIC, event, fleet
from tests.job.anomalies import anomaly

DAY = NIGHT + timedelta(hours=10)


def named(*anomalies: Anomaly) -> Incident:
    (incident,) = group(anomalies, fleet("web-1", "web-2", "web-3", "web-4"))
    return incident


CASES = {
    "flood": [event("in packets", 20_000, 1000), event("in bytes", 1.34e6, 200e3), event("refused", 900, 0)],
    "scan-like": [event("out packets", 9000, 500), event("out bytes", 1.01e6, 500e3), event("refused", 400, 0)],
    "exfiltration-like": [event("out bytes", 30e6, 2e6), event("out packets", 22_000, 2000)],
    "volumetric surge": [
        event("in bytes", 2e6, 200e3, start=DAY),
        event("in packets", 10_000, 1000, start=DAY),
        event("out bytes", 2e6, 1e6, start=DAY),
    ],
    "blackout": [event(w, 0, 1000, kind="zero") for w in ("in bytes", "in packets", "out bytes", "out packets")],
    "absent resource": [event(w, None, 1000, kind="absent") for w in ("in bytes", "in packets", "out bytes")],
    "partial loss": [event("in bytes", 40e3, 200e3), event("in packets", 200, 1000)],
    "asymmetry": [event("in bytes", 0, 200e3, kind="zero"), event("in packets", 0, 1000, kind="zero")],
    "level shift": [event(w, 2100, 1000, minutes=300) for w in ("in bytes", "in packets", "out bytes", "out packets")],
    "unclassified": [event("refused", 400, 0)],
}


@pytest.mark.parametrize("name", CASES)
def test_what_moves_like_something_is_named_so(name: str) -> None:
    incident = named(*CASES[name])
    assert incident.nature == name
    assert (incident.confidence >= 0.5) == (name != "unclassified")
    assert incident.evidence
    assert ("Perhaps flood or scan-like: 400 packets/s refused" in incident.sentence) == (name == "unclassified")


@pytest.mark.parametrize(("one", "other"), [*itertools.permutations(["flood", "scan-like", "blackout"], 2)])
def test_natures_do_not_depend_on_the_order_of_anomalies(one: str, other: str) -> None:
    assert named(*reversed(CASES[one])).nature == one != other


def test_a_surge_of_the_usual_packets_is_no_flood() -> None:
    assert named(event("in packets", 20_000, 1000), event("in bytes", 4e6, 200e3)).nature == "volumetric surge"


@pytest.mark.parametrize(("left", "name"), [(10, "blackout"), (100, "unclassified")])
def test_what_was_often_at_nothing_before_goes_with_a_blackout(left: float, name: str) -> None:
    silent = [event(w, 0, 1000, kind="zero") for w in ("in bytes", "in packets", "out packets")]
    assert named(*silent, event("out bytes", left, 1000)).nature == name


def test_nothing_is_called_flat_that_was_not_judged() -> None:
    only = [event("out bytes", 30e6, 2e6)]
    assert nature(movement(only, judged=TRAFFIC)).name == "exfiltration-like"
    assert nature(movement(only, judged={Slot("out", "bytes")})).name != "exfiltration-like"


def test_what_leaves_for_days_is_no_level_shift_while_as_much_comes_in_as_ever() -> None:
    ways = (("out bytes", 18e6, 3.4e6), ("out packets", 14e3, 3e3), ("in packets", 6.6e3, 1.4e3))
    left = [event(w, o, e, start=DAY, minutes=1440, adopted=True) for w, o, e in ways]
    assert named(*left).nature == "exfiltration-like"
    assert named(*left, event("in bytes", 8e6, 2e6, start=DAY, minutes=1440, adopted=True)).nature == "level shift"


def test_what_goes_out_where_nothing_else_was_judged_may_be_data_that_leaves() -> None:
    words = "whether as much came in is not known, so it may also be data that leaves"
    only = [event("out bytes", 30e6, 2e6)]
    assert words in nature(movement(only, judged={Slot("out", "bytes")})).evidence
    assert words not in nature(movement([event("in bytes", 30e6, 2e6)], judged=TRAFFIC)).evidence


def test_an_unusual_hour_makes_an_exfiltration_surer() -> None:
    night = named(*CASES["exfiltration-like"])
    day = named(*(event(w, o, e, start=DAY) for w, o, e in (("out bytes", 30e6, 2e6), ("out packets", 22e3, 2e3))))
    assert day.nature == night.nature == "exfiltration-like"
    assert night.confidence > day.confidence
    assert any("04 o'clock" in words for words in night.evidence)


def test_a_burst_of_minutes_is_no_exfiltration() -> None:
    burst = [
        event("out bytes", 30e6, 2e6, start=DAY, minutes=5),
        event("out packets", 22_000, 2000, start=DAY, minutes=5),
    ]
    assert named(*burst).nature == "volumetric surge"


def test_the_size_of_packets_is_evidence_where_it_was_judged() -> None:
    size = "derived.netanomaly/vm/received_packet_size"
    small = event("in packets", 60, 300, minutes=30)
    small = small.model_copy(update={"metric": size, "unit": "By/packet", "excess_unit": "By/packet·s"})
    assert any("mean size fell to 60 B/packet" in words for words in named(*CASES["flood"], small).evidence)
    assert not any("mean size" in words for words in named(*CASES["flood"]).evidence)


def ratio(name: str, observed: float, expected: float, unit: str = "1") -> Anomaly:
    """An anomaly of a ratio of two metrics of web-1."""
    one = event("in packets", observed, expected, minutes=40, start=DAY)
    metric = f"derived.netanomaly/vm/{name}"
    return one.model_copy(update={"metric": metric, "query": name, "unit": unit, "excess_unit": f"{unit}·s"})


@pytest.mark.parametrize(
    ("moved", "name", "words"),
    [
        (
            [ratio("sent_per_received", 0.9, 5.1)],
            "asymmetry",
            "0.9 bytes go out for each that comes in, 5.1 were expected; neither was flagged by itself: less goes out",
        ),
        ([ratio("sent_per_received", 9.9, 2.5)], "asymmetry", "less comes in, or more goes out"),
        (
            [ratio("sent_per_received", 30, 2.5), ratio("received_per_sent", 0.03, 0.4)],
            "partial loss",
            "received bytes were 8% of what sent bytes let expect; sent bytes were not flagged, as 12 times as many",
        ),
        (
            [ratio("received_per_sent", 12, 2.5)],
            "partial loss",
            "sent bytes were 21% of what received bytes let expect",
        ),
        (
            [ratio("received_per_sent", 6, 2.5)],
            "asymmetry",
            "6 bytes come in for each that goes out, 2.5 were expected",
        ),
        ([ratio("received_per_sent", 0.3, 2.5)], "asymmetry", "less comes in, or more goes out"),
        (
            [ratio("received_per_sent", 12, 2.5), ratio("sent_packet_size", 112, 66, "By/packet")],
            "asymmetry",
            "less goes out, or more comes in",
        ),
        (
            [ratio("received_per_sent", 12, 2.5), ratio("received_packet_size", 900, 600, "By/packet")],
            "volumetric surge",
            "the mean size of received packets became 900 B/packet",
        ),
        (
            [ratio("sent_per_received", 18, 5), ratio("received_packet_size", 130, 190, "By/packet")],
            "asymmetry",
            "the mean size of received packets became 130 B/packet",
        ),
        (
            [ratio("received_packet_size", 70, 1100, "By/packet"), event("refused", 180, 0, start=DAY)],
            "flood",
            "the mean size of received packets fell to 70 B/packet, so small ones were added",
        ),
        (
            [
                ratio("received_packet_size", 140, 190, "By/packet"),
                ratio("sent_packet_size", 75, 1100, "By/packet"),
                event("refused", 180, 0, start=DAY),
            ],
            "scan-like",
            "180 packets/s were refused or dropped",
        ),
        ([ratio("sent_packet_size", 112, 66, "By/packet")], "unclassified", ""),
        ([ratio("sent_per_received", 18, 5), event("in bytes", 100, 1000, start=DAY)], "partial loss", ""),
    ],
)
def test_ratios_alone_say_what_moved_too_little_to_be_flagged(moved: list[Anomaly], name: str, words: str) -> None:
    incident = named(*moved)
    assert incident.nature == name
    assert words in incident.sentence


def test_a_loss_that_only_ratios_show_is_no_burst_and_the_other_direction_was_judged() -> None:
    lost = ratio("received_per_sent", 12, 2.5)
    brief = lost.model_copy(update={"end": lost.start + 10 * MINUTE})
    judged = {TRAFFIC: "partial loss", TRAFFIC - {Slot("in", "bytes")}: "asymmetry"}
    for slots, name in judged.items():
        assert nature(movement([lost], slots)).name == name
        assert nature(movement([brief], slots)).name == "asymmetry"


def test_ratios_of_several_machines_are_not_added_up() -> None:
    one, other = (ratio("sent_per_received", observed, 1.0) for observed in (2.0, 4.0))
    other = other.model_copy(update={"id": "0" * 16, "labels": {"instance_name": "web-2"}})
    move = movement([one, other]).move("", "ratio")
    assert move is not None
    assert (move.observed, move.expected) == (3.0, 1.0)


def test_bytes_that_come_in_as_well_are_no_exfiltration() -> None:
    assert named(event("out bytes", 30e6, 2e6), event("in bytes", 3e6, 200e3)).nature == "volumetric surge"


def test_a_gateway_with_a_flat_top_and_drops_is_saturated() -> None:
    gateway = {"resource": {"type": "nat_gateway", "labels": {"region": "europe-west1", "gateway_name": "nat-1"}}}
    sent = anomaly(1, metric="router.googleapis.com/nat/sent_bytes_count", **gateway)
    drops = anomaly(2, metric="router.googleapis.com/nat/dropped_sent_packets_count", unit="packets/s", **gateway)
    (flat,) = group([sent, drops], shapes={sent.id: Shape(flat=0.01)})
    (round_top,) = group([sent, drops], shapes={sent.id: Shape(flat=0.3)})
    assert (flat.nature, round_top.nature == "saturation") == ("saturation", False)


def test_what_one_machine_loses_and_its_peers_gain_is_a_shift() -> None:
    falls = event("in bytes", 10e3, 900e3, "web-1")
    rise = [event("in bytes", 500e3, 200e3, name, start=NIGHT + 5 * MINUTE) for name in ("web-2", "web-3", "web-4")]
    incident = named(falls, *rise)
    assert (incident.nature, incident.resources) == ("traffic shift", 4)
    assert f" of {incident.top[0].where} " in briefly(incident), "whose it is, for others did the contrary"


@pytest.mark.parametrize(("gained", "sure"), [(0.7, 0.7), (1.0, 0.85), (1.25, 0.8)])
def test_the_better_a_shift_balances_the_surer_it_is_but_never_certain(gained: float, sure: float) -> None:
    falls = event("in bytes", 100e3, 900e3, "web-1")
    rise = [event("in bytes", 200e3 + gained * 400e3, 200e3, name) for name in ("web-2", "web-3")]
    incident = named(falls, *rise)
    assert (incident.nature, incident.confidence) == ("traffic shift", sure)


def test_a_rise_much_larger_than_the_fall_is_no_shift() -> None:
    found = group([event("in bytes", 10e3, 900e3, "web-1"), event("in bytes", 50e6, 200e3, "web-2")], fleet("web-1"))
    assert {i.nature for i in found} & {"traffic shift"} == set()


def test_drops_that_stay_the_same_are_no_flat_top_of_the_traffic() -> None:
    gateway = {"resource": {"type": "nat_gateway", "labels": {"region": "europe-west1", "gateway_name": "nat-1"}}}
    drops = anomaly(1, metric="router.googleapis.com/nat/dropped_sent_packets_count", unit="packets/s", **gateway)
    (one,) = group([drops], None, (), {drops.id: Shape(flat=0.0)})
    assert one.nature == "partial loss"


def test_a_share_of_drops_that_stays_the_same_is_no_flat_top_of_the_traffic() -> None:
    share = ratio("", 0.6, 0.01).model_copy(update={"metric": "derived.netanomaly/nat/sent_drop_share"})
    drops = event("refused", 400, 0, start=DAY).model_copy(update={"metric": "router.googleapis.com/nat/dropped_sent"})
    (one,) = group([share, drops], shapes={share.id: Shape(flat=0.01), drops.id: Shape(flat=0.01)})
    assert one.nature != "saturation"


def test_bytes_and_packets_are_never_added_up() -> None:
    both = named(event("refused bytes", 24_000, 0), event("refused", 400, 0))
    assert "400 packets/s refused" in both.sentence


def test_a_small_rise_of_packets_is_a_scan_where_the_firewall_refuses_more() -> None:
    few = event("out packets", 900, 500)
    assert named(few, event("refused", 400, 0)).nature == "scan-like"
    assert named(few).nature != "scan-like"


def test_every_nature_has_a_case_here_or_above() -> None:
    assert {*CASES, "saturation", "traffic shift"} == set(NATURES)
    assert len(RULES) == len(NATURES) - 1


def test_what_goes_on_the_next_day_has_not_ended_at_midnight() -> None:
    first = event("in bytes", 100, 1000, minutes=300, ongoing=True)
    rest = event("in bytes", 100, 1000, start=first.end, minutes=5, continued=True)
    assert [movement(some).over for some in ([first], [first, rest])] == [False, True]
    assert last([first, rest]) == [rest]
    assert last([first, rest.model_copy(update={"direction": "up"})]) == [
        first,
        rest.model_copy(update={"direction": "up"}),
    ]


WAYS = ("in bytes", "in packets", "out bytes", "out packets")


@pytest.mark.parametrize(
    ("factors", "minutes", "name"),
    [
        ((3.9, 4.0, 4.1, 5.8), 300, "level shift"),
        ((3.9, 4.0, 4.1, 6.0), 300, "volumetric surge"),
        ((2.6, 4.0, 4.1, 6.0), 700, "volumetric surge"),
        ((2.6, 4.0, 4.1, 6.0), 720, "level shift"),
        ((2.6, 4.0, 4.1, 6.6), 720, "volumetric surge"),
        ((7.0, 7.0, 7.0, 7.0), 700, "volumetric surge"),
        ((7.0, 7.0, 7.0, 7.0), 720, "level shift"),
    ],
)
def test_a_level_is_told_by_the_middle_of_its_time_not_by_its_peaks(
    factors: tuple[float, ...], minutes: int, name: str
) -> None:
    peaks = zip(WAYS, (20e6, 20e3, 15e6, 3.4e3), (500e3, 1e3, 500e3, 1e3), strict=True)
    moved = [event(w, peak, usual, minutes=minutes) for w, peak, usual in peaks]
    shapes = {a.id: Shape(factor=factor) for a, factor in zip(moved, factors, strict=True)}
    (incident,) = group(moved, shapes=shapes)
    assert incident.nature == name


def test_a_burst_on_top_says_nothing_of_a_level() -> None:
    moved = [event(w, 300, 1000, minutes=200) for w in ("in bytes", "in packets", "out packets")]
    up = event("out bytes", 30e3, 1000, minutes=5)
    longer = up.model_copy(update={"end": up.start + 100 * MINUTE})
    assert [named(*moved, burst).nature for burst in (up, longer)] == ["level shift", "unclassified"]
    assert named(*moved[1:], event("in bytes", 30e3, 1000, minutes=5)).nature == "partial loss"


def test_what_was_adopted_in_all_directions_is_a_level_shift() -> None:
    ways = zip(WAYS, (3.3e6, 2200, 2.5e6, 4800), (1e6, 1e3, 1e6, 1e3), strict=True)
    moved = [event(w, level, usual, minutes=600, adopted=True) for w, level, usual in ways]
    incident = named(*moved)
    assert (incident.nature, incident.evidence[1]) == ("level shift", "and stayed there")
    over = moved[0].model_copy(update={"adopted": False})
    assert named(over, *moved[1:]).nature == "volumetric surge"


def test_what_is_held_at_its_top_is_no_level_and_hardly_data_that_leaves() -> None:
    night = [event("out bytes", 30e6, 2e6, minutes=200), event("out packets", 22_000, 2000, minutes=200)]
    free, held = (Top(30e6, 0.0, 1, 0.5, held=held) for held in (False, True))
    judged = fleet("web-1")
    assert [
        (i.nature, i.confidence)
        for top in (free, held)
        for i in group(night, judged, shapes={a.id: Shape(top=top) for a in night})
    ] == [("exfiltration-like", 0.9), ("saturation", 0.7)]
    moved = [event(w, 2100, 1000, minutes=300) for w in WAYS]
    (level,) = group(moved, shapes={moved[0].id: Shape(top=free)})
    (limit,) = group(moved, shapes={moved[0].id: Shape(top=held)})
    assert (level.nature, limit.nature, limit.confidence) == ("level shift", "saturation", 0.6)


def test_packets_a_little_beyond_their_band_are_small_where_their_mean_size_fell() -> None:
    near = event("in packets", 20_000, 3000, upper=12_000, start=DAY)
    assert named(near).nature == "unclassified"
    assert named(near, ratio("received_packet_size", 200, 700, "By/packet")).nature == "flood"


def test_what_stays_is_a_level_shift() -> None:
    moved = [event(w, 2100, 1000) for w in ("in bytes", "in packets", "out bytes", "out packets")]
    (stayed,) = group(moved, shapes={a.id: Shape(stays=0.9) for a in moved})
    (back,) = group(moved, shapes={a.id: Shape(stays=0.1) for a in moved})
    assert (stayed.nature, back.nature) == ("level shift", "volumetric surge")


@pytest.mark.parametrize(
    ("times", "over", "name"),
    [
        (4, True, "level shift"),
        (8, True, "volumetric surge"),
        (8, False, "level shift"),
        (0.3, True, "level shift"),
        (0.1, True, "partial loss"),
        (0.1, False, "level shift"),
    ],
)
def test_what_was_many_times_as_much_and_went_back_was_no_new_level(times: float, over: bool, name: str) -> None:
    ways = ("in bytes", "in packets", "out bytes", "out packets")
    assert named(*(event(w, times * 1000, 1000, minutes=300, ongoing=not over) for w in ways)).nature == name


def test_the_usual_size_of_packets_is_that_of_the_hour_before() -> None:
    """What is expected of each of two series on its own need not fit together."""
    moved = [event("in bytes", 2.6e6, 270e3), event("in packets", 13_400, 300), event("out bytes", 3.8e6, 1.3e6)]
    assert named(*moved).nature == "flood", "or so it seems"
    shapes = {moved[0].id: Shape(before=290e3), moved[1].id: Shape(before=1500.0)}
    (incident,) = group(moved, shapes=shapes)
    assert incident.nature == "volumetric surge"


def test_a_series_that_reports_speaks_against_an_absent_resource() -> None:
    gone = [event(w, None, 1000, kind="absent", minutes=90) for w in ("in bytes", "in packets")]
    (alone,) = group(gone)
    (beside,) = group(gone, fleet("web-1"))
    assert alone.nature == beside.nature == "absent resource"
    assert beside.confidence == 0.5 < alone.confidence
    assert "it may be there all the same" in beside.sentence


def test_what_went_back_within_three_hours_is_a_surge() -> None:
    moved = [event(w, 2100, 1000, minutes=100) for w in ("in bytes", "in packets", "out bytes", "out packets")]
    (back,) = group(moved, shapes={a.id: Shape(stays=0.1) for a in moved})
    (unknown,) = group(moved)
    assert (back.nature, unknown.nature) == ("volumetric surge", "level shift")


def test_what_grows_little_by_little_is_no_sure_exfiltration_by_day() -> None:
    sent = [event("out bytes", 3.2e6, 2e6, start=DAY), event("out packets", 3200, 2000, start=DAY)]
    judged = fleet("web-1")
    (grown,) = group(sent, judged, shapes={a.id: Shape(onset=0.2) for a in sent})
    (begun,) = group(sent, judged, shapes={a.id: Shape(onset=0.9) for a in sent})
    assert (grown.nature, begun.nature) == ("volumetric surge", "exfiltration-like")
    assert "it grew little by little" in grown.evidence
    (more,) = group([event("out bytes", 30e6, 2e6, start=DAY)], judged)
    assert begun.confidence == 0.65 == more.confidence, "a modest one of full packets is as sure as a large one without"


def test_an_incident_is_told_by_what_its_nature_is_of() -> None:
    packets = event("out packets", 22_000, 2000, severity=80, score=30.0)
    incident = named(event("out bytes", 30e6, 2e6, severity=70), packets)
    assert incident.nature == "exfiltration-like"
    assert [top.metric.rsplit("/", 1)[1] for top in incident.top] == ["sent_bytes_count", "sent_packets_count"]
    assert "sent bytes rose to 30 MB/s" in incident.sentence


@pytest.mark.parametrize(("what", "name"), [("in packets", "flood"), ("out packets", "scan-like")])
def test_packets_a_little_beyond_their_band_do_not_say_that_unflagged_bytes_stayed(what: str, name: str) -> None:
    far, near = event(what, 20_000, 3000, upper=9000), event(what, 20_000, 3000, upper=12_000)
    assert named(far).nature == name
    assert named(near).nature == "unclassified"
    assert f"Perhaps {name} or volumetric surge: " in named(near).sentence
    drops = event("refused", 900, 0)
    assert named(near, drops).nature == name, "what is refused besides says so"


def test_bytes_a_little_beyond_their_band_leave_less_surely() -> None:
    far, near = (event("out bytes", 30e6, 2e6, start=DAY, upper=upper) for upper in (4e6, 25e6))
    assert named(far).confidence == 0.65
    assert (named(near).nature, named(near).confidence) == ("exfiltration-like", 0.6)
    brief = [e.model_copy(update={"end": e.start + 10 * MINUTE}) for e in (far, near)]
    night = [e.model_copy(update={"start": NIGHT, "end": NIGHT + 10 * MINUTE}) for e in (far, near)]
    assert [named(e).nature for e in night] == ["exfiltration-like", "volumetric surge"]
    assert named(brief[1]).nature == "volumetric surge"


def test_bytes_at_nothing_while_packets_of_the_same_direction_are_as_usual_are_no_sure_asymmetry() -> None:
    gone = event("in bytes", 0, 200e3, kind="zero")
    assert named(gone).nature == "unclassified"
    assert "nor were received packets" in named(gone).sentence
    assert named(gone, event("in packets", 0, 1000, kind="zero")).nature == "asymmetry"
