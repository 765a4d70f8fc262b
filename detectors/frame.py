"""The one value that detectors read: a metric's time series on a regular grid."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Labels: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Frame:
    """One metric of many series on a regular grid of UTC time.

    `values` has the shape (series, time) in the metric's own unit (a rate for a counter); NaN means "no point".
    Column j covers `[start + j*step, start + (j+1)*step)`. `labels` says which row is which: one mapping per row,
    named as Cloud Monitoring's filters name them (`resource.type`, `resource.labels.zone`,
    `metric.labels.instance_name`).

    Raises:
        ValueError: the shapes disagree, a value is infinite, `start` has no time zone, or `step` is not whole seconds.
    """

    values: NDArray[np.float64]
    start: datetime
    step: timedelta
    labels: tuple[Labels, ...]

    def __post_init__(self) -> None:
        values = np.asarray(self.values, dtype=np.float64).view()
        if values.ndim != 2:
            raise ValueError(f"values has {values.ndim} dimensions; a frame is series x time")
        if len(self.labels) != len(values):
            raise ValueError(f"{len(self.labels)} labels for {len(values)} series; there must be one per row")
        if np.isinf(values).any():
            raise ValueError("values holds an infinity; a point that is not a number is NaN")
        if self.start.tzinfo is None:
            raise ValueError(f"start {self.start} has no time zone; frames are in UTC")
        if self.step <= timedelta(0) or self.step % timedelta(seconds=1):
            raise ValueError(f"step {self.step} is not a positive whole number of seconds")
        values.flags.writeable = False
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "start", self.start.astimezone(UTC))
        object.__setattr__(self, "labels", tuple(self.labels))

    @property
    def end(self) -> datetime:
        """The instant after the last column."""
        return self.start + len(self.values.T) * self.step

    @property
    def origin(self) -> int:
        """How many whole steps `start` lies after 1970-01-01: column j is slot `origin + j` of the UTC grid."""
        return int(self.start.timestamp() // self.step.total_seconds())

    def periods(self, duration: timedelta) -> int:
        """How many columns a duration takes, rounded up, at least one."""
        return max(1, -(-duration // self.step))

    def column(self, moment: datetime) -> int:
        """The column that covers `moment`; it may lie outside the frame."""
        return (moment - self.start) // self.step

    def columns(self, first: int, stop: int) -> "Frame":
        """The columns `first` to `stop - 1`, as a frame."""
        first, stop, _ = slice(first, stop).indices(self.values.shape[1])
        return self._part(self.values[:, first:stop], self.start + first * self.step, self.labels)

    def since(self, first: int) -> "Frame":
        """The columns from `first` on, as a frame."""
        return self.columns(first, self.values.shape[1])

    def rows(self, wanted: NDArray[np.intp] | slice) -> "Frame":
        """The series at the given places, as a frame."""
        some = wanted if isinstance(wanted, slice) else None
        labels = self.labels[some] if some else tuple(self.labels[i] for i in np.arange(len(self.labels))[wanted])
        return self._part(self.values[wanted], self.start, labels)

    def without(self, hidden: NDArray[np.bool_]) -> "Frame":
        """The same where the points that are `hidden` (series x time) are missing."""
        return self._part(np.where(hidden, np.nan, self.values), self.start, self.labels)

    def _part(self, values: NDArray[np.float64], start: datetime, labels: tuple[Labels, ...]) -> "Frame":
        """A part of this frame, which needs no check."""
        values.flags.writeable = False
        part: Frame = object.__new__(Frame)
        for name, value in (("values", values), ("start", start), ("step", self.step), ("labels", labels)):
            object.__setattr__(part, name, value)
        return part
