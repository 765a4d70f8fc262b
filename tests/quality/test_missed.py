"""Which events are missed, and why: who tells an event is counted once, and its past by hours."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from benchmarks.labelled import Series
from benchmarks.missed import lines, pasts
from detectors import Frame
from job.backtest.events import EventScore

START = datetime(2026, 9, 7, tzinfo=UTC)
DAYS, HOUR, STEP = 40, 12, 300.0

Moments = Sequence[tuple[int, float]]
"""Of what is put into a series: the hour in which it is, and how high it is."""


def series(events: Moments, others: Moments = (), corpus: str = "made") -> Series:
    """Noise of 1 about 100, with floods of a quarter of an hour; of the events the last one is judged."""
    values = np.random.default_rng(5).normal(100, 1, DAYS * 24 * HOUR)
    for hour, height in (*events, *others):
        values[hour * HOUR + 3 : hour * HOUR + 6] += height
    spans = [(START.timestamp() + hour * 3600.0 + 900, START.timestamp() + hour * 3600.0 + 1800) for hour, _ in events]
    stamps = START.timestamp() + STEP * np.arange(len(values), dtype=np.float64)
    frame = Frame(values[None], START, timedelta(seconds=STEP), ({},))
    columns = np.arange(len(values))
    return Series(corpus, "s", "g", frame, stamps, columns, spans, spans[-1:], np.ones(len(values), dtype=bool))


LAST = 35 * 24 + 7
BEFORE = [(LAST - 24 * days, height) for days, height in ((33, 60.0), (15, 60.0), (9, 60.0), (4, 60.0), (2, 30.0))]


@pytest.mark.parametrize(
    ("events", "others", "hours", "ordinary", "recent"),
    [
        ((), (), 0, 0, 0),
        (BEFORE, (), 3, 0, 3),  # that of a month ago is forgotten, that of a fortnight is no more in the tail
        ((), BEFORE, 3, 3, 0),
        (BEFORE[:3], BEFORE[3:], 3, 1, 1),
    ],
)
def test_the_past_of_an_event_is_counted_by_hours_as_far_off(
    events: Moments, others: Moments, hours: int, ordinary: int, recent: int
) -> None:
    (one,) = pasts(series([*events, (LAST, 50.0)], others))
    assert one.hours == pytest.approx(hours / 4, abs=0.01)
    assert one.ordinary == pytest.approx(ordinary / 4, abs=0.01)
    assert (one.events, one.days) == (recent, recent)


def test_events_of_one_day_are_of_one_day() -> None:
    (one,) = pasts(series([(LAST - 50, 9.0), (LAST - 52, 9.0), (LAST - 3, 9.0), (LAST, 50.0)]))
    assert (one.events, one.days) == (3, 2)


def scores(*delays: float | None, false: int = 0) -> list[EventScore]:
    """What came of four events of one series and of one of another, of which it says how soon each was told."""
    return [EventScore(delays[:4], false), EventScore(delays[4:])]


def test_each_event_is_told_by_the_first_kind_that_tells_it() -> None:
    hidden, alone = series([*BEFORE, (LAST, 50.0)]), series([(LAST, 50.0)], corpus="other")
    every = [replace(hidden, windows=[*hidden.windows] * 4), alone]
    found = {
        "ours": scores(0.0, None, None, None, None, false=1),
        "loud": scores(0.0, 0.0, 0.0, 0.0, 0.0, false=100),
        "muted": scores(None, 0.0, None, None, None, false=2),
        "quiet": scores(0.0, 0.0, 0.0, None, None, false=4),
    }
    (weeks,) = {one.weeks for one in every}
    _, _, first, second = lines(every, found, "ours", "muted", 0.33)
    told = ["4", "1", "1", "1", f"1 ({100 / weeks:.2g})", "0"]
    assert cells(first) == ["made", *told, "0", "3", "0", "3 on 3", f"{1 / weeks:.2f}", f"{2 / weeks:.2f}"]
    assert cells(second) == ["other", "1", "0", "0", "1", "0", "0", "0", "0", "1", "0 on 0", "0.00", "0.00"]


def test_who_may_alarm_more_often_has_events_among_its_ordinary_hours() -> None:
    every = [series([(LAST, 50.0)], BEFORE)]
    found = {name: [EventScore((None,))] for name in ("ours", "muted")}
    for asked, why in ((0.7, ["1", "0", "0"]), (0.8, ["0", "0", "1"])):
        assert cells(list(lines(every, found, "ours", "muted", asked))[-1])[6:10] == ["1", *why]


def cells(line: str) -> list[str]:
    """What is in a row of a table."""
    return [cell.strip() for cell in line.split("|")[1:-1]]
