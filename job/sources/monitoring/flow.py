"""Points as pages bring them, made into blocks of whole series without waiting for the last page."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from job.sources import Scattered
from job.sources.monitoring import grid
from job.sources.monitoring.decode import Points

Place: TypeAlias = Callable[[Iterable[Points]], grid.Block]


def pieces(points: Iterable[Points], place: Place) -> Iterator[grid.Block]:
    """The blocks that the points make, a page's series after the other's.

    Raises:
        Scattered: a series goes on after another has begun.
    """
    done: set[int] = set()  # hashes, since there may be very many series
    for lots in _whole(points):
        block = place(lots)
        marks = {hash(key) for key in block.keys}
        if not done.isdisjoint(marks):
            raise Scattered
        done |= marks
        yield block


def _whole(points: Iterable[Points]) -> Iterator[list[Points]]:
    """The points in lots that have whole series: the last one of a page may go on on the next."""
    held: list[Points] = []
    for lot in points:
        if len(lot.keys) > 1:
            head, last = _parted(lot)
            yield [*held, head]
            held = [last]
        elif held and held[0].keys != lot.keys:
            yield held
            held = [lot]
        else:
            held.append(lot)
    if held:
        yield held


def _parted(lot: Points) -> tuple[Points, Points]:
    """All series but the last, and the last."""
    place = len(lot.ends) - int(lot.counts[-1])
    begun, ended = (None, None) if lot.starts is None else (lot.starts[:place], lot.starts[place:])
    return (
        Points(lot.keys[:-1], lot.counts[:-1], lot.ends[:place], lot.values[:place], begun),
        Points(lot.keys[-1:], lot.counts[-1:], lot.ends[place:], lot.values[place:], ended),
    )


def collected(blocks: Iterable[grid.Block], rows: int, columns: int) -> Iterator[grid.Block]:
    """Blocks of so many rows from smaller ones, the last of what is left; rows without any point are left out."""
    some: list[grid.Block] = []
    count = 0
    for block in blocks:
        some.append(block)
        count += len(block.keys)
        if count >= rows:
            whole = grid.joined([(0, one) for one in some], columns)
            there = len(whole.keys)
            for low in range(0, there - rows + 1, rows):
                yield _rows(whole, low, low + rows)
            rest = _rows(whole, there - there % rows, there)
            some = [grid.Block(rest.keys, rest.values.copy())]  # or it would keep all the others
            count = len(rest.keys)
    rest = grid.joined([(0, one) for one in some], columns)
    if rest.keys:
        yield rest


def _rows(block: grid.Block, low: int, high: int) -> grid.Block:
    return grid.Block(block.keys[low:high], block.values[low:high])
