"""Addresses of Metrics Explorer, at exactly the series and the time of an anomaly."""

import json
from datetime import timedelta
from urllib.parse import quote

from job.anomaly import Anomaly
from job.ratio import RATIOS
from job.units import utc

EXPLORER = "https://console.cloud.google.com/monitoring/metrics-explorer"

LONGEST = 8_000
"""Longer addresses are not sure to be opened; only endless labels make one."""

AROUND = timedelta(hours=6)
"""So long before and after the anomaly is shown, too."""


def link(anomaly: Anomaly) -> str:
    """Metrics Explorer, in the project, at exactly the anomaly's series and the hours round it; else nothing.

    Of a ratio, at the series of the two metrics that it is of. The address has the form that the console itself gives
    it, which Google does not promise to keep.
    """
    if "." not in anomaly.metric.partition("/")[0] or anomaly.resource.type in {"", "file"}:
        return ""
    ratio = RATIOS.get(anomaly.metric)
    aggregation = {
        "perSeriesAligner": "ALIGN_RATE" if ratio or anomaly.unit.endswith("/s") else "ALIGN_MEAN",
        "alignmentPeriod": f"{anomaly.step}s",
        "crossSeriesReducer": "REDUCE_SUM",
    }
    metrics = (ratio.top, ratio.bottom) if ratio else (anomaly.metric,)
    shown = ({"filter": _filter(metric, anomaly), "aggregations": [aggregation]} for metric in metrics)
    drawn = [{"timeSeriesFilter": one, "targetAxis": "Y1", "plotType": "LINE"} for one in shown]
    state = {"xyChart": {"dataSets": drawn}}
    times = f"startTime={utc(anomaly.start - AROUND)};endTime={utc(anomaly.end + AROUND)}"
    page = quote(json.dumps(state, separators=(",", ":")), safe=":,")
    address = f"{EXPLORER};{times}?project={quote(anomaly.project, safe='')}&pageState={page}"
    return address if len(address) <= LONGEST else ""


def _filter(metric: str, anomaly: Anomaly) -> str:
    """What Cloud Monitoring knows the anomaly's series of a metric by."""
    conditions = [f'metric.type="{_value(metric)}"', f'resource.type="{_value(anomaly.resource.type)}"']
    conditions += [f'resource.label."{_value(k)}"="{_value(v)}"' for k, v in sorted(anomaly.resource.labels.items())]
    conditions += [f'{_label(k)}="{_value(v)}"' for k, v in sorted(anomaly.labels.items())]
    return " ".join(conditions)


def _label(name: str) -> str:
    """How a filter names a metric's label, or one of its resource's metadata (`metadata.user_labels.role`)."""
    if not name.startswith("metadata."):
        return f'metric.label."{_value(name)}"'
    part, _, label = name.removeprefix("metadata.").partition(".")
    return f'metadata.{part}."{_value(label)}"'


def _value(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
