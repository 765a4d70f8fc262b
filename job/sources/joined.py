"""Frames of one query that follow each other, as one."""

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np

from detectors import Frame, Labels

Key: TypeAlias = tuple[tuple[str, str], ...]


def joined(pieces: list[Frame]) -> Frame:
    """One frame of several that follow each other, in any order; they are taken from the list as they are used up.

    Its rows are those of all, in the order of their labels; where one has no such row there is no point.
    """
    pieces.sort(key=lambda frame: frame.start, reverse=True)
    first, last = pieces[-1], pieces[0]
    start, step, end = first.start, first.step, last.end
    alike = all(frame.labels == first.labels for frame in pieces)
    labels = first.labels if alike else _union(pieces)
    place = {} if alike else {key(one): row for row, one in enumerate(labels)}
    values = np.empty((len(labels), (end - start) // step))
    while pieces:
        frame = pieces.pop()
        columns = slice((frame.start - start) // step, (frame.end - start) // step)
        if alike:
            values[:, columns] = frame.values
        else:
            values[:, columns] = np.nan
            values[[place[key(one)] for one in frame.labels], columns] = frame.values
    return Frame(values, start, step, labels)


def alive(frame: Frame) -> Frame:
    """The frame without rows that have no point, as sources leave them out."""
    there = np.isfinite(frame.values).any(axis=1)
    return frame if there.all() else frame.rows(np.flatnonzero(there))


def _union(pieces: Iterable[Frame]) -> tuple[Labels, ...]:
    found = {key(one): one for frame in pieces for one in frame.labels}
    return tuple(found[each] for each in sorted(found))


def key(labels: Labels) -> Key:
    """What the rows of a frame are in the order of."""
    return tuple(sorted(labels.items()))
