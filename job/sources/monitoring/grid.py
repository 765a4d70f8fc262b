"""From points stamped at the end of their period to columns that begin at theirs."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from job.sources.monitoring.decode import Key, Points
from job.units import measured

_REGULAR = 8
"""So many points must agree before their spacing is believed."""


@dataclass(frozen=True, eq=False)
class Block:
    """Series x columns, a key for each row."""

    keys: tuple[Key, ...]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Window:
    """Columns of `step` seconds over `[start, end)`, both seconds of the epoch."""

    start: int
    end: int
    step: int

    @property
    def columns(self) -> int:
        """How many columns there are."""
        return max(0, (self.end - self.start) // self.step)


def aligned(points: Iterable[Points], window: Window, period: int, *, rate: bool) -> Block:
    """Place points that the server aligned to periods of `period` seconds, a multiple of the step.

    A point belongs to the period that ends at or after its stamp. Of two points in one period the one read last wins.
    With `rate` a sum becomes a rate per second. A point gives its value to every column that it covers, and a series
    whose points come regularly at a multiple of the period covers that multiple.
    """
    start = window.start // period * period
    place: dict[Key, int] = {}
    coarse = np.full((0, -(-(window.end - start) // period)), np.nan)
    for lot in points:
        rows = np.array([place.setdefault(key, len(place)) for key in lot.keys], np.int64)
        coarse = _grown(coarse, len(place))
        _scatter(coarse, lot, rows, (start, period))
    coarse = coarse[: len(place)]
    if rate:
        coarse /= period
    _spread(coarse, rate=rate)
    fine = coarse if period == window.step else np.repeat(coarse, period // window.step, axis=1)
    skipped = (window.start - start) // window.step
    return Block(tuple(place), fine[:, skipped : skipped + window.columns])


def _grown(values: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    """The array with room for so many rows, and for more, that growing row by row may stay cheap."""
    if rows <= len(values):
        return values
    grown = np.empty((max(rows, len(values) * 5 // 4), values.shape[1]))
    grown[: len(values)] = values
    grown[len(values) :] = np.nan
    return grown


def _scatter(coarse: NDArray[np.float64], lot: Points, row: NDArray[np.int64], grid: tuple[int, int]) -> None:
    """Write points where they belong, in the order received."""
    start, period = grid
    values = lot.values.astype(np.float64, copy=False)
    if lot.values.dtype.kind == "f" and not (there := measured(values)).all():
        values = np.where(there, values, np.nan)
    if lot.ends.dtype == np.int64:
        slot = (lot.ends - (start + 1)) // period
    else:
        slot = np.ceil((lot.ends - start) / period).astype(np.int64) - 1
    place = np.repeat(row * coarse.shape[1], lot.counts) + slot
    if len(slot) and (slot.min() < 0 or slot.max() >= coarse.shape[1]):
        inside = (slot >= 0) & (slot < coarse.shape[1])
        place, values = place[inside], values[inside]
    coarse.reshape(-1)[place] = values


def _spread(coarse: NDArray[np.float64], *, rate: bool) -> None:
    """Fill, in place, the rows whose points come only every so many periods."""
    there = ~np.isnan(coarse)
    # A row with two neighbours has the spacing of the grid; nearly all do, and are done here.
    alone = ~(there[:, 1:] & there[:, :-1]).any(axis=1) & (there.sum(axis=1) >= _REGULAR)
    for row in np.flatnonzero(alone):
        slots = np.flatnonzero(there[row])
        gap = int(np.gcd.reduce(np.diff(slots)))
        if gap > 1 and len(slots) * gap * 4 >= (slots[-1] - slots[0]) * 3:
            for back in range(1, gap):
                before = slots[slots >= back]
                coarse[row, before - back] = coarse[row, before] / (gap if rate else 1)
            if rate:
                coarse[row, slots] /= gap


def counted(points: Iterable[Points], window: Window, sample: int) -> Block:
    """Turn counts that only grow into rates per second.

    The growth from one point to the next, of one start, is spread over the time between them; a new start counts from
    zero at that start. Where two points lie further apart than the series' points usually do (or than `sample`), there
    is no value in between. A column has a value when at least half of it is covered.
    """
    pieces: dict[Key, list[Piece]] = {}
    for lot in points:
        cuts = np.cumsum(lot.counts)[:-1]
        begun = lot.ends if lot.starts is None else lot.starts
        parts = zip(*(np.split(array, cuts) for array in (begun, lot.ends, lot.values)), strict=True)
        for key, piece in zip(lot.keys, parts, strict=True):
            pieces.setdefault(key, []).append(piece)
    values = np.full((len(pieces), window.columns), np.nan)
    for row, group in enumerate(pieces.values()):
        values[row] = _rates(*_growth(group, sample), window)
    return Block(tuple(pieces), values)


Piece: TypeAlias = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
"""The starts, ends and values of points of one series."""


def _growth(
    group: Sequence[Piece], sample: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The spans of one series in which its count is known to have grown, and by how much."""
    starts, ends, values = (np.concatenate(arrays) for arrays in zip(*group, strict=True))
    there = measured(values)
    order = np.flatnonzero(there)[np.argsort(ends[there], kind="stable")]
    last = np.append(np.diff(ends[order]) > 0, True)[: len(order)]
    starts, ends, values = starts[order][last], ends[order][last], values[order][last]
    gaps = np.diff(ends)
    usual = max(float(sample), float(np.median(gaps))) if len(gaps) >= _REGULAR else float(sample)
    same = starts[1:] == starts[:-1]
    begin = np.where(same, ends[:-1], np.maximum(starts[1:], ends[:-1]))
    grown = np.where(same, np.diff(values), values[1:]).astype(np.float64)
    known = (ends[1:] - begin <= 1.5 * usual) & (ends[1:] > begin) & (grown >= 0)
    return begin[known], ends[1:][known], grown[known]


def _rates(
    begin: NDArray[np.float64], end: NDArray[np.float64], grown: NDArray[np.float64], window: Window
) -> NDArray[np.float64]:
    """Share each span's growth among the columns it covers.

    Each share is computed on its own, so that a longer read gives the same bits.
    """
    first = np.floor((begin - window.start) / window.step).astype(np.int64)
    stop = np.ceil((end - window.start) / window.step).astype(np.int64)
    counts = stop - first
    span = np.repeat(np.arange(len(first)), counts)
    column = np.arange(len(span)) - np.repeat(np.cumsum(counts) - counts, counts) + first[span]
    inside = (column >= 0) & (column < window.columns)
    span, column = span[inside], column[inside]
    left = window.start + column * window.step
    overlap = np.minimum(end[span], left + window.step) - np.maximum(begin[span], left)
    covered = np.bincount(column, overlap, window.columns)
    total = np.bincount(column, grown[span] * (overlap / (end - begin)[span]), window.columns)
    enough = covered * 2 >= window.step
    rates = np.full(window.columns, np.nan)
    np.divide(total, covered, out=rates, where=enough)
    return rates


_FOLDS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "sum": lambda rows: np.add.reduce(np.where(np.isnan(rows), 0.0, rows)),
    "mean": lambda rows: (
        np.add.reduce(np.where(np.isnan(rows), 0.0, rows)) / np.maximum((~np.isnan(rows)).sum(axis=0), 1)
    ),
    "min": np.fmin.reduce,
    "max": np.fmax.reduce,
}
REDUCERS = tuple(_FOLDS)


def grouped(block: Block, group_by: Sequence[str], reducer: str) -> Block:
    """One row a group, as the server would reduce: of the points that there are; a column without any stays a gap."""
    groups: dict[Key, list[int]] = {}
    for row in sorted(range(len(block.keys)), key=lambda row: block.keys[row]):
        groups.setdefault(group(block.keys[row], group_by), []).append(row)
    values = np.full((len(groups), block.values.shape[1]), np.nan)
    for place, rows in enumerate(groups.values()):
        members = block.values[rows]
        values[place] = np.where(np.isnan(members).all(axis=0), np.nan, _FOLDS[reducer](members))
    return Block(tuple(groups), values)


def group(key: Key, group_by: Sequence[str]) -> Key:
    """The part of a key that its group keeps; the type of resource always is."""
    kept = {"resource.type", *group_by}
    return tuple(item for item in key if item[0] in kept)


def joined(blocks: Sequence[tuple[int, Block]], columns: int) -> Block:
    """Blocks side by side, each at its first column; rows sorted by key, those without any point left out."""
    if len(blocks) == 1 and blocks[0][1].values.shape[1] == columns:
        ((_, block),) = blocks
        order = sorted(range(len(block.keys)), key=block.keys.__getitem__)
        keys, values = [block.keys[row] for row in order], block.values[order]
    else:
        keys = sorted({key for _, block in blocks for key in block.keys})
        place = {key: row for row, key in enumerate(keys)}
        values = np.full((len(keys), columns), np.nan)
        for first, block in blocks:
            rows = [place[key] for key in block.keys]
            values[rows, first : first + block.values.shape[1]] = block.values
    alive = ~np.isnan(values).all(axis=1)
    if alive.all():
        return Block(tuple(keys), values)
    return Block(tuple(keys[row] for row in np.flatnonzero(alive)), values[alive])
