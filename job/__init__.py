"""The netanomaly job: read network metrics, score them, judge the scores, store the anomalies.

>>> import job
>>> table = job.anomalies("gs://my-bucket/netanomaly", since="2026-11-01", until="2026-12-01")  # doctest: +SKIP
"""

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["anomalies"]


def anomalies(output: str, since: str | datetime | None = None, until: str | datetime | None = None) -> "pd.DataFrame":
    """Read the anomalies that a run left in a folder or gs://BUCKET/PREFIX, a row each, as `netanomaly report` does.

    `since` and `until` are times or dates (UTC); without them it is everything. The columns are the record's fields;
    times are UTC timestamps, labels are dicts, `resource` is spread over `resource_type` and `resource_labels`.

    Raises:
        job.errors.ConfigError: `output` is no place.
        job.errors.NotAllowed: a permission is missing.
        job.errors.Failed: the store did not answer, or holds what cannot be read.
        ValueError: a time is none.
    """
    from job.report import frame

    return frame(output, since, until)
