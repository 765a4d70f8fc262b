"""A trial as a person reads it at a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from detectors.duration import text
from job.units import clean, quantity

if TYPE_CHECKING:
    from rich.table import Table

WORST = 10
"""So many series are listed, those in which a change must be largest to be caught."""


def lines(told: dict[str, Any]) -> Iterator[str]:
    """What was replayed and what was put in."""
    seen, put, first = told["replayed"], told["injected"], told["contestants"][0]
    yield (
        f"replayed {seen['series']:,} series ({seen['points']:,} points) of {seen['source']}, {seen['start']} to "
        f"{seen['end']}, step {seen['step']}, day by day as the job judges it"
    )
    kinds = ", ".join(f"{kind} {lasts}" for kind, lasts in put["kinds"].items())
    sizes = ", ".join(f"{size:g}x" for size in put["sizes"])
    yield (
        f"{put['replays']} replays with incidents (seed {put['seed']}), {first['incidents']:,} incidents: {kinds}; "
        f"{sizes} of what the series showed there; at least {put['spacing']} apart in a series, none in its first "
        f"{put['warm_up']}"
    )
    if put["skipped"]:
        yield "places without an incident: " + ", ".join(f"{n:,} {why}" for why, n in put["skipped"].items())
    if put["untold"]:
        yield "not put in where the metric's policy never tells them: " + ", ".join(put["untold"])
    for one in told["contestants"]:
        if one["aside"]:
            yield f"{one['detectors']}: {one['aside']:,} incidents left out, the series were warming up"


def overall(told: dict[str, Any]) -> "Table":
    """A row for each contestant."""
    labelled = any(one["labelled"] for one in told["contestants"])
    columns = ["false alarms a week", "recall", "delay", "90 %", "smallest"]
    table = _table("detectors", [*columns, *(("precision", "recall of windows", "F1") if labelled else ())])
    for one in told["contestants"]:
        cells = [_plain(one["false_alarms_a_week"]), _share(one["recall"]), *_delays(one)]
        cells.append(_least(one["smallest"]) if "smallest" in one else "")
        score = one["labelled"] or {}
        cells += [_plain(score.get(key)) for key in ("precision", "recall", "f1")] if labelled else []
        table.add_row(clean(one["detectors"]), *cells)
    return table


def recall(told: dict[str, Any]) -> "Table":
    """A row for each contestant and kind, a column for each size."""
    sizes = told["injected"]["sizes"]
    table = _table("detectors", ["kind", *(f"{size:g}x" for size in sizes), "all", "delay", "90 %", "incidents"])
    for one in told["contestants"]:
        name = clean(one["detectors"])
        for kind in one["by_kind"]:
            own = {cell["size"]: cell["recall"] for cell in one["by_size"] if cell["kind"] == kind["kind"]}
            cells = [_share(own.get(size)) for size in sizes]
            table.add_row(name, kind["kind"], *cells, _share(kind["recall"]), *_delays(kind), f"{kind['incidents']:,}")
            name = ""
    _deviations(table, told["contestants"][0], sizes)
    return table


def _deviations(table: "Table", one: Mapping[str, Any], sizes: Sequence[float]) -> None:
    """How large the sizes were beside the noise of the series, a row for each kind."""
    label = "in usual deviations"
    for kind in one["by_kind"]:
        own = {cell["size"]: cell["deviations"] for cell in one["by_size"] if cell["kind"] == kind["kind"]}
        if any(own.get(size) for size in sizes):
            table.add_row(label, kind["kind"], *(_plain(own.get(size)) for size in sizes), style="dim")
            label = ""


def worst(told: dict[str, Any]) -> "Table | None":
    """The series in which the first contestant needs the largest change, and those with most false alarms."""
    name = told["contestants"][0]["detectors"]
    known = [one for one in told["series"] if name in one["smallest"]]
    if not known:
        return None
    table = _table("series", ["metric", "usual level", "noise", "smallest caught", "false alarms"])
    known.sort(key=lambda one: (-_rank(one, name), -one["false_alarms"].get(name, 0)))
    for one in known[:WORST]:
        table.add_row(*_row(one, name))
    return table


def _row(one: Mapping[str, Any], name: str) -> tuple[str, ...]:
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


def _table(first: str, columns: list[str]) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, no_wrap=True)
    for name in columns:
        table.add_column(name, justify="left" if name in {"kind", "metric"} else "right", no_wrap=True)
    return table


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
