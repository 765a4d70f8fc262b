"""What an object and a bucket may be called."""

import re

from job.errors import ConfigError


def is_name(name: str) -> bool:
    """Whether `name` can name an object in a folder and in a bucket alike."""
    parts = name.split("/")
    if not name.isprintable() or "\\" in name or len(name.encode()) > 1000:
        return False
    return all(part and not part.startswith(".") and len(part.encode()) <= 200 for part in parts)


def check_name(name: str) -> str:
    """Return `name` when it can name an object in a folder and in a bucket alike.

    Raises:
        ConfigError: it is empty, absolute, too long, holds a control character or a backslash, or one of its parts
            is empty or begins with a dot.
    """
    if not is_name(name):
        raise ConfigError(
            f"{name[:200]!r} cannot name an object: it is printable, without backslashes, at most 1000 bytes, and its "
            "parts have 1 to 200 bytes and begin with no dot"
        )
    return name


def check_bucket(bucket: str, url: str) -> str:
    """Return `bucket`, which `url` names, when Cloud Storage could have a bucket of that name.

    Raises:
        ConfigError: it could not.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", bucket) or any(len(w) > 63 for w in bucket.split(".")):
        raise ConfigError(
            f"{url!r} names no bucket: write gs://BUCKET/PREFIX, the bucket in 3 to 63 small letters, digits, '-', '_'"
        )
    return bucket
