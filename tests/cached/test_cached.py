"""A warm cache, a cold one and none give the same frames; and a warm one asks only for what has not settled."""

import json
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import Frame
from job.errors import Conflict, Failed, NotAllowed
from job.query import Query, in_part
from job.sources import cached as module
from job.sources import history
from job.sources.cached import GROWN, MARGIN, Cached
from job.sources.joined import Piece, Span, joined, stacked
from job.store import Head, Object, Store
from job.store.folder import Folder
from job.units import parse_time
from tests.cached.world import DAY, HOUR, MONDAY, QUERY, SETTLE, SPLIT, Arrays, Lines, arrays, cached, same

NOON = MONDAY + 40 * DAY + 12 * HOUR
"""A Saturday; 34 days before it is a Sunday."""

PAST = NOON - 34 * DAY
LATEST = NOON - HOUR


@pytest.fixture
def store(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "out")


def names(store: Store) -> list[str]:
    return [name.rpartition("/")[2] for name in store.names("history/")]


def test_cold_and_warm_are_what_the_source_says(store: Folder) -> None:
    source = arrays()
    for _ in range(3):
        same(cached(source, store, NOON).read(QUERY, PAST, LATEST), source.cut(PAST, LATEST))


def test_a_warm_read_asks_only_for_what_has_not_settled(store: Folder) -> None:
    source = arrays()
    cached(source, store, NOON).read(QUERY, PAST, LATEST)
    assert source.hours == 34 * 24 + 12 - 1, "from midnight on, so that whole days can be kept"
    cached(source, store, NOON).read(QUERY, PAST, LATEST)
    assert source.hours == 6
    for hours, asked in ((1, 7), (2, 8), (3, 9), (3, 6), (4, 7)):
        later = hours * HOUR
        cached(source, store, NOON + later).read(QUERY, PAST + later, LATEST + later)
        assert source.hours == asked, "the day's object grows by so many hours at once"
    cached(source, store, NOON + 10 * DAY).read(QUERY, PAST + 10 * DAY, LATEST + 10 * DAY)
    assert source.hours == 10 * 24 + 3


def weeks(*first: int) -> list[str]:
    return [f"{MONDAY + n * DAY:%Y-%m-%d}.7d" for n in first]


def held(store: Folder, name: str) -> tuple[int, int]:
    """Of which days, from `MONDAY` on, an object holds the points."""
    (found,) = [each for each in store.names("history/") if each.endswith(name)]
    there = store.get(found)
    assert there
    head = json.loads(there.data.split(b"\n")[1])
    first = (parse_time(head["start"]) - MONDAY) // DAY
    return first, first + int(head["columns"]) // 24


def test_settled_days_are_kept_with_those_of_their_week(store: Folder) -> None:
    source = arrays()
    cached(source, store, NOON).read(QUERY, PAST, LATEST)
    assert names(store) == [*weeks(0, 7, 14, 21, 28, 35), f"{MONDAY + 40 * DAY:%Y-%m-%d}.1d"]
    assert [held(store, name) for name in weeks(0, 7, 35)] == [(6, 7), (7, 14), (35, 40)]
    cached(source, store, NOON + DAY).read(QUERY, PAST + 30 * DAY, LATEST + DAY)
    assert held(store, weeks(35)[0]) == (35, 41), "also where the window begins within the week"
    cached(source, store, NOON + 2 * DAY).read(QUERY, PAST, LATEST + 2 * DAY)
    assert names(store) == [*weeks(0, 7, 14, 21, 28, 35), f"{MONDAY + 42 * DAY:%Y-%m-%d}.1d"]
    assert held(store, weeks(35)[0]) == (35, 42)
    source.asked.clear()
    same(cached(source, store, NOON + 2 * DAY).read(QUERY, PAST, LATEST + 2 * DAY), source.cut(PAST, LATEST + 2 * DAY))
    assert source.hours == 6


BOTH = [
    ((2, 4), (3, 6), (2, 6)),
    ((3, 6), (2, 4), (2, 6)),
    ((2, 3), (3, 4), (2, 4)),
    ((3, 4), (2, 3), (2, 4)),
    ((1, 2), (4, 5), (4, 5)),
    ((4, 5), (1, 2), (4, 5)),
    ((1, 6), (2, 3), (1, 6)),
    ((2, 3), (1, 6), (1, 6)),
]


@pytest.mark.parametrize(("first", "then", "both"), BOTH)
def test_days_of_a_week_that_adjoin_are_kept_together(
    store: Folder, first: tuple[int, int], then: tuple[int, int], both: tuple[int, int]
) -> None:
    source = arrays(6)
    for low, high in (first, then):
        start, end = MONDAY + low * DAY, MONDAY + high * DAY
        same(cached(source, store, NOON).read(QUERY, start, end), source.cut(start, end))
    assert names(store) == weeks(0)
    assert held(store, weeks(0)[0]) == both
    source.asked.clear()
    start, end = MONDAY + both[0] * DAY, MONDAY + both[1] * DAY
    same(cached(source, store, NOON).read(QUERY, start, end), source.cut(start, end))
    assert source.hours == 0


def test_little_is_asked_of_the_store(store: Folder) -> None:
    cached(arrays(), store, NOON).read(QUERY, PAST, LATEST)
    watched = Watched(store)
    cached(arrays(), watched, NOON).read(QUERY, PAST, LATEST)
    assert watched.count("get") == 7
    assert watched.count("names") == 1
    assert watched.count("put") == 0


@pytest.mark.parametrize("late", [timedelta(0), MARGIN])
def test_late_points_are_seen_until_the_margin_is_over(store: Folder, late: timedelta) -> None:
    source = arrays(1)
    (row,) = source.rows
    whole = source.rows[row].copy()
    whole[40 * 24 :] = np.arange(20 * 24)
    hour = (NOON - MONDAY) // HOUR - 3
    source.rows[row] = np.where(np.arange(len(whole)) == hour, np.nan, whole)
    cached(source, store, NOON + late).read(QUERY, PAST, LATEST)
    source.rows[row] = whole
    found = cached(source, store, NOON + DAY).read(QUERY, PAST, LATEST)
    assert np.isnan(found.values[0, -2]) == bool(late)


def test_of_a_week_that_the_source_has_begun_to_thin_out_the_rest_is_kept(store: Folder) -> None:
    source = arrays(keeps=18 * DAY)
    same(cached(source, store, NOON).read(QUERY, PAST, LATEST), source.cut(PAST, LATEST))
    assert min(names(store)) == weeks(21)[0]
    assert held(store, weeks(21)[0]) == (23, 28)


def test_what_the_source_thins_out_is_not_kept(store: Folder) -> None:
    source = arrays(keeps=20 * DAY)
    cached(source, store, NOON).read(QUERY, PAST, LATEST)
    assert min(names(store)) == f"{MONDAY + 21 * DAY:%Y-%m-%d}.7d"
    source.asked.clear()
    same(cached(source, store, NOON).read(QUERY, PAST, LATEST), source.cut(PAST, LATEST))
    assert source.asked[0] == (PAST, MONDAY + 21 * DAY)
    cached(source, store, NOON).read(QUERY, PAST, PAST + DAY)
    assert source.asked[-1] == (PAST, PAST + DAY)


def test_weeks_that_the_source_has_thinned_out_since_are_forgotten(store: Folder) -> None:
    source = arrays(keeps=20 * DAY)
    cached(source, store, NOON - 10 * DAY).read(QUERY, MONDAY, LATEST - 10 * DAY)
    assert weeks(7, 14, 21) == [name for name in names(store) if name in weeks(7, 14, 21)]
    stray = f"{next(iter(store.names('history/'))).rpartition('/')[0]}/notes"
    store.put(stray, b"")
    same(cached(source, store, NOON).read(QUERY, MONDAY + 21 * DAY, LATEST), source.cut(MONDAY + 21 * DAY, LATEST))
    assert names(store) == [*weeks(21, 28, 35), f"{MONDAY + 40 * DAY:%Y-%m-%d}.1d", "notes"]
    assert (MONDAY + 21 * DAY, MONDAY + 28 * DAY) not in source.asked, "what is not thinned out is there still"


@pytest.mark.parametrize("start", [MONDAY + 3 * DAY, MONDAY + 3 * DAY + 5 * HOUR])
@pytest.mark.parametrize("length", [HOUR, 18 * HOUR, DAY, 3 * DAY, 9 * DAY])
def test_any_window_is_answered_from_what_is_kept(store: Folder, start: datetime, length: timedelta) -> None:
    source = arrays(6)
    cached(source, store, NOON).read(QUERY, MONDAY, LATEST)
    source.asked.clear()
    same(cached(source, store, NOON).read(QUERY, start, start + length), source.cut(start, start + length))
    assert source.asked == []


def test_a_query_that_means_something_else_has_its_own_history(store: Folder) -> None:
    source = arrays()
    cached(source, store, NOON).read(QUERY, PAST, LATEST)
    others: list[dict[str, Any]] = [
        {"filter": 'resource.labels.zone = "z"'},
        {"group_by": ("resource.labels.zone",)},
        {"reducer": "max"},
        {"project": "q"},
        {"metric": "custom.googleapis.com/y"},
        {"split_by": "resource.labels.zone", "parts": 2},
        {"split_by": "resource.labels.zone", "parts": 2, "part": 1},
    ]
    for other in others:
        source.asked.clear()
        cached(source, store, NOON).read(replace(QUERY, **other), PAST, LATEST)
        assert source.hours > 800
    cached(source, store, NOON, origin="127.0.0.1:1").read(QUERY, PAST, LATEST)
    assert source.hours > 800
    assert len({name.rpartition("/")[0] for name in store.names("history/")}) == 2 + len(others)


def test_what_a_series_is_called_or_stands_for_changes_no_history(store: Folder) -> None:
    source = arrays()
    cached(source, store, NOON).read(QUERY, PAST, LATEST)
    again = Query(QUERY.metric, "p", HOUR, name="other", noun="bits", missing="zero", split_by="resource.labels.zone")
    source.asked.clear()
    cached(source, store, NOON).read(again, PAST, LATEST)
    assert source.hours == 6


def _replaced(data: bytes, old: bytes, new: bytes) -> bytes:
    """The object with another text in it, and the checksum of that."""
    body = data.partition(b"\n")[2].replace(old, new)
    return history.MARK + history.checksum(body) + b"\n" + body


BROKEN: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda _: b"", "of another kind or version"),
    "foreign": (lambda _: b"PK\3\4 something else entirely" * 100, "of another kind or version"),
    "newer": (lambda data: data.replace(b"history 2 ", b"history 3 ", 1), "of another kind or version"),
    "older": (lambda data: data.replace(b"history 2 ", b"history 1 ", 1), "of another kind or version"),
    "truncated": (lambda data: data[: len(data) // 2], "checksum"),
    "longer": (lambda data: data + b"\0", "checksum"),
    "one bit": (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "checksum"),
    "only a mark": (lambda data: data[:50], "checksum"),
    "another query": (lambda data: _replaced(data, b'"filter": ""', b'"filter": "x"'), "another query"),
    "another time": (lambda data: _replaced(data, b'"start": "2026-11-', b'"start": "2026-10-'), "another time"),
    "another step": (lambda data: _replaced(data, b'"step": 3600}\n', b'"step": 1800}\n'), "another time"),
    "no start": (lambda data: _replaced(data, b'"start"', b'"begin"'), "does not say"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_object_that_cannot_be_used_is_named_read_anew_and_replaced(store: Folder, name: str) -> None:
    source, log = arrays(), Lines()
    cached(source, store, NOON).read(QUERY, PAST, LATEST)
    (victim,) = [each for each in store.names("history/") if each.endswith(f"{MONDAY + 14 * DAY:%Y-%m-%d}.7d")]
    sound = store.get(victim)
    assert sound
    change, said = BROKEN[name]
    store.put(victim, change(sound.data), replaces=sound.head)
    source.asked.clear()
    same(cached(source, store, NOON, log).read(QUERY, PAST, LATEST), source.cut(PAST, LATEST))
    (line,) = log.of("cache.ignored")
    assert victim in line
    assert said in line
    assert (MONDAY + 14 * DAY, MONDAY + 21 * DAY) in source.asked
    mended = store.get(victim)
    assert mended
    assert mended.data == sound.data


def test_a_day_that_does_not_begin_at_midnight_is_read_anew(store: Folder) -> None:
    source, log = arrays(), Lines()
    cached(source, store, NOON).read(QUERY, PAST, LATEST)
    (today,) = [name for name in store.names("history/") if name.endswith(".1d")]
    sound = store.get(today)
    assert sound
    store.put(today, _replaced(sound.data, b"T00:00:00Z", b"T01:00:00Z"), replaces=sound.head)
    same(cached(source, store, NOON, log).read(QUERY, PAST, LATEST), source.cut(PAST, LATEST))
    assert "another time" in log.of("cache.ignored")[0]


def test_bytes_that_changed_on_the_disk_are_named_and_replaced(store: Folder) -> None:
    source, log = arrays(), Lines()
    cached(source, store, NOON).read(QUERY, PAST, LATEST)
    victim = sorted(store.path.rglob("*.7d"))[1]
    victim.write_bytes(victim.read_bytes()[:-5])
    same(cached(source, store, NOON, log).read(QUERY, PAST, LATEST), source.cut(PAST, LATEST))
    assert victim.name in log.of("cache.ignored")[0]
    log.lines.clear()
    same(cached(source, store, NOON, log).read(QUERY, PAST, LATEST), source.cut(PAST, LATEST))
    assert log.lines == []


class Watched:
    """A store that notes what is asked of it, and refuses what it is told to."""

    def __init__(self, store: Store, **refused: Exception) -> None:
        self.store, self.refused = store, refused
        self.asked: list[str] = []

    def _pass(self, verb: str) -> Store:
        self.asked.append(verb)
        if verb in self.refused:
            raise self.refused[verb]
        return self.store

    def count(self, verb: str) -> int:
        return self.asked.count(verb)

    @property
    def url(self) -> str:
        return self.store.url

    def names(self, prefix: str = "") -> Iterator[str]:
        return self._pass("names").names(prefix)

    def head(self, name: str) -> Head | None:
        return self._pass("head").head(name)

    def get(self, name: str) -> Object | None:
        return self._pass("get").get(name)

    def put(
        self, name: str, data: bytes, *, meta: Mapping[str, str] | None = None, replaces: Head | None = None
    ) -> Head:
        return self._pass("put").put(name, data, meta=meta, replaces=replaces)

    def delete(self, name: str) -> None:
        self._pass("delete").delete(name)


@pytest.mark.parametrize("verb", ["names", "get", "head", "put"])
@pytest.mark.parametrize("error", [NotAllowed("no role"), Failed("no answer")], ids=["denied", "failed"])
def test_a_store_that_refuses_is_named_once_and_done_without(store: Folder, verb: str, error: Exception) -> None:
    source, log = arrays(), Lines()
    cached(source, store, NOON).read(QUERY, PAST, LATEST)
    reader = cached(source, Watched(store, **{verb: error}), NOON + 2 * DAY, log)
    for _ in range(2):
        same(reader.read(QUERY, PAST, LATEST + 2 * DAY), source.cut(PAST, LATEST + 2 * DAY))
    if verb == "get" and isinstance(error, Failed):
        assert len(log.of("cache.ignored")) >= 7
    else:
        (line,) = log.of("cache.off")
        assert str(error) in line


@pytest.mark.parametrize("verb", ["delete", "put"])
def test_another_task_that_is_faster_harms_nothing(store: Folder, verb: str) -> None:
    source, log = arrays(), Lines()
    cached(source, store, NOON).read(QUERY, PAST, LATEST)
    error = NotAllowed("may not delete") if verb == "delete" else Conflict("somebody was faster")
    reader = cached(source, Watched(store, **{verb: error}), NOON + 2 * DAY, log)
    same(reader.read(QUERY, PAST, LATEST + 2 * DAY), source.cut(PAST, LATEST + 2 * DAY))
    assert log.lines == []


def test_an_error_of_the_source_is_the_callers(store: Folder) -> None:
    class Broken(Arrays):
        def cut(self, start: datetime, end: datetime, step: timedelta = HOUR) -> Frame:
            raise Failed(f"the source is tired from {start} to {end} at {step}")

    with pytest.raises(Failed, match="tired"):
        cached(Broken({}), store, NOON).read(QUERY, PAST, LATEST)
    assert names(store) == []


_moments = st.lists(st.integers(0, 60 * 24), min_size=1, max_size=6).map(sorted)


@given(
    seed=st.integers(0, 99),
    series=st.integers(0, 5),
    present=_moments,
    windows=st.lists(st.tuples(st.integers(1, 40 * 24), st.integers(1, 30)), min_size=6, max_size=6),
    lost=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40), st.booleans()), max_size=4),
    keeps=st.sampled_from([None, 10, 30]),
    size=st.sampled_from([1, 2, 256]),
)
@settings(max_examples=40, deadline=None)
def test_however_a_read_comes_about_its_bits_are_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    series: int,
    present: list[int],
    windows: list[tuple[int, int]],
    lost: list[tuple[int, int, bool]],
    keeps: int | None,
    size: int,
) -> None:
    """Runs at different times, over different windows, with objects that get lost or broken in between."""
    store = Folder(tmp_path_factory.mktemp("cache"))
    source = arrays(series, seed=seed, keeps=keeps and keeps * DAY)
    for turn, hour in enumerate(present):
        length, back = windows[turn]
        now = MONDAY + hour * HOUR
        end = min(now - SETTLE, now - back * HOUR)
        end -= (end - MONDAY) % HOUR
        reader = cached(source, store, now, size=size)
        for _ in range(2):
            same(reader.read(SPLIT, end - length * HOUR, end), source.cut(end - length * HOUR, end))
        there = list(store.names())
        for when, which, broken in lost:
            if when == turn and there:
                name = there[which % len(there)]
                store.delete(name)
                if broken:
                    store.put(name, b"broken")


def gathered(reader: Cached, query: Query, start: datetime, end: datetime, rows: int) -> tuple[Frame, list[int]]:
    """The blocks of a read as one frame, in the order of labels, and how many rows each has."""
    frames = list(reader.blocks(query, start, end, rows))
    assert all((frame.start, frame.end) == (start, end) for frame in frames)
    labels = [one for frame in frames for one in frame.labels]
    order = sorted(range(len(labels)), key=lambda row: sorted(labels[row].items()))
    values = np.concatenate([frame.values for frame in frames])[order]
    return Frame(values, start, HOUR, tuple(labels[row] for row in order)), [len(frame.labels) for frame in frames]


def test_a_fleet_is_read_kept_and_read_again_in_shares(store: Folder) -> None:
    source = arrays(60)
    for now in (NOON, NOON, NOON + HOUR, NOON + 3 * DAY):
        start, end = now - 34 * DAY, now - HOUR
        found, sizes = gathered(cached(source, store, now, size=10), SPLIT, start, end, 100)
        same(found, source.cut(start, end))
        assert len(sizes) == 6
        assert max(sizes) < 20
    folders = {name.rsplit("/", 2)[1] for name in store.names("history/")}
    assert folders == {f"{n:02}" for n in range(6)}
    source.asked.clear()
    gathered(cached(source, store, NOON + 3 * DAY, size=10), SPLIT, PAST + 3 * DAY, LATEST + 3 * DAY, 100)
    assert source.hours == 6 * 6, "each share asks for what has not settled"
    same(cached(source, store, NOON, size=10).read(SPLIT, PAST, LATEST), source.cut(PAST, LATEST))
    assert max(gathered(cached(source, store, NOON, size=10), SPLIT, PAST, LATEST, 3)[1]) == 3


def test_a_fleet_that_no_setting_splits_is_kept_in_shares_by_the_label_that_does(store: Folder) -> None:
    source = arrays(60)
    for now in (NOON, NOON + GROWN):
        found, sizes = gathered(cached(source, store, now, size=20), QUERY, PAST, now - HOUR, 100)
        same(found, source.cut(PAST, now - HOUR))
        assert len(sizes) == 3
    assert {name.split("/")[-3] for name in store.names("history/")} == {"of3.by.resource.labels.instance_id"}
    source.asked.clear()
    gathered(cached(source, store, NOON + GROWN, size=20), QUERY, PAST, LATEST + GROWN, 100)
    assert source.hours == 3 * 6, "each share asks for what has not settled"
    source.divides = "resource.labels.zone"
    same(cached(source, store, NOON, size=20).read(QUERY, PAST, LATEST), source.cut(PAST, LATEST))
    assert {name.split("/")[-3] for name in store.names("history/")} == {"of3.by.resource.labels.zone"}


def test_few_shares_of_a_long_time_are_read_in_more_streams(store: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONG", 30 * 24)
    source = arrays(60)
    same(gathered(cached(source, store, NOON, size=20), SPLIT, PAST, LATEST, 100)[0], source.cut(PAST, LATEST))
    assert len(source.asked) == 3 * 2, "two streams for each of three shares"
    source.asked.clear()
    same(gathered(cached(source, store, NOON, size=20), SPLIT, PAST, LATEST, 100)[0], source.cut(PAST, LATEST))
    assert len(source.asked) == 3


def test_many_shares_are_read_in_a_stream_each(store: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONG", 30 * 24)
    source = arrays(60)
    same(gathered(cached(source, store, NOON, size=1), SPLIT, PAST, LATEST, 100)[0], source.cut(PAST, LATEST))
    assert len(source.asked) == 57, "endings of two digits make no two times as many shares"


@pytest.mark.parametrize(("days", "shares"), [(2, 3), (14, 3), (28, 6)])
def test_a_share_has_so_many_points(store: Folder, monkeypatch: pytest.MonkeyPatch, days: int, shares: int) -> None:
    monkeypatch.setattr(module, "SHARE", 20 * 14 * 24)
    source = arrays(60)
    for row in source.rows.values():
        row[-2 * 24 :] = 1.0
    end = MONDAY + 60 * DAY
    assert len(gathered(cached(source, store, end + DAY), SPLIT, end - days * DAY, end, 100)[1]) == shares


def test_two_queries_come_in_the_same_shares_where_both_have_as_many(store: Folder) -> None:
    source, whole = arrays(60), arrays(60).cut(PAST, LATEST)
    like, larger = (replace(SPLIT, metric=f"custom.googleapis.com/{name}") for name in ("like", "larger"))
    cached(source, store, NOON).read(larger, PAST, LATEST)
    for other, count in ((like, 3), (like, 3), (larger, 1), (QUERY, 1)):
        found = list(cached(source, store, NOON, size=20).pairs(SPLIT, other, PAST, LATEST))
        assert len(found) == count
        for one, two in found:
            same(one, two)
        same(stacked([one for one, _ in found]), whole)


def test_very_many_series_that_no_label_tells_apart_are_read_as_they_come_and_not_kept(store: Folder) -> None:
    source, log = arrays(60), Lines()
    source.divides = ""
    found, _ = gathered(cached(source, store, NOON, log, size=14), QUERY, PAST, LATEST, 7)
    same(found, source.cut(PAST, LATEST))
    assert not list(store.names("history/"))
    assert ["series apart" in words for words in log.of("cache.whole")] == [True]
    gathered(cached(source, store, NOON, log, size=15), QUERY, PAST, LATEST, 7)
    assert list(store.names("history/")), "so many may be held"


@pytest.mark.parametrize("size", [7, 256])
def test_the_parts_of_a_query_are_shared_out_each(store: Folder, size: int) -> None:
    source, now = arrays(60), NOON
    whole = source.cut(PAST, LATEST)
    for part in (0, 1, 2, 0, 1, 2):
        query = replace(SPLIT, parts=3, part=part)
        mine = np.flatnonzero([in_part(labels, query) for labels in whole.labels])
        same(cached(source, store, now, size=size).read(query, PAST, LATEST), whole.rows(mine))


def test_a_broken_object_costs_its_own_share_alone(store: Folder) -> None:
    source, log = arrays(60), Lines()
    gathered(cached(source, store, NOON, size=10), SPLIT, PAST, LATEST, 100)
    victim = next(iter(store.names("history/")))
    store.delete(victim)
    store.put(victim, b"broken")
    source.asked.clear()
    found, _ = gathered(cached(source, store, NOON, log, size=10), SPLIT, PAST, LATEST, 100)
    same(found, source.cut(PAST, LATEST))
    assert len(log.of("cache.ignored")) == 1
    assert victim.endswith(weeks(0)[0])
    assert source.hours == 6 * 6 + 24, "the last day of that week"


def test_a_fleet_that_has_outgrown_its_shares_is_shared_out_anew(store: Folder) -> None:
    large = arrays(60)
    cached(large, store, NOON, size=60).read(SPLIT, PAST, LATEST)
    for _ in range(3):
        same(cached(large, store, NOON, size=8).read(SPLIT, PAST, LATEST), large.cut(PAST, LATEST))
    (shares,) = {name.split("/")[-3] for name in store.names("history/")}
    assert 5 <= int(shares.removeprefix("of")) <= 8
    large.asked.clear()
    cached(large, store, NOON, size=8).read(SPLIT, PAST, LATEST)
    assert large.hours == 6 * int(shares.removeprefix("of"))


def test_what_an_older_version_kept_elsewhere_is_removed(store: Folder) -> None:
    source = arrays()
    cached(source, store, NOON).read(SPLIT, PAST, LATEST)
    folder = next(iter(store.names("history/"))).partition("of1/")[0]
    for old in (f"{folder}2026-11-09.7d", f"{folder}of999/00/2026-11-09.7d"):
        store.put(old, b"netanomaly history 1 x")
    same(cached(source, store, NOON).read(SPLIT, PAST, LATEST), source.cut(PAST, LATEST))
    same(cached(source, store, NOON).read(SPLIT, PAST, LATEST), source.cut(PAST, LATEST))
    assert len({name.rpartition("/")[0] for name in store.names("history/")}) == 1


def test_what_is_too_large_for_an_object_is_named_and_read_every_time(
    store: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MOST", 300)
    source, log = arrays(6), Lines()
    for _ in range(2):
        same(cached(source, store, NOON, log).read(QUERY, PAST, LATEST), source.cut(PAST, LATEST))
    assert names(store)
    assert weeks(14)[0] not in names(store)
    assert "split the query" in log.of("cache.large")[0]


def test_a_share_that_fails_is_the_callers_error_and_others_are_let_go(store: Folder) -> None:
    class Tiring(Arrays):
        tired = True

        def read(self, query: Query, start: datetime, end: datetime) -> Frame:
            if self.tired and len(self.asked) >= 3:
                raise Failed("the source is tired")
            return super().read(query, start, end)

    source = Tiring(arrays(60).rows)
    reader = cached(source, store, NOON, size=4)
    with pytest.raises(Failed, match="tired"):
        reader.read(SPLIT, PAST, LATEST)
    source.tired = False
    for _ in range(9):  # nobody wants the others, and nothing of that is left over
        some = reader.blocks(SPLIT, PAST, LATEST, 9)
        assert isinstance(some, Generator)
        next(some)
        some.close()
    assert reader._room.taken == 0
    same(reader.read(SPLIT, PAST, LATEST), source.cut(PAST, LATEST))


def test_pieces_of_other_series_are_joined_in_the_order_of_labels() -> None:
    pieces: list[tuple[Piece, Span]] = []
    for n, rows in enumerate(([1, 3], [2], [], [1, 2, 3])):
        start = MONDAY + 2 * n * HOUR
        frame = Frame(np.full((len(rows), 2), float(n)), start, HOUR, tuple({"a": str(row)} for row in rows))
        pieces.append((history.read(history.write(frame, {}), {}), (start, start + 2 * HOUR)))
    whole = joined(pieces[::-1], (MONDAY, MONDAY + 8 * HOUR), HOUR)
    assert [one["a"] for one in whole.labels] == ["1", "2", "3"]
    nan = np.nan
    wanted = [[0, 0, nan, nan, nan, nan, 3, 3], [nan, nan, 1, 1, nan, nan, 3, 3], [0, 0, nan, nan, nan, nan, 3, 3]]
    np.testing.assert_array_equal(whole.values, wanted)
