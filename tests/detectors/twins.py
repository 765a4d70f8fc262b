"""Slow twins of the detectors: one series, plain loops, straight from the definitions."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

NAN = math.nan
Band = tuple[float, float]
Point = tuple[int, float]
ROUNDING = 2.0**-36


@dataclass
class Level:
    """Points with the tick of the level's own clock at which each was learned; `columns` are the frame's."""

    points: list[Point] = field(default_factory=list)
    columns: list[int] = field(default_factory=list)
    clock: int = 0


Summary = Callable[[Level, int], Band]


def rolling(window: int, least: int) -> Summary:
    def summary(level: Level, column: int) -> Band:
        xs = [x for (_, x), c in zip(level.points, level.columns, strict=True) if column - window <= c < column]
        if len(xs) < least:
            return NAN, NAN
        mean = math.fsum(xs) / len(xs)
        return mean, math.sqrt(math.fsum((x - mean) ** 2 for x in xs) / (len(xs) - 1))

    return summary


def middle(xs: list[float]) -> float:
    xs = sorted(x for x in xs if not math.isnan(x))
    if not xs:
        return NAN
    return (xs[(len(xs) - 1) // 2] + xs[len(xs) // 2]) / 2


def exponential(decay: float) -> Summary:
    def summary(level: Level, _: int) -> Band:
        if len(level.points) < 2:
            return NAN, NAN
        weights = [decay ** (level.clock - tick) for tick, _ in level.points]
        total = math.fsum(weights)
        mean = math.fsum(w * x for w, (_, x) in zip(weights, level.points, strict=True)) / total
        square = math.fsum(w * (x - mean) ** 2 for w, (_, x) in zip(weights, level.points, strict=True))
        return mean, math.sqrt(square / (total - math.fsum(w * w for w in weights) / total))

    return summary


def walk(xs: list[float], summary: Summary, limit: float, adopt: int, memory: int, least: int) -> list[Band]:
    """What the guard lets the baseline say of each point; `least` of the `memory` points before one make it ready."""
    active, aside = Level(), Level()
    away, learned = 0, set[int]()
    old: tuple[float, float, int] = (NAN, NAN, -1)
    held: tuple[float, float, int] = (NAN, 0.0, -1)
    bands = []
    for j, x in enumerate(xs):
        centre, spread = summary(active, j)
        if held[2] > j:
            missing = math.isnan(centre)
            centre, spread = (held[0], held[1]) if missing else (centre, max(spread, held[1]))
        if sum(not math.isnan(y) for y in xs[max(0, j - memory) : j]) < least:
            centre = NAN
        off, taken = abs(x - centre), not math.isnan(x)
        if off > limit * spread and off > limit * ROUNDING * max(abs(x), abs(centre)):
            if old[2] > j and abs(x - old[0]) <= limit * max(old[1], ROUNDING * abs(old[0])):
                held = old[0], old[1], j + memory
                centre, spread, old = old[0], old[1], (centre, spread, j + memory)
                active, aside = aside, active
            else:
                away, taken = away + 1, False
        bands.append((centre, NAN if math.isnan(centre) else spread))
        active.clock += 1
        if taken:
            active.points.append((active.clock, x))
            active.columns.append(j)
            learned.add(j)
            away = max(away - 4, 0)
        if away >= adopt:
            away, first = 0, max(0, j + 1 - adopt - adopt // 4)
            old, held = (centre, spread, j + memory), (NAN, spread, j + memory)
            mine = [c for c in range(first, j + 1) if c not in learned and not math.isnan(xs[c])]
            active, aside = Level([(c - first + 1, xs[c]) for c in mine], mine, j + 1 - first), active
            learned.update(mine)
    return bands
