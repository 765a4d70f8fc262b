"""How long an event lasts, what it is told by, and what of it is no news."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors import Frame, Scores
from job.judge import Verdict, judge
from job.lasting import moved
from tests.incidents.test_teaching import DAY as MIDNIGHT
from tests.incidents.test_teaching import found, traffic
from tests.job.judging import DAY, HOUR, LABELS, policy, subject

NAN = float("nan")
WEEK = 8 * 24
"""Columns of hours before the judged time, which may be several days."""


def daily(hours: int, low: float = 100.0, high: float = 100.0) -> NDArray[np.float64]:
    """So many hours, of which those of each day from 8 to 20 are at another level."""
    return np.where((np.arange(hours) % 24 >= 8) & (np.arange(hours) % 24 < 20), float(high), float(low))


def told(
    values: NDArray[np.float64], hits: dict[int, float], first: int = 0, learned: Any = None, **settings: Any
) -> Verdict:
    """What is told of hours after a week, of which a detector flags only some; it expects what it has `learned`."""
    before = daily(WEEK, *settings.pop("levels", (100.0, 100.0)))
    seen = Frame(np.append(before, values)[None], DAY - WEEK * HOUR, HOUR, (LABELS,))
    score = np.zeros(seen.values.shape)
    for hour, one in hits.items():
        score[0, WEEK + hour] = one
    expected = np.append(before, values if learned is None else learned)[None]
    for hour in hits if learned is None else ():
        base, value = before[hour % 24], values[hour]
        expected[0, WEEK + hour] = base if (value - base) * hits[hour] > 0 else 4 * base
    said = Scores(expected, np.full(score.shape, 5.0), np.where(np.isnan(seen.values), NAN, score))
    return judge(
        seen, {"d": said}, policy(**({"merge": HOUR, "min_relative": 0.2} | settings)), subject("d"), WEEK + first
    )


def spans(verdict: Verdict) -> list[tuple[str, int, int, bool]]:
    return [(a.kind, (a.start - DAY) // HOUR, (a.end - DAY) // HOUR, a.adopted) for a in verdict.anomalies]


def hours(base: float, **at: float) -> NDArray[np.float64]:
    """A day at a level, but for `_3_7=400`: 400 from 3 to 7."""
    values = np.full(24, float(base))
    for name, value in at.items():
        begin, end = map(int, name.strip("_").split("_"))
        values[begin:end] = value
    return values


def test_an_event_lasts_until_it_is_over_however_soon_it_was_learned() -> None:
    values = hours(100, _3_13=400.0)
    values[8] = 500
    (found,) = told(values, {3: 20, 4: 9}).anomalies
    assert (found.start, found.end, found.peak) == (DAY + 3 * HOUR, DAY + 13 * HOUR, DAY + 8 * HOUR)
    assert (found.observed, found.expected, found.excess) == (500, 100, (9 * 300 + 400) * 3600)
    assert (found.score, found.votes, found.detectors) == (20, {"d": 20}, 1), "where it was surest"
    assert "(5x the expected 100 B/s); for 10h from 03:00" in found.sentence


def test_a_hit_alone_is_told_by_its_own_baseline() -> None:
    (found,) = told(hours(100, _3_4=400.0), {3: 20}, learned=hours(90)).anomalies
    assert (found.start, found.end, found.expected) == (DAY + 3 * HOUR, DAY + 4 * HOUR, 90)


def test_what_was_expected_at_the_onset_goes_on_as_the_days_before() -> None:
    values = daily(24, 100, 1000) + np.where((np.arange(24) >= 5) & (np.arange(24) < 15), 2000.0, 0.0)
    values[12] += 500
    found = told(values, {5: 20, 6: 9}, levels=(100.0, 1000.0)).anomalies[0]
    assert (found.end, found.peak, found.expected) == (DAY + 15 * HOUR, DAY + 12 * HOUR, 1000)
    assert found.excess == (10 * 2000 + 500) * 3600


@pytest.mark.parametrize(("before", "now", "expected"), [(10, 5, 50), (10, 10, 100), (10, 40, 130), (NAN, 4, 100)])
def test_less_is_by_its_share_and_more_is_added(before: float, now: float, expected: float) -> None:
    assert moved(100.0, before, now) == expected


def test_a_loss_is_a_share_of_what_is_usual_by_day_and_by_night() -> None:
    values = daily(24, 100, 1000)
    values[5:15] *= 0.3
    (found,) = told(values, {5: -20}, levels=(100.0, 1000.0)).anomalies
    assert (found.kind, found.start, found.end) == ("drop", DAY + 5 * HOUR, DAY + 15 * HOUR)


def test_what_is_hardly_off_does_not_go_on() -> None:
    values = hours(115, _0_3=100.0, _3_4=125.0)
    assert spans(told(values, {3: 20})) == [("spike", 3, 4, False)]
    assert spans(told(values, {3: 20}, min_relative=0.1)) == [("spike", 3, 24, False)]


def test_hits_in_what_still_goes_on_are_of_the_same_event() -> None:
    assert spans(told(hours(100, _3_20=400.0), {3: 20, 11: 9, 17: 9})) == [("spike", 3, 20, False)]


def test_what_lasts_is_adopted_and_neither_its_going_on_nor_its_end_is_news() -> None:
    values = np.concatenate([hours(100, _3_24=400.0), np.full(24, 400.0), hours(100, _0_6=400.0)])
    hits = {3: 20.0, 10: 9.0, 30: 9.0, 40: 9.0, 50: 9.0, 54: -20.0, 60: -9.0}
    assert spans(told(values, hits)) == [("spike", 3, 27, True)]
    assert told(values, hits, 24).suppressed == {"adopted": 5}
    (over,) = told(values, hits, 24).anomalies
    assert (over.start, over.end, over.continued, over.adopted) == (DAY + 24 * HOUR, DAY + 27 * HOUR, True, True)
    assert "; it did not end, but is taken for the new normal from then on" in over.sentence
    assert told(values, hits, 48).anomalies == ()


def test_more_than_what_was_adopted_is_news() -> None:
    values = np.concatenate([hours(100, _3_24=400.0), hours(400, _10_12=900.0), hours(100, _0_6=400.0, _9_11=5.0)])
    hits = {3: 20.0, 34: 20.0, 54: -20.0, 57: -20.0}
    expected = [("spike", 3, 27, True), ("spike", 34, 36, False), ("drop", 57, 59, False)]
    assert spans(told(values, hits, adopt=24 * HOUR)) == expected


def test_a_level_that_was_left_may_be_news_again() -> None:
    values = np.concatenate([hours(100, _3_24=400.0), hours(100, _0_6=400.0), hours(100, _6_8=400.0)])
    assert spans(told(values, {3: 20, 54: 20})) == [("spike", 3, 27, True), ("spike", 54, 56, False)]


def test_what_ends_as_it_would_be_adopted_is_over() -> None:
    values = np.concatenate([hours(100, _3_24=400.0), hours(100, _0_3=400.0)])
    assert spans(told(values, {3: 20}, merge=3 * HOUR)) == [("spike", 3, 27, False)]


def test_an_event_goes_on_over_midnight_without_a_hit() -> None:
    values = np.concatenate([hours(100, _20_24=400.0), hours(100, _0_5=400.0)])
    (found,) = told(values, {20: 20}, 24).anomalies
    assert (found.start, found.end, found.continued) == (DAY + 24 * HOUR, DAY + 29 * HOUR, True)
    assert (found.expected, found.excess, found.votes) == (100, 5 * 300 * 3600, {"d": 20})


@pytest.mark.parametrize("silence", [0.0, NAN])
def test_who_comes_back_after_days_of_silence_as_he_was_is_no_news(silence: float) -> None:
    values = np.concatenate([hours(100, _3_24=silence), np.full(24, silence), hours(100, _0_6=silence, _9_11=900.0)])
    hits = dict.fromkeys(range(54, 72), 9.0)
    assert spans(told(values, hits, 48, learned=np.zeros(72))) == [("spike", 57, 59, False)]


def test_only_the_day_before_says_whether_a_silence_was_one() -> None:
    """A machine that has been at work for a day, after idle ones."""
    values = np.concatenate([np.full(27, 100.0), np.zeros(51), np.full(18, 100.0)])
    hits = dict.fromkeys(range(78, 96), 9.0)
    assert spans(told(values, hits, 72, learned=np.zeros(96), levels=(0.0, 0.0))) == []


def test_nobody_comes_back_to_what_he_never_did() -> None:
    values = np.concatenate([np.zeros(48), hours(0, _6_24=100.0)])
    seen = told(values, dict.fromkeys(range(54, 72), 9.0), 48, learned=np.zeros(72), levels=(0.0, 0.0))
    assert spans(seen) == [("spike", 54, 72, False)]


def test_who_is_at_nothing_between_his_bursts_was_not_silent() -> None:
    values = np.concatenate([hours(0, _3_4=100.0), np.zeros(24), hours(0, _6_8=90.0)])
    assert spans(told(values, {3: 20, 54: 20}, 48, levels=(0.0, 0.0))) == [("spike", 54, 56, False)]


def test_an_outage_ends_what_was_on() -> None:
    values = hours(100, _3_6=30.0, _6_12=0.0)
    kinds = [(a.kind, a.end) for a in told(values, {3: -20, 4: -20}).anomalies]
    assert sorted(kinds) == [("drop", DAY + 6 * HOUR), ("zero", DAY + 12 * HOUR)]


def test_a_period_without_a_score_makes_no_other_the_surest() -> None:
    (found,) = told(hours(100, _3_8=400.0), {3: 20, 4: 9}).anomalies
    with_gaps = told(hours(100, _3_8=400.0), {3: 20, 4: 9, 5: NAN, 6: NAN}).anomalies
    assert [a.score for a in with_gaps] == [found.score]


@pytest.mark.parametrize("times", [3.0, 0.3])
def test_what_was_learned_before_midnight_is_still_on_after_it(times: float) -> None:
    """By the default detector, which no longer flags a point of the day."""
    calm = traffic("web-1", factor=1.0)
    values, day = calm.values.copy(), calm.values.shape[1] - 96
    values[:, day - 14 * 4 : day + 16 * 4] *= times  # from ten to sixteen, the day after
    (one,) = found(replace(calm, values=values), "")
    assert (one.start - MIDNIGHT, one.end - MIDNIGHT) == (0 * HOUR, 10 * HOUR)
    assert (one.continued, one.adopted) == (True, True)
    assert one.expected == pytest.approx(1e6, rel=0.05)
    (whole,) = found(replace(calm, values=values).columns(0, day), "", MIDNIGHT - 24 * HOUR)
    assert (whole.start, whole.end, whole.ongoing) == (MIDNIGHT - 14 * HOUR, MIDNIGHT, True)
