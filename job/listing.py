"""Incidents as a terminal, a program or a ticket wants them: a table, JSON, CSV or Markdown."""

import csv
import fnmatch
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from job.account import briefly
from job.anomaly import BANDS, Anomaly, band
from job.incident import Incident
from job.kinship import thing
from job.report import STYLES, cell
from job.units import clean, escaped, lasting, many, quantity

if TYPE_CHECKING:
    from rich.table import Table

TICKET = 200
"""So many incidents a Markdown list has at most."""


@dataclass(frozen=True)
class Wanted:
    """Which incidents or anomalies are wanted: those of at least a severity, of a resource, of a nature."""

    severity: int = 0
    resource: str = ""
    nature: str = ""

    def incidents(self, every: Iterable[Incident]) -> tuple[Incident, ...]:
        """The incidents that are wanted."""
        return tuple(
            i
            for i in every
            if i.severity >= self.severity
            and (not self.nature or i.nature == self.nature)
            and self._named([i.where, *i.resource.labels.values(), *(top.where for top in i.top)])
        )

    def anomalies(self, every: Iterable[Anomaly]) -> tuple[Anomaly, ...]:
        """The anomalies that are wanted."""
        return tuple(
            a
            for a in every
            if a.severity >= self.severity
            and self._named([thing(a).name, *a.resource.labels.values(), *a.labels.values()])
        )

    def _named(self, names: Iterable[str]) -> bool:
        """Whether one of the names is, or with a pattern fits, or otherwise holds the resource that is wanted."""
        wanted = self.resource.lower()
        pattern = wanted if re.search(r"[*?\[]", wanted) else f"*{wanted}*"
        return any(fnmatch.fnmatchcase(name.lower(), pattern) for name in names)


def severity(words: str) -> int:
    """A severity as people give it: a number, or the name of a band.

    >>> severity("high"), severity("63")
    (70, 63)

    Raises:
        ValueError: it is neither.
    """
    bands = {name: least for least, name in BANDS}
    if words in bands:
        return bands[words]
    if words.isascii() and words.isdigit() and int(words) <= 100:
        return int(words)
    raise ValueError(f"{words!r} is no severity: write 0 to 100, or one of {', '.join(bands)}")


def as_json(incidents: Iterable[Incident]) -> str:
    """One JSON array of the records."""
    return escaped(json.dumps([json.loads(i.line()) for i in incidents], ensure_ascii=False, indent=1)) + "\n"


def as_csv(incidents: Iterable[Incident]) -> str:
    """The records as CSV with a header; nested fields are JSON. No cell can be taken for a formula."""
    names = [f.alias or name for name, f in Incident.model_fields.items()]
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    for incident in incidents:
        writer.writerow({name: cell(value) for name, value in json.loads(incident.line()).items()})
    return out.getvalue()


def as_markdown(incidents: Iterable[Incident]) -> str:
    """The incidents as a list for a ticket or a chat, the worst first."""
    every = list(incidents)
    return "".join(_item(i) for i in every[:TICKET]) + (
        f"\n… and {len(every) - TICKET} more\n" if len(every) > TICKET else "" if every else "No incidents.\n"
    )


def _item(incident: Incident) -> str:
    muted = f" (muted: {_plain(incident.muted)})" if incident.muted else ""
    link = f" [Metrics Explorer]({incident.link})" if incident.link else ""
    head = f"- **{incident.severity} {band(incident.severity)}**{muted} `{incident.id}` {incident.state}"
    look = f" Look first at {_plain(incident.look)}." if incident.look else ""
    return f"{head}: {_plain(incident.sentence)}{look}{link}\n"


def _plain(words: str) -> str:
    """Words that Markdown and HTML leave as they are."""
    shown = clean(words, 3000).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_{}\[\]#!|~>@])", r"\\\1", shown)


WIDE, NARROW = 100, 72
"""A terminal of fewer columns shows dates without a year; one of still fewer not what an incident amounts to."""


LEAST = {"nature": 13, "where": 8, "what": 8}
"""So narrow these columns become, and no narrower."""


def table(incidents: Iterable[Incident], width: int, most: int = 0) -> "Table":
    """The incidents as a table for a terminal of that width; at most so many where `most` is given."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, header_style="bold")
    names = ("severity", "since (UTC)", "lasted", "nature", "where", "what")[: 6 if width >= NARROW else 5]
    for name in names:
        folds = name in {"where", "what"} or (name == "nature" and width < WIDE)
        shown.add_column(name, no_wrap=not folds, overflow="fold", min_width=LEAST.get(name))
    for incident in list(incidents)[: most or None]:
        style = "dim" if incident.muted else STYLES[band(incident.severity)]
        severity = Text(f"{incident.severity} {'muted' if incident.muted else band(incident.severity)}", style=style)
        words = [Text(word) for word in _words(incident, width)]
        shown.add_row(severity, *words[: len(names) - 1])
    return shown


def held(incidents: Iterable[Incident], published: Iterable[Incident]) -> int:
    """How many the limit on announcements held back: those that were published though neither announced nor muted."""
    silent = {p.id for p in published if not p.told and not p.muted}
    return sum(1 for i in incidents if i.id in silent and not i.muted)


def total(incidents: Iterable[Incident], published: Iterable[Incident]) -> str:
    """How many there are, how many of them are muted, and how many the limit on announcements held back."""
    every = list(incidents)
    muted, silent = sum(1 for i in every if i.muted), held(every, published)
    more = [f"{muted} muted"] if muted else []
    more += [f"{silent} held back by the limit on announcements"] if silent else []
    return many(len(every), "incident") + (f" ({', '.join(more)})" if more else "")


def _words(incident: Incident, width: int) -> Iterator[str]:
    yield f"{incident.start:%Y-%m-%d %H:%M}"[0 if width >= WIDE else 5 :]
    yield lasting(timedelta(seconds=incident.duration)) + ("" if incident.state == "closed" else " so far")
    nature = clean(incident.nature, 40)
    yield nature if width >= WIDE or len(nature) <= LEAST["nature"] else nature.replace("-", "-\n")
    of = "" if incident.tested is None else f", {incident.resources} of {incident.tested}"
    yield clean(incident.where, 60) + of
    total = incident.excess_bytes, "By"
    if not incident.excess_bytes:
        total = incident.excess_packets, "packets"
    value, unit = total
    yield f"{quantity(abs(value), unit)} {_more(value)}" if value else briefly(incident)


def _more(value: float) -> str:
    return "more than expected" if value > 0 else "less than expected"
