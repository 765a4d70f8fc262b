"""Log lines: one JSON object a line for machines, one plain line for a person at a terminal."""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from job.units import clean, escaped

Severity = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
Log = Callable[..., None]
"""`log(severity, event, message, **fields)`: events are named `slice.done`, `run.failed`."""


def json_lines(stream: TextIO | None = None, labels: dict[str, Any] | None = None) -> Log:
    """A log that Cloud Logging reads: `severity` and `message` are lifted, the other fields can be searched."""
    out = stream or sys.stdout

    def log(severity: Severity, event: str, message: str, **fields: Any) -> None:
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"severity": severity, "message": message, "event": event, "time": time, **(labels or {}), **fields}
        out.write(escaped(json.dumps(line, ensure_ascii=False, default=str)) + "\n")
        out.flush()

    return log


def plain_lines(stream: TextIO | None = None) -> Log:
    """A log for a person: what is worth a line, without fields."""

    def log(severity: Severity, event: str, message: str, **fields: Any) -> None:
        del event, fields
        if severity in {"WARNING", "ERROR"}:
            out = stream or sys.stderr  # as it is now: a bar that is being drawn has put itself in its place
            out.write(f"{severity.lower()}: {clean(message, 2000)}\n")
            out.flush()

    return log
