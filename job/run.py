"""One task of one run: its slices, several queries side by side, and the record of what was done."""

import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event

from job.anomaly import SCHEMA
from job.errors import NetanomalyError
from job.memory import WORKERS, tune_allocator
from job.plan import Slice, batches
from job.slices import Job, Outcome, attempt, rounds, summary
from job.store import put_over
from job.units import utc

GRACE = 4.0
"""Seconds that slices in hand may take after the request to stop; Cloud Run kills after 10."""


TURN = 0.2
"""Seconds after which the request to stop is seen at the latest."""


class Stopped(BaseException):
    """The task was asked to stop."""


@dataclass(frozen=True)
class Task:
    """Which part of a run this process is, as Cloud Run tells it."""

    execution: str
    index: int = 0
    count: int = 1
    attempt: int = 0


def run(
    job: Job, slices: tuple[Slice, ...], task: Task, told: Callable[[Outcome], None] = lambda _: None
) -> list[Outcome]:
    """Do the slices, the days of one query after each other and several queries side by side.

    One slice's failure is its own: it is logged and among the outcomes, and the others go on. When the thread is
    interrupted by `Stopped`, slices that are not begun are left, and those in hand may end within the grace. The record
    of the run is written in either case.

    Raises:
        NetanomalyError: the record of the run could not be written.
    """
    from threadpoolctl import threadpool_limits

    outcomes: list[Outcome] = []
    status = "stopped"

    def ended(outcome: Outcome) -> None:
        outcomes.append(outcome)
        told(outcome)

    tune_allocator()
    try:
        # The blocks are side by side; more threads in one of them wait for each other, busily.
        with threadpool_limits(1):
            _side_by_side(job, slices, ended)
        status = "failed" if any(o.status == "failed" for o in outcomes) else "done"
    except Stopped:
        job.log("WARNING", "run.stopping", "asked to stop; what is in hand was given its time", slices=len(outcomes))
        raise
    finally:
        ordered = sorted(outcomes, key=lambda o: o.slice.name)
        try:
            record(job, task, slices, ordered, status)
        except NetanomalyError as error:
            if status != "stopped":
                raise
            job.log("ERROR", "record.failed", str(error))  # and stop, which is what was asked for
    return ordered


def _side_by_side(job: Job, slices: tuple[Slice, ...], ended: Callable[[Outcome], None]) -> None:
    """Do the slices, so many queries at once; when asked to stop, end what is in hand within the grace."""
    stop = Event()

    def work(pieces: tuple[Slice, ...]) -> None:
        for batch in batches(pieces):
            if stop.is_set():
                return
            for outcome in attempt(job, batch, stop.is_set):
                ended(outcome)

    pool = ThreadPoolExecutor(WORKERS)
    futures: list[Future[None]] = []
    try:
        for groups in rounds(job, slices):
            futures = [pool.submit(work, tuple(group)) for group in groups]
            pending = set(futures)
            while pending:  # in turns, since a signal that another thread received does not wake this one
                _, pending = wait(pending, timeout=TURN)
            for future in futures:
                future.result()
    except Stopped:
        stop.set()
        wait(futures, timeout=GRACE)
        raise
    finally:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)


def record(job: Job, task: Task, slices: tuple[Slice, ...], outcomes: list[Outcome], status: str) -> None:
    """Write what this task did: `runs/date=<today>/<execution>/task-<index>.json`."""
    from importlib.metadata import version

    told = {
        "schema": SCHEMA,
        "status": status,
        "execution": task.execution,
        "task": task.index,
        "tasks": task.count,
        "attempt": task.attempt,
        "version": version("netanomaly"),
        "detectors": dict(job.versions),
        "now": utc(job.now),
        "settings": job.settings.model_dump(mode="json", by_alias=True),
        "planned": len(slices),
        "spent": job.meter.told(),
        "slices": [summary(outcome) for outcome in outcomes],
    }
    name = f"runs/date={job.now:%Y-%m-%d}/{task.execution}/task-{task.index}.json"
    put_over(job.store, name, (json.dumps(told, ensure_ascii=False, indent=1) + "\n").encode())


def exit_status(outcomes: list[Outcome]) -> int:
    """0 all done; 1 some failed, or all for reasons that a retry may mend; else what all that failed agree on."""
    failed = {o.exit_status for o in outcomes if o.status == "failed"}
    if not failed:
        return 0
    if len(failed) == 1 and all(o.status == "failed" for o in outcomes):
        return failed.pop()
    return 1
