"""Traps that systems like this one have fallen into, with the real detectors and the default policy."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors import CAP, Frame
from job import lineup
from job.anomaly import Anomaly
from job.examine import examine, needed
from job.judge import Verdict
from job.policy import Persistence, Policy
from job.record import Subject

START = datetime(2026, 10, 1, tzinfo=UTC)
STEP = timedelta(minutes=15)
A_DAY = 96
FAULT = 44
"""The day that begins with an incident at 07:30."""

DETECTORS = lineup.build(("zscore", "ewma", "seasonal"), {})
# Not a rate of bytes, whose smallest amounts count for nothing: the traps are in any unit.
SUBJECT = Subject("p", "x.com/sent_bytes_count", "sent", "1", {k: d.history for k, d in DETECTORS.items()})
POLICY = Policy(absence="absent")
Floats = NDArray[np.float64]


def traffic() -> Floats:
    """Fifty days that rise and fall."""
    noise = np.random.default_rng(1).standard_normal(50 * A_DAY)
    return np.asarray(1000 * (1.5 + np.sin(2 * np.pi * np.arange(50 * A_DAY) / A_DAY)) * (1 + 0.05 * noise))


def day(values: Floats, number: int, hours: float = 24) -> Verdict:
    """The verdict on the first hours of a day, by just the history that the job would read."""
    frame = Frame(values[None], START, STEP, ({"resource.type": "x"},))
    start = START + timedelta(days=number)
    first = frame.column(start - needed(DETECTORS, POLICY, STEP))
    stop = frame.column(start + timedelta(hours=hours))
    return examine(frame.columns(max(0, first), stop), DETECTORS, POLICY, SUBJECT, start)


def told(values: Floats, first: int = FAULT, last: int = 49) -> list[tuple[int, Anomaly]]:
    """What a run on each of the days tells, with the day."""
    return [(n, anomaly) for n in range(first, last + 1) for anomaly in day(values, n).anomalies]


def incident(change: Callable[[Floats], Floats], hours: float) -> Floats:
    """Traffic that an incident changes from 07:30 on."""
    values = traffic()
    start = FAULT * A_DAY + 30
    stop = start + int(hours * 4)
    values[start:stop] = change(values[start:stop])
    return values


ONSET = START + timedelta(days=FAULT, hours=7.5)


@pytest.mark.parametrize(("value", "kind"), [(0.0, "zero"), (np.nan, "absent")])
def test_a_drop_is_flagged_at_its_onset_and_the_recovery_is_no_second_event(value: float, kind: str) -> None:
    ((_, found),) = told(incident(lambda x: np.full_like(x, value), 3))
    assert (found.kind, found.start, found.end) == (kind, ONSET, ONSET + timedelta(hours=3))
    assert found.severity >= (85 if kind == "zero" else 70), "a gap gets worse as it lasts"


def test_a_machine_that_is_gone_for_good_is_told_for_a_day() -> None:
    found = told(incident(np.zeros_like, 1000))
    assert [(n, a.kind, a.continued) for n, a in found] == [(FAULT, "zero", False), (FAULT + 1, "zero", True)]
    assert found[-1][1].end == ONSET + timedelta(days=1)


def test_the_return_to_normal_after_a_long_shift_is_no_event() -> None:
    found = told(incident(lambda x: 3 * x, 5 * 24))
    assert {n for n, _ in found} == {FAULT}
    assert {a.direction for _, a in found} == {"up"}


def test_a_shift_near_the_end_of_what_is_known_is_told_while_it_goes_on() -> None:
    (found,) = day(incident(lambda x: 4 * x, 1000), FAULT, hours=8.5).anomalies
    assert (found.start, found.ongoing, found.kind) == (ONSET, True, "spike")


def test_a_constant_series_is_quiet_until_its_one_deviation() -> None:
    values = np.full(50 * A_DAY, 7e6)
    values[FAULT * A_DAY + 30] = 8.5e6
    ((_, found),) = told(values)
    assert (found.start, found.end, found.score) == (ONSET, ONSET + STEP, CAP)


@pytest.mark.parametrize(("scale", "offset"), [(1e9, 0.0), (1e3, 0.0), (1.0, 1000.0)])
def test_units_do_not_matter(scale: float, offset: float) -> None:
    """A spike that is far off in any case, since an offset makes the least relative deviation a larger one."""
    plain = told(incident(lambda x: 6 * x, 1), last=FAULT)
    moved = told(scale * (incident(lambda x: 6 * x, 1) + offset), last=FAULT)
    assert [(a.start, a.end, a.kind) for _, a in moved] == [(a.start, a.end, a.kind) for _, a in plain]
    assert len(plain) == 1


def test_nights_of_nothing_are_quiet() -> None:
    values = traffic()
    values.reshape(-1, A_DAY)[:, :24] = 0.0
    assert told(values, last=FAULT + 1) == []


def test_a_young_series_is_warming_up_and_never_normal() -> None:
    values = traffic()
    values[: FAULT * A_DAY + 60] = np.nan
    young = day(values, FAULT)
    assert (young.warming_up, young.tested, young.anomalies) == ((0,), 0, ())
    assert day(values, FAULT + 3).warming_up == ()


def test_an_idle_host_is_not_a_host_without_points() -> None:
    idle = np.zeros(50 * A_DAY)
    gone = idle.copy()
    gone[FAULT * A_DAY + 30 : FAULT * A_DAY + 42] = np.nan
    assert told(idle, last=FAULT) == []
    assert [(a.kind, a.start) for _, a in told(gone, last=FAULT)] == [("absent", ONSET)]


def test_a_verdict_does_not_depend_on_how_much_of_the_day_is_asked() -> None:
    values = incident(lambda x: 4 * x, 2)
    whole = {a.id for a in day(values, FAULT).anomalies}
    seen = [{a.id for a in day(values, FAULT, hours).anomalies} for hours in (7, 8, 9, 10, 12, 24)]
    assert all(early <= late for early, late in zip(seen, [*seen[1:], whole], strict=True))
    assert seen[0] == set()
    assert whole


def test_hits_may_have_to_persist_for_longer_than_the_day_before() -> None:
    """Two days of persistence look farther back than any outage does."""
    policy = POLICY.model_copy(update={"persistence": Persistence(hits=2, periods=120)})
    start = START + timedelta(days=FAULT)
    frame = Frame(traffic()[None], START, STEP, ({"resource.type": "x"},))
    seen = frame.columns(frame.column(start - needed(DETECTORS, policy, STEP)), frame.column(start) + A_DAY)
    assert examine(seen, DETECTORS, policy, SUBJECT, start).tested == A_DAY
