"""Where objects are kept: a folder or a bucket, behind one small interface."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from job.errors import ConfigError, Conflict

SCHEME = "gs://"


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

    @property
    def url(self) -> str:
        """The folder or the `gs://BUCKET/PREFIX` that it is."""

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

    def delete(self, name: str) -> None:
        """Remove an object; it may be gone already.

        Raises:
            NotAllowed: a permission is missing.
            Failed: the store did not answer.
        """


def open_store(url: str) -> Store:
    """The store that `url` names: `gs://BUCKET[/PREFIX]` or a folder. Nothing is contacted or created by opening it.

    Raises:
        ConfigError: the URL is neither.
    """
    if url.startswith(SCHEME):
        from job.store.bucket import Bucket

        bucket, _, prefix = url.removeprefix(SCHEME).partition("/")
        return Bucket(check_bucket(bucket, url), prefix.strip("/"))
    from job.store.folder import Folder

    if not url or "://" in url or "\0" in url:
        raise ConfigError(f"{url!r} is not a place to keep objects; name a folder or gs://BUCKET/PREFIX")
    path = Path(url).expanduser()
    if path.exists() and not path.is_dir():
        raise ConfigError(f"{url!r} is a file; name a folder or gs://BUCKET/PREFIX")
    return Folder(path)


def put_over(store: Store, name: str, data: bytes, meta: Mapping[str, str] | None = None, *, tries: int = 5) -> Head:
    """Write an object over whatever has that name, and again when somebody else was faster, `tries` times at most.

    Raises:
        Conflict: somebody else was faster every time.
        NotAllowed: a permission is missing.
        Failed: the store did not answer.
    """
    for _ in range(tries - 1):
        try:
            return store.put(name, data, meta=meta, replaces=store.head(name))
        except Conflict:
            continue
    return store.put(name, data, meta=meta, replaces=store.head(name))


def check_name(name: str) -> str:
    """Return `name` when it can name an object in a folder and in a bucket alike.

    Raises:
        ConfigError: it is empty, absolute, too long, holds a control character or a backslash, or one of its parts
            is empty or begins with a dot.
    """
    parts = name.split("/")
    if not all(parts) or any(part.startswith(".") or len(part.encode(errors="replace")) > 200 for part in parts):
        raise ConfigError(f"{name[:200]!r} cannot name an object: its parts have 1 to 200 bytes and begin with no dot")
    if not name.isprintable() or "\\" in name or len(name.encode()) > 1000:
        raise ConfigError(f"{name[:200]!r} cannot name an object: printable, no backslash, at most 1000 bytes")
    return name


def check_bucket(bucket: str, url: str) -> str:
    """Return `bucket` when Cloud Storage could have a bucket of that name.

    Raises:
        ConfigError: it could not.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", bucket) or any(len(w) > 63 for w in bucket.split(".")):
        raise ConfigError(
            f"{url!r} names no bucket: write gs://BUCKET/PREFIX, the bucket in 3 to 63 small letters, digits, '-', '_'"
        )
    return bucket
