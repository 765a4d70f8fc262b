"""A trial as a person reads it at a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from detectors.duration import text
from job.units import clean, quantity

if TYPE_CHECKING:
    from rich.table import Table as Drawn

WORST = 10
"""So many series are listed, those in which a change must be largest to be caught."""


DELAYS = ("median delay", "90 % within")
"""The names of the columns that say how late what was caught was told."""


@dataclass(frozen=True)
class Table:
    """Names of columns, and rows of words; the first column is a name. `quiet` rows only explain the others."""

    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    quiet: int = 0


def lines(told: dict[str, Any]) -> Iterator[str]:
    """What was replayed and what was put in."""
    seen, put, first = told["replayed"], told["injected"], told["contestants"][0]
    yield (
        f"replayed {seen['series']:,} series ({seen['points']:,} points) of {seen['source']}, {seen['start']} to "
        f"{seen['end']}, step {seen['step']}, day by day as the job judges it"
    )
    if put["replays"]:
        yield from _put_in(put, first["incidents"])
    yield f"what goes on being told without cause is a false alarm again every {told['cooldown']}"
    for one in told["contestants"]:
        if one["aside"]:
            yield f"{one['detectors']}: {one['aside']:,} incidents left out, the series were warming up"


def _put_in(put: Mapping[str, Any], incidents: int) -> Iterator[str]:
    """What was put in, and where nothing could be."""
    kinds = ", ".join(f"{kind} {lasts}" for kind, lasts in put["kinds"].items())
    sizes = ", ".join(f"{size:g}x" for size in put["sizes"])
    yield (
        f"{put['replays']} replays with incidents (seed {put['seed']}), {incidents:,} incidents: {kinds}; "
        f"{sizes} of what the series showed there; at least {put['spacing']} apart in a series, none in its first "
        f"{put['warm_up']}"
    )
    if put["skipped"]:
        yield "places without an incident: " + ", ".join(f"{n:,} {why}" for why, n in put["skipped"].items())
    if put["untold"]:
        yield "not put in where the metric's policy never tells them: " + ", ".join(put["untold"])


def overall(told: dict[str, Any]) -> Table:
    """A row for each contestant."""
    labelled = any(one["labelled"] for one in told["contestants"])
    names = ("detectors", "false alarms a series-week", "recall", *DELAYS, "smallest caught")
    more = ("precision", "recall of windows", "F1") if labelled else ()
    return Table((*names, *more), tuple(tuple(_overall(one, labelled=labelled)) for one in told["contestants"]))


def _overall(one: Mapping[str, Any], *, labelled: bool) -> Iterator[str]:
    yield clean(one["detectors"])
    yield _plain(one["false_alarms_a_week"])
    yield _share(one["recall"])
    yield from _delays(one)
    yield _least(one["smallest"]) if "smallest" in one else ""
    if labelled:
        yield from (_plain(one["labelled"][key]) for key in ("precision", "recall", "f1"))


def recall(told: dict[str, Any]) -> Table:
    """A row for each contestant and kind, a column for each size; and how large the sizes are beside the noise."""
    sizes = told["injected"]["sizes"]
    names = ("detectors", "kind", *(f"{size:g}x" for size in sizes), "all", *DELAYS, "incidents")
    rows = [row for one in told["contestants"] for row in _recall(one, sizes)]
    quiet = list(_deviations(told["contestants"][0], sizes))
    return Table(names, (*rows, *quiet) if rows else (), len(quiet))


def _recall(one: Mapping[str, Any], sizes: Sequence[float]) -> Iterator[tuple[str, ...]]:
    name = clean(one["detectors"])
    for kind in one["by_kind"]:
        own = [_share(share) for share in _by_size(one, kind["kind"], "recall", sizes)]
        yield name, kind["kind"], *own, _share(kind["recall"]), *_delays(kind), f"{kind['incidents']:,}"
        name = ""


def _deviations(one: Mapping[str, Any], sizes: Sequence[float]) -> Iterator[tuple[str, ...]]:
    name = "in usual deviations"
    for kind in one["by_kind"]:
        own = [_plain(size) for size in _by_size(one, kind["kind"], "deviations", sizes)]
        if any(own):
            yield name, kind["kind"], *own, "", "", "", ""
            name = ""


def _by_size(one: Mapping[str, Any], kind: str, what: str, sizes: Sequence[float]) -> list[float | None]:
    cells = {cell["size"]: cell[what] for cell in one["by_size"] if cell["kind"] == kind}
    return [cells.get(size) for size in sizes]


def worst(told: dict[str, Any]) -> Table | None:
    """The series in which the first contestant needs the largest change, those with most false alarms first."""
    name = told["contestants"][0]["detectors"]
    known = [one for one in told["series"] if name in one["smallest"]]
    if not known:
        return None
    known.sort(key=lambda one: (-_rank(one, name), -one["false_alarms"].get(name, 0)))
    names = ("series", "metric", "usual level", "noise", "smallest caught", "false alarms")
    return Table(names, tuple(_worst(one, name) for one in known[:WORST]))


def _worst(one: Mapping[str, Any], name: str) -> tuple[str, ...]:
    level, noise = one["level"], one["noise"]
    return (
        clean(one["series"]),
        clean(one["metric"].rpartition("/")[2]),
        "" if level is None else quantity(level, one["unit"]),
        "" if noise is None or not level else f"{noise / abs(level):.0%}",
        _least(one["smallest"][name]),
        str(one["false_alarms"].get(name, "")),
    )


def _rank(one: Mapping[str, Any], name: str) -> float:
    smallest = one["smallest"][name]
    return float("inf") if smallest is None else float(smallest)


def drawn(table: Table) -> "Drawn":
    """The table for a terminal."""
    from rich.table import Table as Drawn
    from rich.text import Text

    shown = Drawn(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(table.names):
        left = number == 0 or name in {"kind", "metric"}
        shown.add_column(name, justify="left" if left else "right", no_wrap=True)
    for number, row in enumerate(table.rows):
        shown.add_row(*map(Text, row), style="dim" if number >= len(table.rows) - table.quiet else "")
    return shown


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _least(value: float | None) -> str:
    return "none" if value is None else f"{value:g}x"


def _delays(cell: Mapping[str, Any]) -> tuple[str, str]:
    return _delay(cell["delay_median"]), _delay(cell["delay_p90"])


def _delay(seconds: float | None) -> str:
    return "" if seconds is None else text(timedelta(seconds=seconds))
