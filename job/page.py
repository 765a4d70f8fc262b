"""The page of a day: what happened, as one HTML file that asks nobody for anything."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from job import account
from job.anomaly import BANDS, band
from job.charts import Charts, Drawn, charts, ms
from job.found import Found
from job.incident import Incident
from job.series import Looked
from job.templates import asset, libraries, markup, template
from job.units import clean, lasting, many, named, utc

LARGEST = 5_000_000
"""Bytes of a page at most: first all incidents in words, then charts, have what room there is."""

RESERVED = 500_000
"""Bytes of it that are for charts, however many incidents there are."""

FULL = 200
"""So many incidents are told series by series, with links; the others are told in short."""

MARKS = 10_000
"""Bytes of it for the marks between what is measured without them, a few for each incident."""

BARS = 30
"""So many incidents the timeline has at most, so that the list is not far below."""

FAILED = 100
"""So many slices that could not be judged are named."""


@dataclass(frozen=True)
class Skipped:
    """A slice that could not be judged, and why."""

    what: str
    why: str


def render(found: Found, since: datetime, until: datetime, skipped: Sequence[Skipped] = (), held: int = 0) -> str:
    """The page of `[since, until)` as HTML: the same bytes for the same findings, and no more than `LARGEST`.

    `held` is how many of the incidents were not announced, because there were too many.
    """
    words = _words(found, since, until, skipped, held)
    bare = _page({**words, "libraries": ()}, (), Charts((), {}, 0))
    room = LARGEST - _bytes(bare) - sum(map(_bytes, words["libraries"])) - MARKS
    rows = list(_rows(found.incidents, room - RESERVED))
    told = found.incidents[: len(rows)]
    drawn = charts(found, told, since, until, room - sum(map(_bytes, rows)))
    for n, incident in enumerate(told):
        if drawn.by[incident.id]:
            rows[n] = _row(n, incident, drawn.by[incident.id])
    return _page(words, rows, drawn)


def _page(words: dict[str, Any], rows: Sequence[str], drawn: Charts) -> str:
    """The page with these of its incidents, and these charts."""
    data = {**words["data"], "charts": drawn.numbers}
    page: str = template("page.html").render({**words, "data": data, "rows": rows, "drawn": drawn})
    return page


def _rows(incidents: Sequence[Incident], room: int) -> Iterator[str]:
    """The incidents as the list tells them, without charts, as many as there is room for."""
    for n, incident in enumerate(incidents):
        row = _row(n, incident, ())
        room -= _bytes(row)
        if room < 0:
            return
        yield row


def _bytes(text: str) -> int:
    return len(text.encode())


def _words(found: Found, since: datetime, until: datetime, skipped: Sequence[Skipped], held: int) -> dict[str, Any]:
    """What the template shows beside the incidents themselves and their charts."""
    incidents = found.incidents
    judged = max((one.until for one in found.looked), default=until)
    return {
        "title": _title(since, until),
        "summary": _summary(incidents),
        "judged": utc(judged),
        "partly": judged < until,
        "incidents": incidents,
        "full": FULL,
        "natures": sorted({i.nature for i in incidents}),
        "looked": list(_looked(found)),
        "muted": sum(1 for i in incidents if i.muted),
        "held": held,
        "failed": len(skipped),
        "skipped": [Skipped(clean(one.what, 300), clean(one.why, 1000)) for one in skipped[:FAILED]],
        "problems": [clean(words, 1000) for words in named(found.problems)],
        "data": {"bars": _bars(incidents), "since": ms(since), "until": ms(until)},
        "style": asset("page.css"),
        "script": asset("dress.js") + asset("page.js"),
        "libraries": libraries() if incidents else (),
    }


def _title(since: datetime, until: datetime) -> str:
    last = until - timedelta(microseconds=1)
    return f"{since:%Y-%m-%d}" if since.date() == last.date() else f"{since:%Y-%m-%d} to {last:%Y-%m-%d}"


def _summary(incidents: Sequence[Incident]) -> str:
    """One line that says whether there is anything to do."""
    told = [i for i in incidents if not i.muted]
    if not told:
        return "No incidents." if not incidents else f"No incidents but {len(incidents)} muted."
    counts = Counter(band(i.severity) for i in told)
    said = ", ".join(f"{counts[name]} {name}" for _, name in BANDS if counts[name])
    muted = f"; {len(incidents) - len(told)} more muted" if len(incidents) > len(told) else ""
    on = [i for i in told if i.state != "closed"]
    worst = f"Worst: {_headline(told[0])}."
    besides = f" Worst of those still on: {_headline(on[0])}." if on and told[0].state == "closed" else ""
    return f"{many(len(told), 'incident')}: {said}{muted}. {len(on) or 'None'} still on. {worst}{besides}"


def _headline(incident: Incident) -> str:
    """What, where, since when and for how long."""
    nature = "" if incident.nature == "unclassified" else f"{incident.nature}, "
    begun = f"since {incident.start:%Y-%m-%d %H:%M} UTC"
    return f"{nature}{account.briefly(incident)} at {clean(incident.where, 120)}, {begun}, {_lasted(incident)}"


def _lasted(incident: Incident) -> str:
    """How long, and whether it is over."""
    length = lasting(timedelta(seconds=incident.duration))
    return f"for {length}" if incident.state == "closed" else f"for {length} so far, still on"


def _row(n: int, incident: Incident, drawn: Sequence[Drawn]) -> Any:
    """An incident as the list tells it."""
    what, judged = account.split(incident)
    return markup(
        template("incident.html").render(
            n=n + 1,
            i=incident,
            full=n < FULL,
            band=band(incident.severity),
            end=ms(incident.end),
            lasted=_lasted(incident).removesuffix(", still on"),
            where=clean(incident.where, 120),
            briefly=account.briefly(incident),
            affected=account.affected(incident),
            sentence=clean(what, 3000),
            judged=clean(judged, 1000),
            evidence=[clean(words, 500) for words in incident.evidence],
            top=[clean(top.sentence, 1000) for top in incident.top],
            text=clean(f"{incident.where} {incident.nature} {' '.join(t.metric for t in incident.top)}", 1000).lower(),
            muted=clean(incident.muted or "", 200),
            charts=drawn,
        )
    )


def _bars(incidents: Sequence[Incident]) -> list[dict[str, Any]]:
    """The timeline's bars, the worst incidents first."""
    return [
        {
            "id": f"i-{i.id}",
            "name": f"{n + 1}. {clean(i.nature, 40)}, {clean(i.where, 40)}",
            "start": ms(i.start),
            "end": ms(i.end),
            "band": band(i.severity) if not i.muted else "muted",
        }
        for n, i in enumerate(incidents[:BARS])
    ]


def _looked(found: Found) -> Iterator[dict[str, Any]]:
    """What was read, tested, flagged, held back and too young, by metric."""
    by: dict[tuple[str, str], list[Looked]] = {}
    for one in found.looked:
        by.setdefault((one.project, one.metric), []).append(one)
    for (project, metric), each in sorted(by.items()):
        suppressed: Counter[str] = Counter()
        for one in each:
            suppressed.update(one.suppressed)
        yield {
            "project": project,
            "metric": metric,
            "until": f"{max(one.until for one in each):%Y-%m-%d %H:%M}",
            "series": _most((one, one.series) for one in each),
            "tested": sum(one.tested for one in each),
            "flagged": sum(one.flagged for one in each),
            "warming_up": _most((one, one.warming_up) for one in each),
            "suppressed": ", ".join(f"{n:,} by {rule}" for rule, n in sorted(suppressed.items())) or "none",
        }


def _most(counted: Iterable[tuple[Looked, int]]) -> int:
    """How many there were on the day that had the most: parts of a day are added, days overlap."""
    days: Counter[tuple[str, datetime]] = Counter()
    for one, n in counted:
        days[one.query, one.start] += n
    return max(days.values())
