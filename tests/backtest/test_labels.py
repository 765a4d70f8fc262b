"""Windows from a file: which series they are of, and what is no window."""

from datetime import UTC, datetime

import pytest

from job.backtest.labels import Window, fits, inside, unknown, windows
from job.errors import ConfigError
from job.query import Query
from tests.job.work import HOUR, SENT

QUERY = Query(metric=SENT, project="p", step=HOUR, name="sent")
LABELS = {"resource.type": "gce_instance", "resource.labels.zone": "z-a", "metric.labels.instance_name": "web-1"}


def at(day: int) -> datetime:
    return datetime(2026, 11, day, tzinfo=UTC)


def test_a_file_is_read_in_any_order_of_columns() -> None:
    text = "\ufeffstart,note,END,series\n2026-11-02,x,2026-11-03T01:00:00+01:00,web-1\n\n2026-11-04,,2026-11-05,*\n"
    assert windows(text, "l.csv") == (
        Window("web-1", at(2), at(3), "l.csv, row 2"),
        Window("*", at(4), at(5), "l.csv, row 4"),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has the columns nothing"),
        ("series,begin,end\n", "'begin'.*needs series, start and end"),
        ("series,start,end\nweb-1,2026-11-02\n", "row 2 has 2 cells"),
        ("series,start,end\n,2026-11-02,2026-11-03\n", "row 2 names no series"),
        ("series,start,end\nweb-1,noon,2026-11-03\n", "row 2: 'noon' is not a time"),
        ("series,start,end\nweb-1,2026-11-03,2026-11-03\n", "row 2: start 2026-11-03 is not before end"),
    ],
)
def test_what_is_no_window_is_named(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"(?s)^l\.csv.*{said}"):
        windows(text, "l.csv")


@pytest.mark.parametrize(
    ("series", "fit"),
    [
        ("web-1 (z-a)", True),
        ("web-1", True),
        ("web-*", True),
        ("web", False),
        ("*", True),
        ("instance_name=web-1;zone=z-a", True),
        ("metric.labels.instance_name=web-1", True),
        ("instance_name=web-1;zone=z-b", False),
        (f"metric={SENT};zone=z-a", True),
        ("metric=sent", True),
        ("metric=received", False),
        ("colour=red", False),
    ],
)
def test_a_series_is_named_as_people_name_it(series: str, fit: bool) -> None:
    assert fits(Window(series, at(2), at(3)), QUERY, LABELS) == fit


def test_a_window_may_be_of_some_metrics_only() -> None:
    assert fits(Window("*", at(2), at(3), metrics=(SENT,)), QUERY, LABELS)
    assert not fits(Window("*", at(2), at(3), metrics=("x.com/y",)), QUERY, LABELS)


def test_a_window_that_nothing_replays_is_named() -> None:
    window = Window("web-1", at(2), at(3), "l.csv, row 2")
    inside([window], at(1), at(10))
    with pytest.raises(ConfigError, match=r"row 2: 2026-11-02T00:00:00Z.*outside what is replayed.*widen --from"):
        inside([window], at(3), at(10))


def test_an_unknown_series_is_named_with_those_that_come_near() -> None:
    error = unknown(Window("web-11", at(2), at(3), "l.csv, row 2"), ["web-1", "db-1", "web-1"])
    assert str(error).startswith("l.csv, row 2: no series 'web-11'; there are 2, such as web-1")
