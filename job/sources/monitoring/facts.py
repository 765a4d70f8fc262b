"""What Cloud Monitoring says of a metric, and what follows from it for reading."""

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from job.errors import ConfigError
from job.query import Query
from job.sources import Descriptor

COARSE = timedelta(minutes=10)
COARSE_AFTER = timedelta(days=41)
"""Past six weeks only 10-minute points are kept; a day early, since when they are thinned is not promised."""

_KINDS = {1: "GAUGE", 2: "DELTA", 3: "CUMULATIVE"}
_VALUES = {1: "BOOL", 2: "INT64", 3: "DOUBLE", 4: "STRING", 5: "DISTRIBUTION", 6: "MONEY"}
_MINUTE = 60
_DAY = 86_400
_SAMPLE = timedelta(minutes=1)
_SETTLE = timedelta(minutes=4)


@dataclass(frozen=True)
class Facts:
    """A metric's kind (GAUGE, DELTA, CUMULATIVE), value type, unit and delays, and whether it is there at all."""

    kind: str
    value: str
    unit: str
    sample: timedelta
    settle: timedelta
    there: bool = True


NOWHERE = Facts("DELTA", "INT64", "1", _SAMPLE, _SETTLE, there=False)
"""A metric that nobody in the project has written yet."""


def facts(message: Any) -> Facts:
    """The facts of a raw `MetricDescriptor` message.

    Raises:
        ConfigError: the metric has no numbers that could be scored.
    """
    kind, value = _KINDS.get(message.metric_kind, "?"), _VALUES.get(message.value_type, "?")
    if kind == "?" or value not in {"BOOL", "INT64", "DOUBLE"} or (value == "BOOL" and kind != "GAUGE"):
        raise ConfigError(
            f"{message.type} is a {kind} of {value}; only numbers, and gauges of true and false, can be scored"
        )
    metadata = message.metadata
    sample = metadata.sample_period.ToTimedelta() or _SAMPLE
    known = metadata.HasField("ingest_delay")
    settle = sample + metadata.ingest_delay.ToTimedelta() if known else max(_SETTLE, 2 * sample)
    return Facts(kind, value, message.unit, sample, settle)


def descriptor(found: Facts, query: Query) -> Descriptor:
    """What the frames of this query are in, and when they are settled."""
    unit = _counted(found.unit, query.noun)
    return Descriptor(unit if found.kind == "GAUGE" else f"{unit}/s", found.settle, COARSE_AFTER, found.there)


def _counted(unit: str, noun: str) -> str:
    """The unit, by its noun where all it says is that something is counted: `1`, `{packet}`."""
    if unit.startswith("{") and unit.endswith("}"):
        word = unit[1:-1]
        return noun or (word if word.endswith("s") else f"{word}s")
    return (noun or "1") if unit in {"", "1"} else unit


def period(query: Query, sample: timedelta, least: timedelta) -> int:
    """The alignment period in seconds: whole steps, minutes, sample periods, and times `least`.

    A sum over a period that is no multiple of the points' own would hold now one point more, now one less.
    """
    step = int(query.step.total_seconds())
    natural = [max(1, int(length.total_seconds())) for length in (sample, least)]
    length = math.lcm(_MINUTE, step, *natural)
    if length <= _DAY:
        return length
    return -(-max(natural) // math.lcm(_MINUTE, step)) * math.lcm(_MINUTE, step)
