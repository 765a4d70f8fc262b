"""netanomaly check: can the metrics be read and the output written, and which role is missing."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial

from detectors.duration import text as duration_text
from job.commands.prepare import prepare, write_back
from job.config import Settings
from job.errors import NetanomalyError, NotAllowed
from job.log import plain_lines
from job.plan import whole
from job.query import Query
from job.slices import Job
from job.sources.derived import read_for
from job.store.probe import check as probe
from job.units import clean


def check(settings: Settings, environ: Mapping[str, str], now: datetime) -> int:
    """Try the source and the store, and say what is missing."""
    job, every, _ = prepare(settings, environ, now, plain_lines())
    status = 0
    for query in read_for(job.source, (piece.query for piece in every)):
        status = max(status, _tried(f"read {query.metric} of {query.project}", partial(_readable, job, query)))
    if settings.write_back:
        status = max(status, _tried(f"write metrics to {settings.write_back}", partial(_told, job, environ, now)))
    return max(status, _tried(f"keep objects in {job.store.url}", partial(_writable, job)))


def _tried(what: str, action: Callable[[], str]) -> int:
    """Do it, and say whether it went."""
    try:
        print(f"ok      {clean(what, 200)}: {action()}")
    except NetanomalyError as error:
        print(f"FAILED  {clean(what, 200)}: {clean(str(error), 2000)}")
        return error.exit_status
    return 0


def _readable(job: Job, query: Query) -> str:
    facts = job.source.describe(query)
    if not facts.there:
        return "nothing in this project has written it yet"
    now = whole(job.now, query.step)
    series = job.source.count(query, now - max(query.step, timedelta(hours=1)), now)
    return f"{series} series in the last hour, in {facts.unit}, settled after {duration_text(facts.settle)}"


def _told(job: Job, environ: Mapping[str, str], now: datetime) -> str:
    """Write a metric of its own, since the others would say that a run was well."""
    write_back(job, {"check": 1}, environ, now)
    return "custom.googleapis.com/netanomaly/check"


def _writable(job: Job) -> str:
    findings = probe(job.store)
    refused = [f.message for f in findings if f.needed and not f.allowed]
    if refused:
        raise NotAllowed("; ".join(dict.fromkeys(refused)))
    return ", ".join(f.verb for f in findings if f.allowed)
