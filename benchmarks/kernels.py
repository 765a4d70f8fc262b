"""What the detectors' kernels cost, beside pandas and statsmodels in the same process, and whether they agree."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

DAY, DAYS, TILE = 288, 14, 113
JUMPS = {"trend_jump": 56, "low_pass_jump": 29}
HALF_LIFE = 72

Floats = NDArray[np.float64]
Measured = tuple[str, float, float, float]
"""What, our CPU a point, the peer's, and how far the answers lie apart, relative to the largest value."""


def traffic(rows: int) -> Floats:
    """Two weeks of five minutes: a daily wave, skewed noise, a few spikes."""
    rng = np.random.default_rng(0)
    columns = np.arange(DAY * DAYS)
    wave = 1 + 0.5 * np.sin(2 * np.pi * columns / DAY + rng.random((rows, 1)) * 6)
    values: Floats = np.exp(rng.normal(12, 2, (rows, 1))) * wave * rng.gamma(8, 1 / 8, (rows, len(columns)))
    values[np.arange(rows)[:, None], rng.integers(0, len(columns), (rows, 4))] *= 6
    return values


def kernels(short: bool) -> list[Measured]:
    """All of them; linear algebra on one thread."""
    from threadpoolctl import threadpool_limits

    values = traffic(2 * TILE if short else 4 * TILE)
    with threadpool_limits(1), np.errstate(all="ignore"):
        return [*_moving(values), _medians(values), *_linear(values, 1 if short else 3), _robust(values, short)]


def default() -> list[tuple[str, float]]:
    """What a point costs the default detection: of all of six weeks, and of a day with the history that it needs."""
    from datetime import UTC, datetime, timedelta

    from detectors import Adaptive, Frame

    values = np.tile(traffic(128), (1, 3))
    values *= np.random.default_rng(1).lognormal(0.0, 0.1, values.shape)
    frame = Frame(values, datetime(2026, 1, 5, tzinfo=UTC), timedelta(minutes=5), ({},) * len(values))
    detector = Adaptive()
    last = frame.columns(values.shape[1] - DAY - detector.history // frame.step, values.shape[1])
    whole, late = _a_point(detector, values.size, frame), _a_point(detector.late, 1, last, last.values.shape[1] - DAY)
    return [
        ("the default, every point of six weeks of 5 minutes", whole),
        ("the default, a day after its history of 5 minutes, of all points read", late / last.values.size),
    ]


def _moving(values: Floats) -> Iterator[Measured]:
    import pandas as pd

    from detectors.ewma import Weighted
    from detectors.rolling import Moments

    row = pd.Series(values[0])
    rolling, weighted = row.rolling(DAY), row.ewm(halflife=HALF_LIFE)
    for what, made, window in (
        ("rolling z, a day", lambda x: Moments(x, DAY, 2), rolling),
        ("EWMA z, half-life 6h", lambda x: Weighted(x, 1 / HALF_LIFE), weighted),
    ):
        ours = _a_point(_tiled, values.size, values, made)
        theirs = _a_point(_pandas, len(row), row, window)
        apart = np.abs(_z(values[:1], made)[0] - _pandas(row, window))[DAY:]
        yield what, ours, theirs, float(np.nanmax(apart) / np.nanmax(np.abs(_pandas(row, window)[DAY:])))


def _pandas(row: Any, window: Any) -> Floats:
    """The z-score against the window before each point."""
    score: Floats = ((row - window.mean().shift()) / window.std().shift()).to_numpy()
    return score


def _tiled(values: Floats, made: Callable[[Floats], Any]) -> None:
    for first in range(0, len(values), TILE):
        _z(values[first : first + TILE], made)


def _z(values: Floats, made: Callable[[Floats], Any]) -> Floats:
    """The same by a baseline that learns every point."""
    baseline, score, present = made(values), np.empty_like(values), ~np.isnan(values)
    for first, stop in baseline.stretches():
        part, taken = slice(first, stop), present[:, first:stop]
        baseline.enter(first, stop)
        mean, deviation = baseline.band(slice(None), taken)
        np.subtract(values[:, part], mean, out=mean)
        np.divide(mean, deviation, out=score[:, part])
        baseline.leave(taken, mean)
    return score


def _medians(values: Floats) -> Measured:
    """Taken 12 times a window, as the robust z-score does; pandas by its steps."""
    import pandas as pd

    from detectors.rolling import middle

    every = DAY // 12
    row = pd.Series(values[0])
    window = row.rolling(DAY, step=every)
    windows = np.lib.stride_tricks.sliding_window_view(values, DAY, axis=1)[:, ::every]

    def ours() -> list[Floats]:
        return [middle(windows[:, k])[1] for k in range(windows.shape[1])]

    def theirs() -> Floats:
        window.median()
        spread: Floats = window.apply(lambda x: np.median(np.abs(x - np.median(x))), raw=True).to_numpy()
        return spread

    wanted = np.array([np.median(np.abs(x - np.median(x))) for x in windows[0]])
    apart = np.abs(np.array(ours())[:, 0] / 1.482602218505602 - wanted)
    error = float(apart.max() / wanted.max())
    return "rolling median and MAD", _a_point(ours, values.size), _a_point(theirs, len(row), turns=1), error


def _linear(values: Floats, turns: int) -> Iterator[Measured]:
    from statsmodels.tsa.seasonal import STL

    from detectors.decomposition import Spans, stl

    ours, row = _a_point(stl, values.size, values, Spans(DAY), turns=turns + 2), values[0]
    same = _a_point(STL(row, DAY, **JUMPS).fit, len(row), turns=turns + 2)
    apart = np.abs(stl(values[:1], Spans(DAY)).rest[0] - STL(row, DAY, **JUMPS).fit().resid)
    yield "linear STL, same arguments", ours, same, float(apart.max() / np.abs(row).max())
    yield "linear STL, statsmodels' default", ours, _a_point(STL(row, DAY).fit, len(row), turns=1), 0.0


def _robust(values: Floats, short: bool) -> Measured:
    from statsmodels.tsa.seasonal import STL

    from detectors.decomposition import Spans
    from detectors.robust import robust

    row, some = values[0], values[: 32 if short else 128]
    fit = STL(row, DAY, robust=True, **JUMPS).fit
    ours, theirs = _a_point(robust, some.size, some, Spans(DAY)), _a_point(fit, len(row), turns=2)
    apart = np.abs(robust(values[:1], Spans(DAY)).rest[0] - fit().resid)
    return "robust STL, same arguments", ours, theirs, float(apart.max() / np.abs(row).max())


def _a_point(function: Callable[..., Any], points: int, *arguments: Any, turns: int = 3) -> float:
    """The least CPU of some turns, the first, which imports and plans, left out."""
    spent = []
    for _ in range(turns + 1):
        begin = time.process_time()
        function(*arguments)
        spent.append(time.process_time() - begin)
    return min(spent[1:]) / points
