"""Whether peers took what one of them lost, told from numbers alone."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from job.anomaly import Resource
from job.nature import Taken
from job.relief import Relief
from job.series import Sum, Trace, numbers
from job.taken import taken
from tests.job.anomalies import anomaly

DAY = datetime(2026, 11, 22, tzinfo=UTC)
STEP = timedelta(minutes=15)
ONSET, STOP = 40, 48


@pytest.mark.parametrize(
    ("gained", "wobble", "is_shift"),
    [(90.0, 10.0, True), (40.0, 10.0, False), (200.0, 10.0, False), (90.0, 80.0, False), (-90.0, 10.0, False)],
)
def test_a_shift_balances_and_is_more_than_what_peers_do_by_themselves(
    gained: float, wobble: float, is_shift: bool
) -> None:
    told = Relief("By/s", "zone=a", fell=1, peers=3, lost=100.0, gained=gained, wobble=wobble)
    assert told.taken is is_shift


def told(rows: NDArray[np.float64]) -> Taken | None:
    """What became of that which the first of some series lost from `ONSET` to `STOP` of the second of two days."""
    known = np.isfinite(rows)
    total = Sum(
        type="gce_instance",
        group="zone=a",
        members=4,
        start=DAY - timedelta(days=1),
        step=900,
        value=numbers(np.where(known, rows, 0.0).sum(axis=0)),
        there=known.sum(axis=0).tolist(),
    )
    day = numbers(rows[0, 96:])
    trace = Trace(
        project="p",
        metric="m",
        query="q",
        resource=Resource(type="gce_instance", labels={}),
        labels={},
        unit="By/s",
        start=DAY,
        step=900,
        value=day,
        expected=day,
        lower=day,
        upper=day,
        before=numbers(rows[0, :96]),
    )
    return taken(trace, total, anomaly(start=DAY + ONSET * STEP, end=DAY + STOP * STEP, direction="down"))


GONE = slice(96 + ONSET, 96 + STOP)


def machines() -> NDArray[np.float64]:
    """Four series of two days of 15 minutes, at about 100."""
    return 100 + np.random.default_rng(2).normal(0, 1, (4, 2 * 96))


@pytest.mark.parametrize("left", [0.0, None, 150.0])
def test_what_one_of_four_loses_is_what_the_others_gain(left: float | None) -> None:
    """Also where the one has no points any more, rather than zeros; and who rose has lost nothing."""
    rows = machines()
    rows[1:, GONE] += 100 / 3
    rows[0, GONE] = np.nan if left is None else left
    got = told(rows)
    if left == 150.0:
        assert got is None
    else:
        assert got is not None
        assert (got.group, got.members) == ("zone=a", 4)
        assert got.lost == pytest.approx(100, abs=3)
        assert got.gained == pytest.approx(100, abs=6)
        assert got.wobble < 10


def test_what_peers_did_the_day_before_is_not_expected_of_them_where_else_they_stay_at_their_level() -> None:
    rows = machines()
    rows[1:, GONE] += 100 / 3
    rows[0, GONE] = 0.0
    rows[1:, ONSET:STOP] += 20
    got = told(rows)
    assert got is not None
    assert got.gained == pytest.approx(100, abs=6)
