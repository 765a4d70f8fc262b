"""What to read: one metric of one scope, whole or one of its parts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from job.errors import ConfigError

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
"""The last characters that tell parts apart; every other end of a value belongs to part 0."""


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


def in_part(labels: Mapping[str, str], query: Query) -> bool:
    """Whether the series with these labels belongs to the query's part; every series is in exactly one part."""
    if query.parts == 1:
        return True
    last = labels.get(query.split_by, "")[-1:]
    place = ALPHABET.find(last) if last else 0
    return max(place, 0) % query.parts == query.part


def part_filter(query: Query) -> str:
    """The same choice as `in_part` in the syntax of Cloud Monitoring's filters; empty for a query of one part."""
    if query.parts == 1:
        return ""
    if query.part == 0:
        others = "".join(c for place, c in enumerate(ALPHABET) if place % query.parts)
        pattern = f"(?s)(|.*[^{others}])"
    else:
        pattern = f"(?s).*[{ALPHABET[query.part :: query.parts]}]"
    return f"{query.split_by} = monitoring.regex.full_match({quote(pattern)})"


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
