"""The page of a day: what happened, as one HTML file that asks nobody for anything."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from job import account
from job.anomaly import BANDS, band
from job.explorer import link
from job.found import Found
from job.incident import Incident
from job.kinship import Thing
from job.sentence import noun
from job.series import Trace, key
from job.templates import asset, libraries, template
from job.units import clean, lasting, many, named, quantity, utc

CHARTS = 100
"""So many charts a page has at most, those of the worst incidents."""

EACH = 4
"""So many charts an incident has at most."""

BARS = 30
"""So many incidents the timeline has at most, so that the list is not far below."""


@dataclass(frozen=True)
class Skipped:
    """A slice that could not be judged, and why."""

    what: str
    why: str


def render(found: Found, since: datetime, until: datetime, skipped: Sequence[Skipped] = (), held: int = 0) -> str:
    """The page of `[since, until)` as HTML: the same bytes for the same findings.

    `held` is how many of the incidents were not announced, because there were too many.
    """
    incidents = found.incidents
    charts = dict(_charts(found, since, until))
    judged = max((one.until for one in found.looked), default=until)
    page: str = template("page.html").render(
        title=_title(since, until),
        summary=_summary(incidents),
        judged=utc(judged),
        partly=judged < until,
        rows=[_row(i, found, charts) for i in incidents],
        natures=sorted({i.nature for i in incidents}),
        bands=[name for _, name in BANDS],
        looked=list(_looked(found)),
        muted=sum(1 for i in incidents if i.muted),
        held=held,
        skipped=[Skipped(clean(one.what, 300), clean(one.why, 1000)) for one in skipped],
        problems=[clean(words, 1000) for words in named(found.problems)],
        data={"charts": list(charts.values()), "bars": _bars(incidents), "since": _ms(since), "until": _ms(until)},
        style=asset("page.css"),
        script=asset("dress.js") + asset("page.js"),
        libraries=libraries() if incidents else (),
    )
    return page


def _title(since: datetime, until: datetime) -> str:
    last = until - timedelta(microseconds=1)
    return f"{since:%Y-%m-%d}" if since.date() == last.date() else f"{since:%Y-%m-%d} to {last:%Y-%m-%d}"


def _summary(incidents: Sequence[Incident]) -> str:
    """One line that says whether there is anything to do."""
    told = [i for i in incidents if not i.muted]
    if not told:
        return "No incidents." if not incidents else f"No incidents but {len(incidents)} muted."
    counts = {name: sum(1 for i in told if band(i.severity) == name) for _, name in BANDS}
    on = sum(1 for i in told if i.state != "closed")
    said = ", ".join(f"{n} {name}" for name, n in counts.items() if n)
    worst = told[0]
    lasted = lasting(timedelta(seconds=worst.duration)) + ("" if worst.state == "closed" else ", still on")
    named = f"Worst: {worst.nature} at {clean(worst.where, 120)}, from {worst.start:%Y-%m-%d %H:%M}, {lasted}."
    return f"{many(len(told), 'incident')}: {said}. {on or 'None'} still on. {named}"


def _row(incident: Incident, found: Found, charts: Mapping[tuple[Any, ...], dict[str, Any]]) -> dict[str, Any]:
    """What the template shows of an incident."""
    drawn = [(trace, chart, link) for trace, key, link in _drawn(incident, found) if (chart := charts.get(key))]
    what, judged = account.split(incident)
    return {
        "incident": incident,
        "band": band(incident.severity),
        "end": _ms(incident.end),
        "lasted": lasting(timedelta(seconds=incident.duration)),
        "where": clean(incident.where, 120),
        "affected": account.affected(incident),
        "sentence": clean(what, 3000),
        "judged": clean(judged, 1000),
        "evidence": [clean(words, 500) for words in incident.evidence] if judged else [],
        "top": [clean(top.sentence, 1000) for top in incident.top],
        "text": clean(f"{incident.where} {incident.nature} {' '.join(t.metric for t in incident.top)}", 1000).lower(),
        "muted": clean(incident.muted or "", 200),
        "charts": [(chart["id"], chart["name"], link) for _, chart, link in drawn],
        "omitted": len(incident.top) > len(drawn),
    }


def _drawn(incident: Incident, found: Found) -> Iterator[tuple[Trace, tuple[Any, ...], str]]:
    """The series of an incident that are drawn, with what names each chart and its link; one for each day."""
    for top in incident.top[:EACH]:
        a = found.anomalies[top.anomaly]
        for trace in found.traces.get(key(a.project, a.query, a.resource, a.labels), ()):
            ends = trace.start + timedelta(seconds=trace.step) * len(trace.value)
            if trace.start < incident.end and ends > incident.start:
                yield trace, (*trace.key, trace.start), link(a)


def _charts(found: Found, since: datetime, until: datetime) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """The numbers of the charts, by what names them: those of the worst incidents."""
    seen: dict[tuple[Any, ...], Trace] = {}
    for incident in found.incidents:
        for trace, name, _ in _drawn(incident, found):
            if since <= trace.start < until and len(seen) < CHARTS:
                seen.setdefault(name, trace)
    events: dict[tuple[Any, ...], list[tuple[int, int]]] = {}
    for a in found.anomalies.values():
        events.setdefault(key(a.project, a.query, a.resource, a.labels), []).append((_ms(a.start), _ms(a.end)))
    for number, (name, trace) in enumerate(seen.items()):
        where = clean(Thing("", "", tuple(sorted({**trace.resource.labels, **trace.labels}.items()))).name, 80)
        scale, unit = _scale(trace)
        yield (
            name,
            {
                "id": f"chart-{number}",
                "name": f"{noun(trace.metric)} of {where}",
                "unit": unit,
                "start": _ms(trace.start),
                "step": trace.step * 1000,
                "value": _scaled(trace.value, scale),
                "expected": _scaled(trace.expected, scale),
                "lower": _scaled(trace.lower, scale),
                "upper": _scaled(trace.upper, scale),
                "events": sorted(events.get(trace.key, ())),
            },
        )


def _scale(trace: Trace) -> tuple[float, str]:
    """By what the numbers are divided so that they are short, and the unit that they then have."""
    largest = max((abs(v) for row in (trace.value, trace.expected) for v in row if v is not None), default=0.0)
    power = 0
    while largest >= 1000 ** (power + 1) and power < 5:
        power += 1
    return 1000.0**power, quantity(1000.0**power, trace.unit).removeprefix("1 ").removeprefix("1")


def _scaled(row: Iterable[float | None], scale: float) -> list[float | None]:
    return [None if value is None else float(f"{value / scale:.4g}") for value in row]


def _bars(incidents: Sequence[Incident]) -> list[dict[str, Any]]:
    """The timeline's bars, the worst incidents first."""
    return [
        {
            "id": f"i-{i.id}",
            "name": f"{n + 1}. {clean(i.nature, 40)}, {clean(i.where, 40)}",
            "start": _ms(i.start),
            "end": _ms(i.end),
            "band": band(i.severity) if not i.muted else "muted",
        }
        for n, i in enumerate(incidents[:BARS])
    ]


def _looked(found: Found) -> Iterator[dict[str, Any]]:
    """What was read, tested, flagged, held back and too young, by metric."""
    by: dict[tuple[str, str], list[Any]] = {}
    for one in found.looked:
        by.setdefault((one.project, one.metric), []).append(one)
    for (project, metric), each in sorted(by.items()):
        suppressed: dict[str, int] = {}
        for one in each:
            for rule, n in one.suppressed.items():
                suppressed[rule] = suppressed.get(rule, 0) + n
        yield {
            "project": project,
            "metric": metric,
            "until": f"{max(one.until for one in each):%Y-%m-%d %H:%M}",
            "series": max(one.series for one in each),
            "tested": sum(one.tested for one in each),
            "flagged": sum(one.flagged for one in each),
            "warming_up": max(one.warming_up for one in each),
            "suppressed": ", ".join(f"{n} by {rule}" for rule, n in sorted(suppressed.items())) or "none",
        }


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
