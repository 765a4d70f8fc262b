"""What a person and a page are shown of a trial: names from outside do no harm."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from job.backtest.document import Replayed, as_csv, as_json, document
from job.backtest.plot import render
from job.backtest.show import lines, overall, recall, worst
from job.backtest.summary import summarise
from job.backtest.trial import Found, Plain, Plan, Series, Trial

HOUR = timedelta(hours=1)
START = datetime(2026, 11, 1, tzinfo=UTC)
EVIL = "</script><script>alert(1)</script>\x1b[31m"
PLAN = Plan(sizes=(2.0, 5.0), rounds=2)


def told(delays: dict[float, timedelta | None], skipped: int = 0) -> dict[str, Any]:
    found = [Found("d", 0, "spike", size, 3 * size, START, delay) for size, delay in delays.items()]
    trial = Trial(
        series=[Series(EVIL, f"x.com/{EVIL}", "By/s", 2000.0, 100.0)],
        found=found,
        plain=[Plain("d", 0, 1, {})],
        tested=Counter({"d": 168}),
        skipped=Counter({"at zero": skipped} if skipped else {}),
        points=168,
    )
    replayed = Replayed("files", START, START + 168 * HOUR, HOUR)
    return document(replayed, PLAN, trial, [summarise(trial, "d", HOUR, PLAN.sizes, ())], [])


def test_the_tables_say_it_in_short() -> None:
    what = told({2.0: None, 5.0: HOUR}, skipped=3)
    assert overall(what).rows == (("d", "1", "50%", "1h", "1h", "5x"),)
    assert recall(what).rows == (
        ("d", "spike", "0%", "100%", "50%", "1h", "1h", "2"),
        ("in usual deviations", "spike", "6", "15", "", "", "", ""),
    )
    table = worst(what)
    assert table is not None
    assert table.rows[0][2:] == ("2 kB/s", "5%", "5x", "1")
    assert "places without an incident: 3 at zero" in list(lines(what))
    what["injected"]["replays"] = 0
    assert not [words for words in lines(what) if "replays with" in words or "places without" in words]


def test_what_was_missed_at_every_size_is_said() -> None:
    what = told({2.0: None, 5.0: None})
    assert overall(what).rows[0][-1] == "none"
    assert told({})["contestants"][0].get("smallest", "unknown") == "unknown"
    assert (recall(told({})).rows, worst(told({}))) == ((), None)


def test_names_do_no_harm() -> None:
    what = told({2.0: None, 5.0: HOUR})
    page = render(what)
    assert "<script>alert" not in page
    assert "\x1b" not in page
    table = worst(what)
    assert table is not None
    assert all("\x1b" not in cell for row in table.rows for cell in row)
    assert "\x1b" not in as_json(what)
    assert as_csv(what).splitlines()[1:] == ["d,spike,2.0,6.0,1,0,0.0,,", "d,spike,5.0,15.0,1,1,1.0,3600.0,3600.0"]
