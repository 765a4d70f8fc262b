"""What is asked of a backtest beside the settings of a run."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from detectors.detector import available
from detectors.duration import parse, text
from job.backtest.inject import KINDS, Kind, Rules
from job.backtest.summary import Demands
from job.backtest.trial import Plan
from job.errors import ConfigError
from job.store import SCHEME

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


def _plottable(place: str) -> str:
    """A place that a page can be written to.

    Raises:
        ConfigError: there is no such folder.
    """
    if place and not place.startswith(SCHEME) and not Path(place).expanduser().absolute().parent.is_dir():
        raise ConfigError(f"--plot {place}: there is no such folder; make it, or name a file in one that there is")
    return place
