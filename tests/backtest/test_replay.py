"""The replay says what the job writes, and a trial counts only what an incident changed."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors import Frame, Scores
from job import lineup
from job.backtest import past
from job.backtest.inject import KINDS, Rules
from job.backtest.labels import Window
from job.backtest.replay import Contestant, replay
from job.backtest.trial import Plan, Subject, Trial
from job.backtest.trial import tried as trial_of
from job.config import Settings, load
from job.query import Query
from job.sources import Scattered
from job.units import parse_time
from tests.job.work import HOUR, NIGHT, SENT, Bench, backfill, told

DAY = timedelta(days=1)
START = NIGHT - 14 * DAY
DAYS = tuple((START + n * DAY, START + (n + 1) * DAY) for n in range(14))


@dataclass(frozen=True)
class Said:
    """A detector that says of each point what a function of the values says."""

    say: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    history: timedelta = timedelta(days=1)
    peers: bool = False

    def __call__(self, frame: Frame) -> Scores:
        level = np.full(frame.values.shape, 50.0)
        return Scores(level, np.ones_like(level), np.where(np.isnan(frame.values), np.nan, self.say(frame.values)))


def contestant(
    say: Callable[[NDArray[np.float64]], NDArray[np.float64]], name: str = "said", **more: Any
) -> Contestant:
    policy = {"persistence": "1/1", "min_relative": 0, "absence": "absent"}
    return Contestant(name, Settings.model_validate({"policy": policy}), {name: Said(say, **more)})


def subject(rows: int = 6) -> Subject:
    days = 15 * 24
    values = np.full((rows, days), 100.0)
    labels = tuple({"metric.labels.name": f"s{row}"} for row in range(rows))
    query = Query(metric=SENT, project="p", step=HOUR, name="sent")
    return Subject(query, "1", Frame(values, START - timedelta(days=1), HOUR, labels), DAYS)


def tried(
    *contestants: Contestant, of: Subject | None = None, labelled: tuple[Window, ...] = (), **rules: Any
) -> Trial:
    return trial_of(of or subject(), contestants, Plan(Rules(**rules), (2.0, 5.0), 2), labelled)


def test_it_tells_what_the_job_writes(tmp_path: Path) -> None:
    work = backfill(tmp_path, days=6)
    work.run()
    alone = Contestant("both", work.job.settings, lineup.build(("zscore", "ewma"), {}))
    wrote = {(a["metric"], a["labels"]["instance_name"], parse_time(a["end"])) for a in told(tmp_path)}
    said = {(query.metric, *end) for query, on, frame in replayed(work, alone) for end in ends(on, frame)}
    assert inner(said) == inner(wrote)
    assert len(inner(wrote)) > 10


def replayed(work: Bench, alone: Contestant) -> Iterator[tuple[Query, NDArray[np.bool_], Frame]]:
    """Six days of a job's metrics."""
    days = [NIGHT - n * timedelta(days=1) for n in range(6, -1, -1)]
    for query in dict.fromkeys(piece.query for piece in work.every):
        frame = work.job.source.read(query, days[0] - alone.needed(query), NIGHT)
        yield query, replay(frame, query, "By/s", alone, list(pairwise(days))).on, frame


def test_only_the_days_that_are_asked_for_are_judged_and_as_they_were(tmp_path: Path) -> None:
    work = backfill(tmp_path, days=6)
    alone = Contestant("both", work.job.settings, lineup.build(("zscore", "ewma"), {}))
    query, whole, frame = next(replayed(work, alone))
    row = int(whole.any(axis=1).argmax())
    column = int(whole[row].argmax())
    days = list(pairwise(NIGHT - n * timedelta(days=1) for n in range(6, -1, -1)))
    some = replay(frame, query, "By/s", alone, days, {row: [(column, column + 1)]}).on
    (day,) = [slice(frame.column(a), frame.column(b)) for a, b in days if frame.column(a) <= column < frame.column(b)]
    np.testing.assert_array_equal(some[row, day], whole[row, day])
    assert some.sum() == whole[row, day].sum() > 0


def ends(on: NDArray[np.bool_], frame: Frame) -> Iterator[tuple[str, datetime]]:
    for row, stop in zip(*np.nonzero(on[:, :-1] & ~on[:, 1:]), strict=True):
        yield frame.labels[row]["metric.labels.instance_name"], frame.start + (int(stop) + 1) * frame.step


def inner(every: set[tuple[str, str, datetime]]) -> set[tuple[str, str, datetime]]:
    """The ends that are not just those of a day, by which the job cuts what goes on."""
    return {each for each in every if each[2] != each[2].replace(hour=0, minute=0)}


def test_what_is_far_from_usual_is_caught_and_what_is_not_is_missed() -> None:
    trial = tried(contestant(lambda values: values - 100), kinds=(KINDS["spike"], KINDS["shift"]))
    assert {(f.size, f.delay) for f in trial.found} == {(2.0, HOUR), (5.0, HOUR)}
    deaf = tried(contestant(lambda values: np.where(values > 400, 100.0, 0.0)), kinds=(KINDS["spike"],))
    assert {(f.size, f.delay) for f in deaf.found} == {(2.0, None), (5.0, HOUR)}
    assert trial.plain[0].false_alarms == 0


def test_the_delay_is_that_of_certainty() -> None:
    sure = contestant(lambda v: v - 100)
    settings = Settings.model_validate({"policy": {"persistence": "3/3", "loud": 1e9, "min_relative": 0}})
    trial = tried(replace(sure, settings=settings), kinds=(KINDS["shift"],))
    assert {f.delay for f in trial.found} == {3 * HOUR}


def test_a_detector_that_always_cries_catches_nothing_and_pays() -> None:
    trial = tried(contestant(lambda values: np.full(values.shape, 100.0)), kinds=(KINDS["spike"],))
    assert {f.delay for f in trial.found} == {None}
    assert all(plain.false_alarms >= 100 for plain in trial.plain)


def test_each_contestant_is_judged_by_itself() -> None:
    good, deaf = contestant(lambda v: v - 100, "good"), contestant(np.zeros_like, "deaf")
    both = tried(good, deaf, kinds=(KINDS["spike"],))
    assert [f for f in both.found if f.contestant == "good"] == tried(good, kinds=(KINDS["spike"],)).found
    assert {f.delay for f in both.found if f.contestant == "deaf"} == {None}


def test_outages_are_told_by_the_policy_alone() -> None:
    kinds = tuple(replace(KINDS[name], lasts=2 * HOUR) for name in ("zero", "absent"))
    trial = tried(contestant(np.zeros_like), kinds=kinds)
    assert {f.kind for f in trial.found} == {"zero", "absent"}
    assert {f.delay for f in trial.found} == {2 * HOUR}, "one period of silence is no outage"


def test_what_the_policy_never_tells_is_not_put_in() -> None:
    settings = Settings.model_validate({"policy": {"absence": "ignore", "direction": "up"}})
    ignoring = Contestant("said", settings, contestant(lambda v: v - 100).detectors)
    trial = tried(ignoring)
    assert {f.kind for f in trial.found} == {"spike", "shift", "ramp"}
    assert trial.untold == {"drop", "zero", "absent"}
    nothing = tried(ignoring, kinds=(KINDS["drop"],))
    assert (nothing.found, nothing.untold, nothing.skipped.total()) == ([], {"drop"}, 0)


def test_labelled_windows_get_no_incident_and_are_scored() -> None:
    of = subject(rows=2)
    values = of.frame.values.copy()
    values[0, 200:205] = 300.0
    values[1, 300:302] = 300.0
    of = Subject(of.query, of.unit, Frame(values, of.frame.start, HOUR, of.frame.labels), DAYS)
    window = Window("s0", of.frame.start + 198 * HOUR, of.frame.start + 206 * HOUR)
    trial = tried(contestant(lambda v: v - 100), of=of, labelled=(window,), kinds=(KINDS["spike"],))
    hit, other = trial.plain
    assert (hit.false_alarms, dict(hit.delays)) == (0, {window: 2.0})
    assert (other.false_alarms, dict(other.delays)) == (1, {})
    for f in trial.found:
        assert f.series == 1 or not window.start - HOUR < f.start < window.end


def test_muted_times_get_no_incident_and_no_false_alarm_and_teach_nothing() -> None:
    of = subject(rows=2)
    values = of.frame.values.copy()
    values[:, 200:205] = 300.0
    muted = np.zeros(values.shape, dtype=bool)
    muted[0, 190:290] = True
    of = replace(of, frame=Frame(values, of.frame.start, HOUR, of.frame.labels), muted=muted)

    def remembers(given: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(np.nanmax(given, axis=1, keepdims=True) > 250, 100.0, 0.0) * np.ones_like(given)

    trial = tried(contestant(remembers, history=5 * DAY), of=of, kinds=(KINDS["drop"],))
    muted_row, other = trial.plain
    assert muted_row.false_alarms == 0
    assert other.false_alarms > 10
    assert not any(f.series == 0 and 190 < (f.start - of.frame.start) // HOUR + 1 <= 290 for f in trial.found)
    assert trial.skipped["muted"] > 0


def test_incidents_of_young_series_are_left_out_and_counted() -> None:
    trial = tried(contestant(lambda v: np.full(v.shape, np.nan)), kinds=(KINDS["spike"],))
    assert (trial.found, trial.tested["said"]) == ([], 0)
    assert trial.aside["said"] > 0


def test_series_are_tried_by_themselves_and_found_together() -> None:
    of, whole = subject(), tried(contestant(lambda v: v - 100))
    parts = Trial()
    for low in (0, 2, 4):
        rows = of.frame.rows(slice(low, low + 2))
        parts.extend(tried(contestant(lambda v: v - 100), of=replace(of, frame=rows)))
    assert sorted(parts.found, key=str) == sorted(whole.found, key=str)
    assert (parts.plain, parts.series, parts.points) == (whole.plain, whole.series, whole.points)
    assert (parts.skipped, parts.tested, parts.aside) == (whole.skipped, whole.tested, whole.aside)


@dataclass(frozen=True)
class Torn:
    """A reader whose second block tells that the first was not whole."""

    reader: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.reader, name)

    def blocks(self, query: Query, start: datetime, end: datetime, _rows: int) -> Iterator[Frame]:
        yield self.reader.read(query, start, end).rows(slice(0, 2))
        raise Scattered


def test_blocks_of_a_reader_or_the_whole_come_to_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job, every = (bench := backfill(tmp_path, days=5, detectors=("zscore",))).job, bench.every
    alone = Contestant("zscore", job.settings, job.detectors)
    plan = Plan(Rules(), (3.0,), 1)
    monkeypatch.setattr("job.memory.rows", lambda *_: 2)
    streamed, whole, torn = (
        past.trial(past.Work(work, (alone,), plan, (), lambda _: nullcontext()), past.days(work, every))
        for work in (job, replace(job, reader=Hidden(job.reader)), replace(job, reader=Torn(job.reader)))
    )
    assert len(whole.found) > 5
    for other in (streamed, torn):
        assert {repr(replace(f, series=0)) + other.series[f.series].name for f in other.found} == {
            repr(replace(f, series=0)) + whole.series[f.series].name for f in whole.found
        }
        assert (len(other.series), other.points, other.tested) == (len(whole.series), whole.points, whole.tested)


@dataclass(frozen=True)
class Hidden:
    """A reader of whole frames alone."""

    reader: Any

    def describe(self, query: Query) -> Any:
        return self.reader.describe(query)

    def read(self, query: Query, start: datetime, end: datetime) -> Any:
        return self.reader.read(query, start, end)


def test_other_detectors_stand_on_what_fits_them_with_the_rest_as_configured() -> None:
    text = 'detectors = ["ewma"]\n[policy]\nmin_relative = 0.5\n[detector.ewma]\nspan = "2h"\n'
    other = load({"config": "x"}, {"NETANOMALY_STEP": "1h"}, lambda _: text, ("adaptive",))
    assert (other.detectors, other.detection, other.policy.min_relative) == (("adaptive",), "adaptive", 0.5)
    assert other.policy.false_alarms is not None
    assert (other.detector, other.step) == ({}, HOUR)
    same = load({"config": "x", "detectors": "ewma"}, {}, lambda _: text, ("ewma", "zscore"))
    assert (same.detectors, set(same.detector)) == (("ewma", "zscore"), {"ewma"})
