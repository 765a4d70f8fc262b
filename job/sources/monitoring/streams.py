"""One query read over several streams at once: which series each asks for, so that none is asked for twice.

Pages of one request follow each other, and every request is billed for the series that it returns. So the series are
shared out, not the time: by the last two characters of the label that splits the query, in the server's own filter.
"""

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event
from typing import TypeVar

from job.query import ALPHABET, Query, both, quote

T = TypeVar("T")

LANES = 10
"""So many shares of the series: digits, which most names and numbers end in, fall evenly on them."""


def splits(query: Query) -> bool:
    """Whether the query's series can be shared out without tearing a group apart."""
    return bool(query.split_by) and (not query.group_by or query.split_by in query.group_by)


def lanes(query: Query, shares: Collection[int]) -> Query:
    """The query for some of the shares `0` to `LANES - 1`; each series is in exactly one."""
    label = f"{query.split_by} = monitoring.regex.full_match({quote(_pattern(set(shares)))})"
    return replace(query, filter=both(query.filter, label))


def _pattern(shares: set[int]) -> str:
    """Matches the values whose last two characters add up to one of these, a missing one counting nothing."""
    terms = ["" if 0 in shares else None]
    for before in range(LANES):
        last = _characters({(share - before) % LANES for share in shares})
        terms.append(f"(.*{_characters({before})})?{last}" if before == 0 else f".*{_characters({before})}{last}")
    return f"(?s)({'|'.join(term for term in terms if term is not None)})"


def _characters(wanted: set[int]) -> str:
    """The class of characters that count so much: by their place in the alphabet, and nothing outside it."""
    if 0 in wanted:
        others = "".join(c for place, c in enumerate(ALPHABET) if place % LANES not in wanted)
        return f"[^{others}]" if others else "."
    return "[" + "".join(c for place, c in enumerate(ALPHABET) if place % LANES in wanted) + "]"


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
