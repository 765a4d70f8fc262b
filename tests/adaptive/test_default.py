"""Traps that systems like this one have fallen into, on the default configuration and by the code that the job runs.

Each says what is expected, and within what time. Five minutes a step; a run judges a whole day by just the history
that it would read. Series come in rows, so that "quiet" is a rate: at most twice the false alarms that were asked for.
"""

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors import CAP, Frame
from detectors.deviates import alarms_a_week
from job import lineup
from job.anomaly import Anomaly
from job.config import load
from job.examine import Examined, examine, needed
from job.record import Subject
from tests.job.work import backfill, tree

Floats = NDArray[np.float64]

SETTINGS = load({}, {}, str)
DETECTORS = lineup.build(SETTINGS.detectors, SETTINGS.detector)
POLICY = SETTINGS.policy.model_copy(update={"absence": "absent"})  # what the presets of machines say
METRIC = "compute.googleapis.com/instance/network/sent_bytes_count"
SUBJECT = Subject("p", METRIC, "sent", "By/s", {name: one.history for name, one in DETECTORS.items()})
HISTORY = needed(DETECTORS, POLICY, SETTINGS.step)

STEP, A_DAY, HOUR = SETTINGS.step, 288, 12
START = datetime(2026, 8, 31, tzinfo=UTC)  # a Monday
FAULT, LAST = 40, 45
"""The day in which things happen, from noon on, and the first that is not looked at."""

NOON = FAULT * A_DAY + 12 * HOUR
ONSET = START + NOON * STEP
ROWS = 4


def calm(rows: int = ROWS, seed: int = 0, days: int = LAST) -> Floats:
    """A megabyte a second, three percent of noise."""
    rng = np.random.default_rng(seed)
    return np.asarray(1e6 * (1 + 0.03 * rng.standard_normal((rows, days * A_DAY))))


def busy(rows: int = ROWS, seed: int = 0, days: int = LAST) -> Floats:
    """Three times as much at noon as at night, a third less at weekends."""
    time = np.arange(days * A_DAY)
    hump = np.clip(np.sin(2 * np.pi * (time / A_DAY - 0.25)), 0, None)
    return np.asarray(calm(rows, seed, days) * (1 + 2 * hump) * np.where(time // A_DAY % 7 >= 5, 0.67, 1.0))


def by_day(values: Floats) -> Floats:
    """A view of the values as rows x days x columns of a day."""
    return values.reshape(len(values), -1, A_DAY)


def day(values: Floats, number: int, hours: float = 24, history: timedelta = HISTORY) -> Examined:
    """What a run tells of the first hours of a day."""
    labels = tuple(
        {"resource.type": "gce_instance", "metric.labels.instance_name": f"m-{i}"} for i in range(len(values))
    )
    frame, start = Frame(values, START, STEP, labels), START + timedelta(days=number)
    first, stop = frame.column(start - history), frame.column(start + timedelta(hours=hours))
    return examine(frame.columns(max(0, first), stop), DETECTORS, POLICY, SUBJECT, start)


def told(values: Floats, first: int = FAULT, stop: int = LAST) -> list[Anomaly]:
    """The events that the runs on these days tell, one that lasts over midnight once."""
    every = [anomaly for n in range(first, stop) for anomaly in day(values, n).anomalies]
    return [anomaly for anomaly in every if not anomaly.continued]


def quiet(values: Floats, first: int = FAULT, stop: int = LAST) -> bool:
    """Whether these days have at most twice the false alarms that were asked for, and one."""
    asked = alarms_a_week(POLICY.cut) * len(values) * (stop - first) / 7
    return len(told(values, first, stop)) <= 1 + 2 * asked


def changed(values: Floats, hours: float, change: Callable[[Floats], Floats]) -> Floats:
    """The values with an incident from the noon of the day on."""
    part = slice(NOON, NOON + round(hours * HOUR))
    values[:, part] = change(values[:, part])
    return values


def test_a_constant_series_is_quiet_until_its_one_deviation() -> None:
    values = np.full((1, LAST * A_DAY), 7e6)
    values[0, NOON] = 9e6
    (found,) = told(values)
    assert (found.start, found.end) == (ONSET, ONSET + STEP)
    assert found.score <= CAP
    assert (found.expected, found.observed) == (7e6, 9e6)


def test_nights_of_zeros_are_quiet_and_a_day_of_zeros_is_told_in_the_morning() -> None:
    values = busy()
    by_day(values)[:, :, : 6 * HOUR] = 0.0
    assert quiet(values)
    by_day(values)[:, FAULT + 3] = 0.0  # a workday
    morning = START + timedelta(days=FAULT + 3, hours=10)
    assert [a.start < morning for a in told(values, FAULT + 3, FAULT + 4)] == [True] * ROWS
    values = calm()
    by_day(values)[:, :, : 6 * HOUR] = 0.0
    by_day(values)[:, FAULT] = 0.0
    found = told(values, stop=FAULT + 1)
    assert [(a.direction, a.start < ONSET - timedelta(hours=5)) for a in found] == [("down", True)] * ROWS


@pytest.mark.parametrize(("value", "kind"), [(0.0, "zero"), (np.nan, "absent")])
@pytest.mark.parametrize("hours", [1, 3, 10])
def test_a_drop_is_told_from_its_onset_and_the_recovery_is_no_second_event(value: float, kind: str, hours: int) -> None:
    found = told(changed(busy(1), hours, lambda x: np.full_like(x, value)))
    assert [(a.kind, a.start, a.end) for a in found] == [(kind, ONSET, ONSET + timedelta(hours=hours))]


def test_a_drop_is_certain_after_a_quarter_of_an_hour() -> None:
    (zero,) = day(changed(busy(1), 3, np.zeros_like), FAULT, hours=12.25).anomalies
    (absent,) = day(changed(busy(1), 3, lambda x: x * np.nan), FAULT, hours=12.25).anomalies
    assert (zero.ongoing, absent.ongoing) == (True, True)


@pytest.mark.parametrize("hours", [4, 20, 72])
def test_the_return_to_normal_after_a_shift_is_no_event(hours: int) -> None:
    found = told(changed(calm(1), hours, lambda x: 3 * x))
    assert [(a.start, a.direction) for a in found] == [(ONSET, "up")]


def test_a_shift_that_stays_is_told_once_and_is_the_normal_after_a_day() -> None:
    values = changed(calm(), 1000, lambda x: 1.5 * x)
    found = told(values)
    assert [a.start for a in found if a.start == ONSET] == [ONSET] * ROWS
    assert len(found) <= ROWS + 1
    assert not [a for n in range(FAULT + 2, LAST) for a in day(values, n).anomalies if a.continued]


def test_a_shift_near_the_end_of_what_is_known_is_told_at_once() -> None:
    for after in (0.1, 0.5, 1.0):
        (found,) = day(changed(busy(1), 1000, lambda x: 3 * x), FAULT, hours=12 + after).anomalies
        assert (found.start, found.ongoing, found.kind) == (ONSET, True, "spike")


def test_points_off_the_grid_duplicate_late_and_out_of_order_are_told_as_the_others(tmp_path: Path) -> None:
    values = changed(busy(1), 2, lambda x: 3 * x)[0]
    rows = [(START + i * STEP, x) for i, x in enumerate(values.tolist())]
    untidy = [(t + timedelta(seconds=7 * (i % 30)), x) for i, (t, x) in enumerate(rows)] + rows[NOON - 3 :: 5]
    order = np.random.default_rng(0).permutation(len(untidy)).tolist()
    seen = []
    for name, lines in (("tidy", rows), ("untidy", [untidy[i] for i in order])):
        (tmp_path / name / "sent").mkdir(parents=True)
        with (tmp_path / name / "sent" / "m-0.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("timestamp", "value"), *((t.isoformat(), x) for t, x in lines)])
        found = _run(tmp_path / name, tmp_path / f"{name}-out")
        seen.append([(a["start"], a["end"], a["kind"]) for a in found])
    assert seen[0] == seen[1] == [(f"{ONSET:%FT%TZ}", f"{ONSET + timedelta(hours=2):%FT%TZ}", "spike")]


def _run(place: Path, output: Path) -> list[dict[str, Any]]:
    """What the job writes about the day of the fault in a folder of files."""
    given: dict[str, Any] = {
        "source": "files",
        "input": str(place),
        "step": STEP,
        "metrics": (),
        "synthetic": {},
        "from": START + timedelta(days=FAULT),
        "to": START + timedelta(days=FAULT + 1),
        "detectors": SETTINGS.detectors,
        "policy": SETTINGS.policy,
    }
    work = backfill(output, START + timedelta(days=LAST), **given)
    work.run()
    return [json.loads(line) for data, _ in tree(output).values() for line in data.splitlines()]


@pytest.mark.parametrize("way", [HOUR, -HOUR])
def test_the_hour_that_daylight_saving_moves_is_not_told(way: int) -> None:
    values = busy()
    change = (FAULT + 1) * A_DAY  # a Sunday's midnight
    values[:, change:] = np.roll(values, way, axis=1)[:, change:]
    assert quiet(values)


def test_a_week_of_weekends_and_workdays_is_quiet() -> None:
    assert quiet(busy())


def test_a_verdict_does_not_depend_on_how_much_of_the_day_is_asked_nor_on_more_history() -> None:
    values = changed(busy(), 2, lambda x: 2 * x)
    whole = [a.id for a in day(values, FAULT).anomalies]
    longer = [a.id for a in day(values, FAULT, history=2 * HISTORY).anomalies]
    seen = [{a.id for a in day(values, FAULT, hours).anomalies} for hours in (11, 12, 13, 14, 16, 24)]
    assert longer == whole
    assert all(early <= late for early, late in zip(seen, [*seen[1:], set(whole)], strict=True))


@pytest.mark.parametrize(("scale", "offset"), [(1e9, 0.0), (1e3, 0.0), (1.0, 1000.0)])
def test_scale_and_offset_change_no_event(scale: float, offset: float) -> None:
    values = changed(busy(2), 2, lambda x: 4 * x)
    plain, moved = told(values, stop=FAULT + 1), told(scale * (values + offset), stop=FAULT + 1)
    assert [(a.start, a.end, a.kind) for a in moved] == [(a.start, a.end, a.kind) for a in plain]
    assert len(plain) >= 2


def test_missing_points_are_neither_told_nor_values() -> None:
    values = calm()
    values[:, np.random.default_rng(3).random(values.shape[1]) < 0.3] = np.nan
    assert quiet(values)
    values[0, NOON : NOON + 2] = 3e6
    assert ONSET in {a.start for a in told(values, stop=FAULT + 1)}


def test_no_number_is_infinity() -> None:
    with pytest.raises(ValueError, match="holds an infinity"):
        day(changed(calm(1), 1, lambda x: x * np.inf), FAULT)


def test_a_band_below_zero_hides_no_drop() -> None:
    rng = np.random.default_rng(4)
    values = calm(1) * rng.lognormal(0.0, 0.8, (1, LAST * A_DAY))
    (found,) = told(changed(values, 2, np.zeros_like), stop=FAULT + 1)
    assert (found.kind, found.start) == ("zero", ONSET)


def test_what_comes_later_changes_no_earlier_event() -> None:
    """No cool-down looks forward: a spike is told, told alike, whatever follows an hour after."""
    values = changed(calm(1), 0.5, lambda x: 2 * x)
    (alone,) = day(values, FAULT).anomalies
    values[0, NOON + HOUR :] = values[0, NOON + HOUR :] * 4
    first = day(values, FAULT).anomalies[0]
    assert (first.id, first.start, first.score) == (alone.id, alone.start, alone.score)


def test_the_first_days_of_a_young_series_are_not_noisier() -> None:
    values = calm(rows=40)
    values[:, : NOON - 1] = np.nan
    assert quiet(values, first=FAULT + 1)


def test_a_young_series_is_warming_up_for_a_day_and_never_normal() -> None:
    values = calm(2)
    values[0, :NOON] = np.nan
    young = day(values, FAULT)
    assert (young.warming_up, young.tested) == ((0,), A_DAY)
    assert day(values, FAULT + 2).warming_up == ()


def test_a_series_that_starts_in_mid_history_is_quiet_and_its_spike_is_told() -> None:
    values = calm()
    values[:, : (FAULT - 5) * A_DAY + 77] = np.nan
    assert quiet(values)
    found = told(changed(values, 0.5, lambda x: 2 * x), stop=FAULT + 1)
    assert [a.start for a in found if a.start == ONSET] == [ONSET] * ROWS


def test_an_idle_host_is_not_a_host_without_points() -> None:
    idle = np.zeros((2, LAST * A_DAY))
    idle[1, NOON : NOON + 3 * HOUR] = np.nan
    assert [(a.kind, a.start, a.labels["instance_name"]) for a in told(idle)] == [("absent", ONSET, "m-1")]


def test_a_day_of_maintenance_is_one_event_and_no_storm_afterwards() -> None:
    values = calm()
    by_day(values)[:, FAULT] *= 0.3
    found = told(values)
    begun = [a for a in found if a.start < START + timedelta(days=FAULT, minutes=5)]
    assert [a.direction for a in begun] == ["down"] * ROWS
    assert len(found) <= ROWS + 2


def test_a_new_daily_job_is_told_at_first_and_is_normal_after_a_fortnight() -> None:
    values = calm()
    by_day(values)[:, FAULT - 14 :, 100:106] *= 2
    assert len(told(values, FAULT - 14, FAULT - 13)) == ROWS
    assert quiet(values)


def test_counters_that_double_at_midnight_are_normal() -> None:
    values = calm()
    by_day(values)[:, :, :HOUR] *= 2
    assert quiet(values)


def test_a_flat_top_is_normal_and_what_goes_beyond_it_is_told() -> None:
    values = np.minimum(busy(), 2.5e6)
    assert quiet(values)
    values[0, NOON : NOON + 2] = 3.5e6
    assert ONSET in {a.start for a in told(values, stop=FAULT + 1)}


def test_alternating_days_are_normal() -> None:
    values = calm() * np.repeat(np.where(np.arange(LAST) % 2, 1.0, 3.0), A_DAY)
    assert quiet(values)


def test_a_burst_train_is_normal_and_a_burst_of_thrice_its_size_is_told() -> None:
    rng, values = np.random.default_rng(3), calm()
    bursts = rng.random(values.shape) < 6 / A_DAY
    values[bursts] *= rng.uniform(3.0, 5.0, int(bursts.sum()))
    assert quiet(values)
    values[0, NOON] = 15e6
    assert ONSET in {a.start for a in told(values, stop=FAULT + 1)}


def test_a_regular_burst_train_is_normal() -> None:
    values = calm()
    values[:, ::9] *= 4
    assert quiet(values)


def test_two_scales_in_one_series_do_not_mix() -> None:
    """A hundredth of the traffic until a week and a half ago; then a spike by half is told."""
    values = calm()
    by_day(values)[:, : FAULT - 11] *= 0.01
    assert quiet(values)
    found = told(changed(values, 0.5, lambda x: 1.5 * x), stop=FAULT + 1)
    assert [a.start for a in found if a.start == ONSET] == [ONSET] * ROWS


@pytest.mark.parametrize("days", [1, 8, 20])
def test_an_enormous_spike_in_the_history_hides_no_other(days: int) -> None:
    values = calm()
    values[:, NOON - days * A_DAY] = 1e13
    found = told(changed(values, 0.5, lambda x: 1.5 * x), stop=FAULT + 1)
    assert [a.start for a in found if a.start == ONSET] == [ONSET] * ROWS


def test_a_month_of_zeros_and_then_traffic_is_one_event_told_at_once() -> None:
    values = calm(1)
    values[:, :NOON] = 0.0
    found = told(values)
    assert (found[0].start, found[0].direction) == (ONSET, "up")
    assert len(found) == 1


def test_a_slow_ramp_is_told_before_it_has_doubled() -> None:
    ramp = np.linspace(1.0, 2.0, 6 * HOUR)
    found = told(changed(calm(), 6, lambda x: x * ramp), stop=FAULT + 1)
    assert len({a.labels["instance_name"] for a in found if ONSET < a.start < ONSET + timedelta(hours=5)}) == ROWS


def test_a_sparse_series_does_not_cry_wolf() -> None:
    rng, shape = np.random.default_rng(5), (20, LAST * A_DAY)
    assert quiet((rng.random(shape) < 0.01) * rng.exponential(1e6, shape))


@pytest.mark.parametrize(("days", "times", "still"), [(1, 0.0, 1.8), (7, 0.0, 1.8), (7, 5.0, 3.0)])
def test_an_incident_of_yesterday_or_last_week_neither_echoes_nor_blinds(days: int, times: float, still: float) -> None:
    """After an outage of three hours a spike by 0.8 is told as before; after a flood of five times, one of thrice."""
    values = busy()
    values[:, NOON - days * A_DAY : NOON - days * A_DAY + 3 * HOUR] *= times
    assert quiet(values)
    found = told(changed(values, 0.5, lambda x: still * x), stop=FAULT + 1)
    assert [a.start for a in found if a.start == ONSET] == [ONSET] * ROWS


@pytest.mark.parametrize("days", [1, 3, 8])
def test_a_flood_hides_no_rise_of_a_quarter_of_an_hour_in_the_days_after_it(days: int) -> None:
    values = busy()
    values[:, NOON - days * A_DAY + 3 * HOUR : NOON - days * A_DAY + 6 * HOUR] *= 5
    found = told(changed(values, 0.25, lambda x: 2 * x), stop=FAULT + 1)
    assert [a.start for a in found if a.start == ONSET] == [ONSET] * ROWS
