"""netanomaly run: one task's share of a run, and what it found."""

import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import FrameType
from typing import Any, TextIO

from job.commands.prepare import prepare, write_back
from job.commands.show import console, line
from job.config import Settings
from job.errors import ConfigError, NetanomalyError
from job.found import find
from job.incident import rank
from job.listing import table, total
from job.log import json_lines, plain_lines
from job.meter import Meter
from job.plan import Window, mine
from job.publish import Telling, Told, page_name
from job.publish import attempt as publish
from job.ratio import RATIOS
from job.run import Stopped, Task, exit_status
from job.run import run as run_slices
from job.slices import Job, Outcome
from job.units import many, utc

MOST = 10
"""So many incidents are shown at the end of a run, the worst ones."""


def run(settings: Settings, environ: Mapping[str, str], now: datetime) -> int:
    """Do this task's share of a run, and show what it found."""
    began = time.monotonic()
    task = task_of(environ, now)
    terminal, cloud = sys.stdout.isatty(), "CLOUD_RUN_EXECUTION" in environ
    labels = {"execution": task.execution, "task": task.index}
    log = plain_lines() if terminal else json_lines(sys.stdout, labels)
    job, every, span = prepare(settings, environ, now, log)
    share = mine(every, task.index, task.count)
    writer = f"{task.execution}/{task.index}/{task.attempt}"
    telling = Telling(job.store, log, job.mutes, settings.tell, job.backfill, writer)
    words = f"{len(share)} of {len(every)} slices"
    if every and not share:
        words += (
            f", which are fewer than the {task.count} tasks; `parts` would split the series of each metric among them"
        )
    log("INFO", "run.started", words, since=utc(span.start), until=utc(span.end))
    try:
        with _stoppable(), _progress(len(share), job.meter, sys.stderr) as told:
            outcomes = run_slices(job, share, task, told)
            published, told_of = publish(telling, task.execution, task.count, job.now)
    except Stopped:
        log("ERROR", "run.stopped", "stopped before the end; the same command goes on where this one ended")
        sys.stdout.flush()
        os._exit(1)  # threads that wait for an answer would hold the process past its grace
    status = exit_status(outcomes) or published
    if settings.write_back and told_of and not job.backfill:
        status = _written_back(job, told_of, environ, now, well=not status) or status
    _summarise(job, outcomes, status, told_of)
    if not cloud:
        _show(job, span, outcomes, told_of, stderr=not terminal)
    if settings.profile:
        _show_spent(job.meter, began)
    return status


def _show_spent(meter: Meter, began: float) -> None:
    """Where the time went, on the standard error: of stages side by side the seconds of each, and of the process."""
    from rich.table import Table

    shown = Table("stage", "wall s", "CPU s", box=None, pad_edge=False, header_style="bold")
    for stage, spent in sorted(meter.told().items(), key=lambda item: -item[1]["cpu"]):
        shown.add_row(stage, f"{spent['wall']:.2f}", f"{spent['cpu']:.2f}")
    shown.add_row("all of it", f"{time.monotonic() - began:.2f}", f"{time.process_time():.2f}")
    console(stderr=True).print(shown)


def _written_back(job: Job, told: Told, environ: Mapping[str, str], now: datetime, *, well: bool) -> int:
    """Write the run's numbers as metrics; a failure is logged, and the exit status says so."""
    try:
        write_back(job, {**told.numbers, "heartbeat": int(well)}, environ, now)
    except NetanomalyError as error:
        job.log("ERROR", "metrics.failed", f"everything is written, but not the metrics about it: {error}")
        return 1
    return 0


def task_of(environ: Mapping[str, str], now: datetime) -> Task:
    """Which task of which execution this is.

    Raises:
        ConfigError: the variables do not fit together.
    """
    given = {}
    for key, otherwise in (("INDEX", 0), ("COUNT", 1), ("ATTEMPT", 0)):
        name = f"CLOUD_RUN_TASK_{key}"
        try:
            given[key] = int(environ.get(name, otherwise))
        except ValueError:
            raise ConfigError(f"{name} = {environ[name]!r} is not a whole number") from None
    if not 0 <= given["INDEX"] < given["COUNT"]:
        raise ConfigError(
            f"CLOUD_RUN_TASK_INDEX = {given['INDEX']} is not below CLOUD_RUN_TASK_COUNT = {given['COUNT']}"
        )
    execution = environ.get("CLOUD_RUN_EXECUTION") or f"local-{now:%Y%m%dT%H%M%SZ}-{os.getpid()}"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,150}", execution):
        raise ConfigError(f"CLOUD_RUN_EXECUTION = {execution!r} cannot name an execution; use letters, digits and '-'")
    return Task(execution, given["INDEX"], given["COUNT"], given["ATTEMPT"])


@contextmanager
def _stoppable() -> Iterator[None]:
    """Turn SIGTERM and SIGINT into `Stopped` in this thread."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise Stopped

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _progress(total: int, meter: Meter, stream: TextIO) -> Iterator[Callable[[Outcome], None]]:
    """A bar on a terminal; elsewhere the log's lines are the progress."""
    if not stream.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Task as Progressing
    from rich.text import Text

    class Came(ProgressColumn):
        def render(self, task: Progressing) -> Text:
            speed = meter.points / max(task.elapsed or 0.0, 1.0)
            return Text(f"{meter.series:,} series · {speed:,.0f} points/s")

    columns = (TextColumn("slices"), BarColumn(), MofNCompleteColumn(), Came(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=stream), transient=True) as bar:
        task = bar.add_task("slices", total=total)

        def told(_: Outcome) -> None:
            bar.advance(task)

        yield told


def _totals(outcomes: list[Outcome]) -> dict[str, Any]:
    """The run in numbers."""
    statuses = {s: sum(o.status == s for o in outcomes) for s in ("done", "complete", "kept", "waiting", "failed")}
    suppressed: dict[str, int] = {}
    series, young, idle = Counter[str](), Counter[str](), Counter[str]()
    for outcome in outcomes:
        part = outcome.slice.name.partition("/")[2]
        series[part] = max(outcome.series, series[part])
        few = idle if outcome.slice.query.metric in RATIOS else young
        few[part] = max(len(outcome.warming_up), few[part])
        for rule, n in outcome.suppressed.items():
            suppressed[rule] = suppressed.get(rule, 0) + n
    return {
        "slices": statuses,
        "series": series.total(),
        "tested": sum(o.tested for o in outcomes),
        "flagged": sum(len(o.anomalies) for o in outcomes),
        "warming_up": young.total(),
        "idle": idle.total(),
        "suppressed": suppressed,
    }


def _summarise(job: Job, outcomes: list[Outcome], status: int, told: Told | None) -> None:
    totals = _totals(outcomes) | {"points": job.meter.points}  # those that came: days that share a past do not add up
    failed = totals["slices"]["failed"]
    event, severity = ("run.failed", "ERROR") if status else ("run.done", "INFO")
    message = f"{len(outcomes)} slices, {failed} failed; {totals['flagged']} anomalies"
    if told:  # the last task out; the others know only of anomalies
        totals |= {"incidents": len(told.incidents), "new": len(told.new), "muted": told.muted, "held": told.held}
        message += f"; {many(len(told.incidents), 'incident')}, {len(told.new)} of them new"
    if totals["slices"]["done"] and not totals["series"]:
        job.log(
            "WARNING", "run.empty", "no series were found: name a project that has such resources, or another filter"
        )
    job.log(severity, event, message, **totals, exit=status)


def _show(job: Job, span: Window, outcomes: list[Outcome], told: Told | None, *, stderr: bool) -> None:
    """The incidents as a table, what was looked at, and where it was written: the page where the worst of them is."""
    to, output = console(stderr=stderr), job.settings.output.rstrip("/")
    worst = (
        max(told.incidents[0].start, span.start) if told and told.incidents else span.end - timedelta(microseconds=1)
    )
    page = page_name(worst.date()) if told else ""
    try:
        found = find(job.store, span.start, span.end, drawn=False)
    except NetanomalyError as error:
        line(to, f"the incidents cannot be shown: {error}")
    else:
        incidents = sorted(job.mutes.over(found.incidents), key=rank)
        if incidents:
            to.print(table(incidents, to.width, MOST))
        if len(incidents) > MOST:
            line(to, f"… and {len(incidents) - MOST} more, less severe: netanomaly report --output {output}")
        line(to, f"{total(incidents, found.published)} since {span.start:%Y-%m-%d %H:%M} UTC")
    for words in _words(_totals(outcomes)):
        line(to, words)
    for outcome in outcomes:
        if outcome.status == "failed":
            line(to, f"failed: {outcome.slice.name}: {outcome.error}")
    line(to, f"written to {output}" + (f"; the page to open is {output}/{page}" if page else ""))


def _words(totals: dict[str, Any]) -> Iterator[str]:
    """The run in numbers, as sentences."""
    if totals["tested"] or not totals["slices"]["complete"]:
        yield f"{totals['flagged']} anomalies in {totals['tested']:,} tested points of {totals['series']:,} series"
    if totals["warming_up"]:
        yield f"{totals['warming_up']} series are warming up: too few points yet to be judged"
    if totals["idle"]:
        yield f"{totals['idle']} ratios have too few points to be judged: too little traffic, or too young"
    if totals["suppressed"]:
        rules = ", ".join(f"{n} by {rule}" for rule, n in totals["suppressed"].items())
        yield f"points held back as too small or too short to tell: {rules}"
    yield "slices: " + (", ".join(f"{n} {status}" for status, n in totals["slices"].items() if n) or "none")
