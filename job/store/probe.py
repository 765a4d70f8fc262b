"""Finds out, before a run depends on it, what may be done in a store."""

from collections.abc import Callable
from dataclasses import dataclass

from job.errors import NotAllowed
from job.store import Store, put_over

NAME = "checks/probe.txt"
"""The object that a check writes; it stays behind where deleting is not allowed."""


@dataclass(frozen=True)
class Finding:
    """Whether one thing may be done in the store. `message` says what is missing, and is empty where nothing is.

    `needed` is false for what a run can do without.
    """

    verb: str
    allowed: bool
    needed: bool = True
    message: str = ""


def check(store: Store) -> tuple[Finding, ...]:
    """Read, write, overwrite, list and delete a probe in `store`, each whether the others were allowed or not.

    Raises:
        ConfigError: there is no such bucket, or the folder cannot be one.
        Failed: the store did not answer.
    """
    return (
        _try("read", lambda: store.get(NAME)),
        _try("write", lambda: put_over(store, NAME, b"first\n")),
        _try("overwrite", lambda: put_over(store, NAME, b"second\n")),
        _try("list", lambda: list(store.names("checks/"))),
        _try("delete", lambda: store.delete(NAME), needed=False),
    )


def _try(verb: str, action: Callable[[], object], *, needed: bool = True) -> Finding:
    try:
        action()
    except NotAllowed as error:
        return Finding(verb, allowed=False, needed=needed, message=str(error))
    return Finding(verb, allowed=True, needed=needed)
