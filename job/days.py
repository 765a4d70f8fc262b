"""The objects of UTC days: their names without those of all other days, and their bytes, several asked for at once."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date, timedelta
from itertools import takewhile

from job.errors import Failed
from job.store import Object, Store

FEW = 10
"""So many days are asked for one by one; of more, all is looked through that their dates have in common."""

HANDS = 4
"""So many objects are read at once."""


def names(store: Store, root: str, first: date, last: date) -> Iterator[str]:
    """The names below `root` that end in .jsonl, of the days from `first` to `last`, sorted.

    Raises:
        NotAllowed: a permission is missing.
        Failed: the store did not answer.
    """
    count = (last - first).days + 1
    days = [str(first + timedelta(days=n)) for n in range(count)] if count <= FEW else [_common(first, last)]
    for name in (name for day in days for name in store.names(f"{root}date={day}")):
        day, _, _ = name.removeprefix(f"{root}date=").partition("/")
        try:
            if first <= date.fromisoformat(day) <= last and name.endswith(".jsonl"):
                yield name
        except ValueError:
            continue


def _common(first: date, last: date) -> str:
    return "".join(
        one for one, _ in takewhile(lambda both: both[0] == both[1], zip(str(first), str(last), strict=True))
    )


def objects(store: Store, wanted: Iterable[str], problems: list[str]) -> Iterator[tuple[str, bytes]]:
    """These objects in their order; what cannot be read is empty, and named in `problems`; what is gone, only empty.

    Raises:
        NotAllowed: a permission is missing.
    """
    waiting = deque[tuple[str, Future[Object | None]]]()

    def come() -> tuple[str, bytes]:
        name, future = waiting.popleft()
        try:
            there = future.result()
        except Failed as error:
            problems.append(str(error))
            return name, b""
        return name, there.data if there else b""

    pool = ThreadPoolExecutor(HANDS)
    try:
        for name in wanted:
            waiting.append((name, pool.submit(store.get, name)))
            if len(waiting) > HANDS:
                yield come()
        while waiting:
            yield come()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # whoever is told to stop does not wait for an answer
