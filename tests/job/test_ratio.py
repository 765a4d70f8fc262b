"""Ratios of two metrics: divided point by point, and from there on a series like any other."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors import Frame
from job.commands.prepare import prepare
from job.config import Settings
from job.errors import ConfigError
from job.explorer import link
from job.kinship import slot
from job.log import plain_lines
from job.ratio import PRESETS, RATIOS, Ratio, split
from job.slices import policy_of
from job.sources.derived import Derived, divided
from job.sources.files import Files
from job.sources.synthetic import Synthetic
from tests.job.anomalies import anomaly
from tests.job.work import DAY, HOUR, NIGHT, backfill, told, tree

SIZE = "derived.netanomaly/vm/received_packet_size"
SHARE = "derived.netanomaly/nat/sent_drop_share"
NAN = float("nan")


def frame(rows: dict[str, list[float]]) -> Frame:
    return Frame(np.array(list(rows.values())), DAY, HOUR, tuple({"name": name} for name in rows))


@pytest.mark.parametrize(
    ("top", "bottom", "share", "found"),
    [
        ({"a": [50, 0]}, {"a": [10, 10]}, False, {"a": [5, 0]}),
        ({"a": [50, NAN, 50]}, {"a": [NAN, 10, 10]}, False, {"a": [NAN, NAN, 5]}),
        ({"a": [0, 50, 50]}, {"a": [0, 1, 10]}, False, {"a": [NAN, NAN, 5]}),
        ({"b": [20], "a": [10]}, {"a": [10], "b": [10], "c": [10]}, False, {"a": [1], "b": [2]}),
        ({"z": [20]}, {"a": [10]}, False, {}),
        ({"a": [5, NAN]}, {"a": [15, 20]}, True, {"a": [0.25, 0]}),
        ({}, {"a": [15]}, True, {"a": [0]}),
        ({"a": [30]}, {"a": [0]}, True, {"a": [1]}),
    ],
)
def test_one_over_the_other(
    top: dict[str, list[float]], bottom: dict[str, list[float]], share: bool, found: dict[str, list[float]]
) -> None:
    above = frame(top) if top else Frame(np.empty((0, 1)), DAY, HOUR, ())
    answer = divided(above, frame(bottom), Ratio("t", "b", "1", least=10, share=share))
    assert [labels["name"] for labels in answer.labels] == list(found)
    np.testing.assert_array_equal(answer.values, np.array(list(found.values())).reshape(answer.values.shape))


def test_the_source_answers_for_ratios_and_for_what_they_are_made_of() -> None:
    plain = Synthetic(vms=6)
    source = Derived(plain, plain)
    ratio, other = RATIOS[SIZE], "compute.googleapis.com/instance/network/sent_bytes_count"
    bytes_, size = source.metrics((other, SIZE))
    assert (bytes_.metric, size.metric) == (other, SIZE)
    assert source.describe(size).unit == "By/packet"
    assert source.count(size, DAY, DAY + HOUR) == 12, "both metrics of six machines"
    found = source.read(size, DAY, DAY + HOUR)
    top, bottom = (plain.read(plain.metrics((name,))[0], DAY, DAY + HOUR) for name in (ratio.top, ratio.bottom))
    np.testing.assert_array_equal(found.values, divided(top, bottom, ratio).values)
    parts = [source.read(replace(size, parts=2, part=part), DAY, DAY + HOUR) for part in (0, 1)]
    assert sorted(str(one) for part in parts for one in part.labels) == sorted(map(str, found.labels))


def test_nothing_asked_is_the_default_preset_and_its_ratios() -> None:
    plain = Synthetic(vms=2)
    queries = Derived(plain, plain).metrics(())
    assert queries[: len(plain.metrics(()))] == plain.metrics(())
    assert {query.metric for query in queries[len(plain.metrics(())) :]} == set(PRESETS["vm-derived"])


def test_names_of_ratios() -> None:
    assert split(("vm", "vm-derived", SIZE)) == (PRESETS["vm-derived"], ("vm",))
    assert split(("derived",)) == (tuple(RATIOS), ())
    with pytest.raises(ConfigError, match=r"no preset 'vm-derive'; there are: .*derived, .*vm-derived"):
        prepare(Settings(metrics=("vm-derive",)), {}, NIGHT, plain_lines())


def test_a_preset_of_ratios_stands_for_those_of_recorded_metrics(tmp_path: Path) -> None:
    both = [f"compute.googleapis.com/instance/network/{way}_bytes_count" for way in ("sent", "received")]
    rows = "".join(f"2026-11-22,1,{metric}\n" for metric in both)
    (tmp_path / "a.csv").write_text(f"ts,value,metric\n{rows}")
    files = Derived(Files(str(tmp_path)), Files(str(tmp_path)))
    made = [f"derived.netanomaly/vm/{name}" for name in ("sent_per_received", "received_per_sent")]
    assert [query.metric for query in files.metrics(("derived",))] == made
    assert [query.metric for query in files.metrics(("vm", "vm-derived"))] == [*reversed(both), *made]
    for name in ("nat-derived", SHARE):
        with pytest.raises(ConfigError, match=r"no metric 'router\.googleapis\.com/nat/"):
            files.metrics((name, "vm-derived") if name == SHARE else (name,))


def test_what_a_ratio_tells_of() -> None:
    words = [str(slot(name, {}, ratio.unit)) for name, ratio in RATIOS.items()]
    assert {"received packet size", "sent drop share", "ratio"} < set(words)
    assert not {"received bytes", "received packets", "sent drops"} & set(words)
    assert "received_packets_count" in link(anomaly(metric=SIZE))


def test_a_share_of_drops_is_told_from_a_hundredth_unless_somebody_says_otherwise() -> None:
    plain = Synthetic(vms=30)
    (query,) = Derived(plain, plain).metrics((SHARE,))
    assert policy_of(Settings(), query).min_absolute == 0.01
    assert policy_of(Settings(policy={"min_absolute": 0.2}), query).min_absolute == 0.2
    ruled = Settings(rule=[{"metrics": "nat-derived", "policy": {"min_absolute": 0.3}}])
    assert policy_of(ruled, query).min_absolute == 0.3
    assert (
        policy_of(Settings(rule=[{"metrics": "derived", "policy": {"min_absolute": 0.4}}]), query).min_absolute == 0.4
    )
    assert policy_of(Settings(), query).absence == "ignore"


def test_a_scan_of_the_made_up_fleet_is_seen_in_the_size_of_packets(tmp_path: Path) -> None:
    given: dict[str, Any] = {"metrics": ("vm-derived",), "detectors": ("zscore",), "synthetic": {"vms": 12, "seed": 0}}
    work = backfill(tmp_path, step=timedelta(minutes=5), **given)
    assert {o.status for o in work.run()} == {"done"}
    found = [a for a in told(tmp_path) if a["metric"].endswith("sent_packet_size") and a["direction"] == "down"]
    scans = [i for i in Synthetic(vms=12).incidents(DAY, NIGHT) if i.kind == "scan"]
    machines = {a["resource"]["labels"]["instance_id"] for a in found}
    assert machines >= {i.labels["resource.labels.instance_id"] for i in scans}
    assert scans
    assert {o.status for o in backfill(tmp_path, step=timedelta(minutes=5), **given).run()} == {"complete"}
    assert any("received_packet_size" in name for name in tree(tmp_path))
