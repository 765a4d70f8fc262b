"""Incidents of known kind and size, put into recorded series at seeded places."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from detectors import Frame, Labels
from detectors.blocks import median

Floats: TypeAlias = NDArray[np.float64]
Spans: TypeAlias = Sequence[tuple[int, int]]

JITTER = timedelta(days=1)
"""A place lies anywhere in so much time, so that every hour of the day is met."""

DRAWS = 8
"""So many times a place is drawn anew when an incident cannot be where the first draw was."""

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Kind:
    """A kind of incident: by which factor it multiplies each of its columns, given its size and how many they are.

    `way` is +1 for more, -1 for less. A kind that has no sizes is as large as can be. It takes `least` periods or more.
    """

    name: str
    lasts: timedelta
    way: int
    factor: Callable[[float, int], Floats]
    sized: bool = True
    least: int = 1

    def long(self, step: timedelta) -> timedelta:
        """How long it lasts in periods of that length."""
        return max(-(-self.lasts // step), self.least) * step


OUTAGE = 3
"""So many periods an outage takes at least: of fewer than two, no policy tells it."""


def _ramp(size: float, width: int) -> Floats:
    return 1.0 + (size - 1.0) * np.arange(1, width + 1) / width


KINDS = {
    kind.name: kind
    for kind in (
        Kind("spike", timedelta(minutes=15), 1, lambda size, width: np.full(width, size)),
        Kind("drop", timedelta(hours=1), -1, lambda size, width: np.full(width, 1 / size)),
        Kind("shift", timedelta(hours=12), 1, lambda size, width: np.full(width, size)),
        Kind("ramp", timedelta(hours=6), 1, _ramp),
        Kind("zero", timedelta(hours=1), -1, lambda _, width: np.zeros(width), sized=False, least=OUTAGE),
        Kind("absent", timedelta(hours=1), -1, lambda _, width: np.full(width, np.nan), sized=False, least=OUTAGE),
    )
}
"""Every kind by name. Traffic is multiplied, since that is how it grows and shrinks: a level of 0 stays one."""


@dataclass(frozen=True)
class Place:
    """Where an incident is put: the columns `[start, stop)` of a row. `turn` says with which size it begins."""

    row: int
    start: int
    stop: int
    kind: Kind
    turn: int = 0


@dataclass(frozen=True)
class Rules:
    """How places are chosen: of which kinds, how far apart, how long after a series' first point; and the seed."""

    kinds: tuple[Kind, ...] = tuple(KINDS.values())
    spacing: timedelta = timedelta(days=2)
    warm_up: timedelta = timedelta(days=3)
    seed: int = 0


def places(
    frame: Frame, first: int, rules: Rules, barred: Mapping[str, Mapping[int, Spans]], key: Sequence[str] = ()
) -> tuple[list[Place], Counter[str]]:
    """Where incidents go in the columns of a frame from `first` on, and why some could not be put anywhere.

    Two places of one row are at least `spacing` apart; none touches columns of the row that are `barred` for some
    reason, or lies within the warm-up. A row's places, at which the kinds take turns, depend on the seed, the `key` and
    its labels, and not on the other rows.
    """
    found: list[Place] = []
    skipped: Counter[str] = Counter()
    longest = max((frame.periods(kind.long(frame.step)) for kind in rules.kinds), default=0)
    jitter, apart = frame.periods(JITTER), frame.periods(rules.spacing)
    points = np.isfinite(frame.values)
    born = np.where(points.any(axis=1), points.argmax(axis=1), frame.values.shape[1])
    for row, labels in enumerate(frame.labels if rules.kinds else ()):
        rng = _generator(rules.seed, key, labels)
        offset = int(rng.integers(len(rules.kinds)))
        shut = {why: rows.get(row, ()) for why, rows in barred.items()}
        begin = max(first, int(born[row]) + frame.periods(rules.warm_up))
        stop = frame.values.shape[1] - jitter - longest
        for turn, low in enumerate(range(begin, stop + 1, jitter + longest + apart)):
            kind = rules.kinds[(offset + turn) % len(rules.kinds)]
            starts, size = low + rng.integers(0, jitter, DRAWS), int(rng.integers(1 << 16))
            start, why = _start(frame.values[row], kind, starts, frame.periods(kind.long(frame.step)), shut)
            if why:
                skipped[why] += 1
            else:
                found.append(Place(row, start, start + frame.periods(kind.long(frame.step)), kind, size))
    return found, skipped


def _start(
    values: Floats, kind: Kind, starts: NDArray[np.int64], width: int, barred: Mapping[str, Spans]
) -> tuple[int, str]:
    """The first of the starts at which there is something to change, or why there is none."""
    why = ""
    for start in starts.tolist():
        there = values[start : start + width]
        there = there[np.isfinite(there)]
        met = [name for name, spans in barred.items() if any(a < start + width and start < b for a, b in spans)]
        if met:
            why = met[0]
        elif 2 * len(there) <= width:
            why = "without points"
        elif kind.name != "absent" and 2 * np.count_nonzero(there > 0) <= len(there):
            why = "at zero"
        else:
            return start, ""
    return 0, why


def _generator(seed: int, key: Sequence[str], labels: Labels) -> np.random.Generator:
    """Random numbers of one series, the same in whatever company it is."""
    named = json.dumps([*key, sorted(labels.items())]).encode()
    return np.random.default_rng([seed, *hashlib.sha256(named).digest()])


def runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The spans of columns, half-open, in which a mask holds."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False]))))
    return [(start, stop) for start, stop in edges.reshape(-1, 2).tolist()]


def inject(frame: Frame, every: Iterable[tuple[Place, float]]) -> Frame:
    """The frame with these incidents, each of its size; everything else is as it was."""
    values, most = frame.values.copy(), np.finfo(np.float64).max
    with np.errstate(over="ignore"):
        for place, size in every:
            values[place.row, place.start : place.stop] *= place.kind.factor(size, place.stop - place.start)
    np.clip(values, -most, most, out=values)
    return Frame(values, frame.start, frame.step, frame.labels)


def rounds(every: Sequence[Place], sizes: Sequence[float], count: int) -> Iterator[list[tuple[Place, float]]]:
    """The sizes of each replay: a place has another one in each, so that in as many replays it has had them all.

    An incident without sizes is in the first of them, and in no other.
    """
    for turn in range(count):
        yield [
            (place, sizes[(place.turn + turn) % len(sizes)] if place.kind.sized else np.inf)
            for place in every
            if place.kind.sized or turn == 0
        ]


def noise(frame: Frame) -> Floats:
    """The robust standard deviation of each row about its own daily profile: 1.4826 x the median of what is left.

    The profile is the median of each time of day over all days; NaN for a row without points.
    """
    day = frame.periods(DAY)
    rows, width = frame.values.shape
    padded = np.pad(frame.values, ((0, 0), (0, -width % day)), constant_values=np.nan).reshape(rows, -1, day)
    left = (padded - median(padded, axis=1)[:, None]).reshape(rows, -1)
    return 1.4826 * median(np.abs(left - median(left, axis=1)[:, None]), axis=1)


def deviations(before: Floats, after: Floats, usual: float) -> float | None:
    """By how many usual deviations the columns of an incident were changed, at the median; None where nothing says."""
    moved = np.abs(after - before)
    moved = moved[np.isfinite(moved)]
    return float(np.median(moved) / usual) if len(moved) and usual > 0 else None
