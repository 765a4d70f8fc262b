"""What a day's scores need of the time before, which is worked out once and then serves every run of that day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from detectors import Banded, Detector, Frame, Resumable, Scores
from detectors import carried as over
from detectors.blocks import Floats
from detectors.carried import Carried
from detectors.detector import compares_rows, late
from job.answer import blamed


@dataclass(frozen=True, eq=False)
class Past:
    """What is known of each series of a frame that begins late.

    `known`: whether there was such a series, else it had no point before the day; `points`: how many it had before the
    frame. By detector, `carried`: what it carried over to midnight; `scored`: what it said (series, kind, column) of
    the last columns before. Without these nothing is carried over yet.
    """

    known: NDArray[np.bool_]
    points: NDArray[np.int64]
    carried: Mapping[str, Carried] = field(default_factory=dict)
    scored: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def rows(self, places: slice | NDArray[np.intp]) -> "Past":
        """The same of some series."""
        carried = {name: over.cut(each, places) for name, each in self.carried.items()}
        return Past(self.known[places], self.points[places], carried, over.cut(self.scored, places))

    def placed(self, places: NDArray[np.intp]) -> "Past":
        """The same of the series at these places, of which a negative one is that of a series that is new."""
        if np.array_equal(places, np.arange(len(self.known))):
            return self
        known, some = places >= 0, self.rows(np.maximum(places, 0))
        return replace(some, known=known & some.known, points=np.where(known, some.points, 0))


def stacked(parts: Sequence[Past]) -> Past:
    """One of the series of all parts, in turn."""
    carried = {name: over.stacked([part.carried[name] for part in parts]) for name in parts[0].carried}
    known, points = (np.concatenate([getattr(part, name) for part in parts]) for name in ("known", "points"))
    return Past(known, points, carried, over.stacked([part.scored for part in parts]))


def resumes(detector: Detector) -> TypeGuard[Resumable]:
    """Whether it can go on from what it carried over, and that is all there is to its answer."""
    return isinstance(detector, Resumable) and not isinstance(detector, Banded) and not compares_rows(detector)


def sample(detectors: Mapping[str, Detector], step: timedelta, settled: datetime, midnight: datetime) -> Past:
    """What is known of the past of one series without a point: the form of all that these detectors carry over."""
    able = {name: detector for name, detector in detectors.items() if resumes(detector)}
    start = settled - max(-(-detector.recent(step) // step) for detector in able.values()) * step
    frame = Frame(np.full((1, (midnight - start) // step + 1), np.nan), start, step, ({},))
    found = {}
    for name, detector in able.items():
        with blamed(name):
            found[name] = opened(detector, frame, settled, midnight)
    carried = {name: each for name, (_, each, _) in found.items()}
    scored = {name: each for name, (_, _, each) in found.items()}
    return Past(np.ones(1, np.bool_), np.zeros(1, np.int64), carried, scored)


def alike(one: Past, other: Past) -> bool:
    """Whether both are of the same form: the same names, kinds and shapes, but for how many series there are."""
    return _form(one) == _form(other)


def _form(past: Past) -> dict[str, tuple[np.dtype[Any], tuple[int, ...]]]:
    scored = {f"{name} ": array for name, array in past.scored.items()}
    carried = {f"{name} {part}": array for name, each in past.carried.items() for part, array in each.items()}
    every = {"": past.points, **scored, **carried}
    return {name: (array.dtype, array.shape[1:]) for name, array in every.items()}


def opened(detector: Resumable, frame: Frame, settled: datetime, midnight: datetime) -> tuple[Scores, Carried, Floats]:
    """The scores of the columns from `settled` on, what is carried over to midnight, and the scores before that."""
    asked = _since(frame, settled - detector.history)
    scores, carried = detector.carry(asked, asked.column(settled), asked.column(midnight))
    before = slice((midnight - settled) // frame.step)
    return scores, carried, np.stack([each[:, before] for each in _arrays(scores)], axis=1)


def resumed(detector: Resumable, frame: Frame, settled: datetime, midnight: datetime, past: Past, name: str) -> Scores:
    """The scores of the columns from `settled` on, of a frame of which what is before is known only by the past."""
    asked, carried, before = _since(frame, settled - detector.history), past.carried[name], past.scored[name]
    if past.known.all():
        return _together(before, detector.resume(carried, asked, asked.column(midnight)))
    old, new = np.flatnonzero(past.known), np.flatnonzero(~past.known)
    answer = Scores(*np.empty((3, len(frame.labels), frame.values.shape[1] - frame.column(settled))))
    whole = _preceded(frame.rows(new), settled - detector.history)
    again = detector.resume(over.cut(carried, old), asked.rows(old), asked.column(midnight))
    for rows, some in ((new, late(detector, whole, whole.column(settled))), (old, _together(before[old], again))):
        for into, array in zip(_arrays(answer), _arrays(some), strict=True):
            into[rows] = array
    return answer


def _together(before: Floats, after: Scores) -> Scores:
    return Scores(
        *(np.concatenate(both, axis=1) for both in zip(np.moveaxis(before, 1, 0), _arrays(after), strict=True))
    )


def _arrays(scores: Scores) -> tuple[Floats, Floats, Floats]:
    return scores.expected, scores.spread, scores.score


def _since(frame: Frame, start: datetime) -> Frame:
    low = frame.column(start)
    return frame if low <= 0 else frame.columns(low, frame.values.shape[1])


def _preceded(frame: Frame, start: datetime) -> Frame:
    """The frame as it is from `start` on, where it has no point before its own beginning."""
    columns = max(0, -frame.column(start))
    nothing = np.full((len(frame.labels), columns), np.nan)
    values = np.concatenate([nothing, frame.values], axis=1)
    return Frame(values, frame.start - columns * frame.step, frame.step, frame.labels)
