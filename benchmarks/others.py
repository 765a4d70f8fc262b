"""What others do by default, causally: each says of every point of a series whether it would have told it.

A method is given the values on the grid of their step (NaN: no point), how many columns make a day, and how many come
before the part that is judged. Cuts are the documented defaults; how much past is learned from, and how often, is the
user's choice in all of them: two weeks, anew every day where nothing else is said.
"""

import warnings
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Method: TypeAlias = Callable[[Floats, int, int], Flags]

LEARNED = 14
"""Days of past that are learned from."""


def fixed_line(values: Floats, day: int, _before: int) -> Flags:
    """Above the line under which 99.9 % of the past lay: an alert policy with a threshold, kept up to date."""
    return _outside(values, day, lambda past: (-np.inf, float(np.quantile(past, 0.999))))


def zscore(values: Floats, day: int, _before: int) -> Flags:
    """More than 2.5 standard deviations from the mean: vmanomaly's z-score."""
    return _outside(values, day, lambda past: _around(float(past.mean()), 2.5 * float(past.std())))


def mad(values: Floats, day: int, _before: int) -> Flags:
    """More than 2.5 median absolute deviations from the median: vmanomaly's MAD."""

    def band(past: Floats) -> tuple[float, float]:
        middle = float(np.median(past))
        return _around(middle, 2.5 * float(np.median(np.abs(past - middle))))

    return _outside(values, day, band)


def sliding_zscore(values: Floats, _day: int, _before: int) -> Flags:
    """More than 3 standard deviations from the mean of the last 1,000 points: Apache Beam's z-score."""
    import pandas as pd

    known = np.flatnonzero(~np.isnan(values))
    past = pd.Series(values[known]).rolling(1000, min_periods=30)
    mean, deviation = past.mean().shift(1).to_numpy(), past.std().shift(1).to_numpy()
    flags = np.zeros(len(values), dtype=bool)
    flags[known] = np.abs(values[known] - mean) > 3 * deviation
    return flags


def holt_winters(values: Floats, day: int, before: int) -> Flags:
    """Residuals of Holt-Winters with a daily season (statsmodels) beyond 2.5 of their standard deviations: vmanomaly's.

    It is fitted once, to what comes before the judged part, and goes on from there with what it then learned.
    """
    import pandas as pd
    from statsmodels.tools.sm_exceptions import ConvergenceWarning
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    filled = pd.Series(values).ffill().to_numpy()
    if before < 2 * day + 10:
        return np.zeros(len(values), dtype=bool)
    model = {"seasonal": "add", "seasonal_periods": day}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # what it has come to by then is what its users get
        known = ExponentialSmoothing(filled[:before], initialization_method="heuristic", **model).fit().params
    start = {"initial_level": known["initial_level"], "initial_seasonal": known["initial_seasons"]}
    learned = {"smoothing_level": known["smoothing_level"], "smoothing_seasonal": known["smoothing_seasonal"]}
    whole = ExponentialSmoothing(filled, initialization_method="known", **start, **model).fit(
        optimized=False, **learned
    )
    off = pd.Series(filled - whole.fittedvalues)
    deviation = off.rolling(LEARNED * day, min_periods=day).std().shift(1)
    flags = (off.abs() > 2.5 * deviation).to_numpy() & ~np.isnan(values)
    flags[:before] = False
    return np.asarray(flags)


def isolation_forest(values: Floats, day: int, _before: int) -> Flags:
    """An isolation forest (scikit-learn, its defaults) over a value, its change and the five values before it.

    It is grown anew once a week.
    """
    import pandas as pd
    from sklearn.ensemble import IsolationForest

    filled = pd.Series(values).ffill()
    seen = np.column_stack([filled, filled.diff(), *(filled.shift(lag) for lag in range(1, 6))])
    whole = ~np.isnan(seen).any(axis=1)
    flags = np.zeros(len(values), dtype=bool)
    for first in range(day, len(values), 7 * day):
        past = np.arange(max(0, first - LEARNED * day), first)
        past, now = past[whole[past]], np.arange(first, min(first + 7 * day, len(values)))
        now = now[whole[now]]
        if len(past) > 50 and len(now):
            forest = IsolationForest(random_state=0).fit(seen[past])
            flags[now] = forest.predict(seen[now]) < 0
    return flags & ~np.isnan(values)


OTHERS: dict[str, Method] = {
    "fixed line at the past 99.9 %": fixed_line,
    "z-score, 2.5 (vmanomaly)": zscore,
    "MAD, 2.5 (vmanomaly)": mad,
    "sliding z-score, 3 (Apache Beam)": sliding_zscore,
    "Holt-Winters, 2.5 (statsmodels, vmanomaly)": holt_winters,
    "isolation forest (scikit-learn)": isolation_forest,
}


def _around(middle: float, reach: float) -> tuple[float, float]:
    return middle - reach, middle + reach


def _outside(values: Floats, day: int, band: Callable[[Floats], tuple[float, float]]) -> Flags:
    """Where a value is outside the band of the two weeks before its day; nowhere on the first day."""
    flags = np.zeros(len(values), dtype=bool)
    for first in range(day, len(values), day):
        past = values[max(0, first - LEARNED * day) : first]
        past = past[~np.isnan(past)]
        if len(past):
            low, high = band(past)
            today = values[first : first + day]
            flags[first : first + day] = (today < low) | (today > high)
    return flags
