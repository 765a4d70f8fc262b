import hashlib
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from detectors import Frame
from job.sources.synthetic import Synthetic
from tests.synthetic.reading import DAY, EVERYTHING, HOUR, MONDAY, VM, Key, key, query, read, rows

METRICS = [query.metric for query in Synthetic().metrics(EVERYTHING)]


def same(whole: Frame, part: Frame) -> None:
    """Hold the part to be the whole's columns of its time, series without any point there left out."""
    cut = rows(whole.columns(whole.column(part.start), whole.column(part.end)))
    expected = {k: v for k, v in cut.items() if not np.isnan(v).all()}
    got = rows(part)
    assert list(got) == list(expected)
    for labels, values in expected.items():
        assert np.array_equal(values, got[labels], equal_nan=True)


@pytest.mark.parametrize("metric", METRICS)
def test_a_window_of_a_read_is_the_read_of_the_window(metric: str) -> None:
    source = Synthetic(seed=3)
    asked = query(source, metric)
    whole = source.read(asked, MONDAY, MONDAY + 9 * DAY)
    for start, length in ((0 * DAY, DAY), (31 * HOUR, 50 * HOUR), (5 * DAY, timedelta(minutes=5)), (8 * DAY, DAY)):
        same(whole, source.read(asked, MONDAY + start, MONDAY + start + length))


@pytest.mark.parametrize("step", [timedelta(minutes=1), timedelta(minutes=15), HOUR, 6 * HOUR, DAY])
def test_windows_agree_at_every_step(step: timedelta) -> None:
    source = Synthetic(seed=4, step=step)
    asked = query(source, VM + "sent_packets_count")
    whole = source.read(asked, MONDAY - 2 * DAY, MONDAY + 5 * DAY)
    assert whole.step == step
    same(whole, source.read(asked, MONDAY, MONDAY + 3 * DAY))
    if step < DAY:
        same(whole, source.read(asked, MONDAY + 18 * HOUR, MONDAY + 30 * HOUR))


def test_days_agree_where_a_gap_crosses_midnight() -> None:
    source = Synthetic(vms=300, incidents=False)
    asked = query(source, VM + "sent_bytes_count")
    whole = source.read(asked, MONDAY, MONDAY + 28 * DAY)
    missing = np.isnan(whole.values).reshape(len(whole.labels), 28, 288)
    crossing = (missing[:, :-1, -1] & missing[:, 1:, 0] & ~missing[:, 1:, 4]).any(axis=0)
    assert crossing.any()
    midnight = MONDAY + (int(crossing.argmax()) + 1) * DAY
    same(whole, source.read(asked, midnight, midnight + DAY))


def test_days_agree_where_an_outage_crosses_midnight() -> None:
    source = Synthetic(vms=12)
    asked = query(source, VM + "sent_bytes_count")
    outage = next(
        incident
        for incident in Synthetic(vms=3).incidents(MONDAY, MONDAY + 3000 * DAY)
        if incident.kind == "zone-outage" and (incident.end - timedelta(minutes=20)).date() > incident.start.date()
    )
    midnight = outage.end.replace(hour=0, minute=0)
    whole = source.read(asked, midnight - HOUR, midnight + HOUR)
    assert (whole.values[:, 11:13] == 0).all(axis=1).sum() >= 4
    same(whole, source.read(asked, midnight, midnight + HOUR))
    same(whole, source.read(asked, midnight - HOUR, midnight))


def test_a_window_before_1970_has_traffic_too() -> None:
    source = Synthetic()
    early = datetime.fromisoformat("1969-12-30T00:00:00+00:00")
    asked = query(source, VM + "sent_bytes_count")
    whole = source.read(asked, early, early + 4 * DAY)
    assert np.nansum(whole.values) > 0
    same(whole, source.read(asked, early + 36 * HOUR, early + 60 * HOUR))


@pytest.mark.parametrize("metric", [VM + "received_bytes_count", "vpn.googleapis.com/network/sent_bytes_count"])
def test_the_parts_together_are_the_whole(metric: str) -> None:
    source = Synthetic(vms=30)
    asked = query(source, metric)
    parts: dict[Key, np.ndarray[tuple[int, ...], np.dtype[np.float64]]] = {}
    for part in range(4):
        frame = source.read(replace(asked, parts=4, part=part), MONDAY, MONDAY + DAY)
        assert not parts.keys() & rows(frame).keys()
        parts |= rows(frame)
    whole = rows(source.read(asked, MONDAY, MONDAY + DAY))
    assert parts.keys() == whole.keys()
    assert all(np.array_equal(parts[k], whole[k], equal_nan=True) for k in whole)


def test_rows_come_in_the_order_of_their_labels() -> None:
    keys = [key(labels) for labels in read(Synthetic(vms=40), VM + "sent_bytes_count", 1).labels]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


def test_a_larger_fleet_holds_the_smaller_one() -> None:
    small, large = (rows(read(Synthetic(vms=n), VM + "sent_bytes_count", 1)) for n in (12, 30))
    assert small.keys() < large.keys()
    assert all(np.array_equal(small[k], large[k], equal_nan=True) for k in small)


def test_another_seed_is_another_fleet() -> None:
    one, other = (rows(read(Synthetic(seed=seed), VM + "sent_bytes_count", 1)) for seed in (1, 2))
    assert not one.keys() & other.keys()


def test_steps_agree_but_for_the_noise() -> None:
    fine = read(Synthetic(incidents=False), VM + "sent_bytes_count", 7)
    coarse = read(Synthetic(incidents=False, step=HOUR), VM + "sent_bytes_count", 7)
    for labels, values in rows(coarse).items():
        hourly = rows(fine)[labels].reshape(-1, 12).sum(axis=1) / 12
        both = (values > 0) & (hourly > 0)
        assert both.any() == (values > 0).any()
        assert np.abs(np.log(values[both] / hourly[both])).sum() <= 0.2 * both.sum()


def test_the_numbers_are_those_of_every_platform() -> None:
    digest = hashlib.sha256()
    source = Synthetic(seed=7)
    for asked in source.metrics(EVERYTHING):
        frame = source.read(asked, MONDAY, MONDAY + 2 * DAY)
        counts = np.rint(np.nan_to_num(frame.values, nan=-1.0 / 300) * 300)
        digest.update(repr([key(labels) for labels in frame.labels]).encode())
        digest.update(counts.astype("<i8").tobytes())
    assert digest.hexdigest()[:16] == "5b576ab44d6a5366"
