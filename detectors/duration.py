"""Durations as people write them: 90s, 5m, 6h, 7d, 2w."""

import re
from datetime import timedelta

_UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}


def parse(text: str) -> timedelta:
    """Return the duration that `text` names, such as `90m`, `6h` or `1d12h`.

    >>> parse("1d12h")
    datetime.timedelta(days=1, seconds=43200)

    Raises:
        ValueError: `text` is not a sequence of whole numbers with a unit of w, d, h, m or s.
    """
    if not re.fullmatch(r"(?:\d+[wdhms])+", text.strip()):
        raise ValueError(f"{text!r} is not a duration: write whole numbers with w, d, h, m or s, as in 90m, 6h or 7d")
    seconds = sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+)([wdhms])", text))
    try:
        return timedelta(seconds=seconds)
    except OverflowError:
        raise ValueError(f"{text!r} is longer than a duration can be") from None


def text(duration: timedelta) -> str:
    """Write a duration of whole seconds in its largest units; the inverse of `parse`.

    >>> text(timedelta(minutes=90)), text(timedelta(days=7)), text(-timedelta(hours=1))
    ('1h30m', '7d', '-1h')
    """
    rest = round(duration.total_seconds())
    if rest < 0:
        return f"-{text(-duration)}"
    if not rest:
        return "0s"
    words = []
    for unit in "dhms":
        n, rest = divmod(rest, _UNITS[unit])
        if n:
            words.append(f"{n}{unit}")
    return "".join(words)
