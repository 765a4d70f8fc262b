"""Read anomalies back from a folder or a bucket, and show them as a table, JSON, CSV or a DataFrame."""

import csv
import io
import json
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import ValidationError

from job.anomaly import SCHEMA, Anomaly, band
from job.days import names, objects
from job.store import Store, open_store
from job.units import clean, escaped, lasting, named, parse_time, quantity

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

ROOT = "anomalies/"

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Reading:
    """What was found in the store: the anomalies in the order of time, and what could not be read and why."""

    anomalies: tuple[Anomaly, ...]
    problems: tuple[str, ...]


def read(store: Store, since: datetime, until: datetime) -> Reading:
    """The anomalies that touch `[since, until)`, each once.

    An object that cannot be read, and a line that is no record, is named in `problems`; the rest is still read.

    Raises:
        NotAllowed: a permission is missing.
        Failed: the store did not answer.
    """
    found: dict[str, Anomaly] = {}
    problems: list[str] = []
    # An event may begin in the evening before its object's day.
    last = (min(until, LATEST) - timedelta(microseconds=1)).astimezone(UTC).date() + timedelta(days=1)
    for name, data in objects(store, names(store, ROOT, since.astimezone(UTC).date(), last), problems):
        for anomaly in _parsed(name, data, problems):
            if anomaly.start < until and anomaly.end > since:
                found[anomaly.id] = anomaly
    return Reading(tuple(sorted(found.values(), key=lambda a: (a.start, a.id))), tuple(problems))


def _parsed(name: str, data: bytes, problems: list[str]) -> Iterator[Anomaly]:
    for number, line in enumerate(data.splitlines(), start=1):
        try:
            anomaly = Anomaly.model_validate_json(line)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in fault["loc"])
            problems.append(f"{name} line {number} is no anomaly record: {where or 'the line'}: {fault['msg']}")
        else:
            if anomaly.schema_ > SCHEMA:
                problems.append(f"{name} line {number} has schema {anomaly.schema_}; this program knows up to {SCHEMA}")
            yield anomaly


def frame(output: str, since: str | datetime | None = None, until: str | datetime | None = None) -> "pd.DataFrame":
    """The anomalies of a folder or gs://BUCKET/PREFIX as a DataFrame, a row each.

    `since` and `until` are times or dates (UTC); without them it is everything. Times are UTC timestamps, labels are
    dicts, `resource` is spread over `resource_type` and `resource_labels`.

    What cannot be read is counted and named in a `UserWarning`, and the rest is in the frame.

    Raises:
        ConfigError: `output` is no place.
        NotAllowed: a permission is missing.
        Failed: the store did not answer.
        ValueError: a time is none.
    """
    import pandas as pd

    reading = read(open_store(output), _time(since, EARLIEST), _time(until, LATEST))
    if reading.problems:
        warnings.warn("\n".join(named(reading.problems)), stacklevel=2)
    columns = [f.alias or name for name, f in Anomaly.model_fields.items() if name != "resource"]
    columns[5:5] = ["resource_type", "resource_labels"]
    rows = [_row(anomaly) for anomaly in reading.anomalies]
    table = pd.DataFrame(rows, columns=columns)
    for column in ("start", "end", "peak"):
        table[column] = pd.to_datetime(table[column], utc=True)
    return table


def _row(anomaly: Anomaly) -> dict[str, object]:
    values = {f.alias or name: getattr(anomaly, name) for name, f in Anomaly.model_fields.items() if name != "resource"}
    return {**values, "resource_type": anomaly.resource.type, "resource_labels": anomaly.resource.labels}


def _time(given: str | datetime | None, otherwise: datetime) -> datetime:
    if given is None:
        return otherwise
    return parse_time(str(given))


def as_json(anomalies: Iterable[Anomaly]) -> str:
    """One JSON array of the records."""
    return escaped(json.dumps([json.loads(a.line()) for a in anomalies], ensure_ascii=False, indent=1)) + "\n"


def as_csv(anomalies: Iterable[Anomaly]) -> str:
    """The records as CSV with a header; nested fields are JSON. No cell can be taken for a formula."""
    names = [f.alias or name for name, f in Anomaly.model_fields.items()]
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    for anomaly in anomalies:
        writer.writerow({name: cell(value) for name, value in json.loads(anomaly.line()).items()})
    return out.getvalue()


def cell(value: object) -> object:
    """A value as a cell of CSV, which no spreadsheet takes for a formula and no terminal for a command."""
    if isinstance(value, dict | list):
        return escaped(json.dumps(value, ensure_ascii=False))
    if not isinstance(value, str):
        return value
    shown = clean(value, LONG)
    return "'" + shown if value[:1] in _FORMULA else shown


LONG = 100_000
"""Characters of a cell at most; longer ones are no names."""

_FORMULA = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
"""With what a formula may begin, in the wide forms of East Asia, too."""


COLUMNS = ("severity", "since (UTC)", "lasted", "kind", "what", "where", "observed", "expected", "deviations", "votes")

WIDE, NARROW = 130, 90
"""A terminal of so many columns shows them all; a narrower one leaves out what one can do without."""

LEFT_OUT = {"lasted": WIDE, "deviations": WIDE, "votes": WIDE, "kind": NARROW, "expected": 72}
"""The columns that need a terminal so wide."""


def table(anomalies: Iterable[Anomaly], width: int, most: int = 0) -> "Table":
    """The anomalies as a table for a terminal of that width, the worst first; at most so many where `most` is given."""
    from rich.table import Table
    from rich.text import Text

    ranked = sorted(anomalies, key=lambda a: (-a.severity, a.start, a.id))
    shown = Table(box=None, pad_edge=False, header_style="bold")
    names = [name for name in COLUMNS if width >= LEFT_OUT.get(name, 0)]
    numbers = {"observed", "expected", "deviations", "votes"}
    folded = {"what", "where"} | (numbers if width < NARROW else set())
    for name in names:
        fold = {"overflow": "fold", "min_width": 8} if name in folded else {"no_wrap": True}
        shown.add_column(name, justify="right" if name in numbers else "left", **fold)
    for a in ranked[: most or None]:
        cells = [
            Text(clean(cell, 60)) for column, cell in zip(COLUMNS, _cells(a, width), strict=True) if column in names
        ]
        cells[0].stylize(STYLES[band(a.severity)])
        shown.add_row(*cells)
    return shown


def _cells(a: Anomaly, width: int) -> tuple[str, ...]:
    """An anomaly's cells, by `COLUMNS`."""
    since = f"{a.start:%Y-%m-%d %H:%M}"[0 if width >= NARROW else 5 :]
    return (
        f"{a.severity} {band(a.severity)}",
        ("…" if a.continued else "") + since,
        lasting(a.end - a.start) + (" so far" if a.ongoing else ""),
        a.kind,
        clean(a.metric.rsplit("/", 1)[-1].removesuffix("_count").replace("_", " "), 40),
        a.series,
        "no points" if a.observed is None else quantity(a.observed, a.unit),
        quantity(a.expected, a.unit),
        f"{a.score:+.3g}",
        f"{len(a.votes)}/{a.detectors}",
    )


STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "dim"}
