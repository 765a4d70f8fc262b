"""netanomaly detectors and netanomaly metrics: what there is to choose from."""

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import timedelta
from typing import Any

from detectors.duration import text as duration_text
from job.errors import ConfigError
from job.presets import GROUPS, PRESETS
from job.ratio import PRESETS as RATIO_PRESETS
from job.ratio import RATIOS


def detectors() -> int:
    """Show the installed detectors."""
    from detectors.detector import available
    from job import lineup

    for name, origin in lineup.versions(tuple(available())).items():
        try:
            detector = lineup.build((name,), {})[name]
        except ConfigError as error:
            print(f"{name} ({origin}): {error}")
            continue
        print(f"{name} ({origin}): {(type(detector).__doc__ or '').strip().partition(chr(10))[0]}")
        print(f"    needs {duration_text(detector.history)} of history")
        for key, value in _settings(detector):
            print(f"    [detector.{name}] {key} = {value}")
    return 0


def _settings(detector: Any) -> Iterator[tuple[str, str]]:
    """The settings of a detector as a configuration file would have them."""
    for field in fields(detector) if is_dataclass(detector) else ():
        value = getattr(detector, field.name)
        yield field.name, json.dumps(duration_text(value) if isinstance(value, timedelta) else value, default=str)


def metrics() -> int:
    """Show the presets."""
    for name, specs in PRESETS.items():
        print(name)
        for spec in specs:
            labels = ", ".join(label.rsplit(".", 1)[-1] for label in spec.group_by)
            print(f"    {spec.type}")
            print(f"        by {labels or 'every label'}; a missing point means: {spec.missing}")
    for name, ratios in RATIO_PRESETS.items():
        print(name)
        for ratio in ratios:
            top, bottom = RATIOS[ratio].top.rpartition("/")[2], RATIOS[ratio].bottom.rpartition("/")[2]
            print(f"    {ratio}")
            print(f"        {top} over {'both it and ' if RATIOS[ratio].share else ''}{bottom}")
    for name, members in {**GROUPS, "derived": RATIO_PRESETS}.items():
        print(f"{name} = {', '.join(members)}")
    return 0
