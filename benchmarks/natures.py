"""python -m benchmarks.natures [--short] [--plain]: what was injected into made-up traffic, and its names."""

import sys
from collections import Counter

from benchmarks.made import METRICS, PLAIN, Made, hit, made

RIGHT = {
    "surge": {"volumetric surge"},
    "flood": {"flood"},
    "exfiltration": {"exfiltration-like"},
    "scan": {"scan-like"},
    "blackout": {"blackout"},
    "absence": {"absent resource"},
    "received-loss": {"partial loss", "asymmetry"},
    "sent-loss": {"partial loss", "asymmetry"},
    "level-shift": {"level shift"},
    "ramp": {"level shift", "volumetric surge"},
    "zone-outage": {"blackout"},
}
"""What each kind of injected incident may be called."""

MISSED = "(missed)"


def confusion(of: Made) -> Counter[tuple[str, str]]:
    """How often each kind was called what."""
    counts: Counter[tuple[str, str]] = Counter()
    for injected in of.injected:
        hits = [(n, i) for i in of.found.incidents if (n := hit(injected, i, of.found))]
        best = max(hits, key=lambda pair: (pair[0], pair[1].severity), default=None)
        counts[injected.kind, best[1].nature if best else MISSED] += 1
    return counts


def summed(counts: Counter[tuple[str, str]]) -> tuple[int, int, int]:
    """How many were injected, found, and of these named right."""
    found = sum(n for (_, name), n in counts.items() if name != MISSED)
    right = sum(n for (kind, name), n in counts.items() if name in RIGHT[kind])
    return counts.total(), found, right


def table(counts: Counter[tuple[str, str]]) -> str:
    """The counts as Markdown, a row for each kind."""
    rows = ["| injected | called |", "|---|---|"]
    for kind in RIGHT:
        names = sorted(((n, name) for (k, name), n in counts.items() if k == kind), reverse=True)
        if names:
            rows.append(f"| {kind} | {', '.join(f'{name} {n}' for n, name in names)} |")
    every, found, right = summed(counts)
    return "\n".join([*rows, "", f"{every} injected, {found} found, {right} of them named right."])


def main() -> None:
    """Print the table."""
    days, seeds = (7, (1,)) if "--short" in sys.argv else (14, (1, 2))
    metrics = PLAIN if "--plain" in sys.argv else METRICS
    counts: Counter[tuple[str, str]] = Counter()
    for seed in seeds:
        with made(24, days, seed, metrics) as here:
            counts += confusion(here)
    print(table(counts))


if __name__ == "__main__":
    main()
