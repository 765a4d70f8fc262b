from itertools import pairwise

import numpy as np
import pytest

from job.sources.synthetic import Synthetic
from tests.synthetic.reading import DAY, EVERYTHING, FIREWALL, HOUR, MONDAY, VM, query, read, row, rows

QUIET = Synthetic(incidents=False)
DAILY = 288


def correlation(one: np.ndarray[tuple[int], np.dtype[np.float64]], lag: int) -> float:
    a, b = one[:-lag], one[lag:]
    both = ~np.isnan(a) & ~np.isnan(b)
    return float(np.corrcoef(a[both], b[both])[0, 1])


@pytest.mark.parametrize("role", ["web-1", "database-3", "batch-4", "backup-5"])
def test_a_day_looks_like_the_day_before(role: str) -> None:
    values = row(read(QUIET, VM + "received_bytes_count"), role)[: 5 * DAILY]
    assert correlation(values, DAILY) > 0.7
    assert correlation(values, DAILY) > correlation(values, DAILY // 2)


def test_a_weekend_is_quieter_than_the_week() -> None:
    values = row(read(QUIET, VM + "received_bytes_count"), "web-1").reshape(14, DAILY)
    days = np.nanmean(values, axis=1)
    weekends = [5, 6, 12, 13]
    assert max(days[weekends]) < min(np.delete(days, weekends))


def test_neighbouring_points_are_alike_beyond_the_season() -> None:
    values = row(read(QUIET, VM + "received_bytes_count"), "web-1").reshape(14, DAILY)[[0, 1, 2, 3, 4]]
    residual = (np.log(values) - np.nanmean(np.log(values), axis=0)).ravel()
    assert 0.2 < correlation(residual, 1) < 0.95


def test_noise_has_heavier_tails_than_a_bell_curve() -> None:
    values = np.log(row(read(QUIET, VM + "sent_packets_count"), "database-3"))
    change = np.diff(values, 2)
    change = change[~np.isnan(change)]
    usual = 1.4826 * np.median(np.abs(change))
    assert 3e-4 < np.mean(np.abs(change) > 4 * usual) < 0.05


def test_rates_are_whole_counts_and_never_negative() -> None:
    for asked in Synthetic(seed=2).metrics(EVERYTHING):
        values = Synthetic(seed=2).read(asked, MONDAY, MONDAY + 3 * DAY).values
        counts = values[~np.isnan(values)] * 300
        assert counts.size
        assert (counts >= 0).all()
        assert np.allclose(counts, np.rint(counts), rtol=1e-12, atol=0)


@pytest.mark.parametrize("prefix", [VM, "router.googleapis.com/nat/", "vpn.googleapis.com/network/"])
@pytest.mark.parametrize("way", ["received", "sent"])
@pytest.mark.parametrize("incidents", [False, True])
def test_a_packet_has_a_possible_size(prefix: str, way: str, incidents: bool) -> None:
    source = Synthetic(seed=5, incidents=incidents)
    carried = read(source, f"{prefix}{way}_bytes_count").values * 300
    packets = read(source, f"{prefix}{way}_packets_count").values * 300
    assert np.array_equal(np.isnan(carried), np.isnan(packets))
    many = packets > 20
    sizes = carried[many] / packets[many]
    assert 40 < sizes.min() < sizes.max() < 9000
    assert not carried[packets == 0].max(initial=0) > 9000


def test_both_directions_move_together() -> None:
    received, sent = (row(read(QUIET, f"{VM}{way}_bytes_count"), "web-2") for way in ("received", "sent"))
    both = ~np.isnan(received)
    assert np.corrcoef(np.log(received[both]), np.log(sent[both]))[0, 1] > 0.95
    assert not np.allclose(received[both] / sent[both], (received[both] / sent[both])[0], rtol=0.01)


def test_an_office_sends_exactly_nothing_at_night_and_something_by_day() -> None:
    values = row(read(QUIET, VM + "sent_bytes_count"), "office-8").reshape(14, DAILY)
    zeros = (values == 0).mean(axis=1)
    assert (zeros[:5] > 0.3).all()
    assert (zeros[:5] < 0.8).all()
    assert (zeros[5:7] > 0.95).all()


def test_an_idle_machine_is_at_zero_and_not_missing() -> None:
    values = row(read(QUIET, VM + "received_bytes_count"), "spare-12")
    assert set(np.unique(values[~np.isnan(values)])) == {0.0}
    assert np.isnan(values).mean() < 0.02


def test_a_backup_runs_every_night() -> None:
    values = np.nan_to_num(row(read(QUIET, VM + "received_bytes_count"), "backup-5")).reshape(14, DAILY)
    assert (values.max(axis=1) > 20 * np.median(values, axis=1)).all()
    assert np.ptp(values.argmax(axis=1)) < 30


def test_a_bastion_is_used_in_office_hours_of_weekdays_only() -> None:
    values = row(read(QUIET, VM + "received_bytes_count"), "bastion-6").reshape(14, DAILY)
    assert np.nansum(values[:5] > 0) > 20
    assert np.nansum(values[5:7]) == 0
    assert np.nanmean(values > 0) < 0.3


def test_points_are_missing_here_and_there_in_all_metrics_of_a_machine_at_once() -> None:
    received, packets = (read(QUIET, VM + name, 28) for name in ("received_bytes_count", "sent_packets_count"))
    missing = np.isnan(row(received, "web-1"))
    runs = np.diff(np.flatnonzero(np.diff(missing.astype(int))))[::2]
    assert 0 < missing.mean() < 0.01
    assert runs.min() == 1
    assert 2 <= runs.max() <= 4
    assert (missing & np.isnan(row(packets, "web-1"))).mean() > 0.5 * missing.mean()


def test_a_worker_is_replaced_by_a_young_one() -> None:
    frame = read(QUIET, VM + "received_bytes_count", 46)
    workers = [
        values
        for labels, values in zip(frame.labels, frame.values, strict=True)
        if labels["metric.labels.instance_name"].startswith("worker-10")
    ]
    lives = sorted((np.flatnonzero(~np.isnan(v))[0], np.flatnonzero(~np.isnan(v))[-1]) for v in workers)
    assert len(lives) == 3
    assert all(before[1] < after[0] < before[1] + DAILY for before, after in pairwise(lives))
    assert lives[0][0] == 0
    assert lives[-1][0] > DAILY


def test_a_worker_drops_nothing_before_it_is_born_and_after_it_is_gone() -> None:
    traffic = rows(read(Synthetic(vms=300), VM + "received_bytes_count", 21))
    drops = rows(read(Synthetic(vms=300), FIREWALL + "dropped_packets_count", 21))
    workers = [k for k in drops if dict(k)["metric.labels.instance_name"].startswith("worker")]
    assert len(workers) > 20
    identity = {dict(k)["resource.labels.instance_id"]: np.flatnonzero(~np.isnan(v)) for k, v in traffic.items()}
    for worker in workers:
        alive = identity[dict(worker)["resource.labels.instance_id"]]
        dropped = np.flatnonzero(~np.isnan(drops[worker]))
        assert alive[0] <= dropped[0]
        assert dropped[-1] <= alive[-1]


def test_drops_are_rare_and_seldom_zero() -> None:
    drops = read(QUIET, FIREWALL + "dropped_packets_count", 28)
    share = (~np.isnan(drops.values)).mean(axis=1)
    assert (share > 0).all()
    assert (share < 0.05).all()
    assert np.nanmin(drops.values) > 0
    dropped_bytes = read(QUIET, FIREWALL + "dropped_bytes_count", 28)
    assert np.allclose(dropped_bytes.values, 60 * drops.values, equal_nan=True)


def test_a_minute_is_noisier_than_an_hour() -> None:
    def roughness(source: Synthetic) -> float:
        values = np.log(row(read(source, VM + "received_bytes_count", 3), "database-9"))
        return float(np.nanmedian(np.abs(np.diff(values))))

    minute, five = Synthetic(step=HOUR / 60, incidents=False), QUIET
    assert roughness(minute) > 1.2 * roughness(five)


def test_machines_of_a_role_are_not_copies() -> None:
    frame = read(Synthetic(vms=60, incidents=False), VM + "received_bytes_count", 1)
    webs = [v for k, v in rows(frame).items() if dict(k)["metric.labels.instance_name"].startswith("web-")]
    means = sorted(float(np.nanmean(v)) for v in webs)
    assert len(webs) == 20
    assert means[-1] > 2 * means[0]


def test_every_network_machine_has_the_labels_of_its_resource() -> None:
    asked = query(QUIET, VM + "sent_bytes_count")
    for labels in QUIET.read(asked, MONDAY, MONDAY + DAY).labels:
        assert labels["resource.type"] == "gce_instance"
        assert labels["resource.labels.project_id"] == "demo"
        assert labels["resource.labels.instance_id"].isdecimal()
        assert set(asked.group_by) <= set(labels)
