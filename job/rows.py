"""Score the rows of a file one by one, as benchmarks ask for it, by the code that the job runs."""

import csv
import io
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from detectors import Detector, Frame
from detectors.detector import banded
from detectors.duration import text
from job.answer import blamed, checked
from job.errors import ConfigError
from job.judge import flags
from job.policy import Policy
from job.record import Subject
from job.units import measured, significant

MICROSECOND = timedelta(microseconds=1)
COLUMNS = 20_000_000
"""A file whose stamps lie further apart than so many steps is no series of that step."""

HEADER = ("timestamp", "score", "is_anomaly", "expected", "lower", "upper")


def spacing(stamps: NDArray[np.int64]) -> timedelta:
    """The usual distance between two stamps (microseconds), in whole seconds; a minute where there is none."""
    gaps = np.diff(np.unique(stamps))
    return timedelta(seconds=max(1, round(float(np.median(gaps)) / 1e6))) if len(gaps) else timedelta(minutes=1)


def frame_of(stamps: NDArray[np.int64], values: NDArray[np.float64], step: timedelta) -> tuple[Frame, NDArray[np.intp]]:
    """One series on the grid of its step, and the column of each row; several points of a column are averaged.

    Raises:
        ConfigError: the stamps span more steps than a series can have.
    """
    size = step // MICROSECOND
    places = stamps // size
    first, width = int(places.min()), int(places.max() - places.min()) + 1
    if width > COLUMNS:
        raise ConfigError(f"its stamps span {width:,} steps of {text(step)}; give the step that it has with --step")
    columns = (places - first).astype(np.intp)
    known = measured(values)
    count = np.bincount(columns[known], minlength=width)
    total = np.bincount(columns[known], values[known], width)
    grid = np.divide(total, count, out=np.full(width, np.nan), where=count > 0)
    start = datetime(1970, 1, 1, tzinfo=UTC) + first * step
    return Frame(grid[None], start, step, ({},)), columns


def scored(
    frame: Frame, columns: NDArray[np.intp], detectors: Mapping[str, Detector], policy: Policy
) -> dict[str, NDArray[np.float64]]:
    """What the job would have said of each row when it was there: the columns of the answer after the stamp."""
    histories = {name: detector.history for name, detector in detectors.items()}
    scores = {}
    for name, detector in detectors.items():
        with blamed(name):
            scores[name] = checked(banded(detector, frame, policy.cut), *frame.values.shape)
    said = flags(frame, scores, policy, Subject("", "", "", "1", histories))
    answer = (np.abs(said.score), said.flagged.astype(float), said.expected, said.lower, said.upper)
    return {name: array[0, columns] for name, array in zip(HEADER[1:], answer, strict=True)}


def as_csv(stamps: list[str], answer: Mapping[str, NDArray[np.float64]]) -> bytes:
    """The answer as CSV, a row for each stamp as it was written; what is not known is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    numbers = [[_cell(name, value) for value in answer[name].tolist()] for name in HEADER[1:]]
    writer.writerows(zip(stamps, *numbers, strict=True))
    return out.getvalue().encode()


def _cell(name: str, value: float) -> str:
    if name == "is_anomaly":
        return str(int(value))
    return repr(significant(value, 9)) if np.isfinite(value) else ""
