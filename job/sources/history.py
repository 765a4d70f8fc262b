"""The object that holds a stretch of settled history: what a source answered, to the bit, in about half its size.

    netanomaly history 1 <SHA-256 of all that follows this line>
    {"query": …, "start": …, "step": …, "columns": …, "rows": …, "scale": …, "sizes": […], "packed": […]}
    labels · the least number of each row · the numbers less that, one plane of bytes after the other

Rates are whole numbers divided by their period: where that gives the values back to the bit, the numbers are kept
(0 is no point), and else the values' own bits. A plane is deflated where that pays; the lower ones are noise.
Nothing is believed of what is read: a bucket is written by others too.
"""

import hashlib
import json
import zlib
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from detectors import Frame, Labels
from job.units import parse_time, utc

Identity: TypeAlias = Mapping[str, Any]
"""What decides the values, as JSON has it: an object of another identity is another's."""

MARK = b"netanomaly history 1 "
MOST = 1 << 27
"""So many values an object may hold; more would not fit into a task."""

_HEAD = 100_000
_LABELS = 1 << 14
_SAMPLE = 1 << 16
_PAYS = 0.9


class Unusable(ValueError):
    """The object cannot be used: the message says why."""


def write(frame: Frame, identity: Identity) -> bytes:
    """The object that holds a frame.

    Raises:
        ValueError: the frame has more values than an object may hold.
    """
    if frame.values.size > MOST:
        raise ValueError(f"{frame.values.size} values are more than an object of history holds; split the query")
    scale, least, numbers = _numbers(frame)
    octets = numbers.view(np.uint8).reshape(*frame.values.shape, 8)
    width = (int(numbers.view(np.uint64).max(initial=0)).bit_length() + 7) // 8
    planes = [_deflated(np.ascontiguousarray(octets[..., place]).tobytes()) for place in range(width)]
    parts = [_packed_labels(frame.labels), least.tobytes(), *(plane for plane, _ in planes)]
    head = {
        "query": dict(identity),
        "start": utc(frame.start),
        "step": int(frame.step.total_seconds()),
        "columns": frame.values.shape[1],
        "rows": len(frame.labels),
        "scale": scale,
        "sizes": [len(part) for part in parts],
        "packed": [packed for _, packed in planes],
    }
    body = b"".join([json.dumps(head, sort_keys=True).encode(), b"\n", *parts])
    return MARK + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def read(data: bytes, identity: Identity) -> Frame:
    """The frame that an object holds.

    Raises:
        Unusable: it is no such object, or of another version, or corrupt, or of another identity.
    """
    mark, _, _ = data[: len(MARK) + 65].partition(b"\n")
    if not data.startswith(MARK):
        raise Unusable("it is no history of this version")
    body = memoryview(data)[len(mark) + 1 :]
    if hashlib.sha256(body).hexdigest().encode() != mark[len(MARK) :]:
        raise Unusable("it is corrupt: its bytes do not have its checksum")
    line = bytes(body[:_HEAD]).partition(b"\n")[0]
    try:
        head = json.loads(line)
        frame = _frame(head, body[len(line) + 1 :]) if head["query"] == dict(identity) else None
    except Unusable:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, zlib.error) as error:
        raise Unusable(f"it does not say what it holds: {error!r}") from None
    if frame is None:
        raise Unusable("it is the history of another query")
    return frame


def _frame(head: dict[str, Any], body: memoryview) -> Frame:
    counts = [head["step"], head["columns"], head["rows"], head["scale"], *head["sizes"]]
    if not all(isinstance(number, int) and number >= 0 for number in counts) or len(head["packed"]) > 8:
        raise Unusable("its head has other things than counts")
    step, columns, rows, scale, *sizes = counts
    if rows * columns > MOST or sum(sizes) != len(body):
        raise Unusable("its head does not fit its bytes")
    labels, least, *planes = (body[low:high] for low, high in pairwise(np.cumsum([0, *sizes]).tolist()))
    if len(least) != 8 * rows * bool(scale):
        raise Unusable("it has not as many rows as it says")
    numbers = np.zeros((rows, columns, 8), np.uint8)
    for place, (plane, packed) in enumerate(zip(planes, head["packed"], strict=True)):
        octets = _inflated(plane, rows * columns) if packed else plane
        numbers[..., place] = np.frombuffer(octets, np.uint8).reshape(rows, columns)
    values = _values(numbers.view(np.int64)[..., 0], np.frombuffer(least, np.int64), scale)
    frame = Frame(values, parse_time(head["start"]), timedelta(seconds=step), _labels(bytes(labels), rows))
    frame.end  # noqa: B018 - or it would leave the calendar where it is used
    return frame


def _numbers(frame: Frame) -> tuple[int, NDArray[np.int64], NDArray[np.int64]]:
    """The scale, the least number of each row, and the numbers; with the scale 0 the bits of the values."""
    values = np.ascontiguousarray(frame.values)
    bits = values.view(np.int64)
    for scale in dict.fromkeys((int(frame.step.total_seconds()), 60, 1)):
        with np.errstate(invalid="ignore", over="ignore"):
            whole = np.rint(values * scale)
            if not np.less(np.abs(whole), 2.0**53, where=~np.isnan(whole), out=np.ones(whole.shape, bool)).all():
                continue
        least = np.fmin.reduce(whole, axis=1, initial=2.0**53).astype(np.int64)
        numbers = np.where(np.isnan(whole), 0.0, whole).astype(np.int64) - least[:, None] + 1
        numbers[np.isnan(whole)] = 0
        if np.array_equal(_values(numbers, least, scale).view(np.int64), bits):
            return scale, least, numbers
    return 0, np.zeros(0, np.int64), bits


def _values(numbers: NDArray[np.int64], least: NDArray[np.int64], scale: int) -> NDArray[np.float64]:
    if not scale:
        return np.ascontiguousarray(numbers).view(np.float64)
    values: NDArray[np.float64] = (numbers + (least - 1)[:, None]) / scale
    values[numbers == 0] = np.nan
    return values


def _deflated(plane: bytes) -> tuple[bytes, bool]:
    sample = plane[:_SAMPLE]
    if len(zlib.compress(sample, 1)) > _PAYS * len(sample):
        return plane, False
    return zlib.compress(plane, 1), True


def _inflated(data: bytes | memoryview, most: int) -> bytes:
    return zlib.decompressobj().decompress(data, most + 1)


def _packed_labels(labels: tuple[Labels, ...]) -> bytes:
    return zlib.compress(json.dumps([dict(one) for one in labels], ensure_ascii=False).encode(), 1)


@lru_cache(maxsize=4)
def _labels(data: bytes, rows: int) -> tuple[Labels, ...]:
    """The labels of the rows. They are mostly the same, day after day."""
    found = json.loads(_inflated(data, min((rows + 1) * _LABELS, MOST)))
    if not isinstance(found, list) or not all(
        isinstance(one, dict) and all(isinstance(value, str) for value in one.values()) for one in found
    ):
        raise Unusable("its labels are none")
    keys = [tuple(sorted(one.items())) for one in found]
    if any(low >= high for low, high in pairwise(keys)):
        raise Unusable("its rows are not in their order")
    return tuple(found)
