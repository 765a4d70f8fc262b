"""netanomaly plan: what a run would read and cost."""

from collections.abc import Mapping
from datetime import date, datetime

from job.commands.prepare import prepare
from job.commands.run import task_of
from job.commands.show import console, line
from job.config import Settings
from job.examine import needed
from job.log import plain_lines
from job.plan import DAY, Slice, batches, mine, whole
from job.query import Query
from job.slices import Job, policy_of
from job.sources.derived import read_for
from job.units import clean, many, utc

PRICE = 0.50
"""US dollars for a million time series returned by Cloud Monitoring, after the first free million of a month."""

PAGE = 100_000
"""Points on a page of Cloud Monitoring's answers."""


def plan(settings: Settings, environ: Mapping[str, str], now: datetime) -> int:
    """Show what a run would read and cost, all of its tasks together."""
    from rich.table import Table
    from rich.text import Text

    job, every, span = prepare(settings, environ, now, plain_lines())
    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column("metric", no_wrap=True)
    for name in ("project", "part", "days", "series", "points", "calls"):
        shown.add_column(name, justify="right", no_wrap=True)
    count = task_of(environ, now).count
    shares = [_asked(job, mine(every, index, count)) for index in range(count)]
    returned = calls = 0
    for query in dict.fromkeys(query for share in shares for query in share):
        past = needed(job.detectors, policy_of(settings, query), query.step)
        together = [some for share in shares for some in batches(share.get(query, ()))]
        days = {piece.day for some in together for piece in some}
        reads = [(some[0].start - past, _end(some[-1], job.now)) for some in together]
        series = job.source.count(query, reads[0][0], reads[-1][1])
        points = series * sum((end - start) // query.step for start, end in reads)
        asked = len(reads) + points // PAGE
        part = f"{query.part + 1}/{query.parts}"
        counts = (f"{n:,}" for n in (len(days), series, points, asked))
        shown.add_row(Text(clean(query.metric, 150)), Text(clean(query.project)), part, *counts)
        returned, calls = returned + series * len(reads), calls + asked
    to, what = console(), many(len(every), "slice") + (f" of {many(count, 'task')}" if count > 1 else "")
    to.print(shown)
    line(to, f"{utc(span.start)} to {utc(span.end)}, days taken whole: {what}, about {calls:,} calls")
    cost = f"about ${returned / 1e6 * PRICE:.2f}, or nothing within the free million of the month"
    line(to, f"{returned:,} series returned; {cost if settings.source == 'monitoring' else 'free'}")
    return 0


def _asked(job: Job, every: tuple[Slice, ...]) -> dict[Query, tuple[Slice, ...]]:
    """For which days each query is asked: what ratios are of is read for them, or with them."""
    days = dict[Query, dict[date, Slice]]()
    for piece in every:
        for query in read_for(job.source, (piece.query,)):
            days.setdefault(query, {})[piece.day] = piece
    return {query: tuple(some.values()) for query, some in days.items()}


def _end(piece: Slice, now: datetime) -> datetime:
    return whole(min(now, piece.start + DAY), piece.query.step)
