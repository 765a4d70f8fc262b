"""What is muted teaches no baseline, and is still seen."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors import Frame
from job.anomaly import Anomaly
from job.examine import examine
from job.lineup import build
from job.mutes import hidden, parse
from job.policy import Policy
from job.record import Subject
from tests.incidents.events import METRICS, machine
from tests.job.work import HOUR, NIGHT, backfill, bench, tree

STEP = timedelta(minutes=15)
DAY = datetime(2026, 11, 20, tzinfo=UTC)
BEFORE = timedelta(days=13)
METRIC = METRICS["in bytes"]
DETECTORS = build(("adaptive",), {})
SUBJECT = Subject("demo", METRIC, "received", "By/s", {name: each.history for name, each in DETECTORS.items()})
LOAD_TEST = """[[window]]
reason = "load test"
rrule = "FREQ=DAILY{}"
start = 2026-11-01T02:00:00
duration = "1h"
"""


def traffic(*names: str, factor: float = 5.0) -> Frame:
    """Two weeks of machines that are at rest but for a load test every night at two, and of the day after."""
    columns = (BEFORE + timedelta(days=1)) // STEP
    values = 1e6 * np.random.default_rng(3).lognormal(0, 0.05, (len(names), columns))
    values[:, [8 <= column % 96 < 12 for column in range(columns)]] *= factor
    labels = []
    for name in names:
        resource, metric = machine(name)
        labels.append(
            {"resource.type": resource.type}
            | {f"resource.labels.{key}": value for key, value in resource.labels.items()}
            | {f"metric.labels.{key}": value for key, value in metric.items()}
        )
    return Frame(values, DAY - BEFORE, STEP, tuple(labels))


def found(frame: Frame, mutes: str, start: datetime = DAY) -> list[Anomaly]:
    """What is told of the last day, with these mutes in force."""
    times = parse(mutes, "mutes.toml").quiet(METRIC, frame.start, frame.end)
    policy = Policy(false_alarms=0.33, absence="absent")
    return list(examine(frame, DETECTORS, policy, SUBJECT, start, hidden(frame, times, "demo")).anomalies)


def test_what_comes_every_night_is_usual_unless_it_was_muted() -> None:
    assert not found(traffic("web-1"), "")
    (one,) = found(traffic("web-1"), LOAD_TEST.format(";UNTIL=20261119T235959"))
    assert one.start == DAY + 2 * HOUR
    assert one.end == DAY + 3 * HOUR
    assert one.upper < 3e6


def test_what_is_muted_is_still_seen() -> None:
    (one,) = found(traffic("web-1"), LOAD_TEST.format(""))
    assert one.start == DAY + 2 * HOUR
    assert one.upper < 3e6


def test_only_the_resources_that_a_mute_names_forget() -> None:
    (one,) = found(traffic("web-1", "db-1"), 'window = [{ resource = "web-*", ' + inline(LOAD_TEST.format("")) + " }]")
    assert one.labels["instance_name"] == "web-1"


def inline(table: str) -> str:
    return ", ".join(table.splitlines()[1:])


def test_an_outage_is_told_though_the_evening_before_was_muted() -> None:
    frame = traffic("web-1", factor=0.0)
    values = np.where(frame.values == 0, 0.0, frame.values)
    noon = frame.column(DAY + 12 * HOUR)
    values[:, noon : noon + 8] = 0.0
    frame = Frame(values, frame.start, frame.step, frame.labels)
    told = [a for a in found(frame, LOAD_TEST.format("")) if a.kind == "zero"]
    assert {a.start for a in told} == {DAY + 2 * HOUR, DAY + 12 * HOUR}


def test_what_is_muted_since_long_ago_is_judged_by_all_there_is() -> None:
    frame = traffic("web-1")
    values = frame.values.copy()
    values[:, -8:] *= 20
    frame = Frame(values, frame.start, frame.step, frame.labels)
    (one,) = found(frame, '[[mute]]\nreason = "moving"\nfrom = 2026-01-01\nuntil = 2027-01-01\n')
    assert one.start == DAY + 22 * HOUR


@pytest.mark.parametrize(
    "mute",
    [
        "until = 2027-01-01",  # nobody says since when it is odd
        'from = 2026-11-01\nuntil = 2027-01-01\nnature = "flood"',  # who knows, before it is scored
        'from = 2026-11-01\nuntil = 2027-01-01\nmetric = "*sent*"',
        "from = 2026-11-21\nuntil = 2027-01-01",
        "from = 2026-01-01\nuntil = 2026-11-07",
    ],
)
def test_mutes_that_hide_nothing(mute: str) -> None:
    frame = traffic("web-1")
    times = parse('[[mute]]\nreason = "known"\n' + mute, "mutes.toml").quiet(METRIC, frame.start, frame.end)
    assert hidden(frame, times, "demo") is None


def test_a_period_is_hidden_whole_and_no_other() -> None:
    frame = traffic("web-1", "db-1")
    text = '[[mute]]\nreason = "x"\nresource = "db-1"\nfrom = 2026-11-20T00:20:00Z\nuntil = 2026-11-20T00:45:00Z'
    mask = hidden(frame, parse(text, "m").quiet(METRIC, frame.start, frame.end), "demo")
    assert mask is not None
    rows, columns = np.nonzero(mask)
    assert set(rows) == {1}
    assert [frame.start + int(c) * STEP for c in columns] == [DAY + STEP, DAY + 2 * STEP]


def test_mutes_decide_an_object_as_long_as_they_touch_it(tmp_path: Path) -> None:
    mutes = tmp_path / "mutes.toml"
    given: dict[str, Any] = {"mutes": str(mutes), "detectors": ("zscore",)}
    mutes.write_text("")
    backfill(tmp_path / "out", **given).run()
    mutes.write_text('[[mute]]\nreason = "later"\nfrom = 2026-12-01\nuntil = 2027-01-01\n')
    assert {o.status for o in backfill(tmp_path / "out", **given).run()} == {"complete"}
    mutes.write_text('[[mute]]\nreason = "then"\nfrom = 2026-11-20\nuntil = 2026-11-20T12:00:00Z\n')
    assert {o.status for o in backfill(tmp_path / "out", **given).run()} == {"done"}
    assert {o.status for o in backfill(tmp_path / "out", **given).run()} == {"complete"}


def test_with_mutes_a_backfill_is_the_sequence_of_live_runs(tmp_path: Path) -> None:
    mutes = tmp_path / "mutes.toml"
    mutes.write_text(LOAD_TEST.format("").replace("1h", "5h"))
    given: dict[str, Any] = {"mutes": str(mutes), "synthetic": {"vms": 4, "seed": 5}}
    backfill(tmp_path / "backfill", **given).run()
    for hour in range(8, 48 + 1, 8):
        bench(tmp_path / "live", DAY + hour * HOUR, hours=8, **given).run(execution=f"e{hour}")
    assert NIGHT == DAY + 48 * HOUR
    assert tree(tmp_path / "live") == tree(tmp_path / "backfill")
