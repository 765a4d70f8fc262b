"""From scores to anomalies: which deviations of one frame are worth telling, and what to tell of them."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from detectors import CAP, Frame, Scores
from detectors.duration import text as duration_text
from job import sentence
from job.anomaly import SCHEMA, Anomaly, Kind, identity, split_labels
from job.outage import BEFORE, Outage, outages
from job.policy import Policy
from job.units import grain, significant, total_unit

Way = Literal[1, -1]

WAKE = timedelta(hours=3)
"""So long after a deviation, what goes the other way may be the way back from it."""

AROUND = timedelta(minutes=30)
"""So far around a time of day, a series does about the same."""

SURE = 6.0
"""A count that is off by fewer deviations of its own counting noise is never told."""
Hits: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True)
class Subject:
    """What the frame is of: the words of a record that are not in the frame."""

    project: str
    metric: str
    query: str
    unit: str
    histories: Mapping[str, timedelta]


@dataclass(frozen=True)
class Verdict:
    """What came of one frame: the anomalies, and what was looked at without being told.

    `tested` counts series x periods that had a point and a baseline; `warming_up` holds the rows that had points but no
    baseline yet; `suppressed` counts hits by the rule that held them back. `known` says of each anomaly when it was
    certain: the beginning of the period whose end was the first moment to tell it at; `rows` of which row it is.
    """

    anomalies: tuple[Anomaly, ...]
    tested: int
    warming_up: tuple[int, ...]
    suppressed: Mapping[str, int]
    known: tuple[datetime, ...] = ()
    rows: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Opinion:
    """The detectors' answers, reduced to one per point; every array is series x time.

    `side` is +1 or -1 where enough detectors agree that the point is off, else 0; `score` is the median of the scores;
    `expected`, `spread` and the band from `lower` to `upper` come from the detector with the longest history that has a
    baseline there.
    """

    side: NDArray[np.int8]
    score: NDArray[np.float64]
    expected: NDArray[np.float64]
    spread: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


@dataclass(frozen=True)
class _Event:
    """One event of one row, in columns: `[start, stop)`, its hits, where it was known, and whose baseline tells it.

    `down` is the outage that it is, if it is one.
    """

    row: int
    start: int
    stop: int
    hits: NDArray[np.intp]
    kind: Kind
    way: Way
    continued: bool
    known: int
    peak: int
    baseline: int
    down: Outage | None = None


def context(policy: Policy) -> timedelta:
    """How long before the first judged column the values must reach, to tell an outage from a habit."""
    return BEFORE + policy.adopt + policy.absence_after


def settling(policy: Policy, step: timedelta) -> timedelta:
    """How long before the first judged column scores must reach, to tell what came over from before or leads back."""
    return max(2 * policy.persistence.periods * step, -(-WAKE // step) * step)


def judge(
    frame: Frame,
    scores: Mapping[str, Scores],
    policy: Policy,
    subject: Subject,
    first: int,
    hidden: NDArray[np.bool_] | None = None,
) -> Verdict:
    """Judge the columns of `frame` from `first` on; the columns before are what they are judged against.

    An event belongs to the frame in which it is first certain, so it may begin before `first`; one that was certain
    before is told again from `first` on, as continued. No column's verdict depends on a later column. There should be
    `context` before `first`, of which the last `settling` needs scores: they may be of the last columns alone. `hidden`
    points are judged, but say nothing of what is usual.
    """
    skip = frame.values.shape[1] - next(iter(scores.values())).score.shape[1]
    every = _stacked(scores, subject.histories)
    spoke = _any(np.isfinite(every[:, :, first - skip :]), 0)
    young = ~_any(spoke, 1) & _any(np.isfinite(frame.values[:, first:]), 1)
    downs = {} if policy.direction == "up" else outages(frame, policy, first, hidden)
    concerned = _any(_side(every, policy) != 0, 1)
    concerned[list(downs)] = True
    rows = np.flatnonzero(concerned)  # few, and all that anything can be told of
    frame, scores = frame.rows(rows), {name: picked(one, rows, skip) for name, one in scores.items()}
    opinion = _opinion(frame.values, scores, policy, subject.histories)
    opinion, suppressed = _worth(frame, opinion, policy, subject, first)
    silent = [downs.get(row, ()) for row in rows.tolist()]
    events = list(_events(frame, opinion, silent, policy, first, suppressed))
    return Verdict(
        anomalies=tuple(_record(frame, scores, opinion, policy, subject, event) for event in events),
        tested=int(np.count_nonzero(spoke)),
        warming_up=tuple(np.flatnonzero(young).tolist()),
        suppressed={rule: n for rule, n in sorted(suppressed.items()) if n},
        known=tuple(frame.start + event.known * frame.step for event in events),
        rows=tuple(int(rows[event.row]) for event in events),
    )


def _events(
    frame: Frame,
    opinion: _Opinion,
    downs: Sequence[Sequence[Outage]],
    policy: Policy,
    first: int,
    suppressed: Counter[str],
) -> Iterator[_Event]:
    """The events of each row and of its outages; hits that make none are counted among the suppressed."""
    apart = max(policy.persistence.periods, frame.periods(policy.merge))
    certain = _certain(opinion.side, opinion.score, policy)
    for row, side in enumerate(opinion.side):
        silent = sorted(downs[row], key=lambda down: down.start)
        runs, openings = _apart(_runs(side, apart), side, silent, policy.persistence.hits)
        for down in silent:
            yield _silence(opinion, row, down, first, openings.get(down), certain[row])
        for hits in runs:
            if certain[row, hits[hits >= first]].any():
                yield _deviation(opinion, row, hits, certain[row], first)
            else:
                suppressed["persistence"] += int(np.count_nonzero(hits >= first))


def _any(array: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    return np.asarray(np.logical_or.reduce(array, axis=axis))


def picked(scores: Scores, rows: Hits | slice, skip: int = 0) -> Scores:
    """The scores of some rows, with so many columns more before, of which nothing is said."""
    arrays = (scores.expected, scores.spread, scores.score, scores.lower, scores.upper)
    return Scores(*(_late(array[rows], skip) for array in arrays if array is not None))


def _late(array: NDArray[np.float64], skip: int) -> NDArray[np.float64]:
    late = np.full((len(array), skip + array.shape[1]), np.nan)
    late[:, skip:] = array
    return late


@dataclass(frozen=True)
class Flags:
    """What is said of every point as soon as it is there; every array is series x time.

    `flagged`: it was certain, then, that an anomaly was on. `score`, `lower` and `upper` are those that a record would
    carry.
    """

    flagged: NDArray[np.bool_]
    score: NDArray[np.float64]
    expected: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


def flags(frame: Frame, scores: Mapping[str, Scores], policy: Policy, subject: Subject) -> Flags:
    """Judge every column of a frame by the rules of `judge`, for those who want points instead of events."""
    opinion = _opinion(frame.values, scores, policy, subject.histories)
    opinion, _ = _worth(frame, opinion, policy, subject, 0)
    flagged = _certain(opinion.side, opinion.score, policy)
    for row, downs in ({} if policy.direction == "up" else outages(frame, policy, 0)).items():
        for down in downs:
            flagged[row, down.certain : down.stop] = True
    negative = np.logical_or.accumulate(frame.values < 0, axis=1)
    lower = np.where(negative, opinion.lower, np.maximum(opinion.lower, 0.0))
    return Flags(flagged, opinion.score, opinion.expected, lower, opinion.upper)


def _opinion(
    values: NDArray[np.float64], scores: Mapping[str, Scores], policy: Policy, histories: Mapping[str, timedelta]
) -> _Opinion:
    """Reduce the detectors' scores to one opinion per point.

    A hit is told by the baseline of the best informed detector that voted for it, and any other point by that of the
    best informed one that has a baseline.
    """
    every = _stacked(scores, histories)
    side = _side(every, policy)
    expected, spread, told, lower, upper = (np.full(side.shape, np.nan) for _ in range(5))
    for name, score in zip(_ordered(histories, scores), every, strict=True):
        mine = (np.isnan(expected) | np.isnan(spread)) & ((side == 0) | (_votes(score, policy) == side))
        for into, of in (
            (expected, "expected"),
            (spread, "spread"),
            (told, "score"),
            (lower, "lower"),
            (upper, "upper"),
        ):
            if (array := getattr(scores[name], of)) is not None:
                np.copyto(into, array, where=mine)
    with np.errstate(invalid="ignore", divide="ignore"):
        # A calibrated score is not a plain quotient; the band of a hit is the one that its score speaks of.
        implied = np.abs(values - expected) / np.abs(told)
    spread = np.where((side != 0) & (np.abs(told) < CAP), implied, spread)
    lower = np.where(np.isnan(lower), expected - policy.cut * spread, lower)
    upper = np.where(np.isnan(upper), expected + policy.cut * spread, upper)
    return _Opinion(side, _median(every), expected, spread, lower, upper)


def _ordered(histories: Mapping[str, timedelta], scores: Mapping[str, Scores]) -> list[str]:
    """The detectors, the best informed first."""
    return sorted(scores, key=lambda name: (-histories[name], name))


def _stacked(scores: Mapping[str, Scores], histories: Mapping[str, timedelta]) -> NDArray[np.float64]:
    """Detectors x series x time: every score, in the order of the detectors."""
    return np.stack([scores[name].score for name in _ordered(histories, scores)])


def _votes(every: NDArray[np.float64], policy: Policy) -> NDArray[np.int8]:
    """+1 or -1 where a score is past the threshold, else 0."""
    with np.errstate(invalid="ignore"):
        return np.subtract(every >= policy.cut, every <= -policy.cut, dtype=np.int8)


def _side(every: NDArray[np.float64], policy: Policy) -> NDArray[np.int8]:
    """+1 or -1 where enough of the detectors agree, else 0; series x time."""
    votes = _votes(every, policy)
    side = np.zeros(every.shape[1:], dtype=np.int8)
    if not votes.any():
        return side
    needed = policy.needed(np.isfinite(every).sum(axis=0))
    for way, unwanted in ((1, "down"), (-1, "up")):
        agree = votes == way
        hit = (agree.sum(axis=0) >= needed) & agree.any(axis=0) & (policy.direction != unwanted)
        side[hit & _informed(every, agree) if policy.informed else hit] = way
    return side


def _informed(every: NDArray[np.float64], agree: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where the first of the detectors that has a score at all is among those that agree."""
    first = np.argmax(np.isfinite(every), axis=0)[None]
    return np.asarray(np.take_along_axis(agree, first, axis=0)[0])


def _median(every: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median over the first axis of what is a number; NaN where nothing is."""
    ordered = np.sort(every, axis=0)  # NaN sorts last
    count = np.isfinite(ordered).sum(axis=0)[None]
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, axis=0)
    high = np.take_along_axis(ordered, np.minimum(count // 2, len(every) - 1), axis=0)
    return np.asarray(((low + high) / 2)[0])


def _worth(
    frame: Frame, opinion: _Opinion, policy: Policy, subject: Subject, first: int
) -> tuple[_Opinion, Counter[str]]:
    """The opinion with only the hits that are large enough to tell, and how many judged ones each rule held back."""
    side, suppressed, at_once = opinion.side.copy(), Counter[str](), grain(subject.unit)
    hits = np.nonzero(side)
    values, expected = frame.values[hits], opinion.expected[hits]
    off, judged = (values - expected) * side[hits], hits[1] >= first
    with np.errstate(invalid="ignore"):
        small = {
            "contradicted": ~(off > 0),  # so is what has no expected value
            "min_absolute": off < policy.min_absolute,
            "min_relative": off < policy.min_relative * np.abs(expected),
            "min_volume": np.fmax(np.abs(values), np.abs(expected)) < policy.min_volume,
        }
    if policy.counting and at_once:
        period = frame.step.total_seconds() / at_once
        small["counting"] = _counting(values * period, expected * period) < SURE
    worth = np.ones(len(off), dtype=np.bool_)
    for rule, too_small in small.items():
        suppressed[rule] = int(np.count_nonzero(worth & too_small & judged))
        worth &= ~too_small
    side[hits] *= worth
    for row in np.flatnonzero((side > 0).any(axis=1) & (side < 0).any(axis=1)).tolist():
        back = _returning(side[row], frame.values[row], frame.periods(WAKE), frame.periods(BEFORE))
        suppressed["return"] += sum(column >= first for column in back)
        side[row, back] = 0
    return replace(opinion, side=side), suppressed


def _returning(side: NDArray[np.int8], values: NDArray[np.float64], wake: int, day: int) -> list[int]:
    """The hits of one row that only lead back, from a deviation just before, towards where the day before it was."""
    back: list[int] = []
    began, last, way = 0, -wake - 1, 0  # of the deviation before
    for column in np.flatnonzero(side).tolist():
        if side[column] == -way and column - last <= wake:
            before = slice(max(0, began - day), began)
            usual = values[before][side[before] == 0]
            if np.isfinite(usual).any() and way * values[column] >= np.nanmin(way * usual):  # not beyond it
                back.append(column)
                continue
        if side[column] != way or column - last > wake:
            began = column
        last, way = column, int(side[column])
    return back


def _counting(counted: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far a count is from the expected one, in deviations of what comes one by one and at random.

    Anscombe, "The Transformation of Poisson, Binomial and Negative-Binomial Data", Biometrika 35, 1948.
    """
    root, usual = (np.sqrt(np.fmax(number, 0.0) + 3 / 8) for number in (counted, expected))
    return np.asarray(2 * np.abs(root - usual))


def _certain(side: NDArray[np.int8], score: NDArray[np.float64], policy: Policy) -> NDArray[np.bool_]:
    """Where it is certain, by what was known then, that an event is on: M hits of one side in N periods, or a loud."""
    periods = policy.persistence.periods
    with np.errstate(invalid="ignore"):
        certain = (side != 0) & (np.abs(score) >= policy.loud * policy.cut)
    for way in (1, -1):
        hit = side == way
        recent = np.cumsum(hit, axis=1, dtype=np.int32)
        recent[:, periods:] -= recent[:, :-periods].copy()
        certain |= hit & (recent >= policy.persistence.hits)
    return np.asarray(certain)


def _runs(side: NDArray[np.int8], apart: int) -> Iterator[NDArray[np.intp]]:
    """Split a row's hits into events: a new one begins where the side changes or so many periods have no hit."""
    hits = np.flatnonzero(side)
    if len(hits):
        breaks = (np.diff(hits) > apart) | (np.diff(side[hits]) != 0)
        yield from np.split(hits, np.flatnonzero(breaks) + 1)


def _deviation(opinion: _Opinion, row: int, hits: NDArray[np.intp], certain: NDArray[np.bool_], first: int) -> _Event:
    """The event of a run of hits."""
    continued = bool(certain[hits[hits < first]].any())
    hits = hits[hits >= first] if continued else hits
    way: Way = 1 if opinion.side[row, hits[0]] > 0 else -1
    peak = int(hits[np.argmax(way * opinion.score[row, hits])])
    return _Event(
        row=row,
        start=first if continued else int(hits[0]),
        stop=int(hits[-1]) + 1,
        hits=hits,
        kind="spike" if way > 0 else "drop",
        way=way,
        continued=continued,
        known=first if continued else int(hits[certain[hits]][0]),
        peak=peak,
        baseline=peak,
    )


def _apart(
    runs: Iterable[Hits], side: NDArray[np.int8], silent: Sequence[Outage], least: int
) -> tuple[list[Hits], dict[Outage, Hits]]:
    """The runs of hits without those that are how the scores see an outage, and these by their outage.

    A run belongs to an outage when it had hits in it before that was certain. One that had not keeps only its hits
    before the outage. What goes on after an outage is an event of its own, if it has hits enough.
    """
    rest: list[Hits] = []
    openings: dict[Outage, Hits] = {}
    left = deque(runs)
    while left:
        hits = left.popleft()
        down = next((d for d in silent if side[hits[0]] < 0 and hits[0] < d.stop and hits[-1] >= d.start), None)
        if down is None:
            rest.append(hits)
            continue
        if ((hits >= down.start) & (hits <= down.certain)).any():
            openings.setdefault(down, hits[hits < down.stop])
        elif hits[0] < down.start:
            rest.append(hits[hits < down.start])
        after = hits[hits > down.stop]  # one period may be half an outage
        if len(after) >= least and not down.adopted:
            left.append(after)
    return rest, openings


def _silence(
    opinion: _Opinion, row: int, down: Outage, first: int, opening: Hits | None, certain: NDArray[np.bool_]
) -> _Event:
    """The event of an outage, told by the last baseline that did not yet know of it.

    Where it was certain as a drop before it was certain as an outage, it is that drop's event, and keeps its start.
    """
    start, known_at = down.start, down.certain
    if opening is not None and len(early := opening[certain[opening] & (opening < down.certain)]):
        start, known_at = int(opening[0]), int(early[0])
    continued = known_at < first
    start = first if continued else start
    last = min(start, down.start) + 1
    known = np.flatnonzero(np.isfinite(opinion.expected[row, :last] + opinion.spread[row, :last]))
    return _Event(
        row=row,
        start=start,
        stop=down.stop,
        hits=np.arange(start, down.stop),
        kind=down.kind,
        way=-1,
        continued=continued,
        known=max(known_at, first),
        peak=max(start, down.start),
        baseline=int(known[-1]) if len(known) else down.start,
        down=down,
    )


def _baseline(frame: Frame, opinion: _Opinion, event: _Event, cut: float) -> tuple[float, float, float]:
    """What was expected, and its band; where no detector had a baseline, what the series did the day before.

    An expected value is inside its band, also where several views make the one and the surest of them the other.
    """
    arrays = (opinion.expected, opinion.lower, opinion.upper)
    expected, lower, upper = (float(array[event.row, event.baseline]) for array in arrays)
    if np.isfinite(expected + lower + upper):
        return min(max(expected, lower), upper), lower, upper
    half = frame.periods(AROUND)
    near = _usual(frame, event, np.arange(event.peak - half, event.peak + half + 1))
    if np.isfinite(near).any():
        return float(np.nanmedian(near)), float(np.nanmin(near)), float(np.nanmax(near))
    before = frame.values[event.row, max(0, event.baseline - frame.periods(BEFORE)) : event.baseline]
    usual, reach = float(np.nanmedian(before)), cut * float(np.nanstd(before))
    return usual, usual - reach, usual + reach


def _usual(frame: Frame, event: _Event, columns: Hits) -> NDArray[np.float64]:
    """What an outage's series had at the same times in the last day before it, or NaN."""
    if event.down is None:
        return np.full(len(columns), np.nan)
    day = frame.periods(BEFORE)
    at = columns - day * (1 + np.maximum(columns - event.down.start, 0) // day)
    there = (at >= 0) & (at < event.down.start)
    return np.asarray(np.where(there, frame.values[event.row, np.where(there, at, 0)], np.nan))


def _tidy(value: float, *beside: float) -> float:
    """A value that is nothing beside the others is what arithmetic left of nothing."""
    return 0.0 if abs(value) < 1e-9 * max(map(abs, beside)) else value


def _record(
    frame: Frame, scores: Mapping[str, Scores], opinion: _Opinion, policy: Policy, subject: Subject, event: _Event
) -> Anomaly:
    """Write down one event."""
    row, step, silent = event.row, frame.step, event.kind in {"zero", "absent"}
    expected, lower, upper = _baseline(frame, opinion, event, policy.cut)
    observed = float(frame.values[row, event.peak])
    expected, lower = (_tidy(one, upper, 0.0 if np.isnan(observed) else observed) for one in (expected, lower))
    spoke = [n for n, s in sorted(scores.items()) if np.isfinite(s.expected[row, event.baseline])]
    said = {name: significant(float(scores[name].score[row, event.peak]), 4) for name in spoke}
    times_over, share = _beyond(event, observed, expected, upper if event.way > 0 else lower)
    score = float(opinion.score[row, event.peak])
    if silent:
        score = max(-times_over * policy.cut, -CAP) + 0.0  # never -0.0
    lowest = 0.0 if np.nanmin(frame.values[row]) >= 0 else -np.inf
    start, stop = frame.start + event.start * step, frame.start + event.stop * step
    direction: Literal["up", "down"] = "up" if event.way > 0 else "down"
    resource, labels = split_labels(frame.labels[row])
    draft = Anomaly.model_construct(
        schema_=SCHEMA,
        id=identity(subject.project, subject.query, frame.labels[row], start, direction),
        project=subject.project,
        metric=subject.metric,
        query=subject.query,
        resource=resource,
        labels=labels,
        start=start,
        end=stop,
        peak=frame.start + event.peak * step,
        continued=event.continued,
        ongoing=event.stop == frame.values.shape[1],
        adopted=bool(event.down and event.down.adopted),
        kind=event.kind,
        direction=direction,
        severity=_severity(event, step, times_over, share),
        score=significant(score, 4),
        votes={name: value for name, value in said.items() if value * event.way >= policy.cut},
        detectors=len(spoke),
        observed=significant(observed) if np.isfinite(observed) else None,
        expected=significant(expected),
        lower=significant(max(lower, lowest)),
        upper=significant(max(upper, lowest)),
        unit=subject.unit,
        excess=significant(_excess(frame, opinion, event, expected if silent else None)),
        excess_unit=total_unit(subject.unit),
        step=round(step.total_seconds()),
        history={name: duration_text(subject.histories[name]) for name in spoke},
        sentence="",
    )
    return draft.model_copy(update={"sentence": sentence.of(draft)})


def _beyond(event: _Event, observed: float, expected: float, edge: float) -> tuple[float, float]:
    """How many times farther than the band's edge the peak is from what was expected, and which share of the level."""
    if event.kind in {"zero", "absent"}:  # who was idle is not missed the more for having been so steadily
        return (expected / (expected - edge) if expected > edge else np.inf) if expected > 0 else 0.0, 1.0
    off, reach = observed - expected, edge - expected
    times_over = abs(off / reach) if reach * event.way > 0 else np.inf
    return times_over, off / (max(abs(observed), abs(expected)) or 1.0)


def _excess(frame: Frame, opinion: _Opinion, event: _Event, expected: float | None) -> float:
    """What was too much (or too little) over the hits of an event: a rate times time."""
    observed = np.nan_to_num(frame.values[event.row, event.hits], nan=0.0)
    usual = opinion.expected[event.row, event.hits]
    if expected is not None:
        usual = _usual(frame, event, event.hits)
        usual = np.where(np.isnan(usual), expected, usual)
    return float(np.sum(observed - usual) * frame.step.total_seconds())


def _severity(event: _Event, step: timedelta, times_over: float, share: float) -> int:
    """The severity of an event; an outage lasts since it began, be it the day before."""
    down = event.down
    if down is None:
        return severity(event.kind, times_over, share, (event.stop - event.start) * step)
    lasted = event.stop - min(event.start, down.start)
    wait = (down.certain - down.start + 1) * step
    return severity(event.kind, times_over, share, lasted * step, wait)


def severity(
    kind: Kind, times_over: float, share: float, lasted: timedelta, wait: timedelta = timedelta(minutes=15)
) -> int:
    """How bad, 0 to 100: by how rare and how large the deviation is at its peak, and by how long it lasted.

    One at the edge of its band is 40. Being `times_over` as far out as the edge adds 10 for each doubling, at most 30;
    `share`, the deviation's part of the larger of what was seen and what was expected, up to 15; ten minutes add 2 and
    each doubling of the time 2 more, at most 15. Nothing at all where there was something every day is at least 80. No
    points are 40 when they are first missed, after `wait`, and 12 more for each doubling of the time, at most 95: one
    series misses some now and then.
    """
    size = min(10 * float(np.log2(max(abs(times_over), 1.0))), 30.0)
    if kind == "absent":
        return round(min(40 + size / 6 + 12 * float(np.log2(max(lasted / wait, 1.0))), 95.0))
    length = min(2 * float(np.log2(1 + lasted / timedelta(minutes=10))), 15.0)
    if kind == "zero":
        return round(min(80 + size / 6 + length, 100.0))
    return round(40 + size + 15 * min(abs(share), 1.0) + length)
