"""python -m benchmarks.quality FOLDER: how well the default detects on labelled series, beside what else one would use.

FOLDER/<corpus>/<series>.csv (.csv.gz, .parquet) has a time and a value; FOLDER/labels.json says what is in them:

    {"<corpus>": {"<series>": {
        "windows":   [["2026-01-02T03:00:00Z", "2026-01-02T04:10:00Z"], ...],   first and last stamp of each event
        "eval_from": "2026-01-01T00:00:00Z",   what is before is history, not judged; default: a tenth
        "ignore":    [[first, last], ...],     stretches that count neither way; default: none
        "group":     "machine-7"               series that are not independent of each other; default: each on its own
    }}}

Every method says of each point, by what came before it, whether it would have told it, with its own default cut; "past
events muted" is no method, but the default where the labels of days before are known, which shows what bounds it. A
window counts once, by any flag in it; flags outside all windows are false alarms, an hour of them at most one; up to an
hour after a window nothing counts. A second table says which events are told by whom, and what is measured of those
that the default misses (`benchmarks.missed`).
"""

import argparse
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from benchmarks import missed
from benchmarks.labelled import HOUR, Series, outcome, rates, read, within
from benchmarks.others import OTHERS, Method
from detectors import Detector, Scores
from detectors.detector import banded
from detectors.deviates import alarms_a_week
from job import lineup
from job.backtest.events import EventScore
from job.config import Settings, load
from job.judge import flags
from job.record import Subject

DEFAULT, MUTED = "netanomaly, **the default**", "netanomaly, the default, past events muted"


def methods() -> dict[str, Callable[[Series], NDArray[np.bool_]]]:
    """Every method by its name; the first is the default."""
    ours = {f"netanomaly, {name}": _ours(settings) for name, settings in _settings().items()}
    ours[MUTED] = _ours(load({}, {}, str), _muted)
    return ours | {name: _other(method) for name, method in OTHERS.items()}


def _settings() -> dict[str, Settings]:
    textbook = {"detection": "textbook"}
    names = ("zscore", "ewma", "seasonal", "stl")
    alone = {f"`{one}` alone": load(textbook | {"detectors": one}, {}, str) for one in names}
    return {"**the default**": load({}, {}, str), "`textbook`": load(textbook, {}, str), **alone}


def _plain(detector: Detector, series: Series, cut: float) -> Scores:
    return banded(detector, series.frame, cut)


def _muted(detector: Detector, series: Series, cut: float) -> Scores:
    """The scores where somebody has muted every event before the day of a point, so that none of them has taught."""
    frame = series.frame
    starts = np.asarray(frame.start.timestamp() + series.step * np.arange(frame.values.shape[1]), dtype=np.float64)
    event, day = within(starts, series.events), (starts // (24 * HOUR)).astype(np.intp)
    answer = banded(detector, frame.without(event), cut)
    for one in np.unique(day[event]).tolist():
        columns = np.flatnonzero(day == one)
        before = frame.without(event & (day < one)).columns(0, int(columns[-1]) + 1)
        scores = banded(detector, before, cut, int(columns[0]))
        for name in ("expected", "spread", "score", "lower", "upper"):
            into, of = getattr(answer, name), getattr(scores, name)
            if of is not None:
                into[:, columns] = of
    return answer


def _ours(
    settings: Settings, scored: Callable[[Detector, Series, float], Scores] = _plain
) -> Callable[[Series], NDArray[np.bool_]]:
    detectors = lineup.build(settings.detectors, settings.detector)
    subject = Subject("", "", "", "1", {name: one.history for name, one in detectors.items()})

    def told(series: Series) -> NDArray[np.bool_]:
        scores = {name: scored(one, series, settings.policy.cut) for name, one in detectors.items()}
        return np.asarray(flags(series.frame, scores, settings.policy, subject).flagged[0])

    return told


def _other(method: Method) -> Callable[[Series], NDArray[np.bool_]]:
    def told(series: Series) -> NDArray[np.bool_]:
        day = max(1, round(timedelta(days=1) / series.frame.step))
        before = int(series.columns[series.judged].min(initial=series.frame.values.shape[1]))
        return method(series.frame.values[0], day, before)

    return told


def difference(
    every: Sequence[Series], one: Sequence[EventScore], other: Sequence[EventScore], rounds: int
) -> tuple[float, float, float]:
    """How much larger the mean F1 of the corpora is, and the ends of its 95 % interval.

    A paired bootstrap: groups of series are drawn with replacement within each corpus, for both methods alike.
    """
    rng, gains, drawn = np.random.default_rng(0), [], []
    for corpus in dict.fromkeys(series.corpus for series in every):
        counts = _by_group(every, one, corpus), _by_group(every, other, corpus)
        picks = rng.integers(0, len(counts[0]), (rounds, len(counts[0])))
        ours, theirs = (_f1(each[picks].sum(axis=1)) for each in counts)
        drawn.append(ours - theirs)
        gains.append(float(_f1(counts[0].sum(axis=0)) - _f1(counts[1].sum(axis=0))))
    low, high = np.nanpercentile(np.mean(drawn, axis=0), [2.5, 97.5])
    return float(np.mean(gains)), float(low), float(high)


def _by_group(every: Sequence[Series], scores: Sequence[EventScore], corpus: str) -> NDArray[np.float64]:
    """Windows, caught ones and false alarms of each group of a corpus."""
    found: dict[str, NDArray[np.float64]] = {}
    for series, score in zip(every, scores, strict=True):
        if series.corpus == corpus:
            counts = np.array([score.windows, score.caught, score.false_alarms], dtype=np.float64)
            found[series.group] = found.get(series.group, 0.0) + counts
    return np.array(list(found.values()))


def _f1(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    windows, caught, false = np.moveaxis(counts, -1, 0)
    return np.asarray(2 * caught / np.maximum(windows + caught + false, 1))


def lines(every: Sequence[Series], scores: Mapping[str, Sequence[EventScore]], rounds: int) -> Iterator[str]:
    """The table, as Markdown: the best of a column is bold."""
    corpora = list(dict.fromkeys(series.corpus for series in every))
    first = next(iter(scores))
    cells = {name: _cells(every, found, corpora) for name, found in scores.items()}
    best = [
        max(value for _, value in column)
        for column in zip(*(_texts(row, corpora) for row in cells.values()), strict=True)
    ]
    head = ["event F1 at its own cut", *corpora, "mean", "recall", "false alarms", "delay", "the default's lead"]
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for name, row in cells.items():
        shown = [f"**{text}**" if value == best[n] else text for n, (text, value) in enumerate(_texts(row, corpora))]
        lead = "" if name == first else _lead(difference(every, scores[first], scores[name], rounds))
        yield f"| {name} | {' | '.join(shown)} | {lead} |"


def _texts(row: Sequence[float], corpora: Sequence[str]) -> list[tuple[str, float]]:
    """Each number as it is shown, and that shown number, less where less is better."""
    shares = len(corpora) + 2
    texts = [f"{value:.2f}" if n < shares else f"{value:.2g}" for n, value in enumerate(row)]
    return [(text, float(text) if n < shares else -float(text)) for n, text in enumerate(texts)]


def _cells(every: Sequence[Series], found: Sequence[EventScore], corpora: Sequence[str]) -> list[float]:
    """F1 in each corpus and their mean, mean recall and false alarms a series-week, median delay in minutes."""
    sums = [sum((s for x, s in zip(every, found, strict=True) if x.corpus == c), EventScore()) for c in corpora]
    f1 = [one.f1 or 0.0 for one in sums]
    rate = float(np.mean(list(rates(every, found).values())))
    delays = [delay for one in sums for delay in one.delays if delay is not None]
    return [
        *f1,
        float(np.mean(f1)),
        float(np.mean([one.recall or 0.0 for one in sums])),
        rate,
        median(delays or [0]) / 60,
    ]


def _lead(gain: tuple[float, float, float]) -> str:
    mean, low, high = gain
    return f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]" + ("" if low > 0 or high < 0 else " not told apart")


def measure(every: Sequence[Series]) -> dict[str, list[EventScore]]:
    """What came of every series by every method that is installed."""
    scores: dict[str, list[EventScore]] = {}
    for name, told in methods().items():
        try:
            scores[name] = [outcome(series, told(series)) for series in every]
        except ModuleNotFoundError as error:
            print(f"{name}: left out, {error.name} is not installed; pip install '.[quality]'", file=sys.stderr)
    return scores


def main(words: Sequence[str] | None = None) -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="where the labelled series are")
    parser.add_argument("--labels", type=Path, help="the labels; default: FOLDER/labels.json")
    parser.add_argument("--rounds", type=int, default=2000, help="rounds of the bootstrap (2000)")
    given = parser.parse_args(words)
    every = list(read(given.folder, given.labels or Path(given.folder) / "labels.json"))
    if not every:
        parser.error(f"no series in {given.folder} has labels; see --help for what is read")
    windows, weeks = sum(len(series.windows) for series in every), sum(series.weeks for series in every)
    scores = measure(every)
    print("\n".join(lines(every, scores, given.rounds)))
    asked = alarms_a_week(load({}, {}, str).policy.cut)
    print()
    print("\n".join(missed.lines(every, scores, DEFAULT, MUTED, asked)))
    made = f"netanomaly {version('netanomaly')}, numpy {np.__version__}, Python {platform.python_version()}"
    print(f"\n{len(every)} series, {windows} events, {weeks:.0f} series-weeks; {made}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
