import time
from collections.abc import Generator, Iterator
from datetime import date, timedelta
from threading import Event

import pytest

from job.days import names, objects
from job.errors import Failed, NotAllowed
from job.store import Object
from job.store.folder import Folder
from tests.job.work import Meddling

FIRST = date(2025, 11, 1)
ROOT = "anomalies/"


def name(day: date) -> str:
    return f"{ROOT}date={day}/metric=x/p.part-00.jsonl"


@pytest.fixture(scope="module")
def years(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """An object of each of 400 days, and what is none."""
    path = tmp_path_factory.mktemp("years")
    for day in range(400):
        file = path / name(FIRST + timedelta(days=day))
        file.parent.mkdir(parents=True)
        file.write_text(str(day))
    for other in ("date=2026-01-05/metric=x/notes.txt", "date=soon/x.jsonl", "else/x.jsonl"):
        (path / ROOT / other).parent.mkdir(parents=True, exist_ok=True)
        (path / ROOT / other).write_text("x")
    return Folder(path)


class Listed(Meddling):
    def names(self, prefix: str = "") -> Iterator[str]:
        self.meddle(prefix)
        return super().names(prefix)


@pytest.mark.parametrize(
    ("first", "last", "looked"),
    [
        (date(2026, 1, 4), date(2026, 1, 6), 3),
        (date(2025, 12, 28), date(2026, 1, 6), 10),
        (date(2026, 1, 5), date(2026, 1, 30), 31),
        (date(2026, 1, 5), date(2026, 3, 30), 273),
        (date(1970, 1, 1), date(9999, 1, 1), 400),
        (date(2026, 1, 6), date(2026, 1, 4), 0),
    ],
)
def test_the_days_of_a_time_are_found_without_looking_through_all_others(
    years: Folder, first: date, last: date, looked: int
) -> None:
    asked: list[str] = []
    found = list(names(Listed(years, asked.append), ROOT, first, last))
    days = [FIRST + timedelta(days=n) for n in range(400)]
    assert found == [name(day) for day in days if first <= day <= last]
    seen = [each for prefix in asked for each in years.names(prefix) if "part-00" in each]
    assert len(seen) <= looked


def test_objects_come_in_their_order_and_what_cannot_be_read_is_named(years: Folder) -> None:
    wanted = [name(FIRST + timedelta(days=n)) for n in range(20)]

    class Odd(Meddling):
        def get(self, name: str) -> Object | None:
            if name == wanted[7]:
                raise Failed("seven is gone")
            return None if name == wanted[9] else super().get(name)

    problems: list[str] = []
    found = list(objects(Odd(years, str), wanted, problems))
    expected = [b"" if n in {7, 9} else str(n).encode() for n in range(20)]
    assert found == list(zip(wanted, expected, strict=True))
    assert problems == ["seven is gone"]


def test_who_stops_waits_for_no_answer(years: Folder) -> None:
    never = Event()

    class Hanging(Meddling):
        def get(self, name: str) -> Object | None:
            assert name == wanted[0] or never.wait(60)
            return super().get(name)

    wanted = [name(FIRST + timedelta(days=n)) for n in range(20)]
    coming = objects(Hanging(years, str), wanted, [])
    assert isinstance(coming, Generator)
    try:
        assert next(coming) == (wanted[0], b"0")
        began = time.monotonic()
        coming.close()
        assert time.monotonic() - began < 30
    finally:
        never.set()


def test_what_may_not_be_read_ends_it(years: Folder) -> None:
    class Denied(Meddling):
        def get(self, name: str) -> Object | None:
            raise NotAllowed(name)

    with pytest.raises(NotAllowed):
        list(objects(Denied(years, str), [name(FIRST)], []))
