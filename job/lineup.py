"""The detectors of a run: found by name, built from their settings, with the versions that they come from."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import timedelta
from functools import cache
from importlib.metadata import Distribution
from typing import Any, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter, ValidationError

from detectors import Detector, duration
from detectors.detector import available, load
from job.errors import ConfigError

LONGEST = timedelta(days=2 * 366)
"""No detector may look farther back; Cloud Monitoring keeps points for two years."""


def build(names: tuple[str, ...], settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Detector]:
    """Return the named detectors, each built from its table of settings.

    Raises:
        ConfigError: a detector does not exist or does not load, or a setting is unknown to it or wrong.
    """
    return {name: _build(name, settings.get(name, {})) for name in names}


def _build(name: str, given: Mapping[str, Any]) -> Detector:
    try:
        kind = load(name)
    except LookupError as error:
        raise ConfigError(f"detectors: {error.args[0]}") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - importing somebody else's module may raise anything
        raise ConfigError(f"detectors: {name!r} does not load: {error!r}; mend or install its package again") from None
    known = [f.name for f in fields(kind)] if is_dataclass(kind) else []
    for key in given:
        if key not in known:
            raise ConfigError(f"detector.{name}.{key}: no such setting; there are: {', '.join(known) or 'none'}")
    return _called(name, kind, {key: _value(name, key, kind, value) for key, value in given.items()})


def _value(name: str, key: str, kind: type[Any], value: Any) -> Any:
    """Read a setting as the type that the detector's field has."""
    annotation = _annotation(kind, key)
    adapter = TypeAdapter[Any](annotation, config=ConfigDict(arbitrary_types_allowed=True))
    try:
        return adapter.validate_python(_plain(annotation, value))
    except ValidationError as error:
        rule = error.errors()[0]["msg"]
        raise ConfigError(f"detector.{name}.{key} = {value!r}: {rule}") from None
    except ValueError as error:
        raise ConfigError(f"detector.{name}.{key}: {error}") from None


def _plain(annotation: Any, value: Any) -> Any:
    """The value with its durations read, and with a list for words that commas part, as variables have it."""
    if isinstance(value, str) and get_origin(annotation) in {tuple, list}:
        value = [word.strip() for word in value.split(",") if word.strip()]
    if timedelta not in {annotation, *get_args(annotation)}:
        return value
    if isinstance(value, list):
        return [_plain(timedelta, each) for each in value]
    return value if isinstance(value, timedelta) else duration.parse(str(value))


def _annotation(kind: type[Any], key: str) -> Any:
    from typing import get_type_hints

    try:
        return get_type_hints(kind)[key]
    except (NameError, TypeError, AttributeError) as error:
        raise ConfigError(f"detectors: the types of {kind.__name__}'s settings cannot be told: {error}") from None


def _called(name: str, kind: type[Any], given: Mapping[str, Any]) -> Detector:
    try:
        built: Any = kind(**given)
        detector = built if isinstance(built, Detector) else None
        history: Any = detector.history if detector else None
    except (TypeError, ValueError) as error:  # what a settings' check raises
        raise ConfigError(f"detector.{name}: {error}") from None
    except Exception as error:  # noqa: BLE001 - nor is it known what somebody else's class raises
        raise ConfigError(f"detector.{name}: {error!r}") from None
    if detector is None or not isinstance(history, timedelta):
        raise ConfigError(f"detectors: {name!r} is no detector: it needs a `history` (a timedelta) and to be callable")
    if not timedelta(0) <= history <= LONGEST:
        asked = duration.text(history)
        raise ConfigError(f"detector.{name} asks for {asked} of history; there is none beyond {duration.text(LONGEST)}")
    return detector


def versions(names: tuple[str, ...]) -> dict[str, str]:
    """The distribution and version that each detector comes from, as `netanomaly 0.1.0`."""
    points = available()
    return {name: _release(point.dist) if (point := points[name]).dist else "unknown" for name in names}


@cache
def _release(distribution: Distribution) -> str:
    """Its name and version, for which all that it says of itself is read, its README too."""
    told = distribution.metadata
    return f"{told['Name']} {told['Version']}"
