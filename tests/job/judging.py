"""Frames, scores and policies for the tests of judgement: hourly columns, a usual level of 100, a spread of 10."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detectors import Frame, Scores
from job.judge import Verdict, judge
from job.policy import Persistence, Policy
from job.record import Subject

HOUR = timedelta(hours=1)
DAY = datetime(2026, 11, 22, tzinfo=UTC)
LEVEL, SPREAD = 100.0, 10.0
BEFORE = 48
"""Columns before the judged day."""

LABELS = {"resource.type": "gce_instance", "resource.labels.zone": "z", "metric.labels.instance_name": "web-1"}


def policy(**given: Any) -> Policy:
    """A policy that tells every hit of six deviations, but for what is given."""
    plain: dict[str, Any] = {"threshold": 6.0, "min_relative": 0.0, "persistence": Persistence(hits=1, periods=1)}
    return Policy(**(plain | {"absence": "absent", "absence_after": 2 * HOUR} | given))


def frame(values: ArrayLike, before: int = BEFORE) -> Frame:
    """The judged columns after `before` columns at the usual level; one row, or several."""
    rows = np.atleast_2d(np.asarray(values, dtype=np.float64))
    usual = np.full((len(rows), before), LEVEL)
    labels = tuple({**LABELS, "metric.labels.instance_name": f"web-{row + 1}"} for row in range(len(rows)))
    return Frame(np.hstack([usual, rows]), DAY - before * HOUR, HOUR, labels)


def scores(of: Frame, expected: float = LEVEL, spread: float = SPREAD) -> Scores:
    """What a detector says that knows the usual level."""
    shape = of.values.shape
    return Scores(np.full(shape, expected), np.full(shape, spread), (of.values - expected) / spread)


def given(of: Frame, score: NDArray[np.float64]) -> Scores:
    """A detector that says just these scores."""
    return Scores(
        np.full(score.shape, LEVEL), np.full(score.shape, SPREAD), np.where(np.isnan(of.values), np.nan, score)
    )


def subject(*names: str) -> Subject:
    """What is judged, by detectors of which the later has the longer history."""
    return Subject("p", "x.com/sent_bytes_count", "sent", "By/s", {n: (i + 1) * HOUR for i, n in enumerate(names)})


def verdict(values: ArrayLike, said: dict[str, Scores] | None = None, first: int = BEFORE, **settings: Any) -> Verdict:
    """The verdict on the values after two usual days."""
    seen = frame(values)
    told = said if said is not None else {"d": scores(seen)}
    return judge(seen, told, policy(**settings), subject(*told), first)
