"""Objects in a Cloud Storage bucket. The only part of the store that imports Google's client, and only when used."""

import os
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from job.errors import ConfigError, Conflict, Failed, NetanomalyError, NotAllowed
from job.store import Head, Object
from job.store.names import check_name

if TYPE_CHECKING:
    from google.cloud.storage import Blob, Client

ROLE = "roles/storage.objectUser"
"""The least role that allows all that is done here; it includes no permission on the bucket itself."""

NO_BUCKET_READS = "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA"
"""Keeps the client from reading the bucket in the background, which `ROLE` does not allow and the audit log reports."""

TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".parquet": "application/vnd.apache.parquet",
    ".toml": "application/toml",
    ".txt": "text/plain; charset=utf-8",
}

SESSION = 8 * 2**20
"""An object of more bytes is begun by one request and sent by another."""

READ_TRIES = 5
"""How often an object that is replaced between the look at its head and the download is looked at again."""


class Bucket:
    """A store under a prefix of a bucket; versions are generations.

    Every write carries the generation that it replaces, so that the service itself refuses a second writer. `wait`
    bounds one request and `wait_max` a call with its retries, in seconds. The client is made at first use, from the
    default credentials, or for the emulator that STORAGE_EMULATOR_HOST names.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        client: "Client | None" = None,
        *,
        wait: float = 20.0,
        wait_max: float = 60.0,
        environ: MutableMapping[str, str] = os.environ,
    ) -> None:
        self.bucket = bucket
        self.prefix = f"{prefix}/" if prefix else ""
        self._given = client
        self._wait = wait
        self._wait_max = wait_max
        self._environ = environ

    @property
    def url(self) -> str:
        """`gs://BUCKET/PREFIX`."""
        return f"gs://{self.bucket}/{self.prefix}".rstrip("/")

    def names(self, prefix: str = "") -> Iterator[str]:
        """The names that begin with `prefix`, sorted."""
        with self._told("list", "storage.objects.list"):
            blobs = self._client.list_blobs(
                self.bucket, prefix=self.prefix + prefix, fields="items(name),nextPageToken", **self._patience
            )
            found = sorted(str(blob.name) for blob in blobs)
        yield from (name.removeprefix(self.prefix) for name in found if not name.endswith("/"))

    def head(self, name: str) -> Head | None:
        """What is known of an object, or None where there is none."""
        blob = self._look(name)
        return _head(name, blob) if blob else None

    def get(self, name: str) -> Object | None:
        """An object, checked against its checksum, or None where there is none."""
        for _ in range(READ_TRIES):
            blob = self._look(name)
            if blob is None:
                return None
            data = self._download(name, blob)
            if data is not None:
                return Object(_head(name, blob), data)
        raise Failed(f"{self._place(name)} was replaced {READ_TRIES} times while it was read; try again")

    def put(
        self, name: str, data: bytes, *, meta: Mapping[str, str] | None = None, replaces: Head | None = None
    ) -> Head:
        """Write an object whole, in the place of `replaces` (None: there must be none of that name).

        What is large goes up in a session of its own, which a lost answer may have ended; that is then looked at.
        """
        from google.api_core.exceptions import GoogleAPICallError, PreconditionFailed

        meta = dict(meta or {})
        blob = self._blob(check_name(name))
        blob.metadata = meta
        permission = "storage.objects.create" + (" and storage.objects.delete" if replaces else "")
        with self._told("write", permission, name):
            for again in (True, False):
                try:
                    self._upload(blob, data, _type(name), replaces.version if replaces else 0)
                    return Head(name, meta, int(blob.generation), len(data))
                except GoogleAPICallError as error:
                    refused = isinstance(error, PreconditionFailed)
                    if not refused and not (again and len(data) > SESSION and _ended(error)):
                        raise
                if found := self._same(name, data, meta):  # stored by a try whose answer was lost
                    return found
                if refused:
                    break
        raise Conflict(f"{self._place(name)} is not what was to be replaced: somebody else wrote it meanwhile")

    def _upload(self, blob: "Blob", data: bytes, kind: str, generation: int) -> None:
        blob.upload_from_string(
            data, content_type=kind, if_generation_match=generation, checksum="crc32c", **self._patience
        )

    def delete(self, name: str) -> None:
        """Remove an object; it may be gone already."""
        from google.api_core.exceptions import NotFound

        with self._told("delete", "storage.objects.delete", name):
            try:
                self._blob(check_name(name)).delete(**self._patience)
            except NotFound as error:
                self._check_found(error)

    @cached_property
    def _client(self) -> "Client":
        self._environ.setdefault(NO_BUCKET_READS, "true")
        if self._given is not None:
            return self._given
        from google.auth.exceptions import DefaultCredentialsError
        from google.cloud.storage import Client

        try:
            return Client(project=None)
        except DefaultCredentialsError:
            raise NotAllowed(
                f"no usable Google Cloud credentials to open {self.url} with; on your own machine run: "
                "gcloud auth application-default login"
            ) from None

    @cached_property
    def _patience(self) -> dict[str, Any]:
        """What every call is given: how long one request may take, and how long and how often it is tried."""
        from google.cloud.storage.retry import DEFAULT_RETRY

        pause = min(1.0, self._wait_max / 100)
        retry = DEFAULT_RETRY.with_timeout(self._wait_max).with_delay(initial=pause, maximum=10 * pause)
        return {"timeout": self._wait, "retry": retry}

    def _blob(self, name: str, generation: int | None = None) -> "Blob":
        return self._client.bucket(self.bucket).blob(self.prefix + name, generation=generation)

    def _look(self, name: str) -> "Blob | None":
        """The object's resource, by objects.get alone: reading the bucket needs more than `ROLE`."""
        from google.api_core.exceptions import NotFound

        blob = self._blob(name)
        with self._told("read", "storage.objects.get", name):
            try:
                blob.reload(**self._patience)
            except NotFound as error:
                self._check_found(error)
                return None
        return blob

    def _download(self, name: str, blob: "Blob") -> bytes | None:
        """The bytes of exactly this generation, or None where it was replaced meanwhile.

        They are checked here too: the client does not check a download that it had to resume. They are as they were
        stored, so that the checksum is theirs.
        """
        from google.api_core.exceptions import NotFound

        with self._told("read", "storage.objects.get", name):
            try:
                data: bytes = self._blob(name, blob.generation).download_as_bytes(
                    raw_download=True, checksum="crc32c", **self._patience
                )
            except NotFound:
                return None
        if blob.crc32c != _crc32c(data):
            raise self._corrupt(name)
        return data

    def _same(self, name: str, data: bytes, meta: Mapping[str, str]) -> Head | None:
        """The head of what is there, if it is this."""
        blob = self._look(name)
        if blob is None or (blob.crc32c, blob.size, blob.metadata or {}) != (_crc32c(data), len(data), meta):
            return None
        return _head(name, blob)

    def _place(self, name: str) -> str:
        return f"gs://{self.bucket}/{self.prefix}{name}"

    def _corrupt(self, name: str) -> Failed:
        return Failed(f"{self._place(name)} is corrupt: its bytes do not have its checksum; read it again or delete it")

    def _check_found(self, error: Exception) -> None:
        if _bucketless(error):
            raise self._no_bucket() from error

    def _no_bucket(self) -> ConfigError:
        return ConfigError(
            f"the bucket {self.bucket!r} does not exist; name another or create it: "
            f"gcloud storage buckets create gs://{self.bucket} --uniform-bucket-level-access"
        )

    @contextmanager
    def _told(self, verb: str, permission: str, name: str = "") -> Iterator[None]:
        """Say what the service or the way to it refused in the terms of this program."""
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
        from requests.exceptions import RequestException

        place = self._place(name)
        try:
            yield
        except DataCorruption as error:
            raise self._corrupt(name) from error
        except (GoogleAPIError, GoogleAuthError, InvalidResponse, RequestException, ConnectionError) as error:
            raise self._translated(error, verb, permission, place) from error

    def _translated(self, error: Exception, verb: str, permission: str, place: str) -> NetanomalyError:
        from google.auth.exceptions import GoogleAuthError

        reason = _reason(error)
        status = _status(error)
        if status == 403:
            named = re.search(r"storage\.(?:objects|buckets)\.[a-zA-Z]+", reason)
            permission = named.group() if named else permission
            return NotAllowed(
                f"may not {verb} {place}: {permission} is missing; grant {ROLE} on gs://{self.bucket} to the account "
                f"that runs this ({reason})"
            )
        if status == 401 or (isinstance(error, GoogleAuthError) and not _passes(error)):
            return NotAllowed(
                f"may not {verb} {place}: the credentials were not accepted; log in again, or grant {ROLE} on "
                f"gs://{self.bucket} to the account that runs this"
            )
        if status == 404:
            return self._no_bucket()
        return Failed(f"cannot {verb} {place}: {reason}; trying again may help")


def _ended(error: Exception) -> bool:
    """Whether the session of an upload is gone."""
    return _status(error) in {404, 410} and not _bucketless(error)


def _bucketless(error: Exception) -> bool:
    return "bucket does not exist" in _reason(error)


def _head(name: str, blob: "Blob") -> Head:
    return Head(name, dict(blob.metadata or {}), int(blob.generation), int(blob.size))


def _crc32c(data: bytes) -> str:
    """The checksum as the service writes it."""
    import google_crc32c

    return b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


def _type(name: str) -> str:
    return TYPES.get(name[name.rfind(".") :] if "." in name else "", "application/octet-stream")


def _cause(error: Exception) -> Exception:
    """The last error that was retried, where the patience ended."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, Exception) else error


def _passes(error: Exception) -> bool:
    """Whether what kept the credentials from being refreshed may pass by itself."""
    from google.auth.exceptions import TransportError

    return isinstance(error, TransportError) or bool(getattr(error, "retryable", False))


def _status(error: Exception) -> int:
    """The HTTP status of the answer, 0 where there was none."""
    response = getattr(_cause(error), "response", None)
    return int(getattr(response, "status_code", 0) or 0)


def _reason(error: Exception) -> str:
    """What the service said, in one short line, without the address that was asked: an upload's is a secret."""
    cause = _cause(error)
    response = getattr(cause, "response", None)
    if response is None:
        return f"no answer ({type(cause).__name__})"
    try:
        said = str(response.json()["error"]["message"])
    except (ValueError, TypeError, LookupError):
        said = str(response.text) if len(response.text) < 200 else ""
    said = re.sub(r"https?://\S+", "", " ".join(said.split()))[:300]
    return f"HTTP {response.status_code} {said}".strip()
