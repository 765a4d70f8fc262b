"""Where objects are kept: a folder or a bucket, behind one small interface."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from job.errors import ConfigError, Conflict, NotAllowed
from job.store.names import check_bucket, check_name

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
        prefix = prefix.strip("/")
        return Bucket(check_bucket(bucket, url), prefix and check_name(prefix))
    from job.store.folder import Folder

    if not url or "://" in url or "\0" in url:
        raise ConfigError(f"{url!r} is not a place to keep objects; name a folder or gs://BUCKET/PREFIX")
    try:
        path = Path(url).expanduser()
        file = path.exists() and not path.is_dir()
    except (OSError, RuntimeError) as error:
        raise ConfigError(f"{url!r} cannot be a folder: {error}; name a folder or gs://BUCKET/PREFIX") from None
    if file:
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


def read_text(url: str, *, limit: int = 1_000_000) -> str:
    """The UTF-8 text of a file or of a `gs://BUCKET/OBJECT`, such as a configuration.

    Raises:
        ConfigError: there is none, it is larger than `limit` bytes, or it is not UTF-8.
        NotAllowed: a permission is missing.
        Failed: it could not be read.
    """
    data = _object(url, limit) if url.startswith(SCHEME) else _file(url, limit)
    if data is None:
        raise ConfigError(f"there is no {url!r}")
    if len(data) > limit:
        raise ConfigError(f"{url!r} has more than {limit} bytes; a text is read up to that")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{url!r} is not UTF-8 text: {error.reason} at byte {error.start}") from None


def _object(url: str, limit: int) -> bytes | None:
    place, _, name = url.rpartition("/")
    if not name or f"{place}/" == SCHEME:
        raise ConfigError(f"{url!r} names no object: write gs://BUCKET/OBJECT")
    store = open_store(place)
    head = store.head(name)
    if head and head.size > limit:
        raise ConfigError(f"{url!r} has {head.size} bytes; a text is read up to {limit}")
    found = store.get(name)
    return found.data if found else None


def _file(url: str, limit: int) -> bytes | None:
    try:
        with Path(url).expanduser().open("rb") as file:
            return file.read(limit + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        raise NotAllowed(f"may not read {url!r}; grant this user access to it") from None
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"cannot read {url!r}: {error}") from None
