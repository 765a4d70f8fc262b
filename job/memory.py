"""How much of a fleet is held at once, so that a task keeps within its memory whatever it is asked for."""

import re

MIB = 1 << 20

BASE = 256 * MIB
"""What the program takes with all that it imports, and pages on their way."""

WORKERS = 4
"""So many queries are read side by side."""

HANDS = 2
"""So many blocks are scored side by side: more would share the same cores and hold more."""

HELD = 3
"""A query that is being read holds a block that fills, its parts that are joined, and one that waits to be scored."""

SCORED = 14
"""A block that is scored takes so many times its size: what detectors answer, and what they work with."""

WHOLE, COMPARED = 2, 28
"""A query that is held whole is there twice; what of it is compared takes so many times its size (of `peers`)."""

LEAST, MOST = 2, 128
"""No block has fewer rows, or more: larger ones are not scored any faster, but take as much as there is."""

_M_ARENA_MAX = -8
"""The C library's name for how many arenas its allocator may have."""


def rows(memory: int, columns: int) -> int:
    """How many series of so many columns a block may have, in a task of so many bytes."""
    share = (memory - BASE) // (WORKERS * HELD + HANDS * SCORED)
    return min(MOST, max(LEAST, share // (8 * columns)))


def together(memory: int, columns: int, compared: int) -> int:
    """How many series of so many columns may be held at once, of which so many are compared with each other."""
    return max(LEAST, (memory - BASE) // (8 * (WHOLE * columns + COMPARED * compared)))


def share_arenas() -> None:
    """Let the threads share two arenas of memory, where glibc gives each its own, which keeps what it had."""
    import ctypes

    tune = getattr(ctypes.CDLL(None), "mallopt", None)
    if tune:  # other C libraries have other allocators
        tune(_M_ARENA_MAX, 2)


_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30}


def parse(text: str) -> int:
    """The bytes of a size, as Cloud Run and people write it: 512Mi, 1GiB, 2G.

    Raises:
        ValueError: it is no size.
    """
    found = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,3})?)\s*([kmg]i?|)b?\s*", text, re.IGNORECASE)
    if not found:
        raise ValueError(f"{text!r} is no size; write it as 512MiB or 2GiB")
    return int(float(found[1]) * _UNITS[found[2].lower()])


def text(size: int) -> str:
    """A size in the largest unit in which it is whole."""
    for unit, length in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size % length == 0:
            return f"{size // length}{unit}"
    return f"{size}B"
