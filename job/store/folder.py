"""Objects as plain files in a folder, with what a file cannot carry (meta, checksum) in a hidden folder beside them."""

import errno
import fcntl
import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import BufferedReader
from pathlib import Path
from typing import Any

from job.errors import ConfigError, Conflict, Failed, NetanomalyError, NotAllowed
from job.store import Head, Object
from job.store.names import check_name, is_name

HIDDEN = ".meta"
"""The folder of the sidecars and of the lock, inside the root."""


@dataclass(frozen=True)
class Folder:
    """A store in a folder of a local disk; several processes may use it at once.

    An object is a file. Its sidecar, `.meta/<folders>/.<file>.json`, holds its meta, its SHA-256, its CRC-32 (by which
    it is checked in a third of the time) and the size and time of the file that it speaks of. The file is renamed into
    place first and the sidecar second, so that a crash between the two leaves a sidecar that speaks of another file.
    Such a file, one that was edited by hand, and one without a sidecar are objects with empty meta: the store never
    claims more than it knows. A file that has the sidecar's size and time but not its checksum is corrupt.

    A version is made of the object's bytes and meta, so equal objects have equal versions, here and elsewhere.
    """

    path: Path

    @property
    def url(self) -> str:
        """The folder as it was named."""
        return str(self.path)

    @cached_property
    def _root(self) -> Path:
        return self.path.resolve()

    def names(self, prefix: str = "") -> Iterator[str]:
        """The names that begin with `prefix`, sorted; hidden files and links out of the folder are left out."""
        with _told(self.url, "list"):
            found = sorted(name for name in self._walk(prefix) if name.startswith(prefix) and is_name(name))
        yield from found

    def head(self, name: str) -> Head | None:
        """What is known of an object, or None where there is none."""
        with _told(f"{self.url}/{name}", "read"), self._reading():
            return self._look(name)

    def get(self, name: str) -> Object | None:
        """An object, checked against its checksum, or None where there is none."""
        with _told(f"{self.url}/{name}", "read"), self._reading():
            return self._load(name)

    def put(
        self, name: str, data: bytes, *, meta: Mapping[str, str] | None = None, replaces: Head | None = None
    ) -> Head:
        """Write an object whole, in the place of `replaces` (None: there must be none of that name)."""
        check_name(name)
        meta = dict(meta or {})
        digest = _digest(data)
        head = Head(name, meta, _version(meta, digest), len(data))
        with _told(f"{self.url}/{name}", "write"), self._writing():
            there = self._load_any(name)
            if there is not None and there.version == head.version:
                return head
            if (there and there.version) != (replaces and replaces.version):
                raise Conflict(f"{self.url}/{name} is not what was to be replaced: somebody else wrote it meanwhile")
            self._write(name, data, meta, digest)
        return head

    def delete(self, name: str) -> None:
        """Remove an object; it may be gone already."""
        check_name(name)
        with _told(f"{self.url}/{name}", "delete"), self._writing():
            self._file(name).unlink(missing_ok=True)
            self._sidecar(name).unlink(missing_ok=True)

    def _walk(self, prefix: str) -> Iterator[str]:
        top = self.path / prefix.rpartition("/")[0]
        if ".." in Path(prefix).parts or not top.resolve().is_relative_to(self._root):
            return
        for folder, folders, files in os.walk(top, onerror=_unreadable):
            folders[:] = [each for each in folders if not each.startswith(".")]
            for file in files:
                path = Path(folder, file)
                if not file.startswith(".") and path.is_file() and self._stays(path):
                    yield path.relative_to(self.path).as_posix()

    def _stays(self, path: Path) -> bool:
        """Whether a file in a folder inside is inside; only a link can lead out."""
        return not path.is_symlink() or path.resolve().is_relative_to(self._root)

    def _load(self, name: str) -> Object | None:
        with self._opened(name) as file:
            if not file:
                return None
            data, side = file.read(), self._side(name)
            known = side.get("size") == len(data) and side.get("crc32") == zlib.crc32(data)
            return Object(self._checked(name, file, side, side["sha256"] if known else _digest(data)), data)

    def _look(self, name: str) -> Head | None:
        """The head alone, of a file of any size."""
        with self._opened(name) as file:
            if not file:
                return None
            return self._checked(name, file, self._side(name), hashlib.file_digest(file, "sha256").hexdigest())

    @contextmanager
    def _opened(self, name: str) -> Iterator[BufferedReader | None]:
        try:
            file = self._file(name).open("rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            yield None
            return
        with file:
            yield file

    def _checked(self, name: str, file: BufferedReader, side: Mapping[str, Any], digest: str) -> Head:
        """What the sidecar says of an open file with this digest."""
        stat = os.fstat(file.fileno())
        ours = side.get("sha256") == digest
        if not ours and side.get("size") == stat.st_size and side.get("mtime") == stat.st_mtime_ns:
            raise Failed(f"{self.url}/{name} is corrupt: its bytes are not those that were written; delete it")
        meta = side["meta"] if ours else {}
        return Head(name, meta, _version(meta, digest), stat.st_size)

    def _load_any(self, name: str) -> Head | None:
        """The head for a comparison; a corrupt object has one too, so that it can be written over."""
        try:
            return self._look(name)
        except Failed:
            return Head(name, {}, -1, -1)

    def _side(self, name: str) -> dict[str, Any]:
        try:
            side = json.loads(self._sidecar(name).read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return {}
        sound = isinstance(side, dict) and isinstance(side.get("meta"), dict) and isinstance(side.get("sha256"), str)
        return side if sound and all(isinstance(value, str) for value in side["meta"].values()) else {}

    def _write(self, name: str, data: bytes, meta: Mapping[str, str], digest: str) -> None:
        file, sidecar = self._file(name), self._sidecar(name)
        try:
            stat = _stage(file, data)
            crc = zlib.crc32(data)
            side = {"crc32": crc, "meta": meta, "mtime": stat.st_mtime_ns, "sha256": digest, "size": len(data)}
            _stage(sidecar, json.dumps(side, sort_keys=True).encode())
            _staged(file).replace(file)
            _staged(sidecar).replace(sidecar)
        except OSError:  # a full disk keeps no half-written file
            _staged(file).unlink(missing_ok=True)
            _staged(sidecar).unlink(missing_ok=True)
            raise

    def _file(self, name: str) -> Path:
        return self._inside(self.path / check_name(name))

    def _sidecar(self, name: str) -> Path:
        folder, _, file = name.rpartition("/")
        return self._inside(self.path / HIDDEN / folder / f".{file}.json")

    def _inside(self, path: Path) -> Path:
        if not path.resolve().is_relative_to(self._root):
            raise ConfigError(f"{path} leads out of {self.url} by a link; objects stay inside the folder")
        return path

    @contextmanager
    def _writing(self) -> Iterator[None]:
        lock = self._inside(self.path / HIDDEN / "lock")
        lock.parent.mkdir(parents=True, exist_ok=True)
        with _locked(os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), fcntl.LOCK_EX):
            yield

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Keep writers out while a file and its sidecar are read; where nobody ever wrote there is no lock."""
        try:
            lock = os.open(self.path / HIDDEN / "lock", os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            yield
            return
        with _locked(lock, fcntl.LOCK_SH):
            yield


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _version(meta: Mapping[str, str], digest: str) -> int:
    """A number below 2**63 that stands for these bytes with this meta."""
    text = json.dumps([digest, dict(meta)], sort_keys=True)
    return int(_digest(text.encode())[:16], 16) >> 1


def _staged(path: Path) -> Path:
    """Where a file is written before it is renamed; one name is enough, since writers hold the lock."""
    return path.with_name(f".{path.name}.tmp")


def _stage(path: Path, data: bytes) -> os.stat_result:
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(_staged(path), flags, 0o666), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        return os.fstat(file.fileno())


@contextmanager
def _locked(descriptor: int, how: int) -> Iterator[None]:
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _unreadable(error: OSError) -> None:
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        raise error


@contextmanager
def _told(what: str, verb: str) -> Iterator[None]:
    """Say what the file system refused in the terms of this program."""
    try:
        yield
    except OSError as error:
        raise _translated(error, what, verb) from error


def _translated(error: OSError, what: str, verb: str) -> NetanomalyError:
    reason = error.strerror or str(error)
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return NotAllowed(f"may not {verb} {what}: {reason}; grant this user access to the folder or name another")
    if isinstance(error, (NotADirectoryError, IsADirectoryError, FileExistsError)):
        return ConfigError(f"cannot {verb} {what}: {reason}; a file and a folder cannot have one name")
    if error.errno == errno.ENAMETOOLONG:
        return ConfigError(f"cannot {verb} {what}: {reason}; this file system wants shorter names")
    return Failed(f"cannot {verb} {what}: {reason}")
