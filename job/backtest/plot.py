"""A trial as a page: what the terminal shows, and recall by size drawn."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from job.backtest import show
from job.templates import asset, libraries, template


def render(told: dict[str, Any]) -> str:
    """The page as one HTML file that asks nobody for anything: the same bytes for the same findings."""
    charts = list(_charts(told))
    page: str = template("backtest.html").render(
        told=told,
        lines=list(show.lines(told)),
        overall=show.overall(told),
        recall=show.recall(told),
        worst=show.worst(told),
        data={
            "detectors": [one["detectors"] for one in told["contestants"]],
            "sizes": [f"{size:g}" for size in told["injected"]["sizes"]],
            "sizing": "times what the series showed (a drop: that part of it)",
            "charts": charts,
        },
        style=asset("page.css"),
        script=asset("dress.js") + asset("backtest.js"),
        libraries=libraries() if charts else (),
    )
    return page


def _charts(told: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """For each kind that has sizes, the share of each size that each contestant caught."""
    kinds = told["injected"]["kinds"]
    for kind in kinds:
        own = [_by_size(one, kind, told["injected"]["sizes"]) for one in told["contestants"]]
        if any(cell for row in own for cell in row):
            yield {
                "name": f"{kind} of {kinds[kind]}, caught",
                "shares": [[cell.get("recall") for cell in row] for row in own],
                "counts": [[cell.get("incidents") for cell in row] for row in own],
            }


def _by_size(one: Mapping[str, Any], kind: str, sizes: Sequence[float]) -> list[Mapping[str, Any]]:
    cells = {cell["size"]: cell for cell in one["by_size"] if cell["kind"] == kind}
    return [cells.get(size, {}) for size in sizes]
