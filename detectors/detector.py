"""The contract of a detector, and how detectors are found."""

from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, runtime_checkable

from detectors.blocks import Floats
from detectors.carried import Carried
from detectors.frame import Frame
from detectors.scores import Scores

GROUP = "netanomaly.detectors"
"""The entry-point group in which a package names its detectors."""


@runtime_checkable
class Detector(Protocol):
    """Scores every point of many series against what the series' own past lets one expect.

    A call is a pure function of the frame: it keeps nothing, changes nothing, and uses no later point for an earlier
    score. `detectors.laws` holds what else it must obey, as tests.
    """

    @property
    def history(self) -> timedelta:
        """How much past before a point its score needs."""

    def __call__(self, frame: Frame) -> Scores:
        """Score every point of the frame; the answer's arrays have the frame's shape."""


def compares_rows(detector: Detector) -> bool:
    """Whether the detector says, by an attribute `peers = True`, that it compares the series of a frame.

    Its answer for one series depends on the others, so that it is called once on all of them.
    """
    return bool(getattr(detector, "peers", False))


@runtime_checkable
class Banded(Detector, Protocol):
    """A detector whose score is no plain quotient, so that its band is not the expected value and so many spreads."""

    def band(self, frame: Frame, threshold: float, first: int = 0) -> tuple[Floats, Floats]:
        """The lowest and the highest value of each column from `first` on that score less than `threshold`."""


@runtime_checkable
class Late(Detector, Protocol):
    """A detector to which the scores of a frame's last columns alone are less work than all of them."""

    def late(self, frame: Frame, first: int) -> Scores:
        """The scores of the columns from `first` on: to the bit those of a whole call."""


@runtime_checkable
class Resumable(Detector, Protocol):
    """A detector that can go on from what it carried over from earlier columns, without most of them.

    So a day's past is looked at once, however often the day is. `midnight` is the first column of a UTC day: what is
    carried over to it is good until that day's end.
    """

    def recent(self, step: timedelta) -> timedelta:
        """How long before midnight a frame must begin that is resumed, unless it begins where the whole one did."""

    def carry(self, frame: Frame, first: int, midnight: int) -> tuple[Scores, Carried]:
        """The scores of the columns from `first` on, as a whole call has them, and what is carried over."""

    def resume(self, carried: Carried, frame: Frame, midnight: int) -> Scores:
        """The scores of the columns from `midnight` on: to the bit those of a whole call."""


def late(detector: Detector, frame: Frame, first: int) -> Scores:
    """The detector's scores of the columns from `first` on, without the rest of its answer."""
    if isinstance(detector, Late):
        return detector.late(frame, first)
    whole = detector(frame)
    return Scores(*(array[:, first:].copy() for array in (whole.expected, whole.spread, whole.score)))


def banded(detector: Detector, frame: Frame, threshold: float, first: int = 0) -> Scores:
    """The same with the band that the detector has of its own at the threshold, if any."""
    scores = late(detector, frame, first)
    if not isinstance(detector, Banded):
        return scores
    return Scores(scores.expected, scores.spread, scores.score, *detector.band(frame, threshold, first))


@cache
def _points() -> tuple[EntryPoint, ...]:
    """What is installed as a detector; to find it, every installed package is looked into."""
    return tuple(sorted(entry_points(group=GROUP)))


@cache
def available() -> Mapping[str, EntryPoint]:
    """Every installed detector by name, this package's own through the same door as anyone's."""
    return {point.name: point for point in _points()}


def load(name: str) -> type[Any]:
    """Return the detector class that is registered under `name`.

    Raises:
        LookupError: no detector has that name, and the message lists those that exist; or several packages have one.
    """
    points = available()
    if name not in points:
        raise LookupError(f"no detector {name!r}; there are: {', '.join(points) or 'none installed'}")
    different = {point.value: point for point in _points() if point.name == name}.values()
    if len(different) > 1:
        packages = ", ".join(sorted(point.dist.name if point.dist else "unknown" for point in different))
        raise LookupError(f"several packages have a detector {name!r}: {packages}; keep one of them installed")
    loaded = points[name].load()
    if not isinstance(loaded, type):
        raise LookupError(f"the entry point {name!r} is {loaded!r}; it must name a class whose fields are its settings")
    return loaded
