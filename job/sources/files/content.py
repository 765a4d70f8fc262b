"""The files of an input and their bytes, unpacked and bounded."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from job.errors import ConfigError
from job.store import SCHEME, Store, open_store

SUFFIXES = (".csv", ".csv.gz", ".parquet")
"""What is read; all other files of a folder are left alone."""

LIMIT = 2**30
"""The most bytes that a file may have, packed or unpacked."""

_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Place:
    """An input: a store, one object of it or none (all of it), and the name that the input itself has."""

    store: Store
    only: str
    name: str


def place(url: str) -> Place:
    """The place that `url` names: a folder, `gs://BUCKET/PREFIX`, or one file or object. Nothing is read.

    Raises:
        ConfigError: it names none of these.
    """
    single = url.lower().endswith(SUFFIXES) and (url.startswith(SCHEME) or Path(url).expanduser().is_file())
    if not single:
        return Place(open_store(url), "", _base(url))
    full = url if url.startswith(SCHEME) else str(Path(url).expanduser().resolve())
    folder, _, name = full.rpartition("/")
    return Place(open_store(folder or "/"), name, stem(url.rpartition("/")[2]))


def _base(url: str) -> str:
    if url.startswith(SCHEME):
        return url.rstrip("/").rpartition("/")[2]
    return Path(url).expanduser().resolve().name or "files"


def stem(name: str) -> str:
    """A file's name without its folders and its suffixes."""
    last = name.rpartition("/")[2]
    suffix = next((suffix for suffix in SUFFIXES if last.lower().endswith(suffix)), "")
    return last[: len(last) - len(suffix)]


def contents(where: Place) -> Iterator[tuple[str, bytes]]:
    """The name and the unpacked bytes of every file, in the order of the names.

    Raises:
        ConfigError: there is none, or one is too large.
        NotAllowed: a permission is missing.
        Failed: one could not be read.
    """
    names = [where.only] if where.only else [n for n in where.store.names() if n.lower().endswith(SUFFIXES)]
    if not names:
        raise ConfigError(f"{where.store.url} holds no file that ends in {', '.join(SUFFIXES)}; name another input")
    for name in names:
        yield name, _content(where.store, name)


def _content(store: Store, name: str) -> bytes:
    head = store.head(name)
    if head and head.size > LIMIT:
        raise ConfigError(f"{store.url}/{name} has {head.size} bytes; files are read up to {LIMIT}: split it")
    found = store.get(name) if head else None
    if found is None:
        raise ConfigError(f"there is no {store.url}/{name}; name another input")
    packed = found.data.startswith(_GZIP)
    return _unpacked(found.data, f"{store.url}/{name}") if packed else found.data


def _unpacked(data: bytes, name: str) -> bytes:
    """The bytes in a gzip file of one or more members, at most LIMIT of them."""
    parts, left = [], LIMIT
    try:
        while data.startswith(_GZIP):
            member = zlib.decompressobj(wbits=31)
            parts.append(member.decompress(data, left + 1))
            left -= len(parts[-1])
            if left < 0:
                raise ConfigError(f"{name} unpacks to more than {LIMIT} bytes; split it")
            if not member.eof:
                raise ConfigError(f"{name} is a broken gzip file: it ends too early; pack it again")
            data = member.unused_data
    except zlib.error as error:
        raise ConfigError(f"{name} is a broken gzip file: {error}; pack it again") from None
    return b"".join(parts)
