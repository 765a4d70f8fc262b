"""Read incidents back: anomalies, what was looked at and what was published, joined."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median

from pydantic import ValidationError

from job.anomaly import SCHEMA, Anomaly
from job.days import names, objects
from job.incident import Incident, Judged, group
from job.kinship import Slot
from job.nature import Shape, Top
from job.report import EARLIEST, LATEST, ROOT, Reading, read
from job.series import NAME, Key, Looked, Numbers, Sum, Trace, Traces, by_series, key_of, parsed, rank
from job.store import Store
from job.sums import Group, peers
from job.taken import taken

DAY = timedelta(days=1)

BACK = 31
"""So many times more is read, at most, to find where an event began or ended that was on at the edge of the time."""

ROUND = timedelta(hours=1)
"""So long before and after an anomaly its series tells what it was like without."""

BEFORE, LONG = timedelta(hours=3), timedelta(minutes=30)
"""So long before tells how a series varies, and a flat top lasts so long at least."""

FIRST = timedelta(minutes=15)
"""What begins rather than grows is there within this."""

PINNED, DIP, VARIED = 0.02, 0.05, 5
"""What is so near the largest value is at a flat top, what is so far below has left it; else it varies so much more."""

STILL = 0.01
"""What is held at a top is so near to it for most of the time."""

LEDGER = "incidents/"
"""Where the published incidents are, by the day on which they began."""


@dataclass(frozen=True)
class Found:
    """What was found in the store, and what could not be read and why; incidents are in the order of `rank`."""

    incidents: tuple[Incident, ...]
    anomalies: Mapping[str, Anomaly]
    traces: Mapping[tuple[object, ...], tuple[Trace, ...]]
    looked: tuple[Looked, ...]
    published: tuple[Incident, ...]
    problems: tuple[str, ...]


def find(
    store: Store, since: datetime, until: datetime, *, drawn: bool = True, ended: timedelta = timedelta(0)
) -> Found:
    """The incidents that touch `[since, until)`, and what they were made of: the traces only if they are `drawn`.

    Those that `ended` no longer before `since` count, too.

    Raises:
        NotAllowed: a permission is missing.
        Failed: the store did not answer.
    """
    problems: list[str] = []
    reading, start, end = _whole(store, since, until, problems)
    anomalies = reading.anomalies
    looked, traces, shapes = _series(store, start, end, anomalies, problems, drawn=drawn)
    published = tuple(ledger(store, start, end, problems))
    found = group(anomalies, judged(looked), published, shapes)
    return Found(
        incidents=tuple(i for i in found if i.start < until and i.end > since - ended),
        anomalies={a.id: a for a in anomalies},
        traces=traces,
        looked=tuple(one for one in looked if one.start < until and one.start + DAY > since),
        published=published,
        problems=tuple(dict.fromkeys(problems)),
    )


def _whole(store: Store, since: datetime, until: datetime, problems: list[str]) -> tuple[Reading, datetime, datetime]:
    """The anomalies of the time, of a day on either side, and of as many more as the events that were on then reach.

    So an incident is the same from whichever of its days it is looked at.
    """
    start, end = max(since, EARLIEST + DAY) - DAY, min(until, LATEST - DAY) + DAY
    for _ in range(BACK):
        reading = read(store, start, end)
        before = [a.start for a in _continued(reading.anomalies) if a.start - DAY < start]
        after = [a.end for a in reading.anomalies if a.ongoing and a.end >= end]
        if not before and not after:
            break
        start, end = min([start, *(t - DAY for t in before)]), max([end, *(t + DAY for t in after)])
    problems.extend(reading.problems)
    return reading, start, end


def _continued(anomalies: Iterable[Anomaly]) -> Iterator[Anomaly]:
    """The anomalies that came over from a day before, of which nothing is here."""
    ends = {(key_of(a), a.end) for a in anomalies}
    for a in anomalies:
        if a.continued and (key_of(a), a.start) not in ends:
            yield a


def _days(store: Store, root: str, since: datetime, until: datetime) -> Iterator[str]:
    """The objects of the UTC days that `[since, until)` touches."""
    last = (until - timedelta(microseconds=1)).astimezone(UTC).date()
    yield from names(store, root, since.astimezone(UTC).date(), last)


def judged_days(store: Store, since: datetime, until: datetime) -> Iterator[str]:
    """What runs have written of the days that `[since, until)` touches: an object for each metric, at least."""
    yield from _days(store, ROOT, since, until)


def _series(
    store: Store, since: datetime, until: datetime, anomalies: Iterable[Anomaly], problems: list[str], *, drawn: bool
) -> tuple[list[Looked], Mapping[Key, tuple[Trace, ...]], dict[str, Shape]]:
    """What was looked at, the traces if they are drawn, and shapes by anomaly; a few objects are held beside.

    A trace of which nothing is told is not drawn.
    """
    looked: list[Looked] = []
    traces = Traces()
    shapes: dict[str, Shape] = {}
    events = by_series(anomalies)
    for name, data in objects(store, _days(store, NAME, since, until), problems):
        sums: dict[Group, Sum] = {}
        for record in parsed(name, data, problems):
            if isinstance(record, Looked):
                looked.append(record)
                sums = {(one.type, one.group): one for one in record.sums}
                continue
            every = events.get(record.key, [])
            here = [a for a in every if record.start <= a.start < record.start + DAY]
            mine = peers(record, {name: one.members for name, one in sums.items()}) if here else None
            shapes |= {a.id: shape(record, a, sums[mine] if mine else None) for a in here}
            if drawn and every:
                traces.add(record, rank(every))
    return looked, traces, shapes


def ledger(store: Store, since: datetime, until: datetime, problems: list[str]) -> Iterator[Incident]:
    """The incidents that were published as having begun on the days that `[since, until)` touches."""
    for name, data in objects(store, _days(store, LEDGER, since, until), problems):
        yield from entries(name, data, problems)


def entries(name: str, data: bytes, problems: list[str]) -> Iterator[Incident]:
    """The published incidents of one object."""
    for number, line in enumerate(data.splitlines(), start=1):
        incident = entry(line)
        if isinstance(incident, str):
            problems.append(f"{name} line {number} is no incident record: {incident}")
            continue
        if incident.schema_ > SCHEMA:
            problems.append(f"{name} line {number} has schema {incident.schema_}; this program knows up to {SCHEMA}")
        yield incident


def entry(line: bytes) -> Incident | str:
    """The published incident of a line, or why it is none."""
    try:
        return Incident.model_validate_json(line)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        return f"{where or 'the line'}: {fault['msg']}"


def judged(looked: Sequence[Looked]) -> Judged:
    """What was looked at, added up: parts of a query are added, queries and days overlap."""
    slots: dict[tuple[str, str], set[Slot]] = {}
    parts: dict[tuple[str, str, str, datetime], dict[str, int]] = {}
    until: dict[tuple[str, str], datetime] = {}
    for one in looked:
        until[one.project, one.query] = max(one.until, until.get((one.project, one.query), one.until))
        for kind, kept in one.types.items():
            slots.setdefault((one.project, kind), set()).update(Slot(way, what) for way, what in kept.slots)
            counts = parts.setdefault((one.project, kind, one.query, one.start), {})
            for name, n in kept.census.items():
                counts[name] = counts.get(name, 0) + n
    census: dict[tuple[str, str], dict[str, int]] = {}
    for (project, kind, _, _), counts in parts.items():
        most = census.setdefault((project, kind), {})
        for name, n in counts.items():
            most[name] = max(n, most.get(name, 0))
    return Judged(slots, census, until)


def shape(trace: Trace, a: Anomaly, total: Sum | None = None) -> Shape:
    """What a series did round an anomaly, as far as the trace of that day goes, and what its group did then."""
    during = _there(trace, a.start, a.end)
    before, after = _level(_there(trace, a.start - ROUND, a.start)), _level(_there(trace, a.end, a.end + ROUND))
    flat = stays = onset = None
    if a.kind == "spike" and len(during) >= 6 and during[-1] > 0:
        flat = (during[-1] - during[len(during) // 2]) / during[-1]
    if during and before is not None and after is not None and (off := median(during) - before):
        stays = (after - before) / off
    first = _level(_there(trace, a.start, a.start + FIRST))
    lasted = a.end - a.start > FIRST
    if a.kind == "spike" and lasted and before is not None and first is not None and during[-1] > before:
        onset = (first - before) / (during[-1] - before)
    told = taken(trace, total, a) if total and a.direction == "down" else None
    top = _top(trace, a) if a.kind == "spike" else None
    return Shape(flat, before, stays, onset, told, top, _factor(trace, a))


def _factor(trace: Trace, a: Anomaly) -> float | None:
    """How many times what was expected a series was, in the middle of an anomaly."""
    expected = window(trace.expected, trace, a.start, a.end)
    both = zip(window(trace.value, trace, a.start, a.end), expected, strict=False)  # who knows who wrote it
    times = [value / level for value, level in both if value is not None and level is not None and level > 0]
    return median(times) if times else None


def _top(trace: Trace, a: Anomaly) -> Top | None:
    """The flat top of a rise, where it was at for most of half an hour or more, if it else varies more."""
    values = [v for v in window(trace.value, trace, a.start, a.end) if v is not None]
    before = _there(trace, a.start - BEFORE, a.start)
    if len(values) < 6 or a.end - a.start < LONG or len(before) < 6:
        return None
    most, middle = max(values), median(values)
    varied = before[-1 - len(before) // 10] - before[len(before) // 10]
    usual = varied / level if (level := median(before)) > 0 else 0.0
    if most <= 0 or middle < (1 - PINNED) * most or usual < VARIED * max(PINNED, 1 - middle / most):
        return None
    visits, away = 0, True
    for value in values:
        visits += away and value >= (1 - PINNED) * most
        away = value < (1 - DIP) * most or (away and value < (1 - PINNED) * most)
    held = varied >= VARIED * PINNED * most and 1 - middle / most <= STILL
    return Top(most, 1 - middle / most, visits, usual, held)


def _there(trace: Trace, start: datetime, end: datetime) -> list[float]:
    return sorted(v for v in window(trace.value, trace, start, end) if v is not None)


def _level(values: Sequence[float]) -> float | None:
    return median(values) if len(values) >= 3 else None


def window(numbers: Numbers, trace: Trace, start: datetime, end: datetime) -> Numbers:
    """Those of a trace's numbers that are of `[start, end)`."""
    step = timedelta(seconds=trace.step)
    return numbers[max(0, (start - trace.start) // step) : max(0, -(-(end - trace.start) // step))]
