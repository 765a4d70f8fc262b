"""Numbers and times as people read them."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from detectors.duration import text as duration_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LARGEST = 1e100
"""No measurement is larger, in any unit; sums and squares of so many of these are numbers still."""

_PREFIXES = ("", "k", "M", "G", "T", "P", "E")


def measured(values: "NDArray[np.float64]") -> "NDArray[np.bool_]":
    """Which values can have been measured; the others, as NaN, are no points."""
    return abs(values) < LARGEST


def significant(value: float, digits: int = 6) -> float:
    """Round to so many significant digits, so that a record says no more than was measured."""
    if value == 0 or not math.isfinite(value):
        return value
    return float(f"{value:.{digits}g}")


def _scaled(value: float) -> tuple[str, str]:
    """The digits of a value, and the SI prefix that they need."""
    power = 0
    if abs(value) >= 1000:
        power = min(int(math.log10(abs(value)) // 3), len(_PREFIXES) - 1)
    digits = f"{value / 1000**power:.3g}"
    if abs(float(digits)) >= 1000 and power < len(_PREFIXES) - 1:
        power, digits = power + 1, f"{float(digits) / 1000:.3g}"
    return f"{float(digits):g}", _PREFIXES[power]


def quantity(value: float, unit: str) -> str:
    """Write a value with its unit.

    >>> quantity(12_400_000, "By/s"), quantity(3210, "packets/s"), quantity(0.5, "1")
    ('12.4 MB/s', '3.21k packets/s', '0.5')
    """
    digits, prefix = _scaled(value)
    noun, slash, per = unit.partition("/")
    noun = noun.strip("{}")
    if noun in {"By", "bit", "Hz"}:
        return f"{digits} {prefix}{'B' if noun == 'By' else noun}{slash}{per}"
    if noun in {"", "1"}:
        return f"{digits}{prefix}{slash}{per}"
    return f"{digits}{prefix} {noun}{slash}{per}"


def between(lower: float, upper: float, unit: str) -> str:
    """Write a band of values, its unit once where both ends have the same.

    >>> between(1.1e6, 1.9e6, "By/s"), between(900, 1.2e6, "By/s"), between(0, 230, "packets/s"), between(5, 5, "1")
    ('1.1 to 1.9 MB/s', '900 B/s to 1.2 MB/s', '0 to 230 packets/s', '5')
    """
    (low, _, less), (high, _, more) = (quantity(value, unit).partition(" ") for value in (lower, upper))
    if lower == upper:
        return quantity(upper, unit)
    return f"{low} to {high} {more}".rstrip() if lower == 0 or less == more else f"{low} {less} to {high} {more}"


def total_unit(unit: str) -> str:
    """The unit of a rate summed over time: `By/s` adds up to `By`; any other unit gets a `·s`."""
    return unit.removesuffix("/s") if unit.endswith("/s") else f"{unit}·s"


def grain(unit: str) -> float:
    """How much of a rate's unit comes at once: one packet, or the bytes of a usual one; 0 for what is no rate."""
    return (500.0 if unit == "By/s" else 1.0) if unit.endswith("/s") else 0.0


def idle(rate: float, unit: str, period: timedelta) -> bool:
    """Whether less than one packet a period is as good as none.

    >>> idle(1.0, "By/s", timedelta(minutes=5)), idle(0.01, "packets/s", timedelta(minutes=5))
    (True, False)
    """
    return rate * period.total_seconds() < grain(unit) or rate <= 0


def utc(moment: datetime) -> str:
    """Write a moment in RFC 3339, UTC, whole seconds: `2026-11-22T03:10:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def many(number: int, noun: str) -> str:
    """A count with its noun.

    >>> many(1, "incident"), many(1200, "incident")
    ('1 incident', '1,200 incidents')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


NAMED = 20
"""So many of what cannot be read are named; there may be very many, all of one kind."""


def named(problems: Sequence[str]) -> list[str]:
    """What could not be read: how much it is, and the first of it by name; nothing where all could be read."""
    more = len(problems) - NAMED
    found = [f"{many(len(problems), 'thing')} could not be read or understood; the rest is here:"] if problems else []
    return [*found, *problems[:NAMED], *([f"… and {more:,} more"] if more > 0 else [])]


def parse_time(words: str) -> datetime:
    """Read an RFC 3339 time or a date; what has no zone is UTC.

    >>> str(parse_time("2026-11-22")), str(parse_time("2026-11-22T01:00:00+01:00"))
    ('2026-11-22 00:00:00+00:00', '2026-11-22 00:00:00+00:00')

    Raises:
        ValueError: `words` is neither.
    """
    try:
        moment = datetime.fromisoformat(words.strip())
    except ValueError:
        raise ValueError(
            f"{words!r} is not a time: write a date (2026-11-22) or an RFC 3339 time (2026-11-22T03:10:00Z)"
        ) from None
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{words!r} lies outside the years 1 to 9999") from None


def lasting(duration: timedelta) -> str:
    """A duration in a sentence: `25m`, `3h10m`."""
    return duration_text(duration)


def escaped(words: str) -> str:
    r"""JSON, the same to a parser, in which nothing moves a terminal's cursor or turns the direction of reading.

    >>> escaped('"a\u202eb\x9b"')
    '"a\\u202eb\\u009b"'
    """
    return words if words.isascii() else _ODD.sub(lambda odd: f"\\u{ord(odd[0]):04x}", words)


_ODD = re.compile("[\x80-\x9f\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ufff9-\ufffb]")


def clean(words: str, limit: int = 80) -> str:
    r"""A label as it may be shown: no control or direction characters, and not endless.

    >>> clean("web\x1b[31m"), clean("abcdef", 4)
    ('web�[31m', 'abc…')
    """
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
