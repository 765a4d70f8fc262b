"""One validated configuration from flags, the environment, a TOML file and defaults, in that order of strength."""

import difflib
import fnmatch
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from detectors.duration import text
from job import memory, toml
from job.errors import ConfigError
from job.policy import Duration, Policy, Positive
from job.units import parse_time, utc

PREFIX = "NETANOMALY_"
"""Environment variables of this program begin so: NETANOMALY_STEP is the setting `step`."""

DAY = timedelta(days=1)

FIRST, LAST = datetime(1980, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)
"""Between these every time that is asked for lies, so that no history that is read before it leaves the calendar."""


LEAST_MEMORY = 384 * memory.MIB


def _words(given: Any) -> Any:
    """A list given as one string, as flags and the environment have it: `vm,nat`."""
    return tuple(word.strip() for word in given.split(",") if word.strip()) if isinstance(given, str) else given


def _moment(given: Any) -> datetime:
    """A time as flags, the environment or TOML's own dates have it."""
    moment = parse_time(str(given))
    if not FIRST <= moment < LAST:
        raise ValueError(f"{given} lies outside the years {FIRST.year} to {LAST.year - 1}")
    return moment


def _size(given: Any) -> Any:
    return memory.parse(given) if isinstance(given, str) else given


def _roomy(given: int) -> int:
    if given < LEAST_MEMORY:
        raise ValueError(f"{memory.text(given)} is too little for any task; give {memory.text(LEAST_MEMORY)} or more")
    return given


Size = Annotated[int, BeforeValidator(_size), AfterValidator(_roomy), PlainSerializer(memory.text, return_type=str)]
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
Moment = Annotated[datetime, BeforeValidator(_moment), PlainSerializer(utc, return_type=str)]


class _Table(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, validate_default=True, allow_inf_nan=False
    )


def _set(policy: Policy) -> dict[str, Any]:
    return policy.model_dump(mode="json", exclude_unset=True)


Differing = Annotated[Policy, PlainSerializer(_set)]
"""A policy of which only the settings count that were given."""


class Rule(_Table):
    """Policy settings for some metrics; of several rules that fit, the later one decides."""

    metrics: Words = Field(min_length=1, description="Presets, metric types or patterns such as *dropped*.")
    policy: Differing = Field(description="The settings of [policy] that differ for these metrics.")

    def fits(self, names: Iterable[str]) -> bool:
        """Whether it is about the metric that goes by these names."""
        return any(fnmatch.fnmatchcase(name, pattern) for name in names for pattern in self.metrics)


class CustomQuery(_Table):
    """A metric that no preset has, or one that is to be read in another way."""

    type: str = Field(min_length=3, description="Metric type.")
    name: str = Field("", pattern=r"^[a-z0-9][a-z0-9_.-]*$|^$", max_length=150, description="Name in the store.")
    filter: str = Field("", description="Monitoring filter that narrows the series.")
    group_by: Words = Field((), description="Labels that are kept; series that agree on them become one.")
    reducer: Literal["sum", "mean", "min", "max"] = Field("sum", description="How the series of a group become one.")
    noun: str = Field("", description="What a counter without a unit counts.")
    split_by: str = Field("", description="Label by which the query is split into parts.")
    missing: Literal["absent", "zero", "ignore"] = Field("ignore", description="What a missing point means.")


class FilesTable(_Table):
    """How recorded files are read."""

    kind: Literal["gauge", "delta", "cumulative"] = Field(
        "gauge", description="Whether values are levels or rates, amounts per interval, or running counters."
    )
    unit: str = Field("1", description="Unit of the values, where the files do not say.")
    stamp: Literal["start", "end"] = Field("start", description="Whether a stamp is the start or end of its period.")


class SyntheticTable(_Table):
    """What the synthetic source makes up."""

    seed: int = Field(0, ge=0, description="Another seed, another fleet and other incidents.")
    vms: int = Field(12, ge=1, le=100_000, description="How many virtual machines there are.")
    incidents: bool = Field(True, description="Whether incidents are injected.")


class Settings(_Table):
    """Every setting of the job, under the names of its flags, its environment variables and its file's keys."""

    source: Literal["synthetic", "monitoring", "files"] = Field(
        "synthetic", description="Where time series come from: made up, Cloud Monitoring, or recorded files."
    )
    project: Words = Field((), description="Project or metrics scope to read, or several; default: the credentials'.")
    metrics: Words = Field(
        (), description="Presets (see `netanomaly metrics`) or metric types; default: vm (or the files') and ratios."
    )
    filter: str = Field("", description="Monitoring filter that narrows every query.")
    hours: float = Field(24.0, gt=0, le=24 * 730, description="How many hours to look at, up to the settled present.")
    from_: Moment | None = Field(None, alias="from", description="Begin here instead: a date or RFC 3339, UTC.")
    to: Moment | None = Field(None, description="End here instead of now.")
    step: Positive = Field(timedelta(minutes=5), description="Length of a period; divides a day.")
    settle: Duration | None = Field(None, description="How long points may still change; default: as the metric says.")
    input: str = Field("", description="Folder, file or gs://BUCKET/PREFIX that the files source reads.")
    output: str = Field("netanomaly-out", description="Folder or gs://BUCKET/PREFIX for what is found.")
    cache: str = Field(
        "off",
        min_length=1,
        description="Where history of Cloud Monitoring is kept: on (in the output), off, a folder or gs://BUCKET/PREFIX.",
    )
    detection: Literal["adaptive", "textbook"] = Field(
        "adaptive", description="Which set of detectors and policy is the ground for the other settings."
    )
    detectors: Words = Field(
        ("zscore", "ewma", "seasonal"),
        min_length=1,
        description="Detectors that vote; default: those of the detection.",
    )
    parts: int = Field(1, ge=1, le=36, description="Into how many objects a metric's series are split, for tasks.")
    calls: int = Field(8, ge=1, le=64, description="Most calls to Cloud Monitoring in flight at once.")
    memory: Size = Field(
        1 << 30,
        description="What a task may take: so many series are held at once. Detectors that compare series with each "
        "other hold all series of a part.",
    )
    retry_for: Positive = Field(timedelta(minutes=3), description="How long a failing call is tried again.")
    mutes: str = Field("", description="File (local or gs://) of mutes, maintenance windows and holidays.")
    tell: int = Field(0, ge=0, description="Most incidents of a day that are announced, the worst; 0: all of them.")
    write_back: str = Field(
        "",
        pattern=r"^$|^[a-z0-9.:-]{1,100}$",
        description="Project to which runs write how many incidents are on, the worst severity and a heartbeat, as "
        "custom metrics; default: none.",
    )
    fresh: bool = Field(False, description="Score every day of a backfill again, even those that are complete.")
    profile: bool = Field(False, description="Show at the end where the time went.")
    monitoring_endpoint: str = Field(
        "", pattern=r"^$|^[^\s/]+:\d{1,5}$", description="HOST:PORT of a stand-in for Cloud Monitoring, in plain text."
    )
    policy: Policy = Field(Policy(), description="What is worth telling.")
    rule: tuple[Rule, ...] = Field((), description="Policies of some metrics.")
    query: tuple[CustomQuery, ...] = Field((), description="Metrics of your own, instead of or besides presets.")
    detector: dict[str, dict[str, Any]] = Field({}, description="Settings of detectors, by their names.")
    files: FilesTable = Field(FilesTable(), description="How recorded files are read.")
    synthetic: SyntheticTable = Field(SyntheticTable(), description="What the synthetic source makes up.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        wrong = list(self._odd())
        if wrong:
            raise ValueError("\n".join(wrong))
        return self

    def _odd(self) -> Iterator[str]:
        """What does not go together."""
        if DAY % self.step or self.step % timedelta(seconds=1):
            yield f"step = {text(self.step)} does not divide a day; take 1m, 5m, 10m, 15m, 30m or 1h"
        elif self.source == "monitoring" and self.step % timedelta(minutes=1):
            yield f"step = {text(self.step)}: Cloud Monitoring aligns to whole minutes; take 1m or more"
        if self.from_ and self.to and self.from_ >= self.to:
            yield f"from = {utc(self.from_)} is not before to = {utc(self.to)}; swap or move them"
        if self.source == "files" and not self.input:
            yield "source = files needs input: --input DIR, FILE or gs://BUCKET/PREFIX"
        if self.input and self.source != "files":
            yield f"input = {self.input!r} is read only by source = files; add --source files"
        if self.query and self.source != "monitoring":
            yield f"[[query]] tables are read only by source = monitoring, not by {self.source}"
        for odd in sorted(self.detector.keys() - set(self.detectors)):
            chosen = ", ".join(self.detectors)
            yield f'[detector.{odd}] has settings, but detectors = {chosen} lacks it; add it, or detection = "textbook"'

    def policy_of(self, *names: str) -> Policy:
        """The policy of the metric that goes by these names: [policy], then each fitting [[rule]] over it."""
        policy = self.policy
        for rule in self.rule:
            if rule.fits(names):
                differing = {key: getattr(rule.policy, key) for key in rule.policy.model_fields_set}
                if "threshold" in differing:
                    differing.setdefault("false_alarms", None)
                policy = policy.model_copy(update=differing)
        return policy


@dataclass(frozen=True)
class Given:
    """One place that settings come from: what it holds, and how it names a key to its reader."""

    values: Mapping[str, Any]
    called: Callable[[str], str]


def load(
    flags: Mapping[str, Any], environ: Mapping[str, str], read: Callable[[str], str], instead: tuple[str, ...] = ()
) -> Settings:
    """Return the settings of flags over environment over file over defaults, validated as a whole.

    `flags` holds what was given by name; `read(place)` returns the text of the file that the key `config` names.
    With detectors `instead` of those configured they are what `--detectors` alone would make of the rest.

    Raises:
        ConfigError: one message for each thing that is wrong, naming the value, the rule and the way out.
    """
    flag = Given({k: v for k, v in flags.items() if v is not None}, lambda key: f"--{key.replace('_', '-')}")
    env = Given(dict(_environment(environ)), lambda key: PREFIX + key.upper().replace(".", "__"))
    place = flag.values.get("config") or env.values.get("config")
    file = Given(toml.tables(read(str(place)), str(place)) if place else {}, lambda key: f"{key} in {place}")
    if instead:
        file, env, flag = (_without(given, instead) for given in (file, env, flag))
        flag = Given({**flag.values, "detectors": instead}, flag.called)
    merged: dict[str, Any] = {}
    for given in (named(file, env, flag), file, env, flag):
        _merge(merged, {k: v for k, v in given.values.items() if k != "config"})
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        raise ConfigError("\n".join(_complaints(error, (flag, env, file)))) from None


def _without(given: Given, detectors: tuple[str, ...]) -> Given:
    """A place without its choice of detectors, and without the settings of all but these."""
    values = {key: value for key, value in given.values.items() if key not in {"detection", "detectors"}}
    if isinstance(values.get("detector"), Mapping):
        values["detector"] = {name: table for name, table in values["detector"].items() if name in detectors}
    return Given(values, given.called)


def named(*places: Given) -> Given:
    """The detection that is the ground for what these places give, the strongest last.

    Detectors without a detection stand on the textbook's policy, unless the adaptive one is among them; and a threshold
    goes before the number of false alarms that it would be taken from.
    """
    merged: dict[str, Any] = {}
    for place in places:
        _merge(merged, place.values)
    detectors = _words(merged.get("detectors", ("adaptive",)))
    fitting = "adaptive" if isinstance(detectors, (list, tuple)) and "adaptive" in detectors else "textbook"
    name = merged.get("detection", fitting)
    if name not in get_args(Settings.model_fields["detection"].annotation):
        return Given({}, str)  # the validation says what is wrong
    values = tomllib.loads((files("job") / "detections" / f"{name}.toml").read_text())
    policy = merged.get("policy")
    if isinstance(policy, Mapping) and "threshold" in policy:
        values["policy"].pop("false_alarms", None)
    return Given({"detection": name, **values}, lambda key: f"{key} of the {name} detection")


def _environment(environ: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """The settings among environment variables; `__` goes down a table: NETANOMALY_POLICY__THRESHOLD."""
    found: dict[str, Any] = {}
    for name in sorted(environ):
        if name.startswith(PREFIX) and environ[name] != "":
            *tables, key = name.removeprefix(PREFIX).lower().split("__")
            inner = found
            for table in tables:
                inner = inner.setdefault(table, {})
                if not isinstance(inner, dict):
                    raise ConfigError(f"{name} is a setting of a table that another variable sets whole; unset one")
            inner[key] = environ[name]
    yield from found.items()


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Lay settings over others, table by table."""
    for key, value in more.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value


def _complaints(error: ValidationError, places: tuple[Given, ...]) -> Iterator[str]:
    """What is wrong, a line each, under the name by which it was given."""
    for fault in error.errors(include_url=False):
        where = fault["loc"]
        said = fault["msg"].removeprefix("Value error, ")
        if not where:
            yield from said.splitlines()
        elif fault["type"] == "extra_forbidden":
            yield f"{_called(where, places)}: no such setting; {_instead(where)}"
        else:
            rule = _FORMS.get(where[-1]) if fault["type"] == "string_pattern_mismatch" else _RULES.get(fault["type"])
            rule = rule or said.replace("Input should", "it should")
            value = repr(fault["input"])
            silent = value in rule or isinstance(fault["input"], Mapping) or fault["input"] == ()
            yield f"{_called(where, places)}: " + (rule if silent else f"{value[:200]}: {rule}")


_RULES = {
    "missing": "it is missing; write it",
    "model_type": "it is a table; write its settings one by one, such as policy.threshold",
    "dict_type": "it is a table; write its settings one by one",
    "tuple_type": "it is a list; write it in the file, as [...], or [[...]] for tables",
    "too_short": "it names nothing; write at least one name, or leave the setting out",
}
"""Rules in this program's terms, where the validator has its own."""


_FORMS: Mapping[int | str, str] = {
    "name": "it names objects in the store; write small letters, digits, '_', '.' and '-'",
    "write_back": "it is no project's id; write one such as prod-net",
    "monitoring_endpoint": "write it as HOST:PORT, such as localhost:8080",
}
"""How what has a form is to be written."""


def _instead(where: tuple[int | str, ...]) -> str:
    """What the writer of a setting that does not exist may have meant."""
    table: Any = Settings
    for key in where[:-1]:
        annotation = table.model_fields[key].annotation if key in table.model_fields else None
        inner = [t for t in (annotation, *get_args(annotation)) if isinstance(t, type) and issubclass(t, BaseModel)]
        table = inner[0] if inner else table
    names = [f.alias or n for n, f in table.model_fields.items()]
    near = difflib.get_close_matches(str(where[-1]), names, n=1)
    return f"did you mean {near[0]}?" if near else f"there are: {', '.join(names)}"


def _called(where: tuple[int | str, ...], places: tuple[Given, ...]) -> str:
    """How the place that decided calls the setting at this path."""
    holds = [given for given in places if _holds(given.values, where)] or [g for g in places if where[0] in g.values]
    name = ".".join(str(key) for key in where)
    return holds[0].called(name) if holds else name


def _holds(values: Any, where: tuple[int | str, ...]) -> bool:
    """Whether there is something at this path."""
    for key in where:
        try:
            values = values[key]
        except (KeyError, IndexError, TypeError):
            return False
    return True
