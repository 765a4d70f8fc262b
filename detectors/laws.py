"""What every detector must obey, as checks on seeded data that need no test framework.

In the tests of a package that brings its own detector:

    import pytest
    from detectors.laws import LAWS

    @pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
    def test_my_detector_obeys(law):
        law.check(MyDetector())

or, without pytest, `verify(MyDetector())`. A detector that compares the series of a frame with one another says so by
an attribute `peers = True`; it is exempt from the first law, and where a law puts an incident in every series, it is
shown one of them at a time, among calm ones: what happens to all of its peers at once is no incident to it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from detectors.carried import cut as picked
from detectors.detector import Detector, Late, Resumable, compares_rows
from detectors.frame import Frame
from detectors.scores import CAP, Scores

STEP = timedelta(minutes=15)
START = datetime(2026, 2, 27, 10, 30, tzinfo=UTC)
DAY = timedelta(days=1)
ALARM = 5.0
"""The deviations from which a score counts as an alarm here."""

FALSE_ALARMS = 2e-4
"""At most this part of the points of normal noise is an alarm."""

FALSE_ALARMS_HEAVY = 1e-2
"""The same for Student's t with four degrees of freedom, of which 0.2 % lie beyond five standard deviations."""

HISTORY = 0.01
"""More past than `history` changes no score of quiet data by more deviations than this."""

PRECISION = 1e-3
"""An offset of 1e9 changes a score by at most this part of it, or by this many deviations."""

ECHO = 1.0
"""An incident changes no score after it by more deviations than this."""

WIDER = 1.25
"""An incident widens the band after it by at most this factor."""

_COMPANY = 8
"""So many calm series are about one with an incident, for a detector that compares them."""

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Law:
    """A law, what it buys, and the check that raises AssertionError where a detector breaks it."""

    name: str
    buys: str
    check: Callable[[Detector], None]


def check(detector: Detector) -> list[str]:
    """Try every law; the answer holds a sentence for each one that is broken."""
    broken = []
    for law in LAWS:
        try:
            law.check(detector)
        except AssertionError as error:
            broken.append(f"{law.name}: {error}")
    return broken


def verify(detector: Detector) -> None:
    """Raise AssertionError, naming every law that the detector breaks."""
    broken = check(detector)
    if broken:
        raise AssertionError(f"{detector!r} breaks {len(broken)} of {len(LAWS)} laws:\n" + "\n".join(broken))


def _rows_are_independent(detector: Detector) -> None:
    if compares_rows(detector):
        return
    frame = _traffic(detector, rows=5, more=2 * DAY, seed=1)
    whole = detector(frame)
    for i in range(len(frame.values)):
        _same(detector(frame.rows(slice(i, i + 1))), _rows(whole, slice(i, i + 1)), f"row {i} alone and among others")
    back = slice(None, None, -1)
    _same(detector(frame.rows(back)), _rows(whole, back), "the rows in reverse order")


def _the_future_changes_nothing(detector: Detector) -> None:
    frame = _traffic(detector, rows=3, more=2 * DAY, seed=2)
    whole, time = detector(frame), frame.values.shape[1]
    for cut in (0, 1, time // 3, time - 97, time - 1):
        _same(detector(frame.columns(0, cut)), _columns(whole, slice(cut)), f"the first {cut} of {time} columns")


def _what_is_late_is_the_same(detector: Detector) -> None:
    if not isinstance(detector, Late):
        return
    frame = _traffic(detector, rows=3, more=2 * DAY, seed=2)
    whole, time = detector(frame), frame.values.shape[1]
    for first in (0, 1, time // 3, time - 97, time - 1, time):
        _same(
            detector.late(frame, first), _columns(whole, slice(first, None)), f"the columns from {first} of {time} on"
        )


def _what_is_resumed_is_the_same(detector: Detector) -> None:
    parts = [callable(getattr(detector, name, None)) for name in ("carry", "resume", "recent")]
    _claim(all(parts) or not any(parts[:2]), "it offers one of carry, resume and recent without the others")
    if not isinstance(detector, Resumable):
        return
    frame = _traffic(detector, rows=6, more=2 * DAY + timedelta(hours=1), seed=10)
    midnight = frame.values.shape[1] - _count(DAY)
    midnight -= (frame.origin + midnight) % _count(DAY)
    frame, some = _troubled(frame, midnight), slice(1, 4)
    scores, carried = detector.carry(frame.columns(0, midnight + 1), midnight - 13, midnight)
    whole = _columns(detector(frame), slice(midnight - 13, None))
    _same(scores, _columns(whole, slice(14)), "what is scored when something is carried over")
    whole, low = _columns(whole, slice(13, None)), max(0, midnight - _count(detector.recent(STEP)))
    for more in (1, 30, _count(DAY)):
        again, wanted = frame.columns(low, midnight + more), _columns(whole, slice(more))
        _same(detector.resume(carried, again, midnight - low), wanted, f"the first {more} columns, resumed")
    alone = detector.resume(picked(carried, some), again.rows(some), midnight - low)
    _same(alone, _rows(wanted, some), "some of the rows, resumed")


def _troubled(frame: Frame, midnight: int) -> Frame:
    """The same with shifts that are under way at a midnight or the one before, or over, a birth, and many gaps."""
    values = frame.values.copy()
    for row, (begin, stop) in enumerate(((12, -30), (108, 80), (190, 120), (-20, None))):
        here = slice(midnight - begin, None if stop is None else midnight - stop)
        values[row, here] += 50.0
    values[3, : midnight + 20], values[4, ::3] = np.nan, np.nan
    return _frame(values)


def _history_suffices(detector: Detector) -> None:
    extra = _count(3 * DAY + timedelta(hours=5))
    frame = _quiet(detector, rows=4, more=3 * DAY + timedelta(hours=5) + DAY, seed=3)
    need = _count(detector.history)
    long = detector(frame).score[:, extra + need :]
    short = detector(frame.columns(extra, frame.values.shape[1])).score[:, need:]
    _claim(np.isnan(long) == np.isnan(short), "a score is known with a longer history and not without, or vice versa")
    _claim(~(np.abs(long - short) > HISTORY), f"a longer history moves a score by more than {HISTORY} deviations")


def _units_do_not_matter(detector: Detector) -> None:
    frame = _traffic(detector, rows=4, more=2 * DAY, seed=4)
    plain = detector(frame).score
    _claim(~np.isnan(plain[:, _count(detector.history) :]).all(axis=1), "nothing is scored after a whole history")
    for factor in (1e9, 1e-3):
        scaled = detector(_frame(frame.values * factor)).score
        _close(scaled, plain, 1e-6, f"the values times {factor:g}")
    _close(detector(_frame(frame.values + 1e9)).score, plain, PRECISION, "the values plus 1e9")


def _a_missing_point_is_nothing(detector: Detector) -> None:
    frame = _traffic(detector, rows=6, more=2 * DAY, seed=5)
    values, rng = frame.values.copy(), np.random.default_rng(5)
    values[0] = np.nan
    values[1, rng.random(values.shape[1]) < 0.3] = np.nan
    values[2, -150:-20] = np.nan
    values[3, : len(values[3]) // 2] = np.nan
    values[4, -1] = np.nan
    frame, before = _frame(values), values.copy()
    scores = detector(frame)
    _claim(np.array_equal(values, before, equal_nan=True), "the values that came in were changed")
    for name in ("expected", "spread", "score"):
        array = getattr(scores, name)
        _claim(array.shape == values.shape, f"{name} has the shape {array.shape} for values of {values.shape}")
        _claim(~np.isinf(array), f"{name} is infinite")
    _claim(np.isnan(scores.score[np.isnan(values)]), "a missing point has a score")
    known = ~np.isnan(scores.score)
    _claim(np.abs(scores.score[1:4][known[1:4]]) < ALARM, "a gap in quiet traffic raises an alarm")
    _claim(known[1].any(), "a series with a third of its points missing is never scored")
    for shape in ((0, 50), (3, 0), (0, 0), (2, 1)):
        empty = detector(_frame(np.zeros(shape))).score
        _claim(empty.shape == shape, f"a frame of {shape} gives scores of {empty.shape}")


def _a_flat_line_is_quiet(detector: Detector) -> None:
    level = np.array([0.0, 7.1, 1e9 / 3, -3.3])[:, None]
    values = np.repeat(level, _count(detector.history + DAY), axis=1)
    detector = _in_turn(detector)
    place, jump = values.shape[1] - 40, np.where(level == 0, 1.0, np.abs(level) / 2)
    for sign in (1, -1):
        values[:, place] = (level + sign * jump)[:, 0]
        score = detector(_frame(values)).score
        here = score[:, place]
        _claim(sign * here >= 2 * ALARM, f"one jump off a flat line scores {here}")
        _claim(np.abs(here) <= CAP, f"one jump off a flat line scores {here}, more than {CAP}")
        score[:, place] = 0.0
        _claim(~(np.abs(score) > 1e-3), "a flat line is not quiet")
        _claim(~np.isnan(score[:, place - 20 :]), "a flat line has no score after a whole history")


def _a_score_is_in_deviations(detector: Detector) -> None:
    rng, shape = np.random.default_rng(7), (24, _count(detector.history + 4 * DAY))
    need = _count(detector.history)
    values = rng.normal(50.0, 2.0, shape)
    score = detector(_frame(values)).score[:, need:]
    _claim(~np.isnan(score), "normal noise has no score after a whole history")
    _claim(
        np.mean(np.abs(score) >= ALARM) <= FALSE_ALARMS, f"{np.mean(np.abs(score) >= ALARM):.2%} of noise is an alarm"
    )
    _claim(0.7 < score.std() < 1.4, f"the scores of normal noise have the standard deviation {score.std():.2f}, not 1")
    heavy = np.abs(detector(_frame(rng.standard_t(4, shape))).score[:, need:]) >= ALARM
    _claim(heavy.mean() <= FALSE_ALARMS_HEAVY, f"{heavy.mean():.2%} of heavy-tailed noise is an alarm")
    values[:, -1] = 50.0 + np.where(np.arange(24) % 2, 20.0, -20.0)
    found = _in_turn(detector)(_frame(values)).score[:, -1] * np.where(np.arange(24) % 2, 1, -1)
    _claim(found >= ALARM, f"a spike of ten deviations scores {found.min():.1f}")


def _an_incident_stays_what_it_was(detector: Detector) -> None:
    frame = _quiet(detector, rows=4, more=9 * DAY, seed=8)
    begin, last = _count(detector.history) + 40, 8
    values = frame.values.copy()
    values[:, begin : begin + last] += np.array([40.0, -40.0, 400.0, -15.0])[:, None]
    detector = _in_turn(detector)
    calm, after = detector(frame), detector(_frame(values))
    onset = np.abs(after.score[:, begin])
    _claim(onset >= ALARM, f"the incident itself scores {onset}")
    since = slice(begin + last, None)
    moved = np.abs(after.score[:, since] - calm.score[:, since])
    _claim(moved <= ECHO, f"a score after the incident moves by {np.nanmax(moved):.2f} deviations")
    ratio = after.spread[:, since] / calm.spread[:, since]
    _claim(ratio <= WIDER, f"the band after the incident is {np.nanmax(ratio):.2f} times as wide")


LAWS: tuple[Law, ...] = (
    Law("rows are independent", "sharding and row blocks change nothing", _rows_are_independent),
    Law("the future changes nothing", "a backfill equals the live runs", _the_future_changes_nothing),
    Law("what is late is the same", "a run that asks for its day alone is right", _what_is_late_is_the_same),
    Law("what is resumed is the same", "a day's past is looked at once a day", _what_is_resumed_is_the_same),
    Law("history suffices", "a short fetch and the cache are enough", _history_suffices),
    Law("units do not matter", "bytes, kB and packets have one threshold", _units_do_not_matter),
    Law("a missing point is nothing", "gaps are safe", _a_missing_point_is_nothing),
    Law("a flat line is quiet", "a spread of zero is handled", _a_flat_line_is_quiet),
    Law("a score is in deviations", "one threshold means the same everywhere", _a_score_is_in_deviations),
    Law("an incident stays what it was", "yesterday's outage does not blind today", _an_incident_stays_what_it_was),
)


@dataclass(frozen=True)
class _InTurn:
    """A detector that compares rows, shown each row of a frame alone among calm ones."""

    detector: Detector

    @property
    def history(self) -> timedelta:
        return self.detector.history

    def __call__(self, frame: Frame) -> Scores:
        calm = np.random.default_rng(9).normal(100.0, 1.0, (_COMPANY, frame.values.shape[1]))
        alone = [_rows(self.detector(_frame(np.vstack([calm, row]))), slice(_COMPANY, None)) for row in frame.values]
        return Scores(*(np.vstack([getattr(one, name) for one in alone]) for name in ("expected", "spread", "score")))


def _in_turn(detector: Detector) -> Detector:
    """The detector, or how it is shown incidents if it compares rows."""
    return _InTurn(detector) if compares_rows(detector) else detector


def _count(duration: timedelta) -> int:
    return -(-duration // STEP)


def _frame(values: Floats) -> Frame:
    return Frame(values, START, STEP, tuple({"row": str(i)} for i in range(len(values))))


def _quiet(detector: Detector, rows: int, more: timedelta, seed: int) -> Frame:
    """Normal noise of deviation 1 about 100, for the detector's history and `more`."""
    shape = rows, _count(detector.history + more)
    return _frame(np.random.default_rng(seed).normal(100.0, 1.0, shape))


def _traffic(detector: Detector, rows: int, more: timedelta, seed: int) -> Frame:
    """Noise with a mild daily wave, a gap, a short outage and a shift that stays."""
    values = _quiet(detector, rows, more, seed).values.copy()
    time = np.arange(values.shape[1])
    values += np.sin(2 * np.pi * time / _count(DAY))
    values[-1, -60:-50] = np.nan
    values[0, -90:-84] -= 100.0
    values[-1, -150:] += 30.0
    return _frame(values)


def _rows(scores: Scores, wanted: slice) -> Scores:
    return Scores(scores.expected[wanted], scores.spread[wanted], scores.score[wanted])


def _columns(scores: Scores, wanted: slice) -> Scores:
    return Scores(scores.expected[:, wanted], scores.spread[:, wanted], scores.score[:, wanted])


def _same(got: Scores, wanted: Scores, what: str) -> None:
    for name in ("expected", "spread", "score"):
        a, b = getattr(got, name), getattr(wanted, name)
        _claim(a.shape == b.shape, f"{what}: {name} has the shape {a.shape}, not {b.shape}")
        _claim((a == b) | (np.isnan(a) & np.isnan(b)), f"{what}: {name} differs in the last bits or more")


def _close(got: Floats, wanted: Floats, tolerance: float, what: str) -> None:
    _claim(np.isnan(got) == np.isnan(wanted), f"{what}: other points are scored")
    _claim(~(np.abs(got - wanted) > tolerance * np.maximum(1.0, np.abs(wanted))), f"{what}: a score changes")


def _claim(holds: NDArray[np.bool_] | np.bool_ | bool, otherwise: str) -> None:
    """Raise AssertionError with `otherwise` and the first place where it does not hold."""
    wrong = np.argwhere(~np.atleast_1d(holds))
    if len(wrong):
        raise AssertionError(f"{otherwise} (first at {tuple(int(i) for i in wrong[0])}, {len(wrong)} in all)")
