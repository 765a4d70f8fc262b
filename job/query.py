"""What to read: one metric of one scope, whole or one of its parts."""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from job.errors import ConfigError

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
"""The characters that count where series are told apart by the ends of their labels' values."""

_TEN = 10
"""What the last character but one counts more than the last: of decimal numbers, all endings are as many."""


@dataclass(frozen=True)
class Query:
    """One metric of one scope, on one grid.

    `metric` is the metric's type and `project` the scope that is asked. `name` is the slug that the objects in the
    store carry; it is unique in a run for each project. `filter` narrows the series, in the syntax of Cloud
    Monitoring's filters. `group_by` names the labels that are kept (none means that every series stands for itself)
    and `reducer` how the series of one group become one. `noun` is what a counter without a unit counts ("packets").
    `missing` is what no point means unless a policy says otherwise: "absent" (the resource should have reported),
    "zero" (nothing happened) or "ignore". `parts` splits the series, by the value of the label `split_by`, into that
    many disjoint reads; `part` is the one that is read.

    Raises:
        ConfigError: the parts cannot be told apart, or would tear a group apart.
    """

    metric: str
    project: str
    step: timedelta
    name: str = ""
    filter: str = ""
    group_by: tuple[str, ...] = ()
    reducer: str = "sum"
    noun: str = ""
    missing: str = "ignore"
    split_by: str = ""
    parts: int = 1
    part: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.parts <= len(ALPHABET):
            raise ConfigError(f"{self.parts} parts of {self.metric}; there can be 1 to {len(ALPHABET)}")
        if not 0 <= self.part < self.parts:
            raise ConfigError(
                f"part {self.part} of {self.metric}; with {self.parts} parts there are 0 to {self.parts - 1}"
            )
        if self.parts > 1 and not self.split_by:
            raise ConfigError(f"{self.parts} parts of {self.metric}, but no label that splits it; set split_by")
        if self.parts > 1 and self.group_by and self.split_by not in self.group_by:
            raise ConfigError(
                f"{self.metric} is split by {self.split_by!r}, which its groups lack; "
                f"split it by one of: {', '.join(self.group_by)}"
            )


def number(value: str) -> int:
    """The number that the last two characters of a label's value make, by which series are shared out.

    A character counts its place in the alphabet, so that numbers fall evenly; a missing or another one counts nothing.
    """
    ones, tens = (max(0, ALPHABET.find(c)) if c else 0 for c in (value[-1:], value[-2:-1]))
    return _TEN * tens + ones


def in_part(labels: Mapping[str, str], query: Query) -> bool:
    """Whether the series with these labels belongs to the query's part; every series is in exactly one part."""
    return query.parts == 1 or number(labels.get(query.split_by, "")) % query.parts == query.part


def part_filter(query: Query) -> str:
    """The same choice as `in_part` in the syntax of Cloud Monitoring's filters; empty for a query of one part."""
    return "" if query.parts == 1 else _numbered(query.split_by, lambda n: n % query.parts == query.part)


def share(query: Query, wanted: Collection[int], count: int) -> Query:
    """The query for some of the shares `0` to `count - 1` of its part; each series is in exactly one."""
    label = _numbered(query.split_by, lambda n: n // query.parts % count in wanted)
    return replace(query, filter=both(query.filter, label))


def _numbered(label: str, chosen: Callable[[int], bool]) -> str:
    """The filter that keeps the series whose label has a value with such a `number`."""
    digits, terms = range(len(ALPHABET)), [""] if chosen(0) else []
    wanted = [chosen(n) for n in range(_TEN * digits[-1] + len(digits))]
    by = defaultdict[tuple[bool, ...], set[int]](set)
    for ten in digits:
        by[tuple(wanted[_TEN * ten :][: len(digits)])].add(ten)
    for last, tens in by.items():
        ending, before = _characters(last), _characters([digit in tens for digit in digits])
        if ending:
            terms.append(f"(.*{before})?{ending}" if 0 in tens else f".*{before}{ending}")
    pattern = f"(?s)({'|'.join(terms)})"
    return f"{label} = monitoring.regex.full_match({quote(pattern)})"


def _characters(chosen: Sequence[bool]) -> str:
    """The class of the alphabet's characters that are chosen; with its first, also of all that are outside it."""
    if chosen[0]:
        others = "".join(c for c, there in zip(ALPHABET, chosen, strict=True) if not there)
        return f"[^{others}]" if others else "."
    found = "".join(c for c, there in zip(ALPHABET, chosen, strict=True) if there)
    return f"[{found}]" if found else ""


def quote(value: str) -> str:
    r"""Write a value as a string of Cloud Monitoring's filter syntax, so that it can be nothing but a value.

    >>> print(quote('a" OR "b'))
    "a\" OR \"b"
    """
    return json.dumps(value, ensure_ascii=False)


def equals(label: str, value: str) -> str:
    """The filter that keeps the series whose label has this value."""
    return f"{label} = {quote(value)}"


def both(*filters: str) -> str:
    """The filter that keeps what all of these keep; empty ones keep everything, and none can reach into another.

    Raises:
        ConfigError: a filter's quotes or parentheses do not close, so that it could not stand between others.
    """
    wanted = [text.strip() for text in filters if text.strip()]
    for text in wanted:
        _closed(text)
    return " AND ".join(wanted if len(wanted) == 1 else [f"({text})" for text in wanted])


def _closed(text: str) -> None:
    depth, quoted, escaped = 0, "", False
    for c in text:
        if quoted:
            quoted, escaped = ("" if c == quoted and not escaped else quoted), c == "\\" and not escaped
        elif c in "\"'":
            quoted = c
        else:
            depth += (c == "(") - (c == ")")
            if depth < 0:
                break
    if depth or quoted:
        raise ConfigError(f"the filter {text!r} has a quote or a parenthesis that does not match")
