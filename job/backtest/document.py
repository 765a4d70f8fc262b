"""A trial as one document: what JSON holds, and what the table, the CSV and the plot are made from."""

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from detectors.duration import text
from job.backtest.events import EventScore
from job.backtest.inject import KINDS
from job.backtest.summary import Cell, Summary, merged
from job.backtest.trial import Plan, Trial
from job.units import significant, utc

SCHEMA = 1

HEADER = ("detectors", "kind", "size", "deviations", "incidents", "caught", "recall", "delay_median", "delay_p90")


@dataclass(frozen=True)
class Replayed:
    """What was replayed."""

    source: str
    start: datetime
    end: datetime
    step: timedelta


def document(
    replayed: Replayed, plan: Plan, trial: Trial, summaries: Sequence[Summary], unmet: Sequence[str]
) -> dict[str, Any]:
    """Everything that was found; delays in seconds.

    The `size` of a kind without sizes is null, and so is `smallest` where even the largest size was missed; where not
    every place had every size, there is no `smallest`.
    """
    return {
        "schema": SCHEMA,
        "replayed": {
            "source": replayed.source,
            "start": utc(replayed.start),
            "end": utc(replayed.end),
            "step": text(replayed.step),
            "series": len(trial.series),
            "points": trial.points,
        },
        "injected": {
            "seed": plan.rules.seed,
            "kinds": {kind.name: text(kind.long(replayed.step)) for kind in plan.rules.kinds},
            "sizes": list(plan.sizes),
            "replays": plan.rounds,
            "spacing": text(plan.rules.spacing),
            "warm_up": text(plan.rules.warm_up),
            "untold": sorted(trial.untold),
            "skipped": dict(sorted(trial.skipped.items())),
        },
        "cooldown": text(plan.cooldown),
        "contestants": [_contestant(summary) for summary in summaries],
        "series": sorted(_series(trial, summaries), key=lambda one: (one["project"], one["metric"], one["series"])),
        "unmet": list(unmet),
    }


def _contestant(summary: Summary) -> dict[str, Any]:
    every = merged(summary.cells)
    return {
        "detectors": summary.name,
        "false_alarms": summary.false_alarms,
        "series_weeks": significant(summary.weeks, 6),
        "false_alarms_a_week": _number(summary.rate),
        **_whole(every),
        **({} if summary.usual is None else {"smallest": _size(summary.usual)}),
        "aside": summary.aside,
        "labelled": _labelled(summary.labelled),
        "by_kind": [
            {"kind": kind, **_whole(merged(own))}
            for kind in KINDS
            if (own := [cell for cell in summary.cells if cell.kind == kind])
        ],
        "by_size": [_cell(cell) for cell in summary.cells],
    }


def _cell(cell: Cell) -> dict[str, Any]:
    """The incidents of one kind and size."""
    return {"kind": cell.kind, "size": _size(cell.size), "deviations": cell.deviations, **_whole(cell)}


def _whole(cell: Cell) -> dict[str, Any]:
    median, late = cell.delay(0.5), cell.delay(0.9)
    return {
        "incidents": cell.incidents,
        "caught": cell.caught,
        "recall": _number(cell.recall),
        "delay_median": None if median is None else median.total_seconds(),
        "delay_p90": None if late is None else late.total_seconds(),
    }


def _labelled(score: EventScore | None) -> dict[str, Any] | None:
    if score is None:
        return None
    told = {"precision": _number(score.precision), "recall": _number(score.recall), "f1": _number(score.f1)}
    return {"windows": score.windows, "caught": score.caught, "false_alarms": score.false_alarms, **told}


def _series(trial: Trial, summaries: Sequence[Summary]) -> Iterator[dict[str, Any]]:
    """Each series with what the contestants made of it."""
    for number, series in enumerate(trial.series):
        yield {
            "project": series.project,
            "series": series.name,
            "metric": series.metric,
            "unit": series.unit,
            "level": _number(series.level),
            "noise": _number(series.noise),
            "smallest": {s.name: _size(s.smallest[number]) for s in summaries if number in s.smallest},
            "false_alarms": {s.name: s.each[number] for s in summaries if number in s.each},
        }


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else significant(value, 4)


def _size(value: float) -> float | None:
    return None if math.isinf(value) else value


def as_json(told: dict[str, Any]) -> str:
    """The document as JSON."""
    return json.dumps(told, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def as_csv(told: dict[str, Any]) -> str:
    """A row for each contestant, kind and size."""
    out = io.StringIO()
    writer = csv.DictWriter(out, HEADER, lineterminator="\n")
    writer.writeheader()
    for one in told["contestants"]:
        writer.writerows({"detectors": one["detectors"], **cell} for cell in one["by_size"])
    return out.getvalue()
