"""Memory is bounded by the setting, not by the fleet: measured, in a process of its own."""

from benchmarks.child import measured
from benchmarks.server import serving


def test_many_series_and_days_take_no_more_memory_than_is_given() -> None:
    """Two weeks and the history before them are 92 MB as one array, and several times that as it is worked on."""
    series = 2500
    with serving(series, 16) as fleet:
        told = measured("job", address=fleet.address, memory="384MiB", detectors="ewma", **{"from": "2026-11-07"})
        served = fleet.told()["points"]
    assert told["told"]["points"] > 2 * served, "each day was judged with what came before it"
    assert 16 * 288 * series * 0.9 < served < 17 * 288 * series, "and each point was served once"
    assert told["peak"] < 384 * 2**20
