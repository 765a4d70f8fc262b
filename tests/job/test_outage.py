"""Silence where there never was any."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given as example
from hypothesis import settings
from hypothesis import strategies as st

from detectors import Frame, Scores
from job.anomaly import band
from job.judge import Verdict, flags, judge
from job.outage import outages
from tests.job.judging import BEFORE, DAY, HOUR, LABELS, SPREAD, frame, given, policy, scores, subject

NAN = float("nan")


def unable(of: Frame) -> Scores:
    """A detector with a band so wide that it sees no drop."""
    return scores(of, spread=100.0)


def told(values: Any, before: float | list[float] | None = None, **settings: Any) -> Verdict:
    seen = frame(values)
    if before is not None:
        array = seen.values.copy()
        array[:, :BEFORE] = before
        seen = replace(seen, values=array)
    return judge(seen, {"d": unable(seen)}, policy(**settings), subject("d"), BEFORE)


def spans(verdict: Verdict) -> list[tuple[str, int, int]]:
    return [(a.kind, (a.start - DAY) // HOUR, (a.end - DAY) // HOUR) for a in verdict.anomalies]


@pytest.mark.parametrize(("value", "kind"), [(0.0, "zero"), (0.5, "zero"), (NAN, "absent")])
def test_silence_is_told_from_its_onset_once_and_its_end_is_no_event(value: float, kind: str) -> None:
    found = told([100, value, value, value, 100, 100])
    assert spans(found) == [(kind, 1, 4)]
    (down,) = found.anomalies
    assert (down.direction, down.expected, down.ongoing, down.continued) == ("down", 100, False, False)
    assert down.observed == (None if kind == "absent" else value)
    assert down.excess == pytest.approx((0.0 if kind == "absent" else value) * 10800 - 3 * 100 * 3600)
    assert down.severity >= (80 if kind == "zero" else 40)


def test_two_periods_are_the_least_however_short_absence_after_is() -> None:
    assert spans(told([100, 0, 100, 100], absence_after=HOUR / 4)) == []
    assert spans(told([100, 0, 0, 100], absence_after=HOUR / 4)) == [("zero", 1, 3)]


def test_who_was_at_nothing_twice_in_a_day_has_the_habit() -> None:
    often = [100, 0, 0, 100, 100, 0, 0, 100, 0, 0, 100]
    assert spans(told(often)) == [("zero", 1, 3), ("zero", 5, 7)]
    assert spans(told(often + 24 * [100] + [0, 0]))[-1] == ("zero", 35, 37)


@pytest.mark.parametrize("value", [0.0, NAN])
def test_silence_shorter_than_absence_after_is_not_told(value: float) -> None:
    assert spans(told([100, value, 100, 100])) == []
    assert spans(told([100, value, value, 100], absence_after=3 * HOUR)) == []


def test_a_level_that_is_only_low_is_not_zero() -> None:
    assert spans(told([100, 3, 3, 3, 100])) == []


def test_the_scores_view_of_an_outage_is_not_told_besides() -> None:
    seen = frame([100, 0, 0, 0, 100])
    found = judge(seen, {"d": scores(seen)}, policy(), subject("d"), BEFORE)
    assert spans(found) == [("zero", 1, 4)]
    assert found.anomalies[0].votes == {"d": -10.0}


def test_a_drop_that_becomes_an_outage_is_one_event_with_one_id() -> None:
    seen = frame([100, 20, 20, 0, 0, 0, 100])
    ids = set()
    for stop in range(BEFORE + 2, BEFORE + 8):
        past = seen.columns(0, stop)
        (found,) = judge(past, {"d": scores(past)}, policy(), subject("d"), BEFORE).anomalies
        ids.add(found.id)
    assert len(ids) == 1
    assert (found.kind, found.start, found.end, found.peak) == ("zero", DAY + HOUR, DAY + 6 * HOUR, DAY + 3 * HOUR)
    assert found.observed == 0


def test_an_outage_takes_no_hits_of_a_drop_that_lasted_until_it() -> None:
    """Else what was told between them, once the drop was the new normal, is taken back when the outage is certain."""
    seen = frame([100, *[40.0] * 6, 0, 0])
    hits = np.isin(np.arange(BEFORE + 9), [BEFORE + 1, BEFORE + 6, BEFORE + 7])
    said = given(seen, np.where(hits, -7.0, 0.0)[None])
    rule = policy(persistence={"hits": 1, "periods": 2}, adopt=6 * HOUR)
    told = [
        [a.id for a in judge(seen.columns(0, stop), {"d": _until(said, stop)}, rule, subject("d"), BEFORE).anomalies]
        for stop in (BEFORE + 8, BEFORE + 9)
    ]
    assert len(told[0]) == 2
    assert set(told[0]) == set(told[1])


def test_an_outage_keeps_the_drop_that_opened_it_though_a_rise_still_lasted_then() -> None:
    seen = frame([100, *[200.0] * 6, 5, 200, 0, 0])
    side = np.zeros(BEFORE + 11)
    side[BEFORE + 1 : BEFORE + 7] = 7.0
    side[[BEFORE + 7, BEFORE + 9, BEFORE + 10]] = -7.0
    rule = policy(persistence={"hits": 1, "periods": 2})
    said = given(seen, side[None])
    told = [
        [
            (a.kind, a.id)
            for a in judge(seen.columns(0, n), {"d": _until(said, n)}, rule, subject("d"), BEFORE).anomalies
        ]
        for n in (BEFORE + 8, BEFORE + 11)
    ]
    assert [[kind for kind, _ in some] for some in told] == [["spike", "drop"], ["zero", "spike"]]
    assert {name for _, name in told[0]} == {name for _, name in told[1]}


def _until(said: Scores, stop: int) -> Scores:
    return Scores(*(array[:, :stop] for array in vars(said).values() if array is not None))


def test_an_outage_hides_no_spike() -> None:
    seen = frame([200, NAN, NAN, 200, 100])
    rule = policy(persistence={"hits": 1, "periods": 4})
    found = judge(seen, {"d": scores(seen)}, rule, subject("d"), BEFORE)
    assert spans(found) == [("absent", 1, 3), ("spike", 0, 4)]


@pytest.mark.parametrize("absence", ["ignore", "zero"])
def test_absence_can_mean_nothing(absence: str) -> None:
    """What `zero` fills in is filled in before the judge sees it."""
    assert spans(told([100, NAN, NAN, NAN], absence=absence)) == []


def test_direction_up_asks_for_no_outages() -> None:
    assert spans(told([100, 0, 0, 0], direction="up")) == []


def test_an_idle_host_is_not_absent_and_a_host_without_points_is() -> None:
    assert spans(told([0, 0, 0, 0], before=0.0)) == []
    assert spans(told([NAN, NAN, NAN, NAN], before=0.0)) == [("absent", 0, 4)]
    assert spans(told([NAN, NAN, NAN, NAN], before=0.0, min_volume=1.0)) == []


def test_nights_of_nothing_are_a_habit() -> None:
    habit = [0.0 if hour % 24 < 6 else 100.0 for hour in range(BEFORE)]
    assert spans(told([0, 0, 0, 0, 0, 0, 100], before=habit)) == []


@pytest.mark.parametrize(("score", "expected"), [(-1.0, []), (-4.0, [("zero", 1, 4)]), (NAN, [("zero", 1, 4)])])
def test_a_detector_with_a_band_of_its_own_knows_older_habits(score: float, expected: list[Any]) -> None:
    """Weekends at nothing, of which the day before says nothing: it is asked, where it has something to say."""
    seen = frame([100, 0, 0, 0, 100])
    said = given(seen, np.where(seen.values > 0, 0.0, score))
    own = replace(said, lower=np.full_like(said.score, -50.0), upper=np.full_like(said.score, 250.0))
    late = Scores(*(np.asarray(array)[:, BEFORE - 1 :] for array in vars(own).values()))
    for one in (own, late):
        assert spans(judge(seen, {"d": one}, policy(), subject("d"), BEFORE)) == expected
    assert flags(seen, {"d": own}, policy(), subject("d")).flagged[0, BEFORE:].sum() == (2 if expected else 0)
    assert spans(judge(seen, {"d": said}, policy(), subject("d"), BEFORE)) == [("zero", 1, 4)], "no band of its own"


def test_a_zero_is_certain_when_such_a_detector_is_surprised() -> None:
    seen = frame([100, 0, 0, 0, 0, 0, 100])
    said = given(seen, np.where(np.arange(BEFORE + 7) < BEFORE + 4, -1.0, -4.0)[None])
    own = replace(said, lower=np.full_like(said.score, -50.0), upper=np.full_like(said.score, 250.0))
    early = _until(own, BEFORE + 4)
    assert spans(judge(seen.columns(0, BEFORE + 4), {"d": early}, policy(), subject("d"), BEFORE)) == []
    found = judge(seen, {"d": own}, policy(), subject("d"), BEFORE)
    assert (spans(found), found.known) == ([("zero", 1, 6)], (DAY + 4 * HOUR,))


def test_a_series_that_often_has_no_point_is_not_absent() -> None:
    gaps = [NAN if hour % 5 == 0 else 100.0 for hour in range(BEFORE)]
    assert spans(told([NAN, NAN, NAN], before=gaps)) == []


def test_a_series_that_has_just_begun_is_not_known_well_enough() -> None:
    young = [NAN] * (BEFORE - 11) + [100.0] * 11
    assert spans(told([NAN, NAN, NAN], before=young)) == []


def test_silence_is_the_new_normal_after_adopt_which_is_said() -> None:
    found = told([100, *[0.0] * 10], adopt=4 * HOUR)
    assert spans(found) == [("zero", 1, 5)]
    assert found.anomalies[0].adopted
    assert "it did not end, but is taken for the new normal from then on" in found.anomalies[0].sentence
    assert not told([100, *[0.0] * 4, 100], adopt=4 * HOUR).anomalies[0].adopted


@pytest.mark.parametrize("value", [0.0, NAN])
def test_one_outage_does_not_hide_the_next(value: float) -> None:
    kind = "zero" if value == 0 else "absent"
    again = [100, value, value, value, value, 100, 100, value, value, value, 100]
    assert spans(told(again)) == [(kind, 1, 5), (kind, 7, 10)]
    seen = frame(again)
    found = judge(seen, {"d": scores(seen)}, policy(merge=12 * HOUR), subject("d"), BEFORE)
    assert spans(found) == [(kind, 1, 5), (kind, 7, 10)], "nor do hits that belong together"


def test_a_loss_that_follows_an_outage_is_told_too() -> None:
    seen = frame([100, 0, 0, 20, 20, 20, 20, 100])
    found = judge(seen, {"d": scores(seen)}, policy(), subject("d"), BEFORE)
    assert spans(found) == [("zero", 1, 3), ("drop", 4, 7)]


@pytest.mark.parametrize(("back", "rises"), [(115, []), (175, [("spike", 4, 5)])])
def test_what_the_detectors_learned_of_an_outage_makes_no_rise_of_its_end(back: float, rises: list[Any]) -> None:
    """A little more than on the day before, and within what was expected when the outage began."""
    seen = frame([100, 0, 0, 0, back, 100, 100])
    half = scores(seen).expected.copy()
    half[:, BEFORE + 2 :] = 40.0
    learned = Scores(half, np.full(half.shape, SPREAD), (seen.values - half) / SPREAD)
    found = judge(seen, {"d": learned}, policy(), subject("d"), BEFORE)
    assert spans(found) == [("zero", 1, 4), *rises]


def test_what_comes_later_takes_no_outage_back() -> None:
    assert spans(told([200, 0, 0, 0, 2.7, 2.7], before=[100.0 + hour for hour in range(BEFORE)])) == [("zero", 1, 4)]


def test_who_often_has_gaps_is_missed_later() -> None:
    gaps = [NAN if hour % 24 in {5, 6} else 100.0 for hour in range(BEFORE)]
    assert spans(told([NAN] * 3 + [100], before=gaps)) == []
    assert spans(told([NAN] * 4 + [100], before=gaps)) == [("absent", 0, 4)]


def test_a_series_that_comes_back_after_days_away_can_be_judged() -> None:
    """A detector may have a score where it has nothing expected."""
    seen = frame([100, 500, 100], before=BEFORE)
    blind = replace(scores(seen), expected=np.full(seen.values.shape, NAN), spread=np.full(seen.values.shape, NAN))
    found = judge(
        replace(seen, values=np.where(seen.values == 100, NAN, seen.values)),
        {"d": blind},
        policy(),
        subject("d"),
        BEFORE,
    )
    assert found.anomalies == ()
    assert found.suppressed == {"contradicted": 1}


def test_the_second_day_of_an_outage_is_compared_with_the_day_before_it() -> None:
    day = [100.0 + 10 * (hour % 24) for hour in range(BEFORE)]
    before = [*day[: BEFORE - 6], *[0.0] * 6]
    (found,) = told([0.0] * 4 + [100.0], before=before).anomalies
    assert (found.continued, found.expected) == (True, 100), "at midnight"
    assert found.excess == -3600 * (100 + 110 + 120 + 130)
    assert found.severity == (fresh := told([100, *[0.0] * 10, 100], before=day).anomalies[0]).severity
    assert fresh.excess == -3600 * sum(100 + 10 * hour for hour in range(1, 11))


def test_an_outage_over_midnight_is_continued_when_it_was_certain() -> None:
    before = [100.0] * (BEFORE - 2) + [0.0] * 2
    (found,) = told([0, 0, 100], before=before).anomalies
    assert (found.start, found.continued, found.expected) == (DAY, True, 100)
    before = [100.0] * (BEFORE - 1) + [0.0]
    (found,) = told([0, 0, 100], before=before).anomalies
    assert (found.start, found.continued) == (DAY - HOUR, False)


def test_where_no_detector_has_a_baseline_the_day_before_tells() -> None:
    seen = frame([100, NAN, NAN])
    silent = np.full(seen.values.shape, NAN)
    nobody = replace(given(seen, silent), expected=silent, spread=silent)
    (found,) = judge(seen, {"d": nobody}, policy(), subject("d"), BEFORE).anomalies
    assert (found.expected, found.detectors, found.votes, found.score) == (100, 0, {}, -1000)


def test_no_score_of_nothing_is_minus_zero() -> None:
    seen = frame([NAN, NAN])
    array = seen.values.copy()
    array[:, :BEFORE] = 0.0
    idle = replace(seen, values=array)
    (found,) = judge(idle, {"d": scores(idle, expected=0.0, spread=SPREAD)}, policy(), subject("d"), BEFORE).anomalies
    assert str(found.score) == "0.0"


def test_a_silent_point_is_flagged_from_when_silence_was_certain() -> None:
    seen = frame([100, 0, 0, 0, 0, 100])
    said = flags(seen, {"d": given(seen, np.zeros_like(seen.values))}, policy(absence_after=3 * HOUR), subject("d"))
    assert np.flatnonzero(said.flagged[0]).tolist() == [BEFORE + 3, BEFORE + 4]


def test_who_was_idle_is_missed_less_than_who_was_busy() -> None:
    seen = frame([NAN] * 4)
    idle = replace(seen, values=np.where(np.isnan(seen.values), NAN, 0.0))
    nothing = np.zeros(idle.values.shape)
    said = {"d": Scores(nothing, nothing, nothing)}
    (quiet,) = judge(idle, said, policy(), subject("d"), BEFORE).anomalies
    (busy,) = judge(seen, {"d": scores(seen, spread=1.0)}, policy(), subject("d"), BEFORE).anomalies
    assert quiet.score == 0
    assert 40 <= quiet.severity < busy.severity
    assert quiet.sentence.endswith("4h so far; it was idle then, but reported every 1h.")
    days = Frame(np.hstack([idle.values[:, :BEFORE], np.full((1, 72), NAN)]), idle.start, HOUR, idle.labels)
    nothing = np.zeros(days.values.shape)
    (long,) = judge(days, {"d": Scores(nothing, nothing, nothing)}, policy(), subject("d"), BEFORE).anomalies
    assert band(long.severity) == "medium", "however long"


def test_what_arithmetic_leaves_of_nothing_is_nothing() -> None:
    seen = frame([0.0, 50.0, 50.0, 50.0])
    seen = replace(seen, values=np.where(seen.values == 100, 0.0, seen.values))
    (one,) = judge(seen, {"d": scores(seen, expected=-2e-11, spread=1.0)}, policy(), subject("d"), BEFORE).anomalies
    assert one.expected == 0


@pytest.mark.parametrize(("there", "ends"), [(1, [16]), (2, [16]), (3, [8, 16])])
def test_a_moment_of_traffic_does_not_end_an_outage(there: int, ends: list[int]) -> None:
    """Quarters of an hour; half an hour is the longest moment."""
    quarter = HOUR / 4
    values = np.concatenate([np.full(192, 100.0), np.zeros(8), np.full(there, 300.0), np.zeros(8 - there), [100.0] * 4])
    seen = Frame(values[None], DAY - 192 * quarter, quarter, (LABELS,))
    downs = [
        a
        for a in judge(seen, {"d": unable(seen)}, policy(absence_after=HOUR / 2), subject("d"), 192).anomalies
        if a.direction == "down"
    ]
    assert [round((a.end - DAY) / quarter) for a in downs] == ends


def test_nothing_goes_on_after_it_was_adopted() -> None:
    quarter = HOUR / 4
    values = np.concatenate([np.full(192, 100.0), np.zeros(7), [100.0], np.zeros(12)])
    seen = Frame(values[None], DAY - 192 * quarter, quarter, (LABELS,))
    (down,) = judge(
        seen, {"d": unable(seen)}, policy(absence_after=HOUR / 2, adopt=3 * HOUR), subject("d"), 192
    ).anomalies
    assert (down.start, down.end, down.adopted) == (DAY, DAY + 3 * HOUR, True)


SILENCES = st.tuples(
    st.sampled_from([0.0, NAN]), st.integers(1, 20), st.sampled_from([50.0, 100.0]), st.integers(1, 30)
)


@settings(max_examples=150, deadline=None)
@example(st.lists(SILENCES, min_size=4, max_size=20))
def test_no_more_than_four_days_before_it_make_an_outage(runs: list[tuple[float, int, float, int]]) -> None:
    """Among silences of less than one, that is."""
    pairs = [pair for one in runs for pair in (one[:2], one[2:])]
    values = np.array([value for value, length in pairs for _ in range(int(length))] * 48)[-8 * 24 :]
    whole, first, skip = frame(values, before=0), 6 * 24, 2 * 24
    late = whole.columns(skip, 8 * 24)
    rule = policy(adopt=240 * HOUR)
    found, again = (
        [down.later(skip) for down in outages(seen, rule, first - skip).get(0, ()) if down.start >= first - skip]
        for seen, skip in ((whole, 0), (late, skip))
    )
    assert found == again
