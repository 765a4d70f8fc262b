"""What one of a group loses and its peers take, with real runs over recorded files."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from detectors import Frame, Labels
from job.found import find
from job.incident import Incident
from job.series import Looked, Sum, Trace, parsed, surveyor
from job.sums import GROUPS, MEMBERS, Sums
from tests.job.work import bench, tree

START = datetime(2026, 11, 2, tzinfo=UTC)
STEP = timedelta(minutes=15)
DAYS = 6
LAST = START + (DAYS - 1) * timedelta(days=1)
FELL, LONG = 40, 8
"""When web-1 fell on the last day, and for how long, in periods."""


def recorded(place: Path, taken: float, until: int, machines: int = 6) -> Path:
    """Machines of one group over days, the first of which sends nothing for two hours while the others take a share.

    The last day is recorded up to a period of it.
    """
    rng = np.random.default_rng(7)
    steps = DAYS * 96
    usual = 1 + 0.3 * np.sin(np.arange(steps) / 96 * 2 * np.pi)
    rows = 1e6 * usual * np.exp(0.03 * rng.standard_normal((machines, steps)))
    gone = slice((DAYS - 1) * 96 + FELL, (DAYS - 1) * 96 + FELL + LONG)
    rows[1:, gone] += taken * rows[0, gone] / (machines - 1)
    rows[0, gone] = 0.0
    rows = rows[:, : steps - 96 + until]
    stamps = [f"{START + n * STEP:%Y-%m-%dT%H:%M:%SZ}" for n in range(rows.shape[1])]
    lines = (
        f"{stamp},sent_bytes_count,{value:.0f},By/s,gce_instance,europe-west1-b,web-{n}"
        for n, row in enumerate(rows, start=1)
        for stamp, value in zip(stamps, row.tolist(), strict=True)
    )
    head = "time,metric,value,unit,resource.type,resource.labels.zone,metric.labels.instance_name"
    place.mkdir()
    (place / "fleet.csv").write_text("\n".join([head, *lines]))
    return place


def incidents(tmp_path: Path, taken: float, until: int = 96) -> list[Incident]:
    given = recorded(tmp_path / "in", taken, until)
    job = bench(
        tmp_path / "out",
        LAST + until * STEP,
        source="files",
        input=str(given),
        metrics=(),
        detectors=("adaptive",),
        hours=12,
    )
    assert {outcome.status for outcome in job.run()} == {"done"}
    found = find(job.job.store, LAST, LAST + timedelta(days=1))
    assert found.problems == ()
    return [i for i in found.incidents if i.where.startswith("web-1 ")]


def test_what_peers_take_without_being_flagged_is_a_shift(tmp_path: Path) -> None:
    (incident,) = incidents(tmp_path, 0.96)
    assert (incident.nature, incident.resources, incident.tested) == ("traffic shift", 1, 6)
    assert "its 5 peers (web-*) carried" in incident.sentence
    (share,) = [int(word.strip("%")) for word in incident.evidence[0].split() if word.endswith("%")]
    assert 80 <= share <= 115
    assert 0.65 <= incident.confidence <= 0.85


def test_what_nobody_takes_is_an_outage_and_said_to_be_left(tmp_path: Path) -> None:
    (incident,) = incidents(tmp_path, 0.0)
    assert incident.nature == "blackout"
    assert incident.evidence[-1] == "its 5 peers (web-*) carried no more than before"


def test_what_peers_take_a_part_of_is_no_shift(tmp_path: Path) -> None:
    (incident,) = incidents(tmp_path, 0.4)
    assert incident.nature != "traffic shift"


def test_a_shift_is_told_while_it_is_still_on(tmp_path: Path) -> None:
    (incident,) = incidents(tmp_path, 1.0, FELL + 5)
    assert (incident.nature, incident.state) == ("traffic shift", "open")


def test_of_what_tasks_see_a_part_nothing_is_added_up(tmp_path: Path) -> None:
    """A backfill, a live run and a run of parts: the same sums or none."""
    synthetic = {"vms": 12, "seed": 3}
    sums = {}
    for parts in (1, 2):
        job = bench(tmp_path / f"{parts}", LAST, synthetic=synthetic, parts=parts, hours=72)
        job.run()
        found = [r for n, (data, _) in tree(tmp_path / f"{parts}", "series/").items() for r in parsed(n, data, [])]
        sums[parts] = [one for r in found if isinstance(r, Looked) for one in r.sums]
        fell = [r for r in found if isinstance(r, Trace) and r.before is not None]
        assert fell, "or nothing is tried"
    assert sums[1]
    assert not sums[2]


def labels(count: int, name: str = "web-{}") -> tuple[Labels, ...]:
    return tuple(
        {"resource.type": "gce_instance", "resource.labels.zone": "z", "metric.labels.instance_name": name.format(n)}
        for n in range(1, count + 1)
    )


def summed(values: np.ndarray, names: tuple[Labels, ...], order: Iterator[int], fell: Labels) -> list[Sum]:
    """The sums over two days, of blocks of one series each in some order, as one fallen series asks for them."""
    every = Sums(START + timedelta(days=1), timedelta(hours=1))
    taken = surveyor("p", "sent_bytes", "By/s")
    for row in order:
        every.add(Frame(values[row : row + 1], START, timedelta(hours=1), names[row : row + 1]), taken)
    trace = Trace.model_validate(
        {
            "project": "p",
            "metric": "sent_bytes",
            "query": "q",
            "unit": "By/s",
            "start": START,
            "step": 3600,
            "resource": {"type": "gce_instance", "labels": {"zone": "z"}},
            "value": [],
            "expected": [],
            "labels": {"instance_name": fell["metric.labels.instance_name"]},
            "lower": [],
            "upper": [],
            "before": [],
        }
    )
    return every.told([trace])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_sums_do_not_depend_on_the_order_of_blocks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, names = np.exp(8 * rng.standard_normal((20, 48))), labels(20)
    values[rng.random(values.shape) < 0.2] = np.nan
    (one,) = summed(values, names, iter(range(20)), names[0])
    (other,) = summed(values, names, iter(rng.permutation(20).tolist()), names[0])
    assert one == other
    assert (one.group, one.members) == ("prefix=web", 20)
    assert one.value == pytest.approx(np.nansum(values, axis=0), rel=1e-3)
    assert one.there == np.isfinite(values).sum(axis=0).tolist()


def test_a_place_is_no_peer_group_and_too_many_groups_are_none() -> None:
    large = labels(MEMBERS + 1)
    assert summed(np.ones((len(large), 48)), large, iter(range(len(large))), large[0]) == []
    (told,) = summed(np.ones((MEMBERS, 48)), large[:MEMBERS], iter(range(MEMBERS)), large[0])
    assert told.members == MEMBERS
    many = (*labels(2), *labels(GROUPS, "g{}-1"))
    for order in (range(len(many)), reversed(range(len(many)))):
        assert summed(np.ones((len(many), 48)), many, iter(order), many[0]) == []


def test_peers_of_an_instance_group_come_before_those_of_a_place() -> None:
    names = (*labels(3), *labels(1, "db-{}"))
    (told,) = summed(np.ones((4, 48)), names, iter(range(4)), names[0])
    assert (told.group, told.members) == ("prefix=web", 3)
    (told,) = summed(np.ones((4, 48)), names, iter(range(4)), names[3])
    assert (told.group, told.members) == ("zone=z", 4)
