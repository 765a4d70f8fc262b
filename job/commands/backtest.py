"""netanomaly backtest: what the detectors would have told of the past, and of incidents put into it."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path

from detectors.detector import available
from detectors.duration import parse, text
from job import lineup
from job.backtest import document, show
from job.backtest.inject import KINDS, Kind, Rules
from job.backtest.labels import Window, fits, inside, name_of, unknown, windows
from job.backtest.plot import render
from job.backtest.replay import Contestant
from job.backtest.summary import Demands, summarise
from job.backtest.trial import Plan, Subject, Trial, add
from job.commands.prepare import prepare
from job.commands.show import console, line
from job.config import Settings
from job.errors import ConfigError
from job.log import plain_lines
from job.mutes import hidden
from job.plan import Slice, until
from job.slices import Job
from job.sources.derived import Derived
from job.sources.synthetic import Synthetic
from job.store import SCHEME, open_store, put_over, read_text
from job.units import clean

USUAL = timedelta(days=28)
"""So much is replayed where nothing says how much."""

LONGEST_FILE = 20_000_000
"""No file of labels has more bytes."""

LARGEST = 1e6
"""No size is larger."""

LONGEST = timedelta(days=366)
"""No duration is longer."""


@dataclass(frozen=True)
class Asked:
    """What is asked of a backtest beside the settings of a run."""

    plan: Plan = field(default_factory=Plan)
    demands: Demands = field(default_factory=Demands)
    compare: tuple[str, ...] = ()
    labels: str = ""
    form: str = "table"
    plot: str = ""


def asked(
    *,
    compare: str,
    kinds: str | None,
    sizes: str,
    replays: int | None,
    spacing: str,
    warm_up: str,
    seed: int,
    cooldown: str,
    min_recall: float | None,
    at_size: float,
    max_false_alarms: float | None,
    min_f1: float | None,
    labels: str,
    form: str,
    plot: str,
) -> Asked:
    """What the flags of the command ask for.

    Raises:
        ConfigError: a flag is not what it must be.
    """
    large = _sizes(sizes)
    if min_recall is not None and at_size > large[-1]:
        raise ConfigError(f"--at-size {at_size:g} is larger than every one of --sizes {sizes}; lower it or add a size")
    rules = Rules(
        kinds=_kinds(kinds),
        spacing=_time("--spacing", spacing, timedelta(0)),
        warm_up=_time("--warm-up", warm_up, timedelta(0)),
        seed=seed,
    )
    count = len(large) if replays is None else replays
    return Asked(
        plan=Plan(rules, large, count, _time("--cooldown", cooldown, timedelta(seconds=1))),
        demands=Demands(min_recall, at_size, max_false_alarms, min_f1),
        compare=_compared(compare),
        labels=labels,
        form=form,
        plot=_plottable(plot),
    )


def _compared(given: str) -> tuple[str, ...]:
    if given in {"all", "none"}:
        return tuple(available()) if given == "all" else ()
    return tuple(dict.fromkeys(name.strip() for name in given.split(",") if name.strip()))


def _kinds(given: str | None) -> tuple[Kind, ...]:
    names = list(KINDS) if given is None else [name.strip() for name in given.split(",") if name.strip()]
    wrong = [name for name in names if name not in KINDS]
    if wrong or not names:
        raise ConfigError(f"--kinds: no kind {', '.join(wrong) or given!r}; there are: {', '.join(KINDS)}")
    return tuple(kind for name, kind in KINDS.items() if name in names)


def _sizes(given: str) -> tuple[float, ...]:
    try:
        sizes = sorted({float(words) for words in given.split(",") if words.strip()})
    except ValueError:
        raise ConfigError(f"--sizes {given!r} is no list of numbers; write times the usual, such as 1.5,2,5") from None
    if not sizes or not 1 < sizes[0] <= sizes[-1] <= LARGEST:
        raise ConfigError(f"--sizes {given!r}: a size is how many times the usual, more than 1 and at most {LARGEST:g}")
    return tuple(sizes)


def _time(flag: str, given: str, least: timedelta) -> timedelta:
    try:
        length = parse(given)
    except ValueError as error:
        raise ConfigError(f"{flag}: {error}") from None
    if not least <= length <= LONGEST:
        raise ConfigError(f"{flag} {given}: give {text(least)} to {text(LONGEST)}")
    return length


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
    labelled = given or _answers(job, span.start, span.end)
    subjects = _subjects(job, every, contestants)
    if given:
        inside(given, every[0].start, span.end)
        subjects = iter(_named(list(subjects), given))
    trial, end = Trial(), every[0].start
    for subject in subjects:
        with _busy(f"replaying {subject.query.metric}, {len(subject.frame.labels)} series"):
            add(trial, subject, contestants, asked.plan, labelled)
        end = max(end, subject.days[-1][1])
    if not trial.points:
        raise ConfigError(
            f"no point from {span.start:%Y-%m-%d %H:%M} to {span.end:%Y-%m-%d %H:%M} UTC; move --from, --to"
        )
    summaries = [summarise(trial, c.name, settings.step, asked.plan.sizes, labelled) for c in contestants]
    unmet = asked.demands.unmet(summaries[0])
    replayed = document.Replayed(settings.source, every[0].start, end, settings.step)
    told = document.document(replayed, asked.plan, trial, summaries, unmet)
    if asked.plot:
        _keep(asked.plot, render(told))
    _print(told, asked)
    for words in unmet:
        print(f"demand not met: {words}", file=sys.stderr)
    return 1 if unmet else 0


def _contestant(settings: Settings) -> Contestant:
    return Contestant("+".join(settings.detectors), settings, lineup.build(settings.detectors, settings.detector))


def _answers(job: Job, start: datetime, end: datetime) -> tuple[Window, ...]:
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


def _subjects(job: Job, every: Sequence[Slice], contestants: Sequence[Contestant]) -> Iterator[Subject]:
    """Each query's series, read at once with all the history that a contestant needs."""
    for query, pieces in groupby(every, key=lambda piece: piece.query):
        facts = job.reader.describe(query)
        settle = facts.settle if job.settings.settle is None else job.settings.settle
        days = [(piece.start, end) for piece in pieces if (end := until(piece, job.now, settle)) > piece.start]
        if days:
            before = max(contestant.needed(query) for contestant in contestants)
            frame = job.reader.read(query, days[0][0] - before, days[-1][1])
            mute = hidden(frame, job.mutes.quiet(query.metric, frame.start, frame.end), query.project)
            yield Subject(query, facts.unit, frame, days, mute)


def _named(subjects: Sequence[Subject], given: Sequence[Window]) -> Sequence[Subject]:
    """The subjects, when every window is of one of their series.

    Raises:
        ConfigError: a window names a series that there is not.
    """
    for window in given:
        if not any(fits(window, s.query, labels) for s in subjects for labels in s.frame.labels):
            raise unknown(window, (name_of(labels) for s in subjects for labels in s.frame.labels))
    return subjects


def _busy(words: str) -> AbstractContextManager[object]:
    """Words on a terminal while there is nothing to see yet."""
    return console(stderr=True).status(clean(words, 200)) if sys.stderr.isatty() else nullcontext()


def _print(told: dict[str, object], asked: Asked) -> None:
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


def _plottable(place: str) -> str:
    """A place that a page can be written to.

    Raises:
        ConfigError: there is no such folder.
    """
    if place and not place.startswith(SCHEME) and not Path(place).expanduser().absolute().parent.is_dir():
        raise ConfigError(f"--plot {place}: there is no such folder; make it, or name a file in one that there is")
    return place


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
