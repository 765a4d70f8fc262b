"""What was injected into made-up traffic is found, and named for what it is, by the defaults of the whole job."""

from collections import Counter

from benchmarks.made import made
from benchmarks.natures import confusion, summed, table


def test_most_of_what_was_injected_is_found_and_most_of_that_is_named_right() -> None:
    """Of two fleets, since one incident more or less of a single one's two dozen is chance."""
    counts: Counter[tuple[str, str]] = Counter()
    for seed in (3, 4):
        with made(12, 6, seed=seed) as here:
            counts += confusion(here)
    every, found, right = summed(counts)
    assert every >= 40
    assert found >= 0.65 * every, table(counts)
    assert right >= 0.85 * found, table(counts)
