"""Where objects are kept: a folder or a bucket, behind one small interface."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Head:
    """What a store knows of an object without its bytes.

    `meta` is what was given to `put`. `version` names this state of the object (a bucket's generation).
    """

    name: str
    meta: Mapping[str, str]
    version: int
    size: int


@dataclass(frozen=True)
class Object:
    """An object: its bytes and its head."""

    head: Head
    data: bytes


class Store(Protocol):
    """Named, whole objects. A reader sees an object as it was or as it is, never half of it."""

    url: str

    def names(self, prefix: str = "") -> Iterator[str]:
        """The names that begin with `prefix`, sorted."""

    def head(self, name: str) -> Head | None:
        """What is known of an object, or None where there is none."""

    def get(self, name: str) -> Object | None:
        """An object, checked against its checksum, or None where there is none."""

    def put(
        self, name: str, data: bytes, *, meta: Mapping[str, str] | None = None, replaces: Head | None = None
    ) -> Head:
        """Write an object whole, in the place of `replaces` (None: there must be none of that name).

        A retry whose first try had been stored after all is a success.

        Raises:
            Conflict: what is there is not what was to be replaced.
            NotAllowed: a permission is missing.
            Failed: the store did not answer.
        """
