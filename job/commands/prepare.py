"""Put together and check everything that a run needs, before anything is read."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial

from job import lineup
from job.config import Settings
from job.errors import ConfigError
from job.log import Log
from job.meter import Meter
from job.mutes import open_mutes
from job.plan import Slice, Window, custom, slices, window
from job.presets import expand
from job.query import Query
from job.ratio import RATIOS, split
from job.slices import Job, names
from job.sources import Reader, Source, open_source, stand_in
from job.sources.derived import Derived
from job.store import Store, open_store


def prepare(
    settings: Settings, environ: Mapping[str, str], now: datetime, log: Log
) -> tuple[Job, tuple[Slice, ...], Window]:
    """The job, all its slices and the time they cover, with every setting checked.

    Raises:
        ConfigError: a setting, a detector or a metric does not exist or does not fit.
    """
    complaints = [words for words in map(_complaint, _checks(settings, now)) if words]
    if complaints:
        raise ConfigError("\n".join(complaints))
    meter = Meter()
    source, store = open_source(settings, environ, now, meter), open_store(settings.output)
    present = source.now(now)
    derived, span = Derived(source, source), window(settings, present)
    asked = queries(settings, derived)
    ratios = [query for query in asked if query.metric in RATIOS]
    reader = _remembering(source, settings, environ, store, present, log, {one.metric for one in derived.asked(ratios)})
    if ratios:
        shares = settings.source == "monitoring" and reader is source
        source = reader = derived = Derived(source, reader, shares=shares)
    every = slices(asked, span, settings.parts, derived.families)
    for words in _idle(settings, every):
        log("WARNING", "rule.unused", words)
    job = Job(
        settings=settings,
        source=source,
        reader=reader,
        store=store,
        detectors=lineup.build(settings.detectors, settings.detector),
        versions=lineup.versions(settings.detectors),
        now=present,
        backfill=span.backfill,
        log=log,
        mutes=open_mutes(settings.mutes),
        meter=meter,
    )
    return job, every, span


def _idle(settings: Settings, every: Iterable[Slice]) -> Iterator[str]:
    """The rules that fit no metric of this run: meant for another, or misspelt."""
    here = {names(piece.query) for piece in every}
    for rule in settings.rule:
        if not any(rule.fits(each) for each in here):
            there = ", ".join(sorted({each[0] for each in here}))
            yield f"[[rule]] metrics = {', '.join(rule.metrics)} fits no metric of this run; there are: {there}"


def _remembering(
    source: Source,
    settings: Settings,
    environ: Mapping[str, str],
    store: Store,
    present: datetime,
    log: Log,
    again: Collection[str],
) -> Reader:
    """The source with what it answered before, where that is asked for; other sources than Monitoring are at hand.

    `again` are the metrics of which ratios are.
    """
    if settings.source != "monitoring" or settings.cache == "off":
        return source
    from job.sources.cached import Cached

    kept = store if settings.cache == "on" else open_store(settings.cache)
    return Cached(source, kept, present, log, origin=stand_in(settings, environ), again=again)


def write_back(job: Job, numbers: Mapping[str, int], environ: Mapping[str, str], now: datetime) -> None:
    """Write numbers about the job to Cloud Monitoring, in the project that the settings name.

    Raises:
        NetanomalyError: it did not take them.
    """
    from job.sources.monitoring.client import Patience
    from job.sources.monitoring.writing import write

    settings = job.settings
    patience = Patience(total=settings.retry_for)
    write(settings.write_back, numbers, job.store.url, now, stand_in(settings, environ), patience)


def _checks(settings: Settings, now: datetime) -> Iterator[Callable[[], object]]:
    """What can be wrong with what the settings name, to be found before any of it is asked."""
    for name in settings.detectors:
        yield partial(lineup.build, (name,), settings.detector)
    yield partial(open_store, settings.output)
    if settings.cache not in {"on", "off"}:
        yield partial(open_store, settings.cache)
    yield partial(window, settings, now)
    yield partial(open_mutes, settings.mutes)
    if settings.source != "files":  # whose metrics are what the files hold
        for name in split(settings.metrics)[1]:
            yield partial(expand, (name,))


def _complaint(check: Callable[[], object]) -> str:
    try:
        check()
    except ConfigError as error:
        return str(error)
    return ""


def queries(settings: Settings, source: Source) -> tuple[Query, ...]:
    """The queries of --metrics and of the [[query]] tables; the default presets only where neither is given."""
    if not settings.query:
        return source.metrics(settings.metrics)
    asked = source.metrics(settings.metrics) if settings.metrics else ()
    projects = tuple(dict.fromkeys(q.project for q in source.metrics(())))
    return (*asked, *custom(settings, projects))
