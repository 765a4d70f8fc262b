"""The slow twin of Seasonal: one series of whole UTC days, plain loops, straight from its docstring."""

import math

import numpy as np

from tests.detectors.twins import NAN, Band, middle

Days = list[list[float]]
DAILY, CENTRED, SCALE, MEMORY = 21, 3, 7, 7


def known(xs: list[float]) -> list[float]:
    return [x for x in xs if not math.isnan(x)]


def bases(typical: list[float], day: int) -> dict[int, float]:
    return {
        k: middle(typical[max(0, k - CENTRED) : min(k + CENTRED + 1, day)]) for k in range(max(0, day - DAILY), day)
    }


def shapes(xs: Days, odd: list[list[bool]], base: dict[int, float], day: int, hours: int) -> list[list[float]]:
    """The season of a day, and the others that a second look tries."""
    slots = len(xs[0])
    daily = [middle([xs[k][s] - b for k, b in base.items()]) for s in range(slots)]
    weeks = [k for k in (day - 21, day - 14, day - 7) if k in base]
    every, raw = [NAN] * slots, [[NAN] * slots for _ in weeks]
    for s in range(slots):
        here = {k: xs[k][s] - base[k] for k in weeks}
        if len(known(list(here.values()))) == 3:
            bad = [k for k in weeks if odd[k][s]]
            every[s] = middle([v for k, v in here.items() if len(bad) != 1 or k != bad[0]])
        else:
            for i, k in enumerate(weeks):
                raw[i][s] = here[k]
    size = slots // hours
    knots = [middle([every[s] - daily[s] for s in range(h * size, (h + 1) * size)]) for h in range(hours)]
    knots = [0.0 if math.isnan(k) else k for k in knots]
    knots = [(knots[max(h - 1, 0)] + 2 * knots[h] + knots[min(h + 1, hours - 1)]) / 4 for h in range(hours)]
    add = np.interp((np.arange(slots) + 0.5) * hours / slots - 0.5, np.arange(hours), knots)
    return [[d + float(a) for d, a in zip(daily, add, strict=True)], every, *raw]


def spread(errors: list[list[tuple[float, bool]]], hours: int, day: int, hour: int) -> float:
    """From what each past day's points were off by, and whether that was odd."""
    size = len(errors[0]) // hours

    def mean(wanted: list[int]) -> float:
        here = [
            (e, o)
            for d in range(max(0, day - SCALE), day)
            for s, (e, o) in enumerate(errors[d])
            if s // size in wanted and not math.isnan(e)
        ]
        near = [e for e, o in here if not o]
        used = near if len(near) >= 0.75 * len(here) else [e for e, _ in here]
        return math.fsum(e * e for e in used) / len(used) if used else NAN

    around = min(2, (hours - 1) // 2)
    local, whole = mean([(hour + k) % hours for k in range(-around, around + 1)]), mean(list(range(hours)))
    return math.sqrt(0.25 * whole + 0.75 * (whole if math.isnan(local) else local))


def seasonal(xs: Days, adopt: float, guard: float, shift: int) -> list[Band]:
    """What is expected of each point, and the spread; `adopt` in days, `shift` in slots."""
    slots = len(xs[0])
    hours = max(n for n in range(1, 25) if slots % n == 0)
    size, back = slots // hours, round(2 * adopt * hours)
    typical = [middle(x) if 2 * len(known(x)) >= slots else NAN for x in xs]
    odd = [[False] * slots for _ in xs]
    errors = [[(NAN, False)] * slots for _ in xs]
    residual, away = [NAN] * hours, [False] * hours
    levels: list[list[float]] = [[NAN] * hours]
    bands: list[Band] = [(NAN, NAN)] * slots
    for day in range(1, len(xs)):
        base = bases(typical, day)
        ways = shapes(xs, odd, base, day, hours)
        levels.append([])
        for h in range(hours):
            past = known(residual[-back:])
            level = middle(past) if 2 * len(past) >= back else base[day - 1]
            levels[day].append(level)
            usual, these = spread(errors, hours, day, h), range(h * size, (h + 1) * size)
            long = sum(away[-hours:]) >= 0.9 * hours
            far = 0
            for s in these:
                x, centre = xs[day][s], ways[0][s] + level
                far += abs(x - centre) > guard * usual
                if abs(x - centre) > max(3 * usual, 2.0**-36 * abs(centre)):
                    tried = [
                        w[(s + k) % slots] + levels[d][h]
                        for d in range(max(0, day - MEMORY), day + 1)
                        for w in ways
                        for k in (-shift, 0, shift)
                    ]
                    tried += [middle(xs[day - 1][these.start : these.stop])] if long else []
                    best = min(known(tried), key=lambda way: abs(way - x))
                    if abs(best - x) < abs(x - centre):
                        part = min((abs(x - centre) - 3 * usual) / usual, 1.0) if usual > 0 else 1.0
                        centre += part * (best - centre)
                odd[day][s] = abs(x - centre) > guard * usual
                errors[day][s] = x - centre, odd[day][s]
                bands.append((centre, usual))
            residual.append(middle([xs[day][s] - ways[0][s] for s in these]))
            away.append(2 * far > size)
    return bands
