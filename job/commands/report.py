"""netanomaly report: read anomalies back."""

import sys
from datetime import datetime

from job.commands.show import console
from job.log import plain_lines
from job.report import EARLIEST, LATEST, as_csv, as_json, read, table
from job.store import open_store


def report(output: str, since: datetime | None, until: datetime | None, form: str) -> int:
    """Show the anomalies of a time range."""
    reading = read(open_store(output), since or EARLIEST, until or LATEST)
    if form == "table":
        console().print(table(reading.anomalies) if reading.anomalies else "no anomalies")
    else:
        sys.stdout.write(as_json(reading.anomalies) if form == "json" else as_csv(reading.anomalies))
    for problem in reading.problems:
        plain_lines()("WARNING", "report.unreadable", problem)
    return 1 if reading.problems else 0
