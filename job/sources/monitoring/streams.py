"""One query read over several streams at once: which series each asks for, so that none is asked for twice.

Pages of one request follow each other, and every request is billed for the series that it returns. So the series are
shared out, not the time: by the last two characters of the label that splits the query, in the server's own filter.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from threading import Event, Semaphore
from typing import Generic, TypeAlias, TypeVar

from detectors import Frame
from job.query import Query, share

T = TypeVar("T")

MOST = 16
"""Into no more shares than this is a query split."""

TURNS = 17
"""So many shares are held one after the other; a prime, so that few of the streams that read one are empty."""

FINE = 97
"""The same, where what is held must be bounded however many series there are: not much fewer than there are endings."""

FEW = 1024
"""So many series are held at once where they cannot be had in smaller blocks, but in shares."""

_DIVIDE = ("resource.labels.", "metric.labels.")
"""What series are shared out by: filters by metadata see what it is now, not what it was."""

Sharing: TypeAlias = Callable[[Query], Query]

TURN = 0.2
"""Seconds after which a stream that waits for room sees that nobody wants more."""


def splits(query: Query) -> bool:
    """Whether the query's series can be shared out without tearing a group apart."""
    return bool(query.split_by) and (not query.group_by or query.split_by in query.group_by)


def dividing(every: Collection[Mapping[str, str]], group_by: Collection[str]) -> str:
    """The label by which series of these labels are best shared out, as their last two characters differ.

    All of them have it, since a filter by a label leaves out what has none, and so have their groups. One of the
    resource's is good enough if no ending has more than an eighth of them. None where one has more than half.
    """
    known = set.intersection(*map(set, every)) if every else set()
    known = {name for name in known if name.startswith(_DIVIDE) and (not group_by or name in group_by)}
    most = {name: max(Counter(labels[name][-2:] for labels in every).values()) for name in known}
    ranked = sorted((8 * n > len(every), name.startswith("metric."), n, name) for name, n in most.items())
    return ranked[0][3] if ranked and 2 * ranked[0][2] <= len(every) else ""


def in_turn(read: Callable[[Sharing], Frame]) -> Iterator[Frame]:
    """What is read in shares of its series that are held one after the other, as many together as have few series."""
    counts = list[int]()
    for sharing in sharings(counts, FEW, TURNS):
        frame = read(sharing)
        counts.append(len(frame.labels))
        yield frame


def sharings(counts: Sequence[int], most: int, turns: int) -> Iterator[Sharing]:
    """All shares, one after the other; after the first, of which the `counts` are known then, with about `most` series.

    A count is that of the series of one of the queries that are shared out.
    """
    yield partial(share, wanted={0}, count=turns)
    many = max(1, most // max(1, *counts))
    for low in range(1, turns, many):
        yield partial(share, wanted=range(low, min(low + many, turns)), count=turns)


def together(tasks: Sequence[Callable[[Event], T]]) -> list[T]:
    """What the tasks return, run side by side. When one fails the others are told to stop, and its error is raised."""
    stop = Event()
    if len(tasks) == 1:
        return [tasks[0](stop)]

    def run(task: Callable[[Event], T]) -> T:
        try:
            return task(stop)
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(len(tasks)) as pool:
        futures = [pool.submit(run, task) for task in tasks]
    return [future.result() for future in futures]


def ahead(things: Iterator[T]) -> Iterator[T]:
    """The same things, none of them None, of which the next is already being got while one is looked at."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, things, None)
        while (thing := coming.result()) is not None:
            coming = pool.submit(next, things, None)
            yield thing


@dataclass(frozen=True)
class _End:
    """One of the tasks has ended, and how."""

    error: BaseException | None


@dataclass(frozen=True)
class _Belt(Generic[T]):
    """Where tasks lay what they yield, as long as there is room."""

    room: Semaphore
    hands: Semaphore
    came: "SimpleQueue[T | _End]" = field(default_factory=SimpleQueue)
    stop: Event = field(default_factory=Event)

    def carry(self, task: Callable[[Event], Iterator[T]]) -> None:
        """Do a task to its end, or until nobody wants more."""
        error = None
        try:
            self._carry(iter(task(self.stop)))
        except BaseException as raised:  # noqa: BLE001 - it is raised where the things are taken
            error = raised
        self.came.put(_End(error))

    def _carry(self, things: Iterator[T]) -> None:
        while not self.stop.is_set():
            with self.hands:
                thing = next(things, None)
            if thing is None:
                return
            while not self.room.acquire(timeout=TURN):
                if self.stop.is_set():
                    return
            self.came.put(thing)


def flowing(tasks: Sequence[Callable[[Event], Iterator[T]]], hands: Semaphore) -> Iterator[T]:
    """What the tasks yield, as it comes, in any order; only so many of them as there are hands work at once.

    A task waits when as many things as there are tasks have not been taken yet. When one fails, or nobody wants more,
    the others are told to stop; an error is raised.
    """
    belt = _Belt[T](Semaphore(len(tasks)), hands)
    with ThreadPoolExecutor(len(tasks)) as pool:
        try:
            running = len([pool.submit(belt.carry, task) for task in tasks])
            while running:
                thing = belt.came.get()
                if not isinstance(thing, _End):
                    belt.room.release()
                    yield thing
                elif thing.error is not None:
                    raise thing.error
                else:
                    running -= 1
        finally:
            belt.stop.set()
