"""The object that holds a stretch of settled history: what a source answered, to the bit, in half its size or less.

    netanomaly history 2 <CRC-32 of all that follows this line>
    {"query": …, "start": …, "step": …, "columns": …, "rows": …, "scale": …, "sizes": […], "packed": […]}
    labels · the least number of each row · the numbers less that, in layers of 16 bits

Rates are whole numbers divided by their period: where that gives the values back to the bit, the numbers are kept
(0 is no point), and else the values' own bits, as one layer of 64. A layer is deflated where that takes it to half; the
others are noise, and lie there as they are used. Nothing is believed of what is read: others write to a bucket too.
"""

import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from detectors import Frame, Labels
from job.units import parse_time, utc

Identity: TypeAlias = Mapping[str, Any]
"""What decides the values, as JSON has it: an object of another identity is another's."""

Floats: TypeAlias = NDArray[np.float64]
Layers: TypeAlias = Sequence[NDArray[Any]]

T = TypeVar("T")

MARK = b"netanomaly history 2 "
MOST = 1 << 26
"""So many values an object may hold; more would not fit into a task."""

ROWS = 1 << 17
HEAD = 100_000
ALIGNED = 8
_LABELS = 1 << 14
_SAMPLE = 1 << 13
_PAYS = 0.5
_TILE = 1 << 15
"""So many values are worked on at once, which then stay in the processor's cache."""

_EXACT = 2.0**53


class Unusable(ValueError):
    """The object cannot be used: the message says why."""


@dataclass(frozen=True, eq=False)
class Kept:
    """What an object holds, its numbers still in layers; with the scale 0 these are the bits of the values."""

    start: datetime
    step: timedelta
    labels: tuple[Labels, ...]
    columns: int
    scale: int
    least: NDArray[np.int64]
    layers: Layers

    @property
    def end(self) -> datetime:
        """The instant after the last column."""
        return self.start + self.columns * self.step

    def values(self, first: int, stop: int, out: Floats) -> None:
        """Write the values of the columns `[first, stop)`, all rows of them, into an array of that shape."""
        for rows in _tiles(len(self.labels), stop - first):
            _decode([layer[rows, first:stop] for layer in self.layers], self.least[rows], self.scale, out[rows])


def write(frame: Frame, identity: Identity) -> bytes:
    """The object that holds a frame.

    Raises:
        ValueError: the frame has more values than an object may hold.
    """
    if frame.values.size > MOST:
        raise ValueError(f"{frame.values.size} values are more than an object of history holds; split the query")
    scale, least, layers = _encoded(frame.values, round(frame.step.total_seconds()))
    kept = [_deflated(layer) for layer in layers]
    parts = [packed_labels(frame.labels), least.tobytes(), *(data for data, _ in kept)]
    head = {
        "query": dict(identity),
        "start": utc(frame.start),
        "step": round(frame.step.total_seconds()),
        "columns": frame.values.shape[1],
        "rows": len(frame.labels),
        "scale": scale,
        "sizes": [len(part) for part in parts],
        "packed": [packed for _, packed in kept],
    }
    return wrapped(MARK, head, *parts)


def wrapped(mark: bytes, head: Mapping[str, Any], labels: bytes, *arrays: bytes) -> bytes:
    """An object: a mark, the checksum of all after that line, a head of one line of JSON, labels and arrays.

    White space before the head lets the arrays begin at a multiple of `ALIGNED` bytes: of others numpy makes copies
    whenever it works with them.
    """
    line = json.dumps(head, sort_keys=True).encode() + b"\n"
    line = b" " * (-(len(mark) + len(b"01234567\n") + len(line) + len(labels)) % ALIGNED) + line
    return b"".join([mark, checksum(line, labels, *arrays), b"\n", line, labels, *arrays])


def checksum(*parts: bytes | memoryview) -> bytes:
    """The CRC-32 of the parts after one another, in hexadecimal digits."""
    total = 0
    for part in parts:
        total = zlib.crc32(part, total)
    return b"%08x" % total


def read(data: bytes, identity: Identity) -> Kept:
    """What an object holds.

    Raises:
        Unusable: it is no such object, or of another version, or corrupt, or of another identity.
    """
    return unwrapped(data, MARK, identity, _kept)


def unwrapped(data: bytes, mark: bytes, identity: Identity, content: Callable[[Any, memoryview], T]) -> T:
    """What `content` makes of the head of an object that was `wrapped`, and of the bytes after it.

    Raises:
        Unusable: it does not begin so, or is of another identity, or its content is none.
    """
    line, _, _ = data[: len(mark) + 9].partition(b"\n")
    if not data.startswith(mark):
        raise Unusable(f"it does not begin with {mark.decode().strip()!r}, so it is of another kind or version")
    body = memoryview(data)[len(line) + 1 :]
    if checksum(body) != line[len(mark) :]:
        raise Unusable("it is corrupt: its bytes do not have its checksum")
    first = bytes(body[:HEAD]).partition(b"\n")[0]
    try:
        head = json.loads(first)
        if head["query"] == dict(identity):
            return content(head, body[len(first) + 1 :])
    except Unusable:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, zlib.error) as error:
        raise Unusable(f"it does not say what it holds: {error!r}") from None
    raise Unusable("it is of another query, or of other detectors")


def _kept(head: dict[str, Any], body: memoryview) -> Kept:
    counts = [head["step"], head["columns"], head["rows"], head["scale"], *head["sizes"]]
    if not all(isinstance(number, int) and number >= 0 for number in counts) or len(head["packed"]) > 4:
        raise Unusable("its head has other things than counts")
    step, columns, rows, scale, *sizes = counts
    if rows > ROWS or rows * columns > MOST or sum(sizes) != len(body):
        raise Unusable("its head does not fit its bytes")
    labels, least, *layers = (body[low:high] for low, high in pairwise(np.cumsum([0, *sizes]).tolist()))
    if len(least) != 8 * rows * bool(scale) or (not scale and len(layers) != 1):
        raise Unusable("it has not as many rows as it says")
    named, kind = labels_of(bytes(labels), rows), np.dtype("<u2" if scale else "<f8")
    pairs = zip(layers, head["packed"], strict=True)
    numbers = [_layer(layer, kind, (rows, columns), packed=packed) for layer, packed in pairs]
    kept = Kept(
        parse_time(head["start"]),
        timedelta(seconds=step),
        named,
        columns,
        scale,
        np.frombuffer(least, np.int64) if scale else np.zeros(rows, np.int64),
        numbers,
    )
    if not step or kept.end < kept.start:  # which also fails where the calendar ends
        raise Unusable("its time is none")
    return kept


def _layer(data: memoryview, kind: np.dtype[Any], shape: tuple[int, int], *, packed: bool) -> NDArray[Any]:
    octets = _inflated(data, shape[0] * shape[1] * kind.itemsize) if packed else data
    layer = np.frombuffer(octets, kind).reshape(shape)
    if kind.kind == "f" and np.isinf(layer).any():
        raise Unusable("it holds an infinity")
    return layer


def _encoded(values: Floats, period: int) -> tuple[int, NDArray[np.int64], Layers]:
    """The scale, the least number of each row, and the layers; with the scale 0 the bits of the values."""
    with np.errstate(invalid="ignore", over="ignore"):
        low, high = (np.nan_to_num(fold(values, axis=1, initial=np.nan)) for fold in (np.fmin.reduce, np.fmax.reduce))
        for scale in dict.fromkeys((period, 60, 1)):
            least, most = np.rint(low * scale), np.rint(high * scale)
            if not (np.maximum(np.abs(least), np.abs(most)) < _EXACT).all():
                continue
            width = int((most - least + 1).max(initial=0)).bit_length()
            layers = [np.empty(values.shape, "<u2") for _ in range(-(-width // 16))]
            if all(_encode(values, rows, scale, least, layers) for rows in _tiles(*values.shape)):
                return scale, least.astype(np.int64), layers
    return 0, np.zeros(0, np.int64), [np.ascontiguousarray(values, "<f8")]


def _encode(values: Floats, rows: slice, scale: int, least: Floats, layers: Layers) -> bool:
    """Write the layers of some rows, and say whether they give the values back to the bit."""
    part = np.ascontiguousarray(values[rows])
    numbers = np.rint(part * scale)
    numbers -= (least[rows] - 1)[:, None]
    numbers[np.isnan(numbers)] = 0.0
    bits = numbers.astype("<u8").view("<u2").reshape(*part.shape, 4)
    for place, layer in enumerate(layers):
        layer[rows] = bits[..., place]
    _decode([layer[rows] for layer in layers], least[rows].astype(np.int64), scale, numbers)
    return bool(np.array_equal(numbers.view(np.int64), part.view(np.int64)))


def _decode(layers: Layers, least: NDArray[np.int64], scale: int, out: Floats) -> None:
    """Write the values that the layers of some rows hold."""
    if not scale:
        out[:] = layers[0]
        return
    numbers = _whole(layers, out)
    gaps = numbers == 0
    np.add(numbers, (least - 1).astype(np.float64)[:, None], out=out)
    out /= scale
    if gaps.any():
        np.copyto(out, np.nan, where=gaps)


def _whole(layers: Layers, out: Floats) -> NDArray[Any]:
    """The numbers of some layers: up to two as integers, which are half as large, and more in `out`."""
    if len(layers) == 1:
        return layers[0]
    if len(layers) == 2:
        low, high = layers
        both: NDArray[Any] = high.astype("<u4")
        both <<= np.uint32(16)
        both |= low
        return both
    out[:] = layers[0] if layers else 0.0
    for place, layer in enumerate(layers[1:], 1):
        out += layer * 65536.0**place
    return out


def _tiles(rows: int, columns: int) -> Iterator[slice]:
    tile = max(1, _TILE // max(1, columns))
    return (slice(low, min(low + tile, rows)) for low in range(0, rows, tile))


def _deflated(layer: NDArray[Any]) -> tuple[bytes, bool]:
    data = layer.tobytes()
    sample = data[len(data) // 2 :][:_SAMPLE]
    if len(zlib.compress(sample, 1)) > _PAYS * len(sample):
        return data, False
    return zlib.compress(data, 1), True


def _inflated(data: bytes | memoryview, most: int) -> bytes:
    return zlib.decompressobj().decompress(data, most + 1)


def packed_labels(labels: tuple[Labels, ...]) -> bytes:
    """The labels of the rows, as an object holds them."""
    return zlib.compress(json.dumps([dict(one) for one in labels], ensure_ascii=False).encode(), 1)


@lru_cache(maxsize=64)
def labels_of(data: bytes, rows: int) -> tuple[Labels, ...]:
    """The labels of the rows. They are mostly the same, day after day."""
    found = json.loads(_inflated(data, min((rows + 1) * _LABELS, MOST)))
    if not isinstance(found, list) or len(found) != rows:
        raise Unusable("it has not as many labels as rows")
    if not all(isinstance(one, dict) and {str}.issuperset(map(type, one.values())) for one in found):
        raise Unusable("its labels are none")
    keys = [sorted(one.items()) for one in found]
    if any(low >= high for low, high in pairwise(keys)):
        raise Unusable("its rows are not in their order")
    return tuple(found)
