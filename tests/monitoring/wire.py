"""Protobuf's encoding by hand, to write what its own serializer never would; and its own reading, in plain loops."""

import math
import struct
from typing import Any

from google.cloud import monitoring_v3
from google.protobuf.message import DecodeError

RESPONSE = monitoring_v3.ListTimeSeriesResponse.pb()

Reading = dict[tuple[tuple[str, str], ...], list[tuple[float, float, int]]]
"""By key: the start, end and value of each point in the order received, the value as its bits."""


def varint(number: int, padding: int = 0) -> bytes:
    """A number; `padding` writes it with so many bytes more than it needs."""
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    for _ in range(padding):
        out[-1] |= 0x80
        out.append(0)
    return bytes(out)


def field(number: int, content: bytes | float, padding: int = 0) -> bytes:
    """A field of bytes, of a varint or of a double."""
    if isinstance(content, bytes):
        return varint(number << 3 | 2, padding) + varint(len(content)) + content
    if isinstance(content, int):
        return varint(number << 3) + varint(content, padding)
    return varint(number << 3 | 1) + struct.pack("<d", content)


def stamp(seconds: int, nanos: int = 0) -> bytes:
    return field(1, seconds) + (field(2, nanos) if nanos else b"")


def point(end: int, value: bytes, start: int | None = None, nanos: tuple[int, int] = (0, 0)) -> bytes:
    """A point as a server writes it; `value` is the field of a TypedValue."""
    begun = field(1, stamp(start, nanos[0])) if start is not None else b""
    return field(5, field(1, begun + field(2, stamp(end, nanos[1]))) + field(2, value))


def head(name: str = "a", value_type: int = 3, kind: int = 2) -> bytes:
    label = field(2, field(1, b"id") + field(2, name.encode()))
    return (
        field(1, field(1, b"m") + label) + field(2, field(1, b"gce_instance")) + field(3, kind) + field(4, value_type)
    )


def by_protobuf(data: bytes) -> Reading | None:
    """What protobuf understands, or None where it refuses or the values are no numbers."""
    try:
        response = RESPONSE.FromString(data)
    except DecodeError:
        return None
    found: Reading = {}
    for series in response.time_series:
        if series.value_type not in (1, 2, 3):
            return None
        rows = found.setdefault(_key(series), [])
        for each in series.points:
            times = [stamp.seconds + stamp.nanos / 1e9 for stamp in (each.interval.start_time, each.interval.end_time)]
            rows.append((times[0], times[1], _bits(series.value_type, each.value)))
    return found


def _bits(value_type: int, value: Any) -> int:
    if value_type == 2:
        return int(value.int64_value)
    number = value.double_value if value_type == 3 else float(value.bool_value)
    return bits(number)


def bits(number: float) -> int:
    return int(struct.unpack("<q", struct.pack("<d", math.nan if math.isnan(number) else number))[0])


def _key(series: Any) -> tuple[tuple[str, str], ...]:
    flat = {"resource.type": series.resource.type}
    flat |= {f"resource.labels.{name}": value for name, value in series.resource.labels.items()}
    flat |= {f"metric.labels.{name}": value for name, value in series.metric.labels.items()}
    flat |= {f"metadata.user_labels.{name}": value for name, value in series.metadata.user_labels.items()}
    return tuple(sorted(flat.items()))
