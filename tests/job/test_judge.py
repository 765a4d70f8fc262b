"""What of the scores is told, and how."""

import math
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given as example
from hypothesis import settings
from hypothesis import strategies as st

from detectors import CAP, Frame, Scores
from detectors.deviates import threshold
from job import event, opinion, worth
from job.anomaly import Anomaly, band
from job.judge import Verdict, judge
from job.policy import Persistence
from job.record import severity
from job.worth import WAKE
from tests.job.judging import BEFORE, DAY, HOUR, LABELS, LEVEL, SPREAD, frame, given, policy, scores, subject, verdict


def spans(values: Any, said: dict[str, Scores] | None = None, **settings: Any) -> list[tuple[str, int, int]]:
    """Each anomaly's kind and hours of the judged day."""
    found = verdict(values, said, **settings).anomalies
    return [(a.kind, (a.start - DAY) // HOUR, (a.end - DAY) // HOUR) for a in found]


def test_a_spike_and_a_drop_and_nothing_else() -> None:
    found = verdict([100, 170, 100, 105, 30, 100])
    spike, drop = found.anomalies
    assert (spike.kind, spike.direction, spike.observed, spike.score, spike.votes) == ("spike", "up", 170, 7, {"d": 7})
    assert (drop.kind, drop.direction, drop.observed, drop.score, drop.votes) == ("drop", "down", 30, -7, {"d": -7})
    assert (spike.start, spike.end, spike.peak) == (DAY + HOUR, DAY + 2 * HOUR, DAY + HOUR)
    assert (spike.expected, spike.lower, spike.upper, spike.excess, spike.excess_unit) == (100, 40, 160, 252_000, "By")
    assert (spike.step, spike.history, spike.detectors, spike.unit) == (3600, {"d": "1h"}, 1, "By/s")
    assert (found.tested, found.warming_up, found.suppressed) == (6, (), {})


@pytest.mark.parametrize(("direction", "kinds"), [("both", ["spike", "drop"]), ("up", ["spike"]), ("down", ["drop"])])
def test_direction(direction: str, kinds: list[str]) -> None:
    assert [kind for kind, _, _ in spans([100, 200, 100, 20, 100], direction=direction)] == kinds


@pytest.mark.parametrize(
    ("rule", "told", "held"),
    [("min_absolute", 100.0, 100.1), ("min_relative", 1.0, 1.01), ("min_volume", 200.0, 200.5)],
)
def test_what_is_too_small_is_held_back_and_counted(rule: str, told: float, held: float) -> None:
    enough: dict[str, Any] = {rule: told}
    too_small: dict[str, Any] = {rule: held}
    assert spans([100, 200, 100], **enough) == [("spike", 1, 2)]
    quiet = verdict([100, 200, 100], **too_small)
    assert (quiet.anomalies, quiet.suppressed) == ((), {rule: 1})


def test_a_drop_from_a_large_volume_is_not_too_small() -> None:
    assert spans([100, 10, 100], min_volume=90.0) == [("drop", 1, 2)]


@pytest.mark.parametrize(
    ("hits", "periods", "values", "told"),
    [
        (2, 3, [100, 200, 100, 100, 100], []),
        (2, 3, [100, 200, 200, 100, 100], [("spike", 1, 3)]),
        (2, 3, [100, 200, 100, 200, 100], [("spike", 1, 4)]),
        (2, 3, [100, 200, 100, 100, 200], []),
        (3, 3, [200, 200, 100, 200, 200], []),
        (1, 3, [200, 100, 100, 200, 100], [("spike", 0, 4)]),
        (1, 1, [200, 100, 200, 100, 200], [("spike", 0, 1), ("spike", 2, 3), ("spike", 4, 5)]),
        (2, 2, [200, 20, 200, 20, 200], []),
    ],
)
def test_m_of_n_periods(hits: int, periods: int, values: list[float], told: list[tuple[str, int, int]]) -> None:
    found = verdict(values, persistence=Persistence(hits=hits, periods=periods), loud=1000.0)
    assert [(a.kind, (a.start - DAY) // HOUR, (a.end - DAY) // HOUR) for a in found.anomalies] == told
    assert bool(found.suppressed.get("persistence")) is not bool(told)


def test_a_loud_hit_needs_no_persistence() -> None:
    twice = Persistence(hits=2, periods=3)
    assert spans([100, 219, 100], persistence=twice, loud=2.0) == []
    assert spans([100, 220, 100], persistence=twice, loud=2.0) == [("spike", 1, 2)]


@pytest.mark.parametrize(
    ("votes", "hit", "told"),
    [(1, 1, True), (2, 1, False), (2, 2, True), ("majority", 1, False), ("majority", 2, True), ("all", 2, False),
     ("all", 3, True), (7, 2, False), (7, 3, True)],
)  # fmt: skip
def test_so_many_detectors_must_agree(votes: int | str, hit: int, told: bool) -> None:
    """Of more votes than there are detectors, all are needed."""
    seen = frame([100, 200])
    said = {f"d{n}": scores(seen, spread=SPREAD if n < hit else 100.0) for n in range(3)}
    found = verdict([100, 200], said, votes=votes, informed=False).anomalies
    assert bool(found) is told
    assert all(len(a.votes) == hit and a.detectors == 3 for a in found)


def test_detectors_that_disagree_on_the_way_do_not_add_up() -> None:
    seen = frame([100, 200])
    said = {"a": scores(seen), "b": scores(seen, expected=500.0)}
    assert spans([100, 200], said, votes=2) == []


def test_only_detectors_with_a_baseline_count() -> None:
    seen = frame([100, 200])
    silent = replace(
        scores(seen), score=np.full(seen.values.shape, np.nan), expected=np.full(seen.values.shape, np.nan)
    )
    (found,) = verdict([100, 200], {"a": scores(seen), "b": silent}).anomalies
    assert (found.detectors, list(found.votes), list(found.history)) == (1, ["a"], ["a"])


def test_the_best_informed_detector_has_a_veto() -> None:
    seen = frame([100, 200])
    said = {"short": scores(seen), "middle": scores(seen), "long": scores(seen, expected=200.0)}
    assert spans([100, 200], said, informed=False) == [("spike", 1, 2)]
    assert spans([100, 200], said) == []
    calm = {name: said[name] for name in ("long", "short", "middle")}  # now "middle" looks back farthest
    assert spans([100, 200], calm) == [("spike", 1, 2)]


def test_a_hit_is_told_by_the_best_informed_detector_that_voted() -> None:
    seen = frame([100, 200])
    said = {"short": scores(seen, expected=90.0), "middle": scores(seen), "long": scores(seen, expected=195.0)}
    (found,) = verdict([100, 200], said, informed=False).anomalies
    assert found.expected == 100
    assert found.score == 10


def test_nobody_knows_a_young_series_and_it_is_not_normal() -> None:
    seen = frame(np.array([[100, 200], [100, 100], [np.nan, np.nan]]))
    score = np.zeros(seen.values.shape)
    score[0] = np.nan
    score[2] = np.nan
    found = judge(seen, {"d": given(seen, score)}, policy(absence="ignore"), subject("d"), BEFORE)
    assert found.warming_up == (0,)
    assert (found.tested, found.anomalies) == (2, ())


def test_a_band_holds_what_was_not_told_and_never_reaches_below_zero() -> None:
    for value in (170.0, 30.0, 5.0):
        (found,) = verdict([100, value]).anomalies
        assert found.observed is not None
        assert not found.lower <= found.observed <= found.upper
    seen = frame([100, 1000])
    (found,) = verdict([100, 1000], {"d": scores(seen, spread=50.0)}).anomalies
    assert (found.lower, found.upper) == (0.0, 400.0)


def test_a_band_holds_what_was_expected_and_its_nothing_is_zero() -> None:
    """A detector's own band may come from more views than its expected value."""
    seen = frame([100, 400])
    said = scores(seen)
    own = replace(said, lower=np.full_like(said.score, 110.0), upper=np.full_like(said.score, 200.0))
    (found,) = verdict([100, 400], {"d": own}).anomalies
    assert (found.lower, found.expected, found.upper) == (110, 110, 200)
    (found,) = verdict([100, 400], {"d": replace(own, lower=np.full_like(said.score, 1e-8))}).anomalies
    assert (found.lower, found.expected) == (0, 100)


def test_without_a_band_of_its_own_a_calibrated_score_says_how_wide_it_is() -> None:
    """Eight at 400 where 100 was expected: six, the threshold, is at 325, whatever the spread."""
    seen = frame([100, 400])
    said = np.zeros_like(seen.values)
    said[0, -1] = 8.0
    (found,) = verdict([100, 400], {"d": given(seen, said)}).anomalies
    assert (found.expected, found.upper) == (100, 325)


def test_a_series_that_goes_below_zero_has_a_band_that_does() -> None:
    (found,) = verdict([100, -50], {"d": scores(frame([100, -50]), spread=20.0)}).anomalies
    assert found.lower == -20


def test_an_event_over_midnight_belongs_to_the_day_in_which_it_was_certain() -> None:
    """Two of three: hits at 22 and 0 are certain at 0; hits at 22 and 23 were certain the day before."""
    seen = frame([200, 200, 100, 100])
    values = seen.values.copy()
    values[0, BEFORE - 2] = 200.0
    late = replace(seen, values=values)
    values = values.copy()
    values[0, BEFORE - 1] = 200.0
    early = replace(seen, values=values)
    rule = policy(persistence=Persistence(hits=2, periods=3), loud=1000.0)
    (fresh,) = judge(late, {"d": scores(late)}, rule, subject("d"), BEFORE).anomalies
    assert (fresh.start, fresh.end, fresh.continued) == (DAY - 2 * HOUR, DAY + 2 * HOUR, False)
    (old,) = judge(early, {"d": scores(early)}, rule, subject("d"), BEFORE).anomalies
    assert (old.start, old.end, old.continued) == (DAY, DAY + 2 * HOUR, True)
    (yesterday,) = judge(early, {"d": scores(early)}, rule, subject("d"), BEFORE - 24).anomalies
    assert yesterday.start == DAY - 2 * HOUR
    day_before = judge(late.columns(0, BEFORE), {"d": scores(late.columns(0, BEFORE))}, rule, subject("d"), BEFORE - 24)
    assert day_before.anomalies == ()


def test_an_id_tells_series_start_and_direction_apart_and_nothing_else() -> None:
    one, two = verdict([[200, 100], [200, 100]]).anomalies
    (again,) = verdict([200, 300, 100]).anomalies
    assert one.id != two.id
    assert again.id == one.id
    assert again.peak != one.peak


def test_the_excess_is_what_was_too_much_in_all_hits() -> None:
    (found,) = verdict([100, 200, 100, 300, 100], persistence=Persistence(hits=1, periods=3)).anomalies
    assert found.excess == (100 + 200) * 3600


def test_ongoing_is_what_reaches_the_end() -> None:
    assert [a.ongoing for a in verdict([200, 100, 200]).anomalies] == [False, True]


def test_severity_grows_with_size_and_length_and_has_names() -> None:
    minutes = timedelta(minutes=10)
    assert severity("spike", 1.0, 0.0, minutes) == 42
    assert severity("spike", 2.0, 0.0, minutes) == 52
    assert severity("spike", 1.0, 0.5, minutes) == 50
    assert severity("spike", 1.0, 0.0, 3 * minutes) == 44
    assert severity("drop", -8.0, -0.8, minutes) == 84
    assert severity("zero", 0.0, 1.0, minutes) == 82
    assert severity("spike", math.inf, 1.0, 1000 * minutes) == severity("zero", math.inf, 1.0, 1000 * minutes) == 100


def test_missing_points_are_a_notice_that_gets_worse_as_they_stay_away() -> None:
    wait = timedelta(minutes=15)
    lasting = [severity("absent", 1.0, 1.0, n * wait, wait) for n in (1, 2, 4, 8, 16, 1000)]
    assert lasting == [40, 52, 64, 76, 88, 95]
    assert severity("absent", 1.0, 1.0, 2 * wait, 2 * wait) == 40, "who often has gaps is missed later"
    assert [band(n) for n in (0, 49, 50, 69, 70, 84, 85, 100)] == [
        "low", "low", "medium", "medium", "high", "high", "critical", "critical"
    ]  # fmt: skip


def test_a_jump_off_a_flat_line_is_finite() -> None:
    seen = frame([100, 150])
    flat = replace(scores(seen), spread=np.zeros(seen.values.shape), score=np.where(seen.values > 100, CAP, 0.0))
    (found,) = verdict([100, 150], {"d": flat}).anomalies
    assert (found.score, found.lower, found.upper) == (CAP, 100.0, 100.0)
    assert Anomaly.model_validate_json(found.line()) == found


def test_the_way_back_from_a_deviation_is_none() -> None:
    """A detector that took the incident for the new level would flag the return; the day before says otherwise."""
    seen = frame([100, 200, 200, 100, 100])
    fooled = given(seen, np.where(np.arange(seen.values.shape[1]) < BEFORE + 3, (seen.values - 100) / 10, -9.0))
    low = replace(fooled, expected=np.where(fooled.score < 0, 190.0, LEVEL))
    found = verdict([100, 200, 200, 100, 100], {"d": low})
    assert [(a.kind, a.start) for a in found.anomalies] == [("spike", DAY + HOUR)]
    assert found.suppressed == {"return": 2}


@pytest.mark.parametrize(("hours", "told"), [(WAKE // HOUR, ["spike"]), (WAKE // HOUR + 1, ["spike", "drop"])])
def test_the_way_back_is_near_the_deviation(hours: int, told: list[str]) -> None:
    values = [100, 200, *([100] * hours)]
    seen = frame(values)
    said = np.zeros_like(seen.values)
    said[0, BEFORE + 1], said[0, -1] = 10.0, -9.0
    low = replace(given(seen, said), expected=np.where(said < 0, 190.0, LEVEL))
    assert [a.kind for a in verdict(values, {"d": low}).anomalies] == told


def test_a_hit_that_its_own_baseline_contradicts_is_not_told() -> None:
    """Scores may come from another view than the baseline that tells them."""
    seen = frame([100, 110, 90, 100])
    said = np.zeros_like(seen.values)
    said[0, BEFORE + 1], said[0, BEFORE + 2] = -9.0, 9.0
    found = verdict([100, 110, 90, 100], {"d": given(seen, said)})
    assert (found.anomalies, found.suppressed) == ((), {"contradicted": 2})


def test_a_calibrated_threshold_is_the_one_of_the_asked_rate() -> None:
    asked = {"threshold": 6.0, "false_alarms": 0.5}
    cut = threshold(0.5)
    seen = frame([100, 100])
    for score, told in ((cut * 1.01, True), (cut * 0.99, False)):
        said = np.zeros_like(seen.values)
        said[0, -1] = score
        values = seen.values.copy()
        values[0, -1] = 200
        there = replace(seen, values=values)
        assert bool(judge(there, {"d": given(there, said)}, policy(**asked), subject("d"), BEFORE).anomalies) is told


def test_a_fall_below_what_was_usual_is_told_even_after_a_rise() -> None:
    seen = frame([100, 200, 200, 30, 30])
    assert [a.kind for a in verdict([100, 200, 200, 30, 30], {"d": scores(seen)}).anomalies] == ["spike", "drop"]


def loud(values: list[float], unit: str, **settings: Any) -> Verdict:
    """The verdict on an hour at nothing and then these rates, every one of which is loud to its detector."""
    seen = Frame(np.array([[0.0, *values]]), DAY - HOUR, HOUR, (LABELS,))
    said = Scores(np.zeros_like(seen.values), np.zeros_like(seen.values), np.where(seen.values > 0, CAP, 0.0))
    asked = policy(**settings)
    return judge(seen, {"d": said}, asked, replace(subject("d"), unit=unit), 1)


@pytest.mark.parametrize(("unit", "few", "many"), [("packets/s", 12, 14), ("By/s", 12 * 500, 14 * 500)])
def test_a_handful_of_packets_is_not_told_however_rare(unit: str, few: int, many: int) -> None:
    assert loud([few / 3600], unit).suppressed == {"counting": 1}
    assert loud([few / 3600], unit, counting=False).anomalies
    assert loud([many / 3600], unit).anomalies


def test_what_is_no_rate_is_not_counted() -> None:
    assert loud([1e-6], "1").anomalies


def test_two_events_of_one_day_are_in_order_and_apart() -> None:
    assert Counter(spans([200, 20, 200, 100])) == Counter([("spike", 0, 1), ("drop", 1, 2), ("spike", 2, 3)])


grids = st.integers(1, 24).flatmap(
    lambda n: st.lists(st.sampled_from([0.0, 7.0, -7.0, 20.0, np.nan]), min_size=n, max_size=n)
)


@settings(max_examples=200, deadline=None)
@example(grids, st.integers(1, 4), st.integers(1, 4), st.sampled_from([1.0, 2.0, 5.0]))
def test_certainty_has_a_slow_twin(row: list[float], hits: int, periods: int, loud: float) -> None:
    rule = policy(persistence=Persistence(hits=min(hits, periods), periods=periods), loud=loud)
    score = np.array([row])
    side = np.where(np.abs(score) >= 6, np.sign(score), 0).astype(np.int8)
    least, sides = rule.persistence.hits, side[0]
    slow = [
        bool(s)
        and bool(abs(row[j]) >= loud * 6 or np.count_nonzero(sides[max(0, j - periods + 1) : j + 1] == s) >= least)
        for j, s in enumerate(sides.tolist())
    ]
    assert worth.certainty(side, score, rule)[0].tolist() == slow


@settings(max_examples=100, deadline=None)
@example(st.lists(grids.map(lambda g: (g * 24)[:6]), min_size=1, max_size=5))
def test_the_median_of_what_is_a_number(every: list[list[float]]) -> None:
    array = np.array(every)
    slow = [np.median([v for v in column if not math.isnan(v)] or [np.nan]) for column in array.T]
    np.testing.assert_array_equal(opinion.median(array), slow)


@settings(max_examples=200, deadline=None)
@example(st.lists(st.sampled_from([0, 0, 1, -1]), max_size=24), st.integers(1, 4))
def test_runs_have_a_slow_twin(row: list[int], periods: int) -> None:
    slow: list[list[int]] = []
    for j, s in enumerate(row):
        if s and slow and j - slow[-1][-1] <= periods and row[slow[-1][-1]] == s:
            slow[-1].append(j)
        elif s:
            slow.append([j])
    assert [r.tolist() for r in event._runs(np.array(row, dtype=np.int8), periods)] == slow


def test_hits_that_are_near_each_other_are_one_event() -> None:
    assert spans([200, 100, 100, 200], merge=3 * HOUR) == [("spike", 0, 4)]
    assert spans([200, 100, 100, 200], merge=2 * HOUR) == [("spike", 0, 1), ("spike", 3, 4)]


VALUES = st.sampled_from([LEVEL, LEVEL, 40.0, 170.0, 0.0, 0.0, np.nan, np.nan])


@settings(max_examples=60, deadline=None)
@example(
    st.lists(st.tuples(VALUES, st.integers(1, 4)), min_size=2, max_size=8),
    st.lists(st.sampled_from([0.0, 0.0, 7.0, -7.0, 20.0, -20.0]), min_size=16, max_size=16),
    st.integers(1, 3),
    st.integers(2, 3),
)
def test_time_only_adds_to_what_was_told(
    runs: list[tuple[float, int]], scored: list[float], hits: int, after: int
) -> None:
    """Judged column by column, no event is ever taken back, and one that is over for good never changes."""
    values = [value for value, length in runs for _ in range(length)][:16]
    seen = frame(values)
    score = np.concatenate([np.zeros(BEFORE), scored[: len(values)]])[None]
    rule = policy(
        persistence=Persistence(hits=min(hits, after), periods=after), absence_after=after * HOUR, adopt=6 * HOUR
    )
    before: dict[str, Anomaly] = {}
    for stop in range(BEFORE + 1, BEFORE + len(values) + 1):
        past = seen.columns(0, stop)
        told = judge(past, {"d": given(past, score[:, :stop])}, rule, subject("d"), BEFORE).anomalies
        now = {a.id: a for a in told}
        assert len(now) == len(told)
        for key, old in before.items():
            assert key in now, f"taken back: {old.sentence}"
            if past.end - old.end > after * HOUR + HOUR and old.kind in {"spike", "absent"}:
                assert now[key] == old
        before = now


@pytest.mark.parametrize(
    ("values", "known"),
    [
        ([100, 200, 200, 200, 100], 1),
        ([100, 165, 100, 165, 165, 100], 3),  # two hits within three periods
        ([100, 30, 30, 100], 2),
        ([100, 0, 0, 0, 0], 1),  # as a drop, before it is an outage
        ([100, np.nan, np.nan, np.nan, np.nan], 2),
    ],
)
def test_an_anomaly_is_known_from_the_first_column_that_makes_it_certain(values: list[float], known: int) -> None:
    rule: dict[str, Any] = {"persistence": Persistence(hits=2, periods=3), "loud": 1.6}
    whole = verdict(values, **rule)
    assert whole.known == (DAY + known * HOUR,)
    assert not verdict(values[:known], **rule).anomalies
    (then,) = verdict(values[: known + 1], **rule).anomalies
    assert then.start == whole.anomalies[0].start


def test_what_came_over_from_before_is_known_from_the_first_column_on() -> None:
    told = verdict([200, 200, 200, 200], first=BEFORE + 2)
    assert (told.anomalies[0].continued, told.known) == (True, (DAY + 2 * HOUR,))


@settings(max_examples=40, deadline=None)
@example(
    st.lists(st.lists(VALUES, min_size=6, max_size=6), min_size=1, max_size=3),
    st.lists(st.sampled_from([0.0, 0.0, 7.0, -7.0, 20.0, np.nan]), min_size=12, max_size=12),
    st.integers(0, 6),
)
def test_scores_of_the_last_columns_alone_say_the_same(rows: list[list[float]], scored: list[float], more: int) -> None:
    """Before they begin, nothing is said: as where a detector has no baseline."""
    seen = frame(rows)
    width = 6 + more
    late = np.tile(scored[-width:], (len(rows), 1))
    all_of_it = np.hstack([np.full((len(rows), BEFORE + 6 - width), np.nan), late])
    known = np.where(np.isnan(all_of_it), np.nan, LEVEL)
    whole = Scores(known, known / 10, np.where(np.isnan(seen.values), np.nan, all_of_it))
    part = Scores(*(array[:, -width:] for array in (whole.expected, whole.spread, whole.score)))
    rule = policy(min_relative=0.5)
    assert judge(seen, {"d": part}, rule, subject("d"), BEFORE) == judge(seen, {"d": whole}, rule, subject("d"), BEFORE)


def test_each_anomaly_says_of_which_row_it_is() -> None:
    found = verdict([[100, 100], [200, 100], [100, 100], [100, 200], [0, 0]])
    named = [int(a.labels["instance_name"].removeprefix("web-")) - 1 for a in found.anomalies]
    assert list(found.rows) == named == [1, 3, 4]


def test_a_period_that_is_half_the_way_back_does_not_make_the_rest_an_event() -> None:
    values = [100, 900, 900, 500, 100, 100]
    seen = frame(values)
    said = given(seen, np.where(np.arange(seen.values.shape[1]) < BEFORE + 3, (seen.values - 100) / 10, -9.0))
    low = replace(said, expected=np.where(said.score < 0, 890.0, LEVEL))
    found = verdict(values, {"d": low})
    assert [(a.kind, a.start) for a in found.anomalies] == [("spike", DAY + HOUR)]
    assert found.suppressed == {"return": 3}
