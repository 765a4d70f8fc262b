"""A slow twin of robust STL with gaps: one series, plain loops, straight from the definition."""

import math
from itertools import pairwise

from detectors.decomposition import Spans


def line(xs: list[float], weights: list[float], span: int, place: float, first: int, stop: int) -> float | None:
    """Loess at `place` (from 1) by the points `first` to `stop - 1` (from 0); None where none has weight."""
    n = len(xs)
    reach = max(place - (first + 1), stop - place) + (max(0, span - n) // 2)
    used = {}
    for i in range(first, stop):
        part = abs(i + 1 - place) / reach
        tricube = 1.0 if part <= 0.001 else (1 - part**3) ** 3 if part <= 0.999 else 0.0
        used[i] = tricube * weights[i]
    total = sum(used.values())
    if total <= 0:
        return None
    mean = sum(w * (i + 1) for i, w in used.items()) / total
    spread = sum(w * (i + 1 - mean) ** 2 for i, w in used.items()) / total
    slope = (place - mean) / spread if math.sqrt(spread) > 0.001 * (n - 1) else 0.0
    return sum(w / total * (1 + slope * (i + 1 - mean)) * xs[i] for i, w in used.items())


def begin(n: int, span: int, i: int) -> int:
    return min(max(i - (span - 1) // 2, 0), max(0, n - span))


def smooth(xs: list[float], weights: list[float], span: int, jump: int) -> list[float]:
    n = len(xs)
    jump = min(jump, n - 1)
    places = [*range(0, n, jump)]
    firsts = [begin(n, span, i) for i in places]
    if places[-1] != n - 1:
        places, firsts = [*places, n - 1], [*firsts, firsts[-1]]
    at = []
    for i, first in zip(places, firsts, strict=True):
        found = line(xs, weights, span, i + 1, first, min(n, first + span))
        at.append(xs[i] if found is None else found)
    answer = [at[0]]
    for (a, b), (low, high) in zip(pairwise(places), pairwise(at), strict=True):
        answer += [low + (high - low) * k / (b - a) for k in range(1, b - a + 1)]
    return answer


def cycle(xs: list[float], weights: list[float], span: int) -> list[float]:
    inner = smooth(xs, weights, span, 1)
    n = len(xs)
    before = line(xs, weights, span, 0, 0, min(span, n))
    after = line(xs, weights, span, n + 1, max(0, n - span), n)
    return [inner[0] if before is None else before, *inner, inner[-1] if after is None else after]


def average(xs: list[float], size: int) -> list[float]:
    return [sum(xs[i : i + size]) / size for i in range(len(xs) - size + 1)]


def decompose(row: list[float], spans: Spans, inner: int, outer: int) -> tuple[list[float], list[float], list[float]]:
    n, p = len(row), spans.period
    there = [x for x in row if not math.isnan(x)]
    y = [sum(there) / len(there) if math.isnan(x) else x for x in row]
    weights = [0.0 if math.isnan(x) else 1.0 for x in row]
    trend, season = [0.0] * n, [0.0] * n
    for turn in range(outer + 1):
        for _ in range(inner):
            whole = [0.0] * (n + 2 * p)
            for phase in range(p):
                off = [a - b for a, b in zip(y[phase::p], trend[phase::p], strict=True)]
                whole[phase::p] = cycle(off, weights[phase::p], spans.seasonal)
            low = average(average(average(whole, p), p), 3)
            low = smooth(low, [1.0] * n, spans.spans[1], spans.jumps[1])
            season = [a - b for a, b in zip(whole[p : p + n], low, strict=True)]
            rest = [a - b for a, b in zip(y, season, strict=True)]
            trend = smooth(rest, weights, spans.spans[0], spans.jumps[0])
        if turn < outer:
            weights = believed([a - b - c for a, b, c in zip(row, season, trend, strict=True)])
    return season, trend, weights


def believed(rest: list[float]) -> list[float]:
    off = sorted(abs(x) for x in rest if not math.isnan(x))
    usual = 3 * (off[len(off) // 2] + off[len(off) - len(off) // 2 - 1])
    parts = [math.nan if math.isnan(x) else abs(x) / usual for x in rest]
    return [0.0 if not x <= 0.999 else 1.0 if x <= 0.001 else (1 - x * x) ** 2 for x in parts]
