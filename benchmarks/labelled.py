"""Labelled series: how they are read, and what came of their events by somebody's flags."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from detectors import Frame
from job.backtest.events import EventScore, score_events
from job.rows import frame_of, spacing
from job.sources.files.content import contents, place, stem
from job.sources.files.table import table

HOUR = 3600.0
WEEK = 168 * HOUR

Spans: TypeAlias = Sequence[tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Series:
    """One labelled series on the grid of its step; times in seconds since 1970, spans half-open."""

    corpus: str
    name: str
    group: str
    frame: Frame
    stamps: NDArray[np.float64]
    columns: NDArray[np.intp]
    events: Spans
    """Every one that is labelled."""
    windows: Spans
    """Those of them that are judged."""
    judged: NDArray[np.bool_]
    """Which of the rows count."""

    @property
    def step(self) -> float:
        """Seconds between two columns."""
        return self.frame.step.total_seconds()

    @property
    def weeks(self) -> float:
        """How much of it is judged."""
        return float(np.count_nonzero(self.judged)) * self.step / WEEK


def read(folder: str, labels: Path) -> Iterator[Series]:
    """The series of a folder that have labels."""
    said = json.loads(labels.read_text())
    for name, data in contents(place(folder)):
        corpus, _, _ = name.rpartition("/")
        told = said.get(corpus, {}).get(stem(name))
        rows = table(data, name) if told is not None else None
        if rows is None:
            continue
        (values,) = rows.values.values()
        frame, columns = frame_of(rows.stamps, values, spacing(rows.stamps))
        yield _series(corpus, stem(name), frame, rows.stamps / 1e6, columns, told)


def _series(
    corpus: str,
    name: str,
    frame: Frame,
    stamps: NDArray[np.float64],
    columns: NDArray[np.intp],
    told: Mapping[str, Any],
) -> Series:
    step = frame.step.total_seconds()
    events = _spans(told.get("windows", ()), step)
    since = told.get("eval_from")
    judged = stamps >= (_seconds(since) if since else stamps.min() + np.ptp(stamps) / 10)
    for start, end in _spans(told.get("ignore", ()), step):
        judged &= (stamps < start) | (stamps >= end) | within(stamps, events)
    windows = [span for span in events if (within(stamps, [span]) & judged).any()]
    return Series(corpus, name, f"{corpus}/{told.get('group', name)}", frame, stamps, columns, events, windows, judged)


def _spans(given: Sequence[Sequence[str]], step: float) -> list[tuple[float, float]]:
    return [(_seconds(first), _seconds(last) + step) for first, last in given]


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def within(stamps: NDArray[np.float64], spans: Spans) -> NDArray[np.bool_]:
    """Which of the stamps lie in any of the spans."""
    inside = np.zeros(len(stamps), dtype=bool)
    for start, end in spans:
        inside |= (stamps >= start) & (stamps < end)
    return inside


def outcome(series: Series, flagged: NDArray[np.bool_]) -> EventScore:
    """What came of the series' windows, by flags on its grid."""
    rows = flagged[series.columns] & series.judged
    return score_events(series.windows, series.stamps[rows], max(HOUR, 2 * series.step), grace=HOUR)


def rates(every: Sequence[Series], found: Sequence[EventScore]) -> dict[str, float]:
    """The false alarms a series-week of each corpus."""
    pairs: dict[str, list[tuple[int, float]]] = {}
    for series, one in zip(every, found, strict=True):
        pairs.setdefault(series.corpus, []).append((one.false_alarms, series.weeks))
    return {corpus: sum(n for n, _ in each) / sum(weeks for _, weeks in each) for corpus, each in pairs.items()}
