"""Pieces of one query that follow each other, as one frame."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from detectors import Frame, Labels

Key: TypeAlias = tuple[tuple[str, str], ...]
Span: TypeAlias = tuple[datetime, datetime]

_LAST = 64
"""Nearly every series has a point among so many last columns, and need not be looked through."""


class Piece(Protocol):
    """Some series over some of the time, whose values need not be numbers yet."""

    @property
    def start(self) -> datetime:
        """Where the first column begins."""

    @property
    def labels(self) -> tuple[Labels, ...]:
        """Which row is which."""

    def values(self, first: int, stop: int, out: NDArray[np.float64]) -> None:
        """Write the values of the columns `[first, stop)`, all rows of them, into an array of that shape."""


def joined(pieces: Sequence[tuple[Piece, Span]], span: Span, step: timedelta) -> Frame:
    """One frame over a span that parts of pieces, each over the time beside it, fill in any order.

    Its rows are those of all, in the order of their labels; where one has no such row there is no point.
    """
    first = pieces[0][0].labels
    alike = all(piece.labels is first or piece.labels == first for piece, _ in pieces)
    labels = first if alike else union(piece.labels for piece, _ in pieces)
    place = {} if alike else {key(one): row for row, one in enumerate(labels)}
    values = np.empty((len(labels), (span[1] - span[0]) // step))
    for piece, part in pieces:
        columns = values[:, (part[0] - span[0]) // step : (part[1] - span[0]) // step]
        low, high = ((moment - piece.start) // step for moment in part)
        if alike:
            piece.values(low, high, columns)
        else:
            some = np.empty((len(piece.labels), columns.shape[1]))
            piece.values(low, high, some)
            columns[:] = np.nan
            columns[[place[key(one)] for one in piece.labels]] = some
    return Frame(values, span[0], step, labels)


def stacked(frames: Sequence[Frame]) -> Frame:
    """One frame of the series of several over the same time, in the order of their labels."""
    if len(frames) == 1:
        return frames[0]
    labels = [one for frame in frames for one in frame.labels]
    order = sorted(range(len(labels)), key=lambda row: key(labels[row]))
    place, values, low = np.argsort(order), np.empty((len(labels), frames[0].values.shape[1])), 0
    for frame in frames:
        values[place[low : low + len(frame.labels)]] = frame.values
        low += len(frame.labels)
    return Frame(values, frames[0].start, frames[0].step, tuple(labels[row] for row in order))


def alive(frame: Frame) -> Frame:
    """The frame without rows that have no point, as sources leave them out."""
    there = np.asarray(np.isfinite(frame.values[:, -_LAST:]).any(axis=1))
    others = np.flatnonzero(~there)
    there[others] = np.isfinite(frame.values[others]).any(axis=1)
    return frame if there.all() else frame.rows(np.flatnonzero(there))


def union(pieces: Iterable[Iterable[Labels]]) -> tuple[Labels, ...]:
    """All rows that there are, in their order."""
    found = {key(one): one for labels in pieces for one in labels}
    return tuple(found[each] for each in sorted(found))


def places(labels: Sequence[Labels], among: Sequence[Labels]) -> NDArray[np.intp]:
    """Which of the labels each row is that is among others; -1 for none of them."""
    if labels == among:
        return np.arange(len(among))
    known = {key(one): place for place, one in enumerate(labels)}
    return np.array([known.get(key(one), -1) for one in among], dtype=np.intp)


def key(labels: Labels) -> Key:
    """What the rows of a frame are in the order of."""
    return tuple(sorted(labels.items()))
