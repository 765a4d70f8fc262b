"""netanomaly report: read incidents and anomalies back."""

import sys
from dataclasses import replace
from datetime import datetime, timedelta

from job import listing
from job import report as anomalies
from job.commands.show import console, line
from job.config import Settings
from job.errors import ConfigError
from job.found import Found, find, judged_days
from job.incident import Incident, rank
from job.listing import Wanted
from job.log import plain_lines
from job.mutes import open_mutes
from job.nature import NATURES
from job.report import EARLIEST, LATEST
from job.store import Store, open_store
from job.units import named, utc

DAY = timedelta(days=1)


def report(
    settings: Settings,
    since: datetime | None,
    until: datetime | None,
    form: str,
    what: str = "",
    severity: str | None = None,
    resource: str | None = None,
    nature: str | None = None,
) -> int:
    """Show the incidents or the anomalies of a time range."""
    start, end = since or EARLIEST, until or LATEST
    if start >= end:
        raise ConfigError(f"--since {utc(start)} is not before --until {utc(end)}; swap or move them")
    wanted = _wanted(severity, resource, nature)
    store = open_store(settings.output)
    what = what or ("anomalies" if form in {"json", "csv"} and not nature else "incidents")
    if what == "anomalies":
        if form in {"html", "md"} or nature:
            raise ConfigError(f"anomalies have no {'nature' if nature else form}; leave out --what anomalies")
        problems = _anomalies(store, start, end, form, wanted)
    else:
        mutes = open_mutes(settings.mutes) if settings.mutes else None
        found = find(store, start, end, drawn=form == "html")
        every = mutes.over(found.incidents) if mutes else _as_published(found)
        shown = wanted.incidents(sorted(every, key=rank))
        _incidents(replace(found, incidents=shown), start, end, form)
        problems = found.problems
    if not any(judged_days(store, start, end)):
        said = f"no run has judged any of that time in {settings.output}; see --output, --since and --until"
        plain_lines()("WARNING", "report.unjudged", said)
    for problem in named(problems):
        plain_lines()("WARNING", "report.unreadable", problem)
    return 1 if problems else 0


def _as_published(found: Found) -> tuple[Incident, ...]:
    """The incidents, those muted that the run which published them had as muted."""
    muted = {i.id: i.muted for i in found.published}
    return tuple(i.model_copy(update={"muted": muted.get(i.id)}) for i in found.incidents)


def _wanted(severity: str | None, resource: str | None, nature: str | None) -> Wanted:
    if nature and nature not in NATURES:
        raise ConfigError(f"--nature {nature!r}: there are {', '.join(NATURES)}")
    try:
        least = listing.severity(severity) if severity else 0
    except ValueError as error:
        raise ConfigError(f"--severity: {error}") from None
    return Wanted(least, resource or "", nature or "")


def _anomalies(store: Store, since: datetime, until: datetime, form: str, wanted: Wanted) -> tuple[str, ...]:
    reading = anomalies.read(store, since, until)
    found = wanted.anomalies(reading.anomalies)
    if form == "table":
        to = console()
        to.print(anomalies.table(found, to.width) if found else "no anomalies")
    else:
        sys.stdout.write(anomalies.as_json(found) if form == "json" else anomalies.as_csv(found))
    return reading.problems


def _incidents(found: Found, since: datetime, until: datetime, form: str) -> None:
    if form == "table":
        to = console()
        if found.incidents:
            to.print(listing.table(found.incidents, to.width))
        line(to, listing.total(found.incidents, found.published) if found.incidents else "no incidents")
    elif form == "json":
        sys.stdout.write(listing.as_json(found.incidents))
    elif form == "csv":
        sys.stdout.write(listing.as_csv(found.incidents))
    elif form == "md":
        sys.stdout.write(listing.as_markdown(found.incidents))
    else:
        from job.page import render

        held = listing.held(found.incidents, found.published)
        sys.stdout.write(render(found, *_span(found, since, until), held=held))


def _span(found: Found, since: datetime, until: datetime) -> tuple[datetime, datetime]:
    """The time of a page: what was asked for, or the whole days of what there is."""
    times = [one.start for one in found.looked] + [i.start for i in found.incidents]
    first = min(times, default=since)
    last = max([*(one.until for one in found.looked), *(i.end for i in found.incidents)], default=first + DAY)
    midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
    return (midnight if since == EARLIEST else since), (max(last, midnight + DAY) if until == LATEST else until)
