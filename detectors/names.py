"""What the names of machines tell."""

import re

_SUFFIX = re.compile(r"[-_.](?=[a-z0-9]*\d)[a-z0-9]{1,8}$")


def prefix(name: str) -> str:
    """An instance's name without the numbers and random letters at its end, which its group gave it.

    >>> prefix("web-7-x3k9"), prefix("database")
    ('web', 'database')
    """
    shorter = _SUFFIX.sub("", name)
    return name if shorter == name else prefix(shorter)
