"""netanomaly report: read anomalies back."""

import sys
from datetime import datetime

from job.commands.show import console
from job.errors import ConfigError
from job.log import plain_lines
from job.report import EARLIEST, LATEST, as_csv, as_json, read, table
from job.store import open_store
from job.units import utc


def report(output: str, since: datetime | None, until: datetime | None, form: str) -> int:
    """Show the anomalies of a time range."""
    since, until = since or EARLIEST, until or LATEST
    if since >= until:
        raise ConfigError(f"--since {utc(since)} is not before --until {utc(until)}; swap or move them")
    reading = read(open_store(output), since, until)
    if form == "table":
        to = console()
        to.print(table(reading.anomalies, to.width) if reading.anomalies else "no anomalies")
    else:
        sys.stdout.write(as_json(reading.anomalies) if form == "json" else as_csv(reading.anomalies))
    for problem in reading.problems:
        plain_lines()("WARNING", "report.unreadable", problem)
    return 1 if reading.problems else 0
