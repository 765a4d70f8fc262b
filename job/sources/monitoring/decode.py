"""From the bytes of ListTimeSeries pages to arrays, without an object for each point.

Nearly every point of a page has the same shape: the same tags and lengths at the same places, and between them only
the digits of its times and its value. So the first point of a series is taken apart byte by byte, and all others are
held against it at once: every byte that is structure must be the same, and each point must end where the next begins.
A series that passes can mean nothing else. One that does not is read by protobuf, which reads everything. What comes
before the points is held likewise against that of series before: between the values of labels it must be the same.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import chain, groupby, pairwise
from struct import Struct
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from job.errors import Failed
from job.sources.monitoring.messages import types

Key: TypeAlias = tuple[tuple[str, str], ...]
"""A series' flat labels, sorted: what tells it from the others, on whichever page it comes."""

Times: TypeAlias = NDArray[np.int64] | NDArray[np.float64]
"""Seconds of the epoch: integers where all are whole."""

_BOOL, _INT64, _DOUBLE = 1, 2, 3
"""TimeSeries.value_type."""

_SERIES, _POINT, _FIRST, _SECOND = 0x0A, 0x2A, 0x0A, 0x12
_SECONDS, _NANOS = 0x08, 0x10
_TAGS = {0x10: _INT64, 0x19: _DOUBLE}
_LABELS = {0x0A: "metric.labels.", 0x12: "resource.labels."}
"""Tags on the wire: field number x 8 + wire type. `_TAGS` are those of a TypedValue's numbers."""

_NAMING = {1, 2, 4, 7}
"""The fields of a series, besides its points, that say which one it is or what its values are."""

MOST = 64
"""So many heads are remembered: labels have values of different lengths."""

_LONGEST = 16
"""So many bytes are taken for an integer, which has ten at most."""

_WORTH = 1 << 15
"""From so many bytes of points on it pays to take series apart by themselves."""

_PAD = b"\0" * 256
"""Follows the last point, so that as many bytes can be taken from it as from any other."""


@dataclass(frozen=True, eq=False)
class Page:
    """A response taken apart as far as its series: `spans` says where each lies in `data`."""

    data: bytes
    spans: tuple[tuple[int, int], ...]
    token: str
    errors: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Points:
    """Points of several series one after the other, `counts[i]` of `keys[i]`, in the order received.

    Integers stay integers: a counter may be past what a float holds exactly. `starts` only where asked for.
    """

    keys: tuple[Key, ...]
    counts: NDArray[np.int64]
    ends: Times
    values: NDArray[Any]
    starts: Times | None = None


def page(data: bytes) -> Page:
    """Find the series of a serialized `ListTimeSeriesResponse`.

    Raises:
        Failed: it is none.
    """
    try:
        spans, rest = _outer(data)
    except (_Odd, IndexError):
        message = _response(data)
        message.DiscardUnknownFields()
        data = message.SerializeToString()
        spans, rest = _outer(data)
    response = _response(rest)
    errors = tuple(error.message or f"code {error.code}" for error in response.execution_errors)
    return Page(data, tuple(spans), response.next_page_token, errors)


def _outer(data: bytes) -> tuple[list[tuple[int, int]], bytes]:
    """Where the series of a response lie, and all its other fields."""
    spans, rest, at, end = [], [], 0, len(data)
    while at < end:
        if data[at] == _SERIES:
            size, inner = _varint(data, at + 1)
            spans.append((inner, at := inner + size))
        else:
            tag, _, inner, stop = _field(data, at, end)
            if tag == _SERIES:  # written the long way
                spans.append((inner, stop))
            else:
                rest.append(data[at:stop])
            at = stop
    if at != end:
        raise _Odd
    return spans, b"".join(rest)


def keys(found: Page) -> list[Key]:
    """The keys of the page's series.

    Raises:
        Failed: a series is none.
    """
    return [key(_series(found.data[begin:end])) for begin, end in found.spans]


@dataclass(frozen=True, eq=False)
class Head:
    """How all of a series that comes before its points is laid out: values of labels, and `texts` around them.

    `cut` parts it at the values; `slots` says which part is the value of which label, sorted by name.
    """

    cut: Struct
    texts: tuple[bytes, ...]
    slots: tuple[tuple[str, int], ...]
    resource: str
    value: int

    def key(self, data: bytes, at: int) -> Key | None:
        """The key of the series that begins there; none if it is not laid out so."""
        if at + self.cut.size > len(data):
            return None
        parts = self.cut.unpack_from(data, at)
        if parts[::2] != self.texts:
            return None
        try:
            return (*[(name, parts[place].decode()) for name, place in self.slots], ("resource.type", self.resource))
        except UnicodeDecodeError:  # protobuf says what is wrong
            return None


Heads: TypeAlias = list[Head]


def _head(data: bytes, begin: int, first: int) -> Head | None:
    """How the beginning of a series is laid out, if another one could be laid out so."""
    try:
        values = list(_label_values(data, begin, first))
    except _Odd:
        return None
    message = _series(data[begin:first])
    edges = pairwise([begin, *chain.from_iterable(span for _, *span in values), first])
    cut = Struct("".join(f"{high - low}s" for low, high in edges))
    slots = tuple(sorted((name, 2 * place + 1) for place, (name, *_) in enumerate(values)))
    head = Head(cut, cut.unpack_from(data, begin)[::2], slots, message.resource.type, message.value_type)
    return head if head.key(data, begin) == key(message) else None


def _label_values(data: bytes, begin: int, end: int) -> Iterator[tuple[str, int, int]]:
    """The name of each label of a series, and where its value lies."""
    for field, _, inner, stop in _fields(data, begin, end):
        for tag, _, begun, ended in _fields(data, inner, stop) if field in _LABELS else ():
            if tag == _SECOND:
                entry = list(_fields(data, begun, ended))
                if [part[0] for part in entry] != [_FIRST, _SECOND]:
                    raise _Odd
                name, value = entry
                yield _LABELS[field] + data[name[2] : name[3]].decode(), value[2], value[3]


def decode(found: Page, heads: Heads | None = None, *, starts: bool = False) -> Iterator[Points]:
    """Yield the points of a page, series by series in its order, as many series at once as are alike.

    `heads` are those of the pages before, and become those of this one too.

    Raises:
        Failed: a series is none, or its values are neither numbers nor booleans.
    """
    for shape, run in groupby(_pieces(found, [] if heads is None else heads), key=lambda piece: piece.shape):
        pieces = list(run)
        if shape is None:
            yield from (by_message(found.data[piece.begin : piece.end], starts=starts) for piece in pieces)
        else:
            for length, lot in _lots(pieces, shape, found.data):
                yield from _alike(found.data, shape, lot, length, starts=starts)


@dataclass(frozen=True, eq=False)
class _Shape:
    """How a point of one shape is laid out, from its tag to the tag of its value.

    A point conforms when its first bytes, under `mask`, are `expected`. Each time is (the place of its seconds, the
    place of its nanoseconds, how many bytes those take): seconds always take five, which is 1978 to 3058.
    """

    value: int
    expected: bytes
    mask: bytes
    end: tuple[int, int, int]
    start: tuple[int, int, int] | None

    @cached_property
    def length(self) -> int:
        return len(self.expected)

    @cached_property
    def mark(self) -> bytes:
        """What no point lacks, and little else has."""
        return self.expected[2:7]

    def sized(self, taken: int) -> "_Shape":
        """The same for integers of so many bytes, on which all lengths depend."""
        expected, mask = bytearray(self.expected), bytearray(self.mask)
        expected[1], expected[-2] = self.length + taken - 2, taken + 1
        mask[1] = mask[-2] = 0xFF
        return replace(self, expected=bytes(expected), mask=bytes(mask))

    def word(self, at: int) -> tuple[np.uint64, np.uint64]:
        """Eight bytes of `expected` and of `mask`, as `_Rows.words` gives them."""
        return np.uint64(int.from_bytes(self.expected[at : at + 8], "little")), np.uint64(
            int.from_bytes(self.mask[at : at + 8], "little")
        )


class _Piece(NamedTuple):
    """One series of a page: where it lies, and if its points have a shape, where they lie and what it is called."""

    begin: int
    end: int
    shape: _Shape | None = None
    first: int = 0
    stop: int = 0
    key: Key = ()

    @property
    def size(self) -> int:
        """How many bytes its points take."""
        return self.stop - self.first


class _Odd(Exception):
    """Bytes that protobuf may understand, but the fast way does not."""


def _pieces(found: Page, heads: Heads) -> Iterator[_Piece]:
    data, shape = found.data, None
    tails = {b"": True}
    for begin, end in found.spans:
        head, named = _known(data, begin, heads)
        try:
            first = begin + head.cut.size if head else _first(data, begin, end)
            mark = data[first + 2 : first + 7]
            if shape is None or shape.mark != mark or data[first + shape.length - 1] != shape.expected[-1]:
                shape = _shape(data, first, end)
            stop = _stop(data, (first, end), mark, tails)
        except (_Odd, IndexError):
            yield _Piece(begin, end)
            continue
        if head and tails[data[stop:end]]:
            value = head.value
        else:
            header = _series(data[begin:first] + data[stop:end])
            value, named = header.value_type, key(header)
            if not head and len(heads) < MOST and (head := _head(data, begin, first)):
                heads.append(head)
        yield _Piece(begin, end, shape, first, stop, named) if value == shape.value else _Piece(begin, end)


def _known(data: bytes, begin: int, heads: Heads) -> tuple[Head | None, Key]:
    """The head that a series has among those that are known, and the key that it says."""
    for head in heads:
        if data.startswith(head.texts[0], begin) and (named := head.key(data, begin)):
            return head, named
    return None, ()


def _first(data: bytes, at: int, end: int) -> int:
    """Where the first point of a series begins."""
    while at < end:
        tag, size = data[at], data[at + 1]
        if tag == _POINT:
            return at
        wire = tag & 0x87
        if wire == 2 and size < 0x80:  # nearly every field is one of these three
            at += 2 + size
        elif wire == 2 and data[at + 2] < 0x80:
            at += 3 + (size & 0x7F | data[at + 2] << 7)
        elif wire == 0 and size < 0x80 and tag:
            at += 2
        else:
            at = _other(_field(data, at, end))
    raise _Odd


def _other(field: tuple[int, int, int, int]) -> int:
    """Where a field ends that holds no point."""
    if field[0] >> 3 == _POINT >> 3:
        raise _Odd
    return field[3]


def _stop(data: bytes, span: tuple[int, int], mark: bytes, tails: dict[bytes, bool]) -> int:
    """Where the last point ends, when nothing but fields of other kinds follows.

    `tails` are known to be such, and whether they leave open which series it is.
    """
    first, end = span
    last = data.rfind(mark, first, end) - 2
    stop = last + 2 + data[last + 1]
    tail = data[stop:end]
    if last < first or stop > end:
        raise _Odd
    if tail not in tails:
        fields = list(_fields(data, stop, end))
        for field in fields:
            _other(field)
        _series(tail)  # or protobuf says what is wrong
        tails[tail] = _NAMING.isdisjoint(field[0] >> 3 for field in fields)
    return stop


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    while at < end:
        field = _field(data, at, end)
        yield field
        at = field[3]


def _field(data: bytes, at: int, end: int) -> tuple[int, int, int, int]:
    """The field that begins there: its tag, its beginning, that of its content, its end."""
    try:
        tag, inner = _varint(data, at)
        wire = tag & 7
        if wire == 2:
            size, inner = _varint(data, inner)
            stop = inner + size
        elif wire == 0:
            stop = _varint(data, inner)[1]
        else:
            stop = inner + {1: 8, 5: 4}[wire]
    except (IndexError, KeyError):
        raise _Odd from None
    if stop > end or not tag >> 3:
        raise _Odd
    return tag, at, inner, stop


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number that begins there, and where it ends."""
    number = shift = 0
    while data[at] & 0x80:
        number |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    if shift > 63:
        raise _Odd
    return number | data[at] << shift, at + 1


def _shape(data: bytes, at: int, end: int) -> _Shape:
    """The shape of the point that begins there."""
    body = _field(data, at, end)
    interval = _field(data, body[2], body[3])
    value = _field(data, interval[3], body[3])
    if body[2] != at + 2 or interval[0] != _FIRST or value[0] != _SECOND or value[3] != body[3]:
        raise _Odd
    bounds = [(tag, _time(data, begin, stop, at)) for tag, _, begin, stop in _fields(data, interval[2], interval[3])]
    number = value[2]
    if [tag for tag, _ in bounds] not in ([_SECOND], [_FIRST, _SECOND]) or data[number] not in _TAGS:
        raise _Odd
    kind = _TAGS[data[number]]
    if kind == _DOUBLE and value[3] - number != 9:
        raise _Odd
    expected, mask = bytearray(data[at : number + 1]), bytearray(b"\xff" * (number + 1 - at))
    for _, (seconds, nanos, size) in bounds:
        mask[seconds : seconds + 5] = b"\x80" * 5
        mask[nanos : nanos + size] = b"\x80" * size
    if kind == _INT64:  # whose length varies, and so do those of all around it
        mask[1] = mask[number - 1 - at] = 0x80
    expected = bytearray(a & b for a, b in zip(expected, mask, strict=True))
    return _Shape(kind, bytes(expected), bytes(mask), bounds[-1][1], bounds[0][1] if len(bounds) == 2 else None)


def _time(data: bytes, begin: int, stop: int, at: int) -> tuple[int, int, int]:
    """Where, from `at`, the seconds of a Timestamp are, and its nanoseconds, and how many bytes those take."""
    fields = list(_fields(data, begin, stop))
    if [tag for tag, *_ in fields] not in ([_SECONDS], [_SECONDS, _NANOS]):
        raise _Odd
    places = [inner - at for _, _, inner, _ in fields] + [stop - at]
    sizes = [end - inner for _, _, inner, end in fields] + [0]
    if sizes[0] != 5 or sizes[1] > 5:
        raise _Odd
    return places[0], places[1], sizes[1]


def _lots(pieces: list[_Piece], shape: _Shape, data: bytes) -> Iterator[tuple[int, list[_Piece]]]:
    """Series whose points may all be of one length, with it; with 0 where it differs, or changes too often."""
    lots = [(length, list(lot)) for length, lot in groupby(pieces, key=lambda piece: _length(piece, shape, data))]
    if len(lots) == 1 or sum(piece.size for piece in pieces) >= _WORTH * len(lots):
        yield from lots
    else:
        yield 0, pieces


def _length(piece: _Piece, shape: _Shape, data: bytes) -> int:
    """The length of each of the series' points, if all may have that of the first one; doubles always must."""
    if shape.value == _DOUBLE:
        return shape.length + 8
    length = data[piece.first + 1] + 2
    return length if 1 <= length - shape.length <= 10 and piece.size % length == 0 else 0


def _alike(data: bytes, shape: _Shape, pieces: list[_Piece], length: int = 0, *, starts: bool) -> Iterator[Points]:
    """The points of series whose first points have this shape, and if one is given, this length.

    A series whose points are not so throughout is read apart.
    """
    view = memoryview(data)
    points = b"".join([*(view[piece.first : piece.stop] for piece in pieces), _PAD])
    sizes = np.array([piece.size for piece in pieces])
    found = _even(points, shape, sizes, length) if length else _chained(points, shape, sizes)
    if not found.odd:
        ends = _seconds(found.points, shape.end)
        begun = None if not starts else _seconds(found.points, shape.start) if shape.start else np.zeros_like(ends)
        yield Points(tuple(piece.key for piece in pieces), found.counts, ends, found.values, begun)
        return
    edges = sorted({0, len(pieces), *(edge for row in found.odd for edge in (row, row + 1))})
    for low, high in pairwise(edges):
        if low not in found.odd:
            yield from _alike(data, shape, pieces[low:high], length, starts=starts)
        elif length and shape.value == _INT64:
            yield from _alike(data, shape, pieces[low:high], starts=starts)
        else:
            yield by_message(data[pieces[low].begin : pieces[low].end], starts=starts)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Points that lie in a buffer at equal distances, and bytes after the last one."""

    buffer: Any
    count: int
    stride: int

    def words(self, at: int) -> NDArray[np.uint64]:
        """The eight bytes of every point that begin at a place in it."""
        return np.ndarray((self.count,), "<u8", self.buffer, at, (self.stride,))

    def octets(self, at: int) -> NDArray[np.int64]:
        """The byte of every point at a place in it."""
        return np.ndarray((self.count,), np.uint8, self.buffer, at, (self.stride,)).astype(np.int64)


@dataclass(frozen=True, eq=False)
class _Found:
    """The points of several series, how many each has, and their values; or which series are odd."""

    points: _Rows
    counts: NDArray[np.int64]
    odd: set[int]
    values: NDArray[Any]


def _even(points: bytes, shape: _Shape, sizes: NDArray[np.int64], length: int) -> _Found:
    """Points of one length: doubles, and integers that take the same number of bytes."""
    counts, rest = np.divmod(sizes, length)
    rows = _Rows(points, int(counts.sum()), length)
    if odd := set(np.flatnonzero(rest).tolist()):
        return _Found(rows, counts, odd, np.empty(0))
    if shape.value == _DOUBLE:
        values: NDArray[Any] = rows.words(shape.length).view(np.float64).copy()
        return _Found(rows, counts, _owners(counts, _differing(rows, shape)), values)
    taken = length - shape.length
    values, wrong = _integers(rows, shape.length, taken)
    return _Found(rows, counts, _owners(counts, wrong | _differing(rows, shape.sized(taken))), values)


def _chained(points: bytes, shape: _Shape, sizes: NDArray[np.int64]) -> _Found:
    """Points of different lengths, integers: each says where the next must begin."""
    length = shape.length + _LONGEST
    octets = np.frombuffer(points, np.uint8)
    begins = np.flatnonzero(octets[:-length] == _POINT)
    anywhere = (len(points) - length + 1,)
    expected, mask = shape.word(0)
    begins = begins[np.ndarray(anywhere, "<u8", points, 0, (1,))[begins] & mask == expected]
    cut = np.ndarray(anywhere, f"V{length}", points, 0, (1,))[begins]
    rows = _Rows(cut, len(cut), length)
    taken = rows.octets(1) - (shape.length - 2)
    likely = (taken >= 1) & (taken <= 10)
    if not likely.all():
        begins, taken = begins[likely], taken[likely]
        rows = _Rows(cut[likely], len(begins), length)
    bounds = np.cumsum(sizes)
    edges = np.searchsorted(begins, np.append(0, bounds))
    counts = np.diff(edges)
    odd = _broken(begins, begins + shape.length + taken, edges, bounds)
    if not rows.count:  # and a buffer of nothing, in which there are no places
        return _Found(rows, counts, odd, np.empty(0))
    values, wrong = _integers(rows, shape.length, taken)
    if not odd:
        wrong |= rows.octets(shape.length - 2) != taken + 1
        odd = _owners(counts, wrong | _differing(rows, shape, 8))
    return _Found(rows, counts, odd, values)


def _broken(
    begins: NDArray[np.int64], ends: NDArray[np.int64], edges: NDArray[np.int64], bounds: NDArray[np.int64]
) -> set[int]:
    """The series whose points do not follow each other from the first byte to the last."""
    follows = np.append(begins, bounds[-1])
    loose = np.flatnonzero(ends != follows[1:])
    odd = set(np.searchsorted(bounds, begins[loose], side="right").tolist())
    return odd | set(np.flatnonzero(follows[edges[:-1]] != bounds - np.diff(bounds, prepend=0)).tolist())


def _owners(counts: NDArray[np.int64], wrong: NDArray[np.bool_]) -> set[int]:
    """The series that have a wrong point."""
    places = np.flatnonzero(wrong)
    return set(np.searchsorted(np.cumsum(counts), places, side="right").tolist())


def _differing(points: _Rows, shape: _Shape, begin: int = 0) -> NDArray[np.bool_]:
    """Which points have, where there is structure from there on, other bytes than the shape's."""
    differing = np.zeros(points.count, np.bool_)
    for at in (*range(begin, shape.length - 8, 8), shape.length - 8):
        expected, mask = shape.word(at)
        others = points.words(at) ^ expected
        if np.bitwise_or.reduce(others) & mask:
            differing |= others & mask != 0
    return differing


def _integers(points: _Rows, at: int, sizes: NDArray[np.int64] | int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The integers there, of one to ten bytes; and which do not end with their last byte."""
    low = (points.words(at) ^ _MORE[sizes]) & _WHOLE[sizes]
    wrong = low & _ENDS != 0
    number = _joined(low)
    long = np.flatnonzero(np.broadcast_to(sizes, number.shape) > 8)
    if len(long):
        rest = np.broadcast_to(sizes, number.shape)[long] - 8
        high = (points.words(at + 8)[long] ^ _MORE[rest]) & _WHOLE[rest]
        wrong[long] |= high & _ENDS != 0
        number[long] |= _joined(high) << np.uint64(56)
    return number.view(np.int64), wrong


def _seconds(points: _Rows, place: tuple[int, int, int]) -> Times:
    seconds, nanos, size = place
    whole = _number(points.words(seconds), 5).view(np.int64)
    if size:
        parts = _number(points.words(nanos), size).astype(np.uint32).view(np.int32)
        if parts.any():
            return whole + parts / 1e9
    return whole


_ENDS = np.uint64(0x8080808080808080)
"""The bits that say of each byte that another byte of the number follows."""

_MORE = np.array([int(_ENDS) & (1 << 8 * min(max(n - 1, 0), 8)) - 1 for n in range(11)], np.uint64)
"""Those that are set in the first eight bytes of a number of n bytes."""

_WHOLE = np.array([(1 << 8 * min(n, 8)) - 1 for n in range(11)], np.uint64)
"""All bits of its first eight bytes."""


def _number(words: NDArray[np.uint64], size: int) -> NDArray[np.uint64]:
    """The numbers of so many bytes."""
    return _joined(words & (~_ENDS & _WHOLE[size]))


def _joined(word: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Seven bits of each byte, in place: joined to pairs, the pairs to fours, the fours to one number."""
    high = np.empty_like(word)
    for shift, low in ((1, 0x007F007F007F007F), (2, 0x00003FFF00003FFF), (4, 0x000000000FFFFFFF)):
        np.bitwise_and(word, np.uint64(~low & 0xFFFFFFFFFFFFFFFF), out=high)
        high >>= np.uint64(shift)
        word &= np.uint64(low)
        word |= high
    return word


def by_message(data: bytes, *, starts: bool) -> Points:
    """The points of one series, by its message."""
    series = _series(data)
    if series.value_type not in _READ:
        raise Failed(f"{series.metric.type} came with values of type {series.value_type}, which are no numbers")
    get, dtype = _READ[series.value_type]
    points = series.points
    return Points(
        (key(series),),
        np.array([len(points)]),
        _times([point.interval.end_time for point in points]),
        np.array([getattr(point.value, get) for point in points], dtype),
        _times([point.interval.start_time for point in points]) if starts else None,
    )


_READ = {
    _BOOL: ("bool_value", np.float64),
    _INT64: ("int64_value", np.int64),
    _DOUBLE: ("double_value", np.float64),
}


def _times(stamps: list[Any]) -> Times:
    whole = np.array([stamp.seconds for stamp in stamps], np.int64)
    nanos = np.array([stamp.nanos for stamp in stamps], np.int32)
    return whole + nanos / 1e9 if nanos.any() else whole


def key(series: Any) -> Key:
    """The flat labels of a raw `TimeSeries` message, as `Frame` names them, sorted."""
    resource, labels, more = series.resource, series.resource.labels, series.metric.labels
    flat = [("resource.type", resource.type)]
    flat += [(f"resource.labels.{name}", labels[name]) for name in labels]
    flat += [(f"metric.labels.{name}", more[name]) for name in more]
    if series.HasField("metadata"):
        user, system = series.metadata.user_labels, series.metadata.system_labels
        flat += [(f"metadata.user_labels.{name}", user[name]) for name in user]
        flat += [(f"metadata.system_labels.{name}", _text(system[name])) for name in system]
    flat.sort()
    return tuple(flat)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=list)


@cache
def _messages() -> tuple[Any, Any, type[Exception]]:
    """The classes of the raw messages of a response and of a series, and what they raise."""
    from google.protobuf.message import DecodeError

    return types().ListTimeSeriesResponse.pb(), types().TimeSeries.pb(), DecodeError


def _response(data: bytes) -> Any:
    response, _, wrong = _messages()
    try:
        return response.FromString(data)
    except wrong as error:
        raise Failed(f"this is no answer of Cloud Monitoring: {error}") from None


def _series(data: bytes) -> Any:
    _, series, wrong = _messages()
    try:
        return series.FromString(data)
    except wrong as error:
        raise Failed(f"this is no time series of Cloud Monitoring: {error}") from None
