"""Pages from their bytes: the same, value for value, as protobuf's own reading, whatever the bytes."""

import math
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import grpc
import numpy as np
import pytest
from google.api import metric_pb2
from google.cloud import monitoring_v3
from google.cloud.monitoring_v3.services.metric_service.transports import MetricServiceGrpcTransport
from hypothesis import example, given, settings
from hypothesis import strategies as st

from job.errors import Failed
from job.query import Query
from job.sources.monitoring import Monitoring, Patience
from job.sources.monitoring import decode as module
from job.sources.monitoring.client import connect
from job.sources.monitoring.decode import Heads, decode, keys, page
from tests.monitoring.fixtures import DAY, MINUTE
from tests.monitoring.wire import RESPONSE, Reading, bits, by_protobuf, field, head, point, stamp, varint

NOW = 1_763_600_000
EXTREMES = [0, 1, -1, 127, 128, 2**31, 2**53 + 1, 2**56 - 1, 2**56, 2**62, 2**63 - 1, -(2**63), -(2**56)]


def read(data: bytes, heads: Heads | None = None) -> Reading | None:
    try:
        lots = list(decode(page(data), heads, starts=True))
    except Failed:
        return None
    found: Reading = {}
    for lot in lots:
        assert lot.starts is not None
        values = lot.values.tolist() if lot.values.dtype == np.int64 else list(map(bits, lot.values.tolist()))
        rows = zip(lot.starts.tolist(), lot.ends.tolist(), values, strict=True)
        for key, count in zip(lot.keys, lot.counts.tolist(), strict=True):
            found.setdefault(key, []).extend(next(rows) for _ in range(count))
        assert next(rows, None) is None
    return found


def double(value: float) -> bytes:
    return field(3, value)


def integer(value: int) -> bytes:
    return field(2, value)


def series(points: list[bytes], name: str = "a", value_type: int = 3, tail: bytes = b"") -> bytes:
    return field(1, head(name, value_type) + b"".join(points) + tail)


@pytest.fixture
def no_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(data: bytes, *, starts: bool) -> None:
        pytest.fail(f"read by protobuf: {data.hex()}, {starts}")

    monkeypatch.setattr(module, "by_message", refuse)


@pytest.mark.usefixtures("no_fallback")
@pytest.mark.parametrize("tail", [b"", field(8, b"By"), field(7, field(2, field(1, b"env") + field(2, b"prod" * 20)))])
@pytest.mark.parametrize("start", [None, 0, 300])
@pytest.mark.parametrize("nanos", [(0, 0), (1_000_000, 0), (1_000_000, 478_160_000)])
@pytest.mark.parametrize("value_type", [2, 3])
def test_what_a_server_sends_is_read_without_an_object_for_each_point(
    value_type: int, nanos: tuple[int, int], start: int | None, tail: bytes
) -> None:
    def write(n: int) -> bytes:
        value = integer(EXTREMES[n % len(EXTREMES)]) if value_type == 2 else double(n / 7)
        return point(NOW - 300 * n, value, None if start is None else NOW - 300 * n - start, nanos)

    data = b"".join(series([write(n) for n in range(5 + 9 * k)], f"vm-{k}", value_type, tail) for k in range(4))
    wanted = by_protobuf(data)
    assert wanted
    assert sum(map(len, wanted.values())) == 74
    assert read(data) == wanted


@pytest.mark.usefixtures("no_fallback")
@pytest.mark.parametrize("count", [60, 1380])  # of which none is worth to be taken apart by itself, and each is
def test_integers_of_one_length_and_of_several_are_read_side_by_side(count: int) -> None:
    lengths = [128**n // 2 for n in range(1, 10)] + [-1]
    series_of = [[each] * count for each in lengths]
    series_of += [[1, 2**40, 2**20] * (count // 3), [0, *[300] * (count - 1)], [300] * (count - 1)]
    series_of += [[2**28, 2**21, 2**35] * (count // 3), [2**28] * count]  # both of a size that the first length divides
    data = b"".join(
        series([point(NOW - 60 * n, integer(value), NOW - 60) for n, value in enumerate(values)], f"vm-{k}", 2)
        for k, values in enumerate(series_of)
    )
    assert read(data) == by_protobuf(data)


def test_points_of_one_length_are_read_without_a_look_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_chained", None)
    data = b"".join(
        series([point(NOW - 60 * n, integer(10**k + n)) for n in range(80)], f"vm-{k}", 2) for k in range(3, 6)
    )
    same = b"".join(series([point(NOW - 60 * n, integer(10**9 + n)) for n in range(80)], name, 2) for name in "abc")
    assert read(same) == by_protobuf(same)
    with pytest.raises(TypeError):  # three lengths among so few points
        read(data)


def test_whole_seconds_are_integers_and_only_they() -> None:
    whole, parted = (
        next(decode(page(series([point(NOW, double(1.0), NOW, nanos)])))).ends for nanos in ((0, 0), (0, 1))
    )
    assert whole.dtype == np.int64
    assert parted.dtype == np.float64


def test_a_page_of_nothing_is_empty() -> None:
    found = page(b"")
    assert (found.spans, found.token, found.errors, list(decode(found))) == ((), "", (), [])


def test_token_and_errors_are_found_wherever_they_stand() -> None:
    error = field(3, field(1, 14) + field(2, b"lost"))
    data = field(2, b"old") + error + series([point(NOW, double(1.0))]) + field(5, b"By") + field(3, field(1, 8))
    found = page(data + field(2, b"next"))
    assert (found.token, found.errors, len(found.spans)) == ("next", ("lost", "code 8"), 1)


def test_headers_have_keys_and_no_points() -> None:
    found = page(series([], "a") + series([], "b"))
    assert [dict(key)["metric.labels.id"] for key in keys(found)] == ["a", "b"]
    assert [lot.counts.tolist() for lot in decode(found)] == [[0], [0]]


@pytest.mark.parametrize("value_type", [0, 4, 5, 6])
def test_values_that_are_no_numbers_are_refused(value_type: int) -> None:
    with pytest.raises(Failed, match="no numbers"):
        list(decode(page(series([point(NOW, field(4, b"x"))], value_type=value_type))))


@pytest.mark.parametrize("data", [b"\x0a", b"\x0a\x05", b"\x00\x00", b"\x0a\x7fabc", b"\x80" * 20, series([])[:-3]])
def test_what_is_no_response_is_refused(data: bytes) -> None:
    assert by_protobuf(data) is None
    with pytest.raises(Failed, match="Cloud Monitoring"):
        list(decode(page(data)))


# ruff: noqa: ARG005 - all of these are called alike


def _odd_points() -> dict[str, Callable[[int, bytes], bytes]]:
    """Points that mean something, each written as no server does."""

    def times(at: int) -> bytes:
        return field(1, stamp(at - 300)) + field(2, stamp(at))

    return {
        "value first": lambda at, value: field(5, field(2, value) + field(1, times(at))),
        "end before start": lambda at, value: field(
            5, field(1, field(2, stamp(at)) + field(1, stamp(at - 300))) + field(2, value)
        ),
        "interval twice": lambda at, value: field(5, field(1, times(at - 60)) + field(1, times(at)) + field(2, value)),
        "interval in two": lambda at, value: field(
            5, field(1, field(1, stamp(at - 300))) + field(2, value) + field(1, field(2, stamp(at)))
        ),
        "value twice": lambda at, value: field(5, field(1, times(at)) + field(2, value) + field(2, value)),
        "value of two kinds": lambda at, value: field(5, field(1, times(at)) + field(2, field(1, 1) + value)),
        "no value": lambda at, value: field(5, field(1, times(at))),
        "empty value": lambda at, value: field(5, field(1, times(at)) + field(2, b"")),
        "no interval": lambda at, value: field(5, field(2, value)),
        "nothing": lambda at, value: field(5, b""),
        "unknown in point": lambda at, value: field(5, field(1, times(at)) + field(2, value) + field(9, b"xyz")),
        "unknown in interval": lambda at, value: field(5, field(1, times(at) + field(15, 1)) + field(2, value)),
        "unknown in value": lambda at, value: field(5, field(1, times(at)) + field(2, value + field(15, 7))),
        "unknown in time": lambda at, value: field(
            5, field(1, field(2, stamp(at) + field(15, b"abcd"))) + field(2, value)
        ),
        "nanos first": lambda at, value: field(5, field(1, field(2, field(2, 5) + field(1, at))) + field(2, value)),
        "nanos below zero": lambda at, value: point(at, value, at, (-1, -5)),
        "long nanos": lambda at, value: field(
            5, field(1, field(2, field(1, at) + field(2, 7, padding=6))) + field(2, value)
        ),
        "seconds padded": lambda at, value: field(5, field(1, field(2, field(1, at, padding=2))) + field(2, value)),
        "small seconds": lambda at, value: point(77, value, 5),
        "seconds below zero": lambda at, value: point(-77, value),
        "zero seconds": lambda at, value: field(5, field(1, field(2, b"")) + field(2, value)),
        "padded length": lambda at, value: varint(42) + varint(len(point(at, value)[2:]), 2) + point(at, value)[2:],
        "padded tag": lambda at, value: field(5, point(at, value)[2:], padding=1),
    }


ODD = _odd_points()
LONG_WAY = field(1, head("long way") + point(NOW, double(1.0)), padding=1)
_ids = st.sampled_from(["a", "b", "c", "*\n\x10\n\x06\x08"])
_nanos = st.sampled_from([(0, 0), (0, 0), (1_000_000, 0), (0, 5), (999_999_999, 999_999_999)])
_numbers = st.sampled_from(EXTREMES) | st.integers(-(2**63), 2**63 - 1)
_doubles = st.floats(allow_nan=True) | st.sampled_from([0.0, -0.0, math.inf, 5e-324, 42.0])


@st.composite
def _series(draw: st.DrawFn) -> bytes:
    value_type = draw(st.sampled_from([2, 3, 3, 2, 1]))
    content = {1: st.integers(0, 1), 2: _numbers, 3: _doubles}[value_type]
    start, nanos, points = draw(st.sampled_from([None, 0, 300])), draw(_nanos), []
    for n in range(draw(st.integers(0, 12))):
        at, value = NOW - 60 * n, field(value_type, draw(content))
        odd = draw(st.none() | st.none() | st.none() | st.sampled_from(sorted(ODD)))
        usual = point(at, value, None if start is None else at - start, nanos)
        points.append(ODD[odd](at, value) if odd else usual)
    tail = draw(
        st.sampled_from([b"", b"", field(8, b"By"), field(9, b"*\n\x10\n"), head("z", 2), varint(19 << 3) + b"\1"])
    )
    before, after = draw(st.permutations([head(draw(_ids), value_type), b"".join(points)]))
    if draw(st.booleans()):
        before, after = sorted((before, after), key=lambda part: b"gce" not in part)
    return field(1, before + after + tail)


_pages = st.builds(
    lambda parts, ends: b"".join(parts) + ends,
    st.lists(_series() | st.sampled_from([field(7, b"?"), field(2, b"t"), LONG_WAY]), max_size=6),
    st.sampled_from([b"", field(5, b"By"), varint(15 << 3 | 3) + field(1, 5) + varint(15 << 3 | 4)]),
)


@given(_pages)
@example(series([point(NOW, field(2, 1 << 56) + field(15, 7), NOW)], "a", 2))  # none of its points is of a known shape
@settings(max_examples=300, deadline=None)
def test_any_page_reads_as_protobuf_reads_it(data: bytes) -> None:
    assert read(data) == by_protobuf(data)


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("value_type", [2, 3])
@pytest.mark.parametrize("place", [0, 1, 7, 14])
def test_one_odd_point_among_others_is_read_as_it_is(name: str, value_type: int, place: int) -> None:
    values = [field(value_type, n if value_type == 2 else n / 3) for n in range(15)]
    usual = [point(NOW - n, value, NOW - n) for n, value in enumerate(values)]
    mixed = [ODD[name](NOW - n, values[n]) if n == place else each for n, each in enumerate(usual)]
    data = b"".join(series(p, k, value_type) for k, p in (("a", usual), ("b", mixed), ("c", usual), ("b", usual)))
    wanted = by_protobuf(data)
    assert wanted is not None
    assert read(data) == wanted


def _usual(value_type: int) -> bytes:
    values = [field(value_type, n * 10**9 if value_type == 2 else n / 3) for n in range(12)]
    points = [point(NOW - n, value, NOW - n) for n, value in enumerate(values)]
    return b"".join(series(points, name, value_type, field(8, b"By")) for name in "abc") + field(2, b"t")


@given(st.sampled_from([2, 3]), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=3))
@example(3, [(1, 133)])
@example(2, [(11215, 128)])
@settings(max_examples=500, deadline=None)
def test_a_changed_byte_is_refused_or_read_as_protobuf_reads_it(
    value_type: int, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(_usual(value_type))
    for place, octet in changes:
        data[place % len(data)] = octet
    assert read(bytes(data)) == by_protobuf(bytes(data))


@pytest.mark.parametrize("value_type", [2, 3])
def test_no_byte_of_a_point_goes_unseen(value_type: int) -> None:
    points = [point(NOW - n, field(value_type, 10**9 if value_type == 2 else n / 3), NOW) for n in range(4)]
    whole = series(points, value_type=value_type)
    for place in range(len(whole)):
        for other in (1, 2, 6, 0x80, 0xFF):
            data = whole[:place] + bytes([whole[place] ^ other]) + whole[place + 1 :]
            assert read(data) == by_protobuf(data), (place, other)


@given(st.sampled_from([2, 3]), st.integers(0, 1500), st.integers(0, 60))
@settings(max_examples=300, deadline=None)
def test_bytes_that_are_lost_are_noticed_as_protobuf_notices(value_type: int, place: int, lost: int) -> None:
    data = _usual(value_type)
    data = data[:place] + data[place + lost :]
    assert read(data) == by_protobuf(data)


def _labels(number: int, labels: list[tuple[str, str]], odd: str) -> bytes:
    """A metric or a resource, whose first label is written as no server does if it is to be `odd`."""
    ways: dict[str, Callable[[bytes, bytes], bytes]] = {
        "twice": lambda name, value: field(2, name + field(2, b"old")) + field(2, name + value),
        "no name": lambda _, value: field(2, value),
        "no value": lambda name, _: field(2, name),
        "value first": lambda name, value: field(2, value + name),
        "value twice": lambda name, value: field(2, name + field(2, b"x") + value),
        "unknown in label": lambda name, value: field(2, name + value + field(9, 1)),
        "padded label": lambda name, value: field(2, name + value, padding=1),
        "no text": lambda name, _: field(2, name + field(2, b"\xff\xfe")),
        "number": lambda name, value: field(2, 7) + field(2, name + value),
        "group": lambda name, value: varint(9 << 3 | 3) + varint(9 << 3 | 4) + field(2, name + value),
    }
    entries = [(field(1, name.encode()), field(2, value.encode())) for name, value in labels]
    written = [field(2, name + value) for name, value in entries]
    if odd in ways and entries:
        written[0] = ways[odd](*entries[0])
    return field(number, field(5 - 2 * number, b"gce_instance") + b"".join(written))


ODD_LABELS = [
    "twice",
    "no name",
    "no value",
    "value first",
    "value twice",
    "unknown in label",
    "padded label",
    "no text",
]
ODD_HEADS: dict[str, Callable[[bytes], bytes]] = {
    "metric twice": lambda head: head + field(1, field(2, field(1, b"zone") + field(2, b"b"))),
    "resource twice": lambda head: field(2, field(1, b"x") + field(2, field(1, b"zone") + field(2, b"b"))) + head,
    "metadata": lambda head: head + field(7, field(2, field(1, b"env") + field(2, b"prod"))),
    "type twice": lambda head: field(4, 1) + head,
    "type padded": lambda head: field(4, 3, padding=2) + head,
    "unknown": lambda head: field(11, b"*\n\x10\n") + head,
}
_texts = st.sampled_from(["", "a", "b", "web-1", "web-22", "x" * 150, "é", "*\n\x10\n"])
_entries = st.dictionaries(st.sampled_from(["zone", "id", "é"]), _texts, max_size=3).flatmap(
    lambda labels: st.permutations(list(labels.items()))
)
_tails = st.sampled_from(
    [b"", field(8, b"By"), field(4, 2), *(field(n, field(2, field(1, b"zone") + field(2, b"p"))) for n in (1, 2, 7))]
)


@st.composite
def _named(draw: st.DrawFn) -> bytes:
    odd = draw(st.sampled_from([*[""] * 20, "number", "group", "metric alone", *ODD_LABELS, *ODD_HEADS]))
    number = draw(st.sampled_from([1, 2]))
    parts = [_labels(n, draw(_entries), odd if n == number else "") for n in (1, 2)] + [field(4, 3)]
    written = b"".join(parts)
    return field(
        1, ODD_HEADS.get(odd, bytes)(written) + point(NOW, double(1.0)) * draw(st.integers(0, 2)) + draw(_tails)
    )


@given(st.lists(st.lists(_named(), max_size=8).map(b"".join), min_size=2, max_size=3))
@settings(max_examples=200, deadline=None)
def test_any_labels_are_read_as_protobuf_reads_them(pages: list[bytes]) -> None:
    heads: Heads = []
    for data in pages:
        assert read(data * 2, heads) == by_protobuf(data * 2)


def test_labels_are_read_without_a_message_for_each_series(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []
    plain = module._series

    def count(data: bytes) -> Any:
        asked.append(data)
        return plain(data)

    monkeypatch.setattr(module, "_series", count)
    names = [f"web-{n}" for n in range(100)]
    data = b"".join(series([point(NOW, double(1.0))], name, tail=field(8, b"By")) for name in names)
    heads: Heads = []
    for _ in range(2):
        found = read(data, heads)
        assert found is not None
        assert [dict(key)["metric.labels.id"] for key in found] == names
    assert len(asked) == 6  # twice for each length of a name, and for the tail once a page


def test_more_kinds_of_heads_than_are_remembered_are_read_too() -> None:
    data = b"".join(series([point(NOW, double(1.0))], "x" * n) for n in range(3 * module.MOST))
    heads: Heads = []
    assert read(data, heads) == read(data, heads) == by_protobuf(data)
    assert len(heads) == module.MOST


def test_a_series_may_be_cut_anywhere() -> None:
    whole = [point(NOW - n, integer(n)) for n in range(9)]
    for cut in range(10):
        data = series(whole[:cut], "a", 2) + series([whole[0]], "b", 2) + series(whole[cut:], "a", 2)
        assert read(data) == by_protobuf(data)


def test_numbers_that_look_like_points_do_not_mislead() -> None:
    like = int.from_bytes(point(NOW, integer(5))[:8], "little")
    rng = random.Random(5)
    values = [like, *(int.from_bytes(rng.choices([0x2A, 0x0A, 0x10, 0x12, 0x06, 8], k=8), "little") for _ in range(99))]
    data = series([point(NOW - n, integer(v - 2**63)) for n, v in enumerate(values)], "a", 2)
    data += series([point(NOW - n, double(float(np.int64(v - 2**63).view(np.float64)))) for n, v in enumerate(values)])
    assert read(data) == by_protobuf(data)


def test_a_point_inside_a_value_is_none() -> None:
    usual = point(NOW, double(1.0), NOW)
    nested = point(NOW, double(1.0) + usual, NOW)
    data = series([nested, nested], "a") + series([usual, usual], "b")
    assert read(data) == by_protobuf(data)


def test_two_ends_of_one_point_are_merged() -> None:
    twice = field(2, stamp(NOW, 5)) + field(2, stamp(NOW + 1))
    data = series([field(5, field(1, twice) + field(2, double(1.0)))])
    assert read(data) == by_protobuf(data)


def test_protobufs_own_bytes_are_read() -> None:
    response = RESPONSE(unit="By")
    for name in "ab":
        one = response.time_series.add(value_type=2, unit="By")
        one.resource.type, one.metric.labels["id"] = "gce_instance", name
        for n in range(4):
            each = one.points.add()
            each.interval.end_time.seconds, each.value.int64_value = NOW - n, -n
    assert read(response.SerializeToString()) == by_protobuf(response.SerializeToString())


class Recorder(grpc.GenericRpcHandler):
    """A service that answers every call with the same bytes, and keeps what came with each."""

    def __init__(self, answers: list[bytes]) -> None:
        self.answers = answers
        self.seen: list[dict[str, Any]] = []

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any]":
        about = dict(handler_call_details.invocation_metadata)

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            more = {"method": handler_call_details.method, "request": request, "bounded": context.time_remaining()}
            self.seen.append({**about, **more})
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture
def recorder() -> Iterator[tuple[Recorder, str]]:
    found = Recorder([b""])
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((found,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield found, f"127.0.0.1:{port}"
    server.stop(None).wait()


def test_the_bytes_are_asked_for_as_the_client_asks(recorder: tuple[Recorder, str]) -> None:
    found, address = recorder
    request = monitoring_v3.ListTimeSeriesRequest(name="projects/p", filter="f", page_size=9)
    channel = grpc.insecure_channel(address)
    plain = monitoring_v3.MetricServiceClient(transport=MetricServiceGrpcTransport(channel=channel))
    for client in (plain, connect(address)[0]):
        client.list_time_series(request=request)
    ours, theirs = ({k: v for k, v in seen.items() if k != "bounded"} for seen in found.seen)
    assert ours == theirs
    assert ours["x-goog-request-params"] == "name=projects/p"
    assert "gapic/" in ours["x-goog-api-client"]
    assert all(80 < seen["bounded"] < 100 for seen in found.seen)


def test_an_answer_that_is_none_is_asked_for_again_and_then_named(recorder: tuple[Recorder, str]) -> None:
    found, address = recorder
    metric = metric_pb2.MetricDescriptor(type="m", metric_kind="GAUGE", value_type="DOUBLE").SerializeToString()
    good = series([point(int(DAY.timestamp()) + 60, double(5.0))])
    patience = Patience(total=timedelta(seconds=0.4), first=MINUTE / 60_000, longest=MINUTE / 6_000)
    reader = Monitoring(("p",), MINUTE, now=DAY + 100 * MINUTE, endpoint=address, patience=patience)
    found.answers = [metric, b"\x0a", b"\x0a", good]
    assert reader.read(Query("m", "p", MINUTE), DAY, DAY + MINUTE).values.tolist() == [[5.0]]
    found.answers = [b"\x0a"]
    with pytest.raises(Failed, match="no answer of Cloud Monitoring"):
        reader.read(Query("m", "p", MINUTE), DAY, DAY + MINUTE)
    found.answers = [series([b"\x2a\x7f"])]
    with pytest.raises(Failed, match="no time series of Cloud Monitoring"):
        reader.read(Query("m", "p", MINUTE), DAY, DAY + MINUTE)


def test_a_page_that_is_its_own_next_one_is_not_read_for_ever(recorder: tuple[Recorder, str]) -> None:
    found, address = recorder
    metric = metric_pb2.MetricDescriptor(type="m", metric_kind="GAUGE", value_type="DOUBLE").SerializeToString()
    patience = Patience(total=timedelta(seconds=0.2), first=MINUTE / 60_000, longest=MINUTE / 6_000)
    reader = Monitoring(("p",), MINUTE, now=DAY + 100 * MINUTE, endpoint=address, patience=patience)
    again = monitoring_v3.ListTimeSeriesResponse.serialize({"next_page_token": "again"})
    found.answers = [metric, again]
    with pytest.raises(Failed, match=r"m in project 'p'.*names itself as the next"):
        reader.read(Query("m", "p", MINUTE), DAY, DAY + MINUTE)
