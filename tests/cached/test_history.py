"""The object of a stretch of history: the same bits back, few bytes, and nothing believed of what is read."""

import json
import math
import tracemalloc
import zlib
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from detectors import Frame
from job.sources.history import MARK, MOST, Kept, Unusable, checksum, read, write
from tests.cached.world import HOUR, MONDAY, same

QUERY = {"metric": "m", "filter": 'a = "ü"', "group_by": ["x"]}


def frame(values: Any, step: timedelta = HOUR) -> Frame:
    rows = np.asarray(values, np.float64)
    return Frame(rows, MONDAY, step, tuple({"id": f"{n:04}", "name": "é\n"} for n in range(len(rows))))


def whole(kept: Kept) -> Frame:
    values = np.empty((len(kept.labels), kept.columns))
    kept.values(0, kept.columns, values)
    return Frame(values, kept.start, kept.step, kept.labels)


def back(wanted: Frame) -> None:
    kept = read(write(wanted, QUERY), QUERY)
    same(whole(kept), wanted)
    some = np.empty((len(wanted.labels), max(0, kept.columns - 3)))
    kept.values(2, max(2, kept.columns - 1), some)
    assert some.tobytes() == wanted.values[:, 2 : kept.columns - 1].tobytes()


_whole = st.integers(-(2**60), 2**60).map(float) | st.integers(0, 1000).map(float)
_any = st.floats(allow_infinity=False) | st.sampled_from([0.0, -0.0, math.nan, 5e-324, 1.7e308, -1.7e308])


@given(hnp.arrays(np.float64, st.tuples(st.integers(0, 5), st.integers(0, 9)), elements=_any), st.integers(0, 3))
@settings(deadline=None)
def test_any_values_come_back_to_the_bit(values: NDArray[np.float64], strange: int) -> None:
    if values.size:
        values.reshape(-1)[:strange] = np.array([0x7FF8000000000001], np.uint64).view(np.float64)  # another NaN
    back(frame(values))


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 9)), elements=_whole),
    st.sampled_from([1, 60, 300, 3600, 7]),
    st.lists(st.integers(0, 44), max_size=9),
)
@settings(deadline=None)
def test_rates_of_whole_counts_come_back_to_the_bit(values: NDArray[np.float64], period: int, gaps: list[int]) -> None:
    values /= period
    values.reshape(-1)[[gap % values.size for gap in gaps]] = math.nan
    back(frame(values, timedelta(seconds=300)))


def test_traffic_takes_half_its_size() -> None:
    rng = np.random.default_rng(0)
    counts = np.round(rng.uniform(4e8, 4e9, (50, 1)) * rng.gamma(200, 1 / 200, (50, 2016)))
    busy, idle = (write(frame(rows / 300, timedelta(seconds=300)), QUERY) for rows in (counts, counts * 0))
    assert len(busy) < 4.2 * counts.size
    assert len(idle) < 0.02 * counts.size


def test_arrays_are_worked_with_where_they_lie() -> None:
    noise = np.random.default_rng(0).random((3, 5))
    for count in range(8):
        labels = tuple({"id": "x" * count + str(n)} for n in range(3))
        for values in (noise, np.round(noise * 9e6) / 300):
            kept = read(write(Frame(values, MONDAY, timedelta(seconds=300), labels), QUERY), QUERY)
            assert all(array.flags.aligned for array in (kept.least, *kept.layers))


def test_the_same_frame_gives_the_same_bytes() -> None:
    assert write(frame([[1.0, math.nan]]), QUERY) == write(frame([[1.0, math.nan]]), dict(reversed(QUERY.items())))


def test_it_says_itself_what_it_is() -> None:
    first, second = write(frame([[1.0, 2.0]]), QUERY).split(b"\n")[:2]
    assert first.startswith(b"netanomaly history 2 ")
    head = json.loads(second)
    assert head["query"] == QUERY
    assert (head["start"], head["step"], head["columns"], head["rows"]) == ("2026-11-02T00:00:00Z", 3600, 2, 1)


def test_more_than_fits_is_not_written() -> None:
    huge = np.broadcast_to(0.0, (1, MOST + 1))
    with pytest.raises(ValueError, match="split the query"):
        write(_bare(huge), QUERY)


def _bare(values: NDArray[np.float64]) -> Any:
    class Bare:
        pass

    bare: Any = Bare()
    bare.values = values
    return bare


def forged(change: Any, *, body: bytes | None = None, **head: Any) -> bytes:
    """A sound object with another head, and a checksum that fits."""
    line, _, rest = write(frame([[1.0, 2.0, math.nan]] * 3), QUERY).partition(b"\n")[2].partition(b"\n")
    told = {**json.loads(line), **head}
    if change:
        told = change(told)
    data = json.dumps(told).encode() + b"\n" + (rest if body is None else body)
    return MARK + checksum(data) + b"\n" + data


HEADS: list[dict[str, Any]] = [
    {"rows": 4},
    {"rows": -1},
    {"rows": "3"},
    {"rows": 1 << 70, "columns": 1 << 70},
    {"rows": MOST, "columns": 2},
    {"rows": 1 << 18, "columns": 1},
    {"columns": 2},
    {"columns": 10**9},
    {"columns": 4.0},
    {"step": 0},
    {"step": 10**18},
    {"step": None},
    {"start": "yesterday"},
    {"start": 5},
    {"start": "9999-12-31T23:00:00Z", "step": 10**9},
    {"scale": 0},
    {"scale": "x"},
    {"sizes": []},
    {"sizes": [0]},
    {"sizes": [10**9, 1, 1]},
    {"sizes": "abc"},
    {"packed": []},
    {"packed": [True] * 9},
    {"packed": 7},
    {"query": None},
]


@pytest.mark.parametrize("head", HEADS, ids=repr)
def test_a_head_that_does_not_fit_is_refused(head: dict[str, Any]) -> None:
    with pytest.raises(Unusable):
        read(forged(None, **head), QUERY)


@pytest.mark.parametrize("told", ["[]", "5", '"x"', "null", "[" * 50_000, "{", "", "1" * 90_000])
def test_a_head_that_is_none_is_refused(told: str) -> None:
    body = told.encode() + b"\n"
    with pytest.raises(Unusable):
        read(MARK + checksum(body) + b"\n" + body, QUERY)


def _labelled(labels: bytes) -> bytes:
    values = bytes(8)
    packed = zlib.compress(labels)
    parts = [packed, values, b"\1\0"]
    return forged(None, rows=1, columns=1, scale=1, sizes=[len(p) for p in parts], packed=[False], body=b"".join(parts))


@pytest.mark.parametrize(
    "labels", [b"", b"[]", b"{}", b"[1]", b'[{"a": 1}]', b'[{"a": null}]', b'[["a", "b"]]', b"[" * 100_000, b"\xff"]
)
def test_labels_that_are_none_are_refused(labels: bytes) -> None:
    same(whole(read(_labelled(b'[{"a": "b"}]'), QUERY)), Frame(np.zeros((1, 1)), MONDAY, HOUR, ({"a": "b"},)))
    with pytest.raises(Unusable):
        read(_labelled(labels), QUERY)


def test_rows_out_of_order_are_refused() -> None:
    good, bad = ([{"id": a}, {"id": b}] for a, b in ("ab", "aa"))
    for labels, sound in ((good, True), (good[::-1], False), (bad, False)):
        packed = zlib.compress(json.dumps(labels).encode())
        parts = [packed, bytes(16), b"\1\0\1\0"]
        data = forged(
            None, rows=2, columns=1, scale=1, sizes=[len(p) for p in parts], packed=[False], body=b"".join(parts)
        )
        if sound:
            assert whole(read(data, QUERY)).values.tolist() == [[0.0], [0.0]]
        else:
            with pytest.raises(Unusable, match="order"):
                read(data, QUERY)


def test_an_infinity_is_refused() -> None:
    parts = [zlib.compress(b'[{"a": "b"}]'), b"", np.array([math.inf]).tobytes()]
    head = {"rows": 1, "columns": 1, "scale": 0, "sizes": [len(p) for p in parts], "packed": [False]}
    with pytest.raises(Unusable, match="infinity"):
        read(forged(None, **head, body=b"".join(parts)), QUERY)


@pytest.mark.parametrize("which", ["labels", "plane"])
def test_a_bomb_does_not_go_off(which: str) -> None:
    bomb = zlib.compress(bytes(1 << 28), 9)
    bomb = zlib.compress(b'[{"a": "' + b"b" * (1 << 28) + b'"}]', 1) if which == "labels" else bomb
    parts = [bomb, bytes(8), b"\1\0"] if which == "labels" else [zlib.compress(b'[{"a": "b"}]'), bytes(8), bomb]
    packed = [which == "plane"]
    data = forged(None, rows=1, columns=1, scale=1, sizes=[len(p) for p in parts], packed=packed, body=b"".join(parts))
    tracemalloc.start()
    with pytest.raises(Unusable):
        read(data, QUERY)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4))
@settings(max_examples=300, deadline=None)
def test_any_bytes_with_a_checksum_are_a_frame_or_refused(changes: list[tuple[int, int]]) -> None:
    body = bytearray(write(frame([[1.0, 2.0, math.nan]] * 3), QUERY).partition(b"\n")[2])
    for place, octet in changes:
        body[place % len(body)] = octet
    try:
        found = read(MARK + checksum(bytes(body)) + b"\n" + bytes(body), QUERY)
    except Unusable:
        return
    assert isinstance(whole(found), Frame)
