"""What a person writes in TOML: settings and mutes."""

import tomllib
from typing import Any

from job.errors import ConfigError

DEEPEST = 20
"""Tables and lists in each other that a file may have; none that is meant needs a quarter of them."""


def tables(text: str, place: str) -> dict[str, Any]:
    """The tables of a TOML text, which the message calls by its place.

    Raises:
        ConfigError: it is no TOML, or nested too deep to be looked through.
    """
    try:
        found = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits and lists of thousands of lists, too
        raise ConfigError(f"{place} is not TOML: {str(error)[:200]}") from None
    level: list[Any] = [found]
    for _ in range(DEEPEST):
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
        level = [each for each in level if isinstance(each, dict | list)]
        if not level:
            return found
    raise ConfigError(f"{place} has tables or lists that are nested deeper than {DEEPEST}; write it flatter")
