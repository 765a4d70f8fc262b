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

JOINED = 10
"""What is read together holds so many shares: two metrics, one that is read, their ratio, and those that are scored."""

LEAST, MOST = 2, 128
"""No block has fewer rows, or more: larger ones are not scored any faster, but take as much as there is."""

_TUNED = {-8: 2, -3: 32 * MIB, -1: 128 * MIB}
"""M_ARENA_MAX, M_MMAP_THRESHOLD (the largest there may be) and M_TRIM_THRESHOLD of the C library's allocator."""


def rows(memory: int, columns: int) -> int:
    """How many series of so many columns a block may have, in a task of so many bytes."""
    share = (memory - BASE) // (WORKERS * HELD + HANDS * SCORED)
    return min(MOST, max(LEAST, share // (8 * columns)))


def joined(memory: int, columns: int) -> int:
    """How many series of so many columns each of the queries that are read together may hold at once.

    They are read instead of those that would be side by side.
    """
    share = (memory - BASE) // (WORKERS * HELD + HANDS * SCORED)
    return max(LEAST, WORKERS * HELD * share // (8 * columns * JOINED))


def together(memory: int, columns: int, compared: int) -> int:
    """How many series of so many columns may be held at once, of which so many are compared with each other."""
    return max(LEAST, (memory - BASE) // (8 * (WHOLE * columns + COMPARED * compared)))


def tune_allocator() -> None:
    """Let the threads share two arenas of memory, which keep what is freed for what comes next.

    glibc gives each thread its own arena, and returns large arrays to the system: to be given them anew, page by page
    and wiped, takes a twentieth of a run.
    """
    import ctypes

    tune = getattr(ctypes.CDLL(None), "mallopt", None)
    if tune:  # other C libraries have other allocators
        for name, value in _TUNED.items():
            tune(name, value)


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
