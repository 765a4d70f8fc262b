"""Put together and check everything that a run needs, before anything is read."""

from collections.abc import Mapping
from datetime import datetime

from job import lineup
from job.config import Settings
from job.log import Log
from job.plan import Slice, Window, custom, slices, window
from job.query import Query
from job.slices import Job, policy_of
from job.sources import Source, open_source
from job.store import open_store


def prepare(
    settings: Settings, environ: Mapping[str, str], now: datetime, log: Log
) -> tuple[Job, tuple[Slice, ...], Window]:
    """The job, all its slices and the time they cover, with every setting checked.

    Raises:
        ConfigError: a setting, a detector or a metric does not exist or does not fit.
    """
    detectors = lineup.build(settings.detectors, settings.detector)
    store = open_store(settings.output)
    window(settings, now)
    source = open_source(settings, environ, now)
    present = source.now(now)
    span = window(settings, present)
    every = slices(queries(settings, source), span, settings.parts)
    job = Job(
        settings=settings,
        source=source,
        store=store,
        detectors=detectors,
        versions=lineup.versions(settings.detectors),
        now=present,
        backfill=span.backfill,
        log=log,
    )
    for query in {piece.query for piece in every}:
        policy_of(settings, query)
    return job, every, span


def queries(settings: Settings, source: Source) -> tuple[Query, ...]:
    """The queries of --metrics and of the [[query]] tables; the default presets only where neither is given."""
    if not settings.query:
        return source.metrics(settings.metrics)
    asked = source.metrics(settings.metrics) if settings.metrics else ()
    projects = tuple(dict.fromkeys(q.project for q in source.metrics(())))
    return (*asked, *custom(settings, projects))
