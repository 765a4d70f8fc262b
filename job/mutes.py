"""Mutes, maintenance windows and holidays: what is shown as muted instead of being told."""

import fnmatch
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import groupby
from typing import Annotated, Any, Self, get_args
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from detectors import Frame
from job.anomaly import split_labels
from job.errors import ConfigError
from job.incident import Incident
from job.kinship import thing_of
from job.policy import Positive
from job.store import read_text
from job.toml import tables
from job.units import parse_time, utc

DAY = timedelta(days=1)

Span = tuple[datetime, datetime]


def _moment(given: Any) -> datetime:
    return parse_time(str(given))


Moment = Annotated[datetime, BeforeValidator(_moment)]


@dataclass(frozen=True)
class Quiet:
    """A muted time of one metric, as far as it touches what is read, and of which resources."""

    resource: str
    start: datetime
    end: datetime


class _Scope(BaseModel):
    """Why, and of which incidents: patterns such as `web-*`; what is not given fits everything."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: str = Field(min_length=1, max_length=500, description="Why; shown with everything that it mutes.")
    resource: str = Field(
        "*", description="Pattern of the resource: its name, its group, or one of its labels' values."
    )
    metric: str = Field("*", description="Pattern of the metric type that all its top series fit.")
    nature: str = Field("*", description="Pattern of the incident's nature.")

    def fits(self, incident: Incident) -> bool:
        """Whether an incident is one that this is about."""
        names = [incident.where, re.split(r" \(|: ", incident.where)[0], *incident.resource.labels.values()]
        return (
            any(fnmatch.fnmatchcase(name, self.resource) for name in names)
            and all(fnmatch.fnmatchcase(top.metric, self.metric) for top in incident.top)
            and fnmatch.fnmatchcase(incident.nature, self.nature)
        )


class Mute(_Scope):
    """A time that somebody muted; it ends."""

    from_: Moment | None = Field(None, alias="from", description="Since when; default: always.")
    until: Moment = Field(description="Until when: a mute expires.")

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.from_ and self.from_ >= self.until:
            raise ValueError(f"from = {utc(self.from_)} is not before until = {utc(self.until)}; swap or move them")
        return self

    def spans(self, start: datetime, _end: datetime) -> Iterator[Span]:
        """The muted time."""
        yield self.from_ or start, self.until


class _Local(_Scope):
    zone: str = Field("UTC", description="IANA time zone of its times, such as Europe/Berlin.")

    @field_validator("zone")
    @classmethod
    def _known(cls, given: str) -> str:
        try:
            ZoneInfo(given)
        except (ValueError, OSError, KeyError):  # the last where there is no such zone
            raise ValueError(f"{given!r} is no IANA time zone; write one such as Europe/Berlin") from None
        return given

    def utc(self, local: datetime) -> datetime:
        """A wall-clock time of the zone; one that daylight saving leaves out is an hour later."""
        return local.replace(tzinfo=ZoneInfo(self.zone)).astimezone(ZoneInfo("UTC"))


class Window(_Local):
    """A time that comes again, such as a weekly maintenance."""

    rrule: str = Field(description="When it begins again: a rule of RFC 5545, such as FREQ=WEEKLY;BYDAY=SU.")
    start: datetime = Field(description="Its first beginning, on the clock of its zone.")
    duration: Positive = Field(description="How long it lasts.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.start.tzinfo is not None:
            raise ValueError(f"start = {self.start} has a zone of its own; write wall-clock time, and the zone as zone")
        if not datetime(1980, 1, 1) <= self.start < datetime(3000, 1, 1):  # noqa: DTZ001 - wall-clock time
            raise ValueError(f"start = {self.start} lies outside the years 1980 to 2999")
        _check(self.rrule, self.start, self._plain)
        return self

    @property
    def _plain(self) -> str:
        """The rule on the clock of the zone: RFC 5545 has the end of one in UTC."""

        def local(until: re.Match[str]) -> str:
            try:
                moment = datetime.strptime(until[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
            except ValueError:
                raise ValueError(f"rrule = {self.rrule!r} ends at {until[1]}Z, which is no time") from None
            return f"UNTIL={moment.astimezone(ZoneInfo(self.zone)):%Y%m%dT%H%M%S}"

        return re.sub(r"UNTIL=(\d{8}T\d{6})Z", local, self.rrule.upper().removeprefix("RRULE:"))

    def spans(self, start: datetime, end: datetime) -> Iterator[Span]:
        """Its occurrences that touch `[start, end)`."""
        zone = ZoneInfo(self.zone)
        low = start.astimezone(zone).replace(tzinfo=None) - self.duration - DAY
        high = end.astimezone(zone).replace(tzinfo=None) + DAY
        for local in _rule(self._plain, self.start).between(low, high, inc=True):
            begins = self.utc(local)
            yield begins, begins + self.duration


FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY")

CYCLE = 400
"""Years after which the calendar is the same again, weekdays and all."""


def _check(given: str, start: datetime, plain: str) -> None:
    """Refuse what is no rule, and what would be searched for without end: a rule that never comes.

    Whether it comes is tried near the end of the calendar, where the search has one.
    """
    parts = dict(part.partition("=")[::2] for part in plain.split(";"))
    if parts.get("FREQ") not in FREQUENCIES:
        raise ValueError(f"rrule = {given!r} needs FREQ=" + ", ".join(FREQUENCIES[:-1]) + f" or {FREQUENCIES[-1]}")
    if not re.fullmatch(r"[A-Z]+=[\w,+-]+(;[A-Z]+=[\w,+-]+)*", plain, re.ASCII):
        raise ValueError(f"rrule = {given!r} is not one rule; write FREQ=…;BYDAY=… alone")
    for name in ("INTERVAL", "COUNT"):
        if not re.fullmatch(r"[1-9]\d{0,5}", parts.get(name, "1")):
            raise ValueError(f"rrule = {given!r} has {name}={parts[name]}; write 1 to 999999")
    endless = ";".join(f"{name}={value}" for name, value in parts.items() if name not in {"UNTIL", "COUNT"})
    late = start.replace(year=start.year + (date.max.year - CYCLE - start.year) // CYCLE * CYCLE)
    try:
        _rule(plain, start)
        first = next(iter(_rule(endless, late)), None)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"rrule = {given!r} is no rule of RFC 5545: {error}") from None
    if first is None:
        raise ValueError(f"rrule = {given!r} never comes; is there such a day?")


@cache
def _rule(plain: str, start: datetime) -> Any:
    """A rule, with the occurrences that were asked for before."""
    from dateutil.rrule import rrulestr

    return rrulestr(plain, dtstart=start, cache=True)


class Holidays(_Local):
    """The public holidays of a country, whole days of its zone."""

    country: str = Field(description="ISO 3166 code of the country, such as DE.")
    subdivision: str | None = Field(None, description="Code of the state or province, such as BY.")

    @model_validator(mode="after")
    def _known_country(self) -> Self:
        self._days((2026,))
        return self

    def _days(self, years: Iterable[int]) -> Iterable[date]:
        import holidays

        try:
            return sorted(holidays.country_holidays(self.country, subdiv=self.subdivision, years=years))
        except NotImplementedError as error:
            raise ValueError(f"no holidays are known of {self.country!r}, {self.subdivision!r}: {error}") from None

    def spans(self, start: datetime, end: datetime) -> Iterator[Span]:
        """The holidays that touch `[start, end)`."""
        for day in self._days(range((start - DAY).year, (end + DAY).year + 1)):
            midnight = datetime.combine(day, datetime.min.time())
            yield self.utc(midnight), self.utc(midnight + DAY)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    mute: tuple[Mute, ...] = ()
    window: tuple[Window, ...] = ()
    holidays: tuple[Holidays, ...] = ()


@dataclass(frozen=True)
class Mutes:
    """Everything that mutes."""

    every: Sequence[Mute | Window | Holidays] = ()

    def reason(self, incident: Incident) -> str | None:
        """Why an incident is muted: because all of its time lies within one muted time that fits it."""
        for one in self.every:
            if one.fits(incident):
                for start, end in one.spans(incident.start, incident.end):
                    if start <= incident.start and incident.end <= end:
                        return one.reason
        return None

    def quiet(self, metric: str, start: datetime, end: datetime) -> tuple[Quiet, ...]:
        """The muted times that touch `[start, end)` of a metric: what happens in them is no baseline.

        Not those of one nature, which is not known before a point is scored; nor those that do not say when they began.
        """
        found = {
            Quiet(one.resource, max(low, start), min(high, end))
            for one in self.every
            if one.nature == "*" and fnmatch.fnmatchcase(metric, one.metric)
            if not (isinstance(one, Mute) and one.from_ is None)
            for low, high in one.spans(start, end)
            if low < end and high > start
        }
        return tuple(sorted(found, key=lambda q: (q.start, q.end, q.resource)))

    def over(self, incidents: Iterable[Incident]) -> tuple[Incident, ...]:
        """The incidents, the muted ones marked."""
        return tuple(i.model_copy(update={"muted": self.reason(i)}) for i in incidents)


def hidden(frame: Frame, times: Sequence[Quiet], project: str) -> NDArray[np.bool_] | None:
    """Which points of a frame lie in a muted time of their resource, wholly or in part; None where none does."""
    if not times:
        return None
    found = np.zeros(frame.values.shape, dtype=np.bool_)
    things = [thing_of(project, *split_labels(labels)) for labels in frame.labels]
    names = [(one.name, one.name.partition(" (")[0], *dict(one.labels).values()) for one in things]
    for pattern, each in groupby(sorted(times, key=lambda q: q.resource), key=lambda q: q.resource):
        rows = [any(fnmatch.fnmatchcase(name, pattern) for name in one) for one in names]
        for time in each:
            found[rows, frame.column(time.start) : -((frame.start - time.end) // frame.step)] = True
    return found


def parse(text: str, place: str) -> Mutes:
    """The mutes of a TOML file: [[mute]], [[window]] and [[holidays]] tables.

    Raises:
        ConfigError: one line for each thing that is wrong.
    """
    try:
        file = _File.model_validate(tables(text, place))
    except ValidationError as error:
        raise ConfigError("\n".join(_complaint(place, fault) for fault in error.errors(include_url=False))) from None
    return Mutes((*file.mute, *file.window, *file.holidays))


def open_mutes(place: str) -> Mutes:
    """The mutes of a file, local or gs://BUCKET/OBJECT; none where no file is named.

    Raises:
        ConfigError: there is no such file, or something in it is wrong.
    """
    return parse(read_text(place), place) if place else Mutes()


def _complaint(place: str, fault: Any) -> str:
    where = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "missing":
        return f"{place}: {where} is missing; write it" + (", since a mute must end" if where.endswith("until") else "")
    if fault["type"] == "extra_forbidden":
        table = _File.model_fields.get(str(fault["loc"][0]))
        kind = get_args(table.annotation)[0] if table else _File
        names = ", ".join(f.alias or name for name, f in kind.model_fields.items())
        return f"{place}: {where}: no such {'setting' if table else 'table'}; there are: {names}"
    if fault["type"] == "tuple_type":
        return f"{place}: {where} is a list of tables; write [[{where}]]"
    if fault["type"] == "string_too_short":
        return f"{place}: {where} is empty; say why, for those who will read it"
    return f"{place}: {where}: {fault['msg'].removeprefix('Value error, ')}"
