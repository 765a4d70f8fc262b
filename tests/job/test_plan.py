"""Days, parts and shares."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.config import Settings
from job.errors import ConfigError
from job.plan import EPOCH, Slice, Window, batches, custom, mine, slices, until, whole, window
from job.query import Query
from job.units import parse_time

NOW = datetime(2026, 11, 22, 21, 37, 12, 345, tzinfo=UTC)
STEP = timedelta(minutes=5)
HOUR = timedelta(hours=1)


def query(name: str = "x", **more: object) -> Query:
    return Query("a.com/x", "p", STEP, name=name, **more)  # type: ignore[arg-type]  # settings of many types


def settings(**given: object) -> Settings:
    return Settings.model_validate(given)


def days(start: datetime, end: datetime) -> list[date]:
    return [piece.day for piece in slices([query()], Window(start, end, backfill=True), 1)]


@pytest.mark.parametrize(
    ("start", "end", "touched"),
    [
        ("2026-11-22T03", "2026-11-22T04", ["2026-11-22"]),
        ("2026-11-21T23:59:59", "2026-11-22T00:00:01", ["2026-11-21", "2026-11-22"]),
        ("2026-11-21", "2026-11-22", ["2026-11-21"]),
        ("2026-11-21", "2026-11-22T00:00:00.000001", ["2026-11-21", "2026-11-22"]),
        ("2026-11-22T01:00+02:00", "2026-11-22T03:00+02:00", ["2026-11-21", "2026-11-22"]),
        ("2024-02-28T12", "2024-03-01T12", ["2024-02-28", "2024-02-29", "2024-03-01"]),
        ("2026-12-31T12", "2027-01-01T12", ["2026-12-31", "2027-01-01"]),
        ("2026-03-29T00:30", "2026-03-29T03", ["2026-03-29"]),
    ],
)
def test_a_window_is_the_utc_days_that_it_touches(start: str, end: str, touched: list[str]) -> None:
    assert [str(day) for day in days(parse_time(start), parse_time(end))] == touched


def test_a_slice_starts_at_midnight_and_has_a_name_of_its_own() -> None:
    (piece,) = slices([query(name="sent")], window(settings(hours=1), NOW), 1)
    assert piece.start == datetime(2026, 11, 22, tzinfo=UTC)
    assert piece.name == "date=2026-11-22/metric=sent/p.part-00.jsonl"


@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 40))
def test_the_tasks_share_the_slices_without_rest_or_overlap(queries: int, length: int, count: int) -> None:
    span = Window(NOW - length * timedelta(days=1), NOW, backfill=True)
    every = slices([query(f"q{n}", split_by="l") for n in range(queries)], span, 3)
    shares = [mine(every, index, count) for index in range(count)]
    assert sorted((s for share in shares for s in share), key=lambda s: s.name) == sorted(every, key=lambda s: s.name)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 20))
def test_a_task_has_all_that_is_read_together_unless_there_are_more_tasks(days: int, parts: int, count: int) -> None:
    span = Window(NOW - days * timedelta(days=1), NOW, backfill=True)
    queries = [query(name, split_by="l") for name in ("c", "a", "d", "b")]
    every = slices(queries, span, parts, lambda some: {one: "f" for one in some if one.name in "abc"})
    shares = [mine(every, index, count) for index in range(count)]
    assert tuple(piece for share in shares for piece in share) == every
    together = {(piece.day, piece.query.part): list[int]() for piece in every}
    for index, share in enumerate(shares):
        for piece in share:
            if piece.query.name != "d":
                together[piece.day, piece.query.part].append(index)
    units = 2 * parts * len({piece.day for piece in every})
    assert all(len(tasks) == 3 for tasks in together.values())
    assert units < count or all(len(set(tasks)) == 1 for tasks in together.values())
    batch = next(batches(tuple(piece for piece in every if piece.family)))
    assert [piece.query.name for piece in batch] == ["a", "b", "c"] * (len(together) // parts)


def test_slices_have_one_order_whatever_the_order_of_the_queries() -> None:
    span = window(settings(hours=50), NOW)
    both = [query("a"), query("b", split_by="l")]
    assert slices(both, span, 2) == slices(both[::-1], span, 2)
    assert len({piece.name for piece in slices(both, span, 2)}) == 3 * (1 + 2)


def test_two_queries_of_one_name_would_write_one_object() -> None:
    with pytest.raises(ConfigError, match=r"named 'a'.*another name"):
        slices([query("a"), query("a")], window(settings(), NOW), 1)


def test_a_window_is_the_last_hours_or_what_was_asked_for() -> None:
    assert window(settings(hours=3), NOW) == Window(NOW - 3 * HOUR, NOW, backfill=False)
    start = datetime(2026, 11, 1, tzinfo=UTC)
    assert window(settings(**{"from": start}), NOW) == Window(start, NOW, backfill=True)
    assert window(settings(to=start, hours=2), NOW) == Window(start - 2 * HOUR, start, backfill=True)
    assert window(settings(**{"from": start, "to": NOW + HOUR}), NOW).end == NOW
    with pytest.raises(ConfigError, match="not before the present"):
        window(settings(**{"from": NOW}), NOW)


DAY = datetime(2026, 11, 22, tzinfo=UTC)
PIECE = Slice(query(), DAY.date())


@pytest.mark.parametrize(
    ("now", "settle", "end"),
    [
        (NOW, timedelta(0), datetime(2026, 11, 22, 21, 35, tzinfo=UTC)),
        (NOW, timedelta(minutes=4), datetime(2026, 11, 22, 21, 30, tzinfo=UTC)),
        (DAY + timedelta(days=3), HOUR, DAY + timedelta(days=1)),
        (DAY + timedelta(days=1), timedelta(seconds=1), DAY + timedelta(days=1) - STEP),
        (DAY + timedelta(minutes=4, seconds=59), timedelta(0), DAY),
        (DAY - HOUR, timedelta(days=300), DAY),
    ],
)
def test_a_day_is_judged_up_to_its_last_settled_period(now: datetime, settle: timedelta, end: datetime) -> None:
    assert until(PIECE, now, settle) == end


@given(st.timedeltas(timedelta(0), timedelta(days=300_000)).map(EPOCH.__add__), st.sampled_from([1, 5, 60, 1440]))
def test_the_grid_is_that_of_utc_days(moment: datetime, minutes: int) -> None:
    line = whole(moment, timedelta(minutes=minutes))
    assert timedelta(0) <= moment - line < timedelta(minutes=minutes)
    assert (line - line.replace(hour=0, minute=0, second=0, microsecond=0)) % timedelta(minutes=minutes) == timedelta(0)


def test_custom_queries_are_asked_of_every_project_and_narrowed_by_the_filter_of_all() -> None:
    table = {
        "type": "a.com/B/c",
        "filter": 'metric.labels.x = "y"',
        "group_by": "resource.labels.zone",
        "missing": "zero",
    }
    asked = settings(source="monitoring", filter='resource.labels.zone = "z"', query=[table], step="1m")
    one, two = custom(asked, ("p", "q"))
    assert (one.project, two.project) == ("p", "q")
    assert one.name == two.name
    assert one.name.startswith("a.com-b-c--")
    assert one.filter == '(metric.labels.x = "y") AND (resource.labels.zone = "z")'
    assert (one.group_by, one.missing, one.step) == (("resource.labels.zone",), "zero", timedelta(minutes=1))
