"""The filter language of Cloud Monitoring, as far as network metrics need it, and strictly.

AND and OR may not be mixed without parentheses, since which binds closer is not documented.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from tests.monitoring_server.errors import invalid

_TOKEN = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*")|([A-Za-z_][\w.]*)|(!=|=|\(|\)|,|-))', re.DOTALL | re.ASCII)
_LABEL = re.compile(r"(metric|resource)\.labels?\.([A-Za-z_]\w*)|metadata\.(user|system)_labels\.([\w-]+)")

Flat: TypeAlias = Mapping[str, str]


@dataclass(frozen=True)
class Leaf:
    """One comparison; `function` is empty for a plain string."""

    path: str
    negated: bool
    function: str
    values: tuple[str, ...]

    def __call__(self, labels: Flat) -> bool:
        key = "resource.labels.project_id" if self.path == "project" else self.path
        return _FUNCTIONS[self.function](labels.get(key, ""), self.values) != self.negated


@dataclass(frozen=True)
class Node:
    """AND, OR or NOT of other filters."""

    word: str
    inner: "tuple[Filter, ...]"

    def __call__(self, labels: Flat) -> bool:
        if self.word == "NOT":
            return not self.inner[0](labels)
        return (all if self.word == "AND" else any)(one(labels) for one in self.inner)


Filter: TypeAlias = Leaf | Node

_FUNCTIONS: dict[str, Callable[[str, tuple[str, ...]], bool]] = {
    "": lambda value, wanted: value == wanted[0],
    "starts_with": lambda value, wanted: value.startswith(wanted[0]),
    "ends_with": lambda value, wanted: value.endswith(wanted[0]),
    "has_substring": lambda value, wanted: wanted[0] in value,
    "one_of": lambda value, wanted: value in wanted,
    "monitoring.regex.full_match": lambda value, wanted: re.fullmatch(wanted[0], value) is not None,
}


def parse(text: str) -> Filter:
    tokens = list(_tokens(text))
    found, rest = _expression(tokens)
    if rest:
        raise _bad(text, f"unexpected {rest[0]!r}")
    return found


def leaves(found: Filter) -> Iterator[Leaf]:
    if isinstance(found, Leaf):
        yield found
    else:
        for one in found.inner:
            yield from leaves(one)


def metric_type(found: Filter) -> str:
    """The one metric type that the filter asks for."""
    named = [leaf for leaf in leaves(found) if leaf.path == "metric.type"]
    sure = [leaf for leaf in _required(found) if leaf.path == "metric.type"]
    if len(named) != 1 or len(sure) != 1 or sure[0].negated or sure[0].function:
        raise invalid(
            "The provided filter string does not resolve to a single metric type: it must specify exactly one "
            "metric.type with equality."
        )
    return sure[0].values[0]


def _required(found: Filter) -> Iterator[Leaf]:
    if isinstance(found, Leaf):
        yield found
    elif found.word == "AND":
        for one in found.inner:
            yield from _required(one)


def _bad(text: str, why: str) -> Exception:
    return invalid(f"The provided filter string {text!r} could not be parsed: {why}.")


def _tokens(text: str) -> Iterator[str]:
    place, end = 0, len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if not match:
            raise _bad(text, f"invalid character at {place}")
        place = match.end()
        yield match[0].strip() if not match[1] else match[1]


def _expression(tokens: list[str]) -> tuple[Filter, list[str]]:
    first, tokens = _term(tokens)
    terms, word = [first], ""
    while tokens and tokens[0] in {"AND", "OR"}:
        if word and tokens[0] != word:
            raise invalid("Field filter had an invalid value: AND and OR are mixed without parentheses.")
        word = tokens[0]
        term, tokens = _term(tokens[1:])
        terms.append(term)
    return (Node(word, tuple(terms)) if word else first), tokens


def _term(tokens: list[str]) -> tuple[Filter, list[str]]:
    if not tokens:
        raise invalid("Field filter had an invalid value: it ends early.")
    head, *rest = tokens
    if head in {"NOT", "-"}:
        inner, rest = _term(rest)
        return Node("NOT", (inner,)), rest
    if head == "(":
        inner, rest = _expression(rest)
        return inner, _expect(rest, ")")
    return _comparison(head, rest)


def _expect(tokens: list[str], wanted: str) -> list[str]:
    if not tokens or tokens[0] != wanted:
        raise invalid(f"Field filter had an invalid value: expected {wanted!r}.")
    return tokens[1:]


def _comparison(head: str, tokens: list[str]) -> tuple[Filter, list[str]]:
    path = normal(head)
    if not tokens or tokens[0] not in {"=", "!="}:
        raise invalid(f"Field filter had an invalid value: {head!r} must be followed by = or !=.")
    negated = tokens[0] == "!="
    tokens = tokens[1:]
    function = ""
    if tokens and not tokens[0].startswith('"'):
        function, tokens = tokens[0], _expect(tokens[1:], "(")
        if not function or function not in _FUNCTIONS:
            raise invalid(f"Field filter had an invalid value: {function!r} is not a string in quotes or a function.")
        values, tokens = _arguments(tokens)
    else:
        values, tokens = _strings(tokens[:1]), tokens[1:]
    if len(values) != 1 and function != "one_of":
        raise invalid(f"Field filter had an invalid value: {function} takes one string.")
    if function == "monitoring.regex.full_match":
        _compiles(values[0])
    return Leaf(path, negated, function, values), tokens


def _arguments(tokens: list[str]) -> tuple[tuple[str, ...], list[str]]:
    values: list[str] = []
    while True:
        values += _strings(tokens[:1])
        tokens = tokens[1:]
        if tokens and tokens[0] == ",":
            tokens = tokens[1:]
        else:
            return tuple(values), _expect(tokens, ")")


def _strings(tokens: list[str]) -> tuple[str, ...]:
    if not tokens or not tokens[0].startswith('"'):
        raise invalid("Field filter had an invalid value: a value must be a string in double quotes.")
    try:
        return (json.loads(tokens[0], strict=False),)
    except ValueError:
        raise invalid(f"Field filter had an invalid value: {tokens[0]} has an unknown escape.") from None


def _compiles(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise invalid(f"Field filter had an invalid value: the regular expression {pattern!r}: {error}.") from None


def normal(path: str) -> str:
    """A path as the flat labels name it."""
    if path in {"metric.type", "resource.type", "project"}:
        return path
    match = _LABEL.fullmatch(path)
    if not match:
        raise invalid(f"Field filter had an invalid value: {path!r} is not a field that can be filtered or grouped by.")
    return f"{match[1]}.labels.{match[2]}" if match[1] else f"metadata.{match[3]}_labels.{match[4]}"
