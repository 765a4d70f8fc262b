"""netanomaly backtest: what the detectors would have told of the past, and of incidents put into it."""

import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from pathlib import Path

from job import lineup
from job.backtest import document, past, show
from job.backtest.asked import Asked
from job.backtest.labels import inside, windows
from job.backtest.plot import render
from job.backtest.replay import Contestant
from job.backtest.summary import summarise
from job.commands.prepare import prepare
from job.commands.show import console, line
from job.config import Settings
from job.errors import ConfigError
from job.log import plain_lines
from job.store import SCHEME, open_store, put_over, read_text
from job.units import clean, utc

USUAL = timedelta(days=28)
"""So much is replayed where nothing says how much."""

LONGEST_FILE = 20_000_000
"""No file of labels has more bytes."""


def backtest(
    load: Callable[[tuple[str, ...]], Settings], asked: Asked, environ: Mapping[str, str], now: datetime
) -> int:
    """Replay, print what came of it, and say whether the demands were met.

    `load` gives the settings, as they are or with other detectors.
    """
    settings = load(())
    if not settings.model_fields_set & {"hours", "from_"}:
        settings = settings.model_copy(update={"hours": USUAL / timedelta(hours=1)})
    contestants = [_contestant(settings)]
    contestants += [_contestant(load(tuple(name.split("+")))) for name in asked.compare if name != contestants[0].name]
    given = windows(read_text(asked.labels, limit=LONGEST_FILE), asked.labels) if asked.labels else ()
    if asked.demands.min_f1 is not None and not (given or settings.source == "synthetic"):
        raise ConfigError("--min-f1 needs windows to judge by; give them with --labels FILE")
    job, every, span = prepare(settings, environ, now, plain_lines())
    days, begin = past.days(job, every), every[0].start
    inside(given, begin, span.end)
    known = given or past.answers(job, begin, span.end)
    work = past.Work(job, contestants, asked.plan, known, _busy)
    trial = past.labelled(work, days) if given else past.trial(work, days)
    if not trial.points:
        raise ConfigError(f"no point from {utc(begin)} to {utc(span.end)}; move --from and --to")
    summaries = [summarise(trial, c.name, settings.step, asked.plan.sizes, known) for c in contestants]
    what = document.Replayed(settings.source, begin, max(spans[-1][1] for spans in days.values()), settings.step)
    unmet = asked.demands.unmet(summaries[0])
    _tell(document.document(what, asked.plan, trial, summaries, unmet), asked)
    for words in unmet:
        print(f"demand not met: {words}", file=sys.stderr)
    return 1 if unmet else 0


def _contestant(settings: Settings) -> Contestant:
    return Contestant("+".join(settings.detectors), settings, lineup.build(settings.detectors, settings.detector))


def _busy(words: str) -> AbstractContextManager[object]:
    """Words on a terminal while there is nothing to see yet."""
    return console(stderr=True).status(clean(words, 200)) if sys.stderr.isatty() else nullcontext()


def _tell(told: dict[str, object], asked: Asked) -> None:
    """Print what was found, and write the plot."""
    if asked.plot:
        _keep(asked.plot, render(told))
    if asked.form == "json":
        print(document.as_json(told), end="")
    elif asked.form == "csv":
        print(document.as_csv(told), end="")
    else:
        to = console()
        for words in show.lines(told):
            line(to, words)
        for table in (show.overall(told), show.recall(told), show.worst(told)):
            if table and table.rows:
                to.print()
                to.print(show.drawn(table))


def _keep(place: str, page: str) -> None:
    """Write the page to a file or to gs://BUCKET/OBJECT."""
    if place.startswith(SCHEME):
        folder, _, name = place.rpartition("/")
        put_over(open_store(folder), name, page.encode())
        return
    try:
        Path(place).expanduser().write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--plot {place}: {error.strerror}; name a file that can be written") from None
