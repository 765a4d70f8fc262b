"""What to read: one metric of one scope."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Query:
    """One metric of one scope, on one grid.

    `metric` is the metric's type and `project` the scope that is asked. `name` is the slug that the objects in the
    store carry; it is unique in a run for each project. `filter` narrows the series, in the syntax of Cloud
    Monitoring's filters. `group_by` names the labels that are kept (none means that every series stands for itself)
    and `reducer` how the series of one group become one. `noun` is what a counter without a unit counts ("packets").
    `parts` splits the series, by the value of the label `split_by`, into that many disjoint reads; `part` is the one
    that is read.
    """

    metric: str
    project: str
    step: timedelta
    name: str = ""
    filter: str = ""
    group_by: tuple[str, ...] = ()
    reducer: str = "sum"
    noun: str = ""
    split_by: str = ""
    parts: int = 1
    part: int = 0
