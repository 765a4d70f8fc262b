"""What others may have put where our records are, and names that mean harm: named, counted, and the rest is told."""

import io
import re
from datetime import timedelta
from pathlib import Path

import pytest

from job import sentence
from job.anomaly import SCHEMA, lines
from job.found import LEDGER, Found, find
from job.incident import group
from job.log import plain_lines
from job.page import render
from job.store.folder import Folder
from tests.incidents.events import event
from tests.page.findings import DAY, HOSTILE, NEXT, findings, looked
from tests.page.findings import trace as drawn

ODD = "[\u202a-\u202e\u2066-\u2069\u2028\x1b\x07\r\n]"


def found(place: Path, ledger: bytes = b"", series: bytes = b"") -> Found:
    """What is found beside a good anomaly of the day."""
    store = Folder(place)
    day = f"date={DAY:%Y-%m-%d}"
    store.put(f"anomalies/{day}/metric=x/p.part-00.jsonl", lines([event("in bytes", 5000, 1000)]))
    store.put(f"{LEDGER}{day}/incidents.jsonl", ledger)
    store.put(f"series/{day}/metric=x/p.part-00.jsonl", series)
    return find(store, DAY, NEXT)


GOOD = group([event("in bytes", 5000, 1000)])[0].model_copy(update={"severity": 99, "told": True})
NEWER = f'"schema": {SCHEMA + 1}'


def test_a_published_incident_that_is_cut_off_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    here = found(tmp_path, f"{GOOD.line()[:200]}\n{GOOD.line()}\n".encode())
    assert [i.severity for i in here.incidents] == [99], "what was published is known still"
    (problem,) = here.problems
    assert re.match(r"incidents/.*incidents\.jsonl line 1 is no incident record: ", problem)
    assert problem[:60] in render(here, DAY, NEXT)


def test_what_of_a_published_incident_is_no_record_is_said(tmp_path: Path) -> None:
    line = GOOD.line().replace(f'"state": "{GOOD.state}"', '"state": "odd"')
    (problem,) = found(tmp_path, f"{line}\n".encode()).problems
    assert "line 1 is no incident record: state: Input should be 'open'" in problem


def test_a_published_incident_of_a_newer_schema_is_read_and_said(tmp_path: Path) -> None:
    line = GOOD.line().replace(f'"schema": {SCHEMA}', NEWER).replace('"nature":', '"since then": 1, "nature":')
    here = found(tmp_path, f"{line}\n".encode())
    assert [i.severity for i in here.incidents] == [99]
    assert [re.sub(".*has ", "", words) for words in here.problems] == [
        f"schema {SCHEMA + 1}; this program knows up to {SCHEMA}"
    ]


def test_a_series_that_is_cut_off_is_named_and_the_rest_is_drawn(tmp_path: Path) -> None:
    good = drawn(event("in bytes", 5000, 1000)).model_dump_json()
    here = found(tmp_path, series=f"{good[:300]}\n{good}\n".encode())
    assert len(here.traces) == 1
    (problem,) = here.problems
    assert "line 1 is no record of a series" in problem


def test_what_was_looked_at_by_a_newer_schema_is_read_and_said(tmp_path: Path) -> None:
    newer = looked([], NEXT).model_dump_json(by_alias=True).replace(f'"schema":{SCHEMA}', NEWER)
    here = found(tmp_path, series=f"{newer}\n".encode())
    assert [one.series for one in here.looked] == [40]
    assert [re.sub(".*has ", "", words) for words in here.problems] == [
        f"schema {SCHEMA + 1}; this program knows up to {SCHEMA}"
    ]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_sentence_and_no_line_for_a_terminal_holds_what_a_label_may(name: str) -> None:
    one = event("in bytes", 5000, 1000, HOSTILE[name])
    for kind in ("spike", "absent", "zero"):
        words = sentence.of(one.model_copy(update={"kind": kind}))
        assert not re.search(ODD, words)
        assert len(words) < 1000
    shown = io.StringIO()
    plain_lines(shown)("WARNING", "any", HOSTILE[name])
    assert not re.search(ODD, shown.getvalue().removesuffix("\n"))
    assert len(shown.getvalue()) < 2100


@pytest.mark.parametrize("name", HOSTILE)
def test_a_page_trusts_no_incident_s_words(name: str) -> None:
    """Nor those that a record holds instead of making them of clean ones."""
    some = findings([event("in bytes", 5000, 1000, start=DAY + timedelta(hours=3))])
    words = HOSTILE[name]
    odd = some.incidents[0].model_copy(update={"where": words, "sentence": words, "evidence": (words,), "muted": words})
    page = render(Found(**{**vars(some), "incidents": (odd,)}), DAY, NEXT)
    listed = page[page.index('<ol id="incidents">') : page.index("</ol>")]
    assert not re.search(ODD.replace("\\n", "").replace("\n", ""), listed)
    assert "<script" not in listed
    assert "<img" not in listed
    assert len(listed) < 30_000
