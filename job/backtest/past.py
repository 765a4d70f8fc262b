"""What a backtest reads: each query's series with the history that the contestants need, as the job reads them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from detectors import Frame
from job import memory
from job.backtest.labels import Window, fits, name_of, unknown
from job.backtest.replay import Contestant, Span
from job.backtest.trial import Plan, Subject, Trial, tried
from job.mutes import hidden
from job.plan import Slice, until
from job.query import Query
from job.slices import Job
from job.sources import Scattered, blocks
from job.sources.derived import Derived
from job.sources.synthetic import Synthetic


@dataclass(frozen=True)
class Work:
    """A backtest: of which job, by whom, how, against which windows; `busy` says what is being done."""

    job: Job
    contestants: Sequence[Contestant]
    plan: Plan
    windows: Sequence[Window]
    busy: Callable[[str], AbstractContextManager[object]]


def days(job: Job, every: Sequence[Slice]) -> dict[Query, list[Span]]:
    """The days of each query, up to what has settled."""
    found = {}
    for query, pieces in groupby(every, key=lambda piece: piece.query):
        settle = job.reader.describe(query).settle if job.settings.settle is None else job.settings.settle
        ends = [(piece.start, until(piece, job.now, settle)) for piece in pieces]
        found[query] = [(start, end) for start, end in ends if end > start]
    return {query: spans for query, spans in found.items() if spans}


def trial(work: Work, past: dict[Query, list[Span]]) -> Trial:
    """Try the contestants on every series: so many at once as the memory holds, or all of those they compare."""
    whole = Trial()
    for query, spans in past.items():
        whole.extend(_streamed(work, query, spans))
    return whole


def labelled(work: Work, past: dict[Query, list[Span]]) -> Trial:
    """The same of what is held as a whole, so that time is spent only where every window's series is there.

    Raises:
        ConfigError: a window names a series that there is not.
    """
    held = [(query, _whole(work, query, spans)) for query, spans in past.items()]
    for window in work.windows:
        if not any(fits(window, query, labels) for query, frame in held for labels in frame.labels):
            raise unknown(window, (name_of(labels) for _, frame in held for labels in frame.labels))
    whole = Trial()
    for query, frame in held:
        whole.extend(_tried(work, query, past[query], iter([frame])))
    return whole


def answers(job: Job, start: datetime, end: datetime) -> tuple[Window, ...]:
    """The windows of incidents that the source itself knows of."""
    source = job.source.source if isinstance(job.source, Derived) else job.source
    if not isinstance(source, Synthetic):
        return ()
    return tuple(
        Window(
            series=";".join(f"{label}={value}" for label, value in known.labels.items()),
            start=known.start,
            end=known.end,
            metrics=known.metrics,
        )
        for known in source.incidents(start, end)
    )


def _streamed(work: Work, query: Query, spans: Sequence[Span]) -> Trial:
    if not any(contestant.peers for contestant in work.contestants):
        start, end = _reach(work, query, spans)
        rows = memory.rows(work.job.settings.memory, (end - start) // query.step)
        try:
            return _tried(work, query, spans, blocks(work.job.reader, query, start, end, rows))
        except Scattered:
            pass  # their points come in an order in which only the whole frame can be put together
    return _tried(work, query, spans, iter([_whole(work, query, spans)]))


def _reach(work: Work, query: Query, spans: Sequence[Span]) -> Span:
    """The time that a query is read for: its days, and the longest history that a contestant needs."""
    return spans[0][0] - max(contestant.needed(query) for contestant in work.contestants), spans[-1][1]


def _whole(work: Work, query: Query, spans: Sequence[Span]) -> Frame:
    return work.job.reader.read(query, *_reach(work, query, spans))


def _tried(work: Work, query: Query, spans: Sequence[Span], frames: Iterator[Frame]) -> Trial:
    job, whole = work.job, Trial()
    unit = job.reader.describe(query).unit
    for frame in frames:
        mute = hidden(frame, job.mutes.quiet(query.metric, frame.start, frame.end), query.project)
        with work.busy(f"replaying {query.metric}: {len(whole.series)} series done, {len(frame.labels)} in hand"):
            whole.extend(tried(Subject(query, unit, frame, spans, mute), work.contestants, work.plan, work.windows))
    return whole
