import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from job.charts import CHARTS
from job.page import FULL, LARGEST, Skipped, render
from tests.incidents.events import NIGHT, event
from tests.page.findings import DAY, HOSTILE, NEXT, findings, many


class Page(HTMLParser):
    """The elements of a page with their attributes, and the text outside of scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self._within = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._within = tag

    def handle_endtag(self, tag: str) -> None:
        self._within = "" if tag == self._within else self._within

    def handle_data(self, data: str) -> None:
        (self.scripts if self._within in {"script", "style"} else self.words).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


def numbers(page: Page) -> dict[str, list[dict[str, object]]]:
    (data,) = [json.loads(script) for script in page.scripts if script.lstrip().startswith('{"bars"')]
    return dict(data)


def test_an_empty_day_says_so_and_loads_no_library() -> None:
    html = render(findings([]), DAY, NEXT)
    page = Page(html)
    assert "No incidents." in page.text
    assert "Nothing was flagged on this day. What was looked at is below." in page.text
    assert "11,520" in page.text
    assert not [words for words in ("could not be", "not over yet") if words in page.text]
    assert len(html) < 20_000


def test_a_day_that_nobody_judged_says_so() -> None:
    nothing = replace(findings([]), looked=())
    assert "no run has judged this day" in Page(render(nothing, DAY, NEXT)).text


def test_the_page_says_what_happened_and_what_was_looked_at() -> None:
    on = event("in bytes", 12_400_000, 1.5e6, ongoing=True)
    page = Page(render(findings([on], until=on.end), DAY, NEXT))
    for words in (
        "1 incident: 1 high. 1 still on.",
        "12.4 MB/s",
        "30m so far",
        "received_bytes_count",
        "3 by persistence",
        "judged up to 2026-11-22 03:40",
        "The day is not over yet.",
    ):
        assert words in page.text


def test_on_top_are_the_worst_and_the_worst_of_what_is_still_on() -> None:
    on = event("in bytes", 4e6, 1e6, "web-2", ongoing=True, severity=55, zone="europe-west1-c")
    found = findings([event("in bytes", 9e6, 1e6, severity=80), on], until=on.end)
    summary = Page(render(found, DAY, NEXT)).text.partition("Timeline")[0]
    worst = "Worst: volumetric surge, received bytes rose to 9 MB/s at web-1 (europe-west1-b), since 2026-11-22"
    still = "Worst of those still on: volumetric surge, received bytes rose to 4 MB/s at web-2 (europe-west1-c), since"
    assert f"1 still on. {worst} 03:10 UTC, for 30m. {still}" in summary
    alone = replace(found, incidents=tuple(i for i in found.incidents if i.state != "closed"))
    assert "Worst of those" not in Page(render(alone, DAY, NEXT)).text


def test_series_of_several_parts_are_added_and_those_of_several_days_are_not() -> None:
    found = findings([])
    (one,) = found.looked
    parts = (one, one.model_copy(update={"series": 41}), one.model_copy(update={"start": NEXT}))
    page = Page(render(replace(found, looked=parts), DAY, NEXT))
    assert "00:008134,560049 by" in page.text


def test_what_was_skipped_and_what_cannot_be_read_is_named() -> None:
    found = replace(findings([]), problems=("anomalies/x.jsonl line 3 is no anomaly record",))
    text = Page(render(found, DAY, NEXT, [Skipped("date=2026-11-22/metric=x", "quota <b>")])).text
    assert "One part of it could not be judged" in text.partition("What was looked at")[0]
    assert "date=2026-11-22/metric=x: quota <b>" in text
    assert "line 3 is no anomaly record" in text
    assert "could not be read: this page may lack it" in text.partition("What was looked at")[0]


def test_what_happened_why_it_is_thought_and_by_what_it_was_judged_stand_apart() -> None:
    found = findings([event("in bytes", 5000, 1000)])
    (incident,) = found.incidents
    page = Page(render(found, DAY, NEXT))
    what, because, judged = incident.sentence.partition(" Because ")[0], incident.evidence[0], "Compared with"
    assert [page.text.count(words) for words in (what, f"because {because}", judged)] == [1, 1, 1]
    assert f"{incident.confidence:.0%} sure that it is a case of {incident.nature}" in page.text


def test_muted_incidents_are_shown_as_muted_and_not_counted() -> None:
    found = findings([event("in bytes", 5000, 1000)])
    found = replace(found, incidents=tuple(i.model_copy(update={"muted": "backup"}) for i in found.incidents))
    page = Page(render(found, DAY, NEXT))
    assert "No incidents but 1 muted." in page.text
    assert "muted: backup" in page.text


def test_what_the_limit_held_back_is_counted() -> None:
    assert "7 of these were held back" in Page(render(findings(many(10)), DAY, NEXT, held=7)).text
    assert "held back by the limit" not in Page(render(findings(many(3)), DAY, NEXT)).text


@pytest.mark.parametrize("name", HOSTILE)
def test_labels_stay_text(name: str) -> None:
    page = Page(render(findings([event("in bytes", 5000, 1000, HOSTILE[name])]), DAY, NEXT))
    assert {tag for tag, _ in page.elements} & {"img", "iframe", "object", "link", "b"} == set()
    assert len(page.all("script")) == 5  # data, three of the library, ours
    assert not [a for _, a in page.elements if any(key.startswith("on") for key in a)]
    assert "{{7*7}}" in page.text or "49" not in page.text
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x1b\x07]", "".join(page.words + page.scripts[-3:-1]))
    assert max(len(word) for word in page.words) < 4000


def test_links_lead_to_the_console_alone() -> None:
    page = Page(render(findings([event("in bytes", 5000, 1000, 'javascript:alert("1")')]), DAY, NEXT))
    assert [str(a["href"])[:34] for a in page.all("a")] == ["#incidents", "https://console.cloud.google.com/m"]


def test_nothing_is_loaded_from_anywhere() -> None:
    page = Page(render(findings(many(3)), DAY, NEXT))
    assert not [a for tag, a in page.elements if "src" in a or tag in {"link", "base"}]
    (policy,) = [a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert str(policy).startswith("default-src 'none'")


def test_charts_hold_the_series_and_its_band() -> None:
    data = numbers(Page(render(findings([event("in bytes", 12_400_000, 1.5e6)]), DAY, NEXT)))
    (chart,) = data["charts"]
    at = (3 * 60 + 10) // 5
    assert chart["unit"] == "MB/s"
    assert [chart[row][at] for row in ("value", "expected", "lower", "upper")] == [12.4, 1.5, 1.2, 1.8]  # type: ignore[index]  # JSON
    (absent,) = numbers(Page(render(findings([event("in bytes", None, 5.0, kind="absent")]), DAY, NEXT)))["charts"]
    assert [event[2:] for event in absent["events"]] == [["no points"]]  # type: ignore[attr-defined]  # JSON
    assert chart["events"] == [[NIGHT.timestamp() * 1000, NIGHT.timestamp() * 1000 + 1_800_000]]


def listed(page: Page) -> int:
    return len([a for a in page.all("li") if "incident" in str(a.get("class"))])


@pytest.mark.parametrize("minutes", [1, 5])
def test_a_thousand_incidents_are_all_told_on_a_page_that_stays_small(minutes: int) -> None:
    html = render(findings(many(1000), minutes=minutes), DAY, NEXT)
    page = Page(html)
    drawn = len(numbers(page)["charts"])
    assert len(html.encode()) <= LARGEST == 5_000_000, "the README says so"
    assert listed(page) == 1000
    assert {1: 30, 5: CHARTS}[minutes] <= drawn <= CHARTS
    assert f"the worst {drawn} series are drawn, {2000 - drawn:,} are not" in page.text
    assert f"after the worst {FULL} incidents, the others are told in short" in page.text
    assert len([a for a in page.all("details") if a.get("class") == "series"]) == FULL


def test_what_has_no_room_is_left_out_from_the_end_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("job.page.LARGEST", 2_450_000)
    found = findings(many(400), minutes=1)
    html = render(found, DAY, NEXT)
    page = Page(html)
    assert len(html.encode()) <= 2_450_000
    there = listed(page)
    assert FULL / 2 < there < 400
    above = found.incidents[there].severity
    assert f"the last {400 - there} of 400, none of them above severity {above}, are left out" in page.text
    assert f"{there} of {there} shown" in page.text
    assert len(numbers(page)["charts"]) > 5


def test_of_very_many_that_failed_the_first_are_named() -> None:
    failed = [Skipped(f"slice {n}", "quota") for n in range(1000)]
    text = Page(render(findings([]), DAY, NEXT, failed)).text
    assert "1000 parts of it could not be judged" in text
    assert "slice 99: quotaand 900 more" in text


def test_a_small_page_leaves_nothing_out_and_says_nothing_of_it() -> None:
    html = render(findings(many(40), minutes=1), DAY, NEXT)
    assert "So that the page stays small" not in html
    assert len(numbers(Page(html))["charts"]) == 80


def test_the_same_findings_make_the_same_bytes() -> None:
    assert render(findings(many(5)), DAY, NEXT) == render(findings(many(5)), DAY, NEXT)
