"""netanomaly score: a folder of series in, a folder of scored rows out."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from job import lineup
from job.config import Settings
from job.errors import ConfigError
from job.rows import as_csv, frame_of, scored, spacing
from job.sources.files.content import contents, place, stem
from job.sources.files.table import table
from job.store import open_store, put_over

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MANIFEST = "manifest.json"


def score(settings: Settings, given: str, out: str, step: timedelta | None) -> int:
    """Score every `timestamp,value` file of a folder, and write the rows under the same names."""
    detectors = lineup.build(settings.detectors, settings.detector)
    where, store = place(given), open_store(out)
    steps = _steps(given)
    count = 0
    for name, data in contents(where):
        rows = table(data, name)
        if rows is None or not len(rows.stamps):
            continue
        if rows.wide or len(rows.values) != 1:
            raise ConfigError(f"{name} has not just a time and a value; score reads files of timestamp,value")
        (values,) = rows.values.values()
        length = step or steps.get(name.rpartition("/")[0] + "/" + stem(name)) or spacing(rows.stamps)
        try:
            frame, columns = frame_of(rows.stamps, values, length)
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from None
        answer = scored(frame, columns, detectors, settings.policy)
        put_over(store, f"{name.removesuffix('.gz').rpartition('.')[0]}.csv", as_csv(_stamps(rows.stamps), answer))
        count += 1
    print(f"{count} series scored; written to {out}")
    return 0


def _stamps(micros: "NDArray[np.int64]") -> list[str]:
    """The stamps in RFC 3339, with as much of the second as they have."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    moments = (epoch + timedelta(microseconds=n) for n in micros.tolist())
    return [moment.isoformat().replace("+00:00", "Z") for moment in moments]


def _steps(given: str) -> dict[str, timedelta]:
    """The steps that a manifest beside the series tells: {folder: {series: {"step_seconds": n}}}."""
    path = Path(given) / MANIFEST
    try:
        manifest = json.loads(path.read_bytes()) if path.is_file() else {}
        return {
            f"{folder}/{series}": timedelta(seconds=float(about["step_seconds"]))
            for folder, all_series in manifest.items()
            for series, about in all_series.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ConfigError(f"{path} is no manifest of {{folder: {{series: {{step_seconds}}}}}}: {error!r}") from None
