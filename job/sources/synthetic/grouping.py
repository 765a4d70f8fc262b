"""Many series made into fewer, one for each set of kept labels."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from detectors import Labels
from job.errors import ConfigError
from job.query import Query

Values = NDArray[np.float64]
Row = tuple[Labels, Values]

_REDUCERS: Mapping[str, Callable[[Values], Values]] = {
    "sum": lambda rows: np.nansum(rows, axis=0),
    "mean": lambda rows: np.nansum(rows, axis=0) / np.maximum(_points(rows), 1),
    "min": np.fmin.reduce,
    "max": np.fmax.reduce,
    "count": lambda rows: _points(rows).astype(np.float64),
}


def _points(rows: Values) -> NDArray[np.int64]:
    return np.asarray(np.sum(~np.isnan(rows), axis=0), dtype=np.int64)


def grouped(rows: Iterable[Row], query: Query, width: int) -> tuple[tuple[Labels, ...], Values]:
    """The labels and values of the query's groups, in the order of their labels; no `group_by` keeps every series.

    A period has a point where any series of the group has one.

    Raises:
        ConfigError: there is no such reducer.
    """
    if query.reducer not in _REDUCERS:
        raise ConfigError(f"no reducer {query.reducer!r} in the synthetic source; it has: {', '.join(_REDUCERS)}")
    groups: dict[tuple[tuple[str, str], ...], list[Values]] = {}
    for labels, values in rows:
        groups.setdefault(_kept(labels, query.group_by), []).append(values)
    ordered = sorted(groups)
    out = np.empty((len(ordered), width))
    for place, key in enumerate(ordered):
        out[place] = _reduced(groups.pop(key), query)
    return tuple(dict(key) for key in ordered), out


def _kept(labels: Labels, group_by: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """The labels that make the group; the type of the resource always belongs to them."""
    return tuple(sorted((k, v) for k, v in labels.items() if not group_by or k in group_by or k == "resource.type"))


def _reduced(rows: list[Values], query: Query) -> Values:
    if len(rows) == 1 and query.reducer != "count":
        return rows[0]
    block = np.stack(rows)
    return np.where(np.isnan(block).all(axis=0), np.nan, _REDUCERS[query.reducer](block))
