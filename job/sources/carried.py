"""The object that holds what the scores of one day need of its past, for the series of one share.

    netanomaly carried 1 <CRC-32 of all that follows this line>
    {"query": …, "rows": …, "read": …, "arrays": [[name, type, [shape but for the rows]], …], "labels": …}
    labels · the arrays

It is good as long as what is read again of the time before that day is what was there when it was made: `read`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors import Frame, Labels
from job.past import Past
from job.sources.history import MOST, ROWS, Identity, Unusable, checksum, labels_of, packed_labels, unwrapped, wrapped
from job.sources.joined import alive

MARK = b"netanomaly carried 1 "
_TYPES = {"|b1", "|u1", "<i8", "<f8"}


@dataclass(frozen=True, eq=False)
class Opened:
    """What an object holds: whose past, and what was read of the time before the day."""

    labels: tuple[Labels, ...]
    past: Past
    read: str


def fingerprint(frame: Frame) -> str:
    """Names the points of a frame."""
    there = alive(frame)
    named = "\n".join("\0".join(map("=".join, sorted(one.items()))) for one in there.labels)
    return checksum(named.encode(), there.values.tobytes()).decode()


def write(labels: tuple[Labels, ...], past: Past, read: str, identity: Identity) -> bytes:
    """The object that holds the past of these series."""
    arrays = dict(sorted(_arrays(past), key=lambda each: -each[1].itemsize))  # so that all of them are aligned
    named = packed_labels(labels)
    head = {
        "query": dict(identity),
        "rows": len(labels),
        "read": read,
        "arrays": [[name, array.dtype.str, list(array.shape[1:])] for name, array in arrays.items()],
        "labels": len(named),
    }
    return wrapped(MARK, head, named, *(array.tobytes() for array in arrays.values()))


def read(data: bytes, identity: Identity) -> Opened:
    """What an object holds.

    Raises:
        Unusable: it is no such object, or of another version, or corrupt, or of another identity.
    """
    return unwrapped(data, MARK, identity, _opened)


def _opened(head: Mapping[str, Any], body: memoryview) -> Opened:
    rows, place, arrays = head["rows"], head["labels"], dict[str, NDArray[Any]]()
    if not 0 <= rows <= ROWS or not 0 <= place <= len(body):
        raise Unusable("its head has other things than counts")
    labels = labels_of(bytes(body[:place]), rows)
    for name, kind, shape in head["arrays"]:
        if kind not in _TYPES or not all(isinstance(n, int) and 0 <= n <= MOST for n in shape):
            raise Unusable(f"its {name} is no array")
        size = rows * prod(shape) * np.dtype(kind).itemsize
        arrays[name] = np.frombuffer(body[place : place + size], kind).reshape(rows, *shape)
        place += size
    if place != len(body):
        raise Unusable("its head does not fit its bytes")
    return Opened(labels, _past(arrays), head["read"])


def _arrays(past: Past) -> Iterator[tuple[str, NDArray[Any]]]:
    yield "points", past.points
    for detector, carried in past.carried.items():
        yield f"{detector} ", past.scored[detector]
        for name, array in carried.items():
            yield f"{detector} {name}", array


def _past(arrays: dict[str, NDArray[Any]]) -> Past:
    points, carried = arrays.pop("points"), dict[str, dict[str, NDArray[Any]]]()
    for each, array in arrays.items():
        detector, _, name = each.partition(" ")
        carried.setdefault(detector, {})[name] = array
    scored = {detector: found.pop("") for detector, found in carried.items()}
    return Past(np.ones(len(points), dtype=np.bool_), points, carried, scored)
