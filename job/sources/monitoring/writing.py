"""Numbers about the job itself, written to Cloud Monitoring as custom metrics, so that one alerting policy can page."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from job.errors import ConfigError
from job.sources.monitoring.client import WRITE, Line, Patience, connect
from job.sources.monitoring.messages import types

PREFIX = "custom.googleapis.com/netanomaly/"

_CREATE = "monitoring.timeSeries.create"
_OVERTAKEN = re.compile(r"must be written in order|written more frequently", re.IGNORECASE)


def write(
    project: str,
    numbers: Mapping[str, int],
    place: str,
    now: datetime,
    endpoint: str = "",
    patience: Patience = Patience(),  # noqa: B008 - frozen
) -> None:
    """Write one point of each number, as the metric of its name under `PREFIX`, with the label `output`.

    Where another task has just written the same, its point stays.

    Raises:
        ConfigError, NotAllowed, Failed: as for reads.
    """
    client = connect(endpoint, WRITE)[0]
    series = [_series(project, name, number, place, now) for name, number in sorted(numbers.items())]

    def put(seconds: float) -> None:
        client.create_time_series(name=f"projects/{project}", time_series=series, retry=None, timeout=seconds)

    try:
        Line(1, patience).call("writing incidents as metrics", project, _CREATE, put)
    except ConfigError as error:
        if not _OVERTAKEN.search(str(error)):
            raise


def _series(project: str, name: str, number: int, place: str, now: datetime) -> Any:
    return types().TimeSeries(
        metric={"type": PREFIX + name, "labels": {"output": place[:1024]}},
        resource={"type": "global", "labels": {"project_id": project}},
        metric_kind="GAUGE",
        value_type="INT64",
        points=[{"interval": {"end_time": now}, "value": {"int64_value": number}}],
    )
