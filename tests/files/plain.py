"""The slow twin of the files source: plain loops over one series."""

import itertools
import math
from datetime import UTC, datetime
from statistics import median_low


def gridded(
    points: list[tuple[float, float]], kind: str, stamp: str, start: float, step: float, width: int
) -> list[float]:
    """The columns of the points (seconds, value) of one series, as `Files` promises them."""
    known = sorted((t, v) for t, v in dict(points).items() if math.isfinite(v))
    times = [t for t, _ in known]
    spacing = median_low([b - a for a, b in itertools.pairwise(times)]) if len(times) > 1 else 0
    if kind == "cumulative":
        pieces = [
            (t0, (v1 if v1 < v0 else v1 - v0), t1 - t0)
            for (t0, v0), (t1, v1) in itertools.pairwise(known)
            if t1 - t0 <= 2 * spacing
        ]
    else:
        pieces = [(t - (spacing if stamp == "end" else 0), v, 1.0) for t, v in known]
    columns = []
    for j in range(width):
        low = start + j * step
        inside = [(v, w) for t, v, w in pieces if low <= t < low + step]
        total, weight = sum(v for v, _ in inside), sum(w for _, w in inside)
        by = max(step, spacing) if kind == "delta" else weight
        columns.append(total / by if inside else math.nan)
    return columns


def utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
