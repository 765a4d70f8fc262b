"""The page in a real browser; skipped where there is none."""

import base64
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from job.page import render
from tests.incidents.events import event
from tests.page.findings import DAY, HOSTILE, NEXT, findings, many

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="no Chromium with its driver (Debian: chromium, chromium-driver)"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1200,1600",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_page_load_timeout(60)
    yield driver
    driver.quit()


def opened(browser: Any, place: Path, html: str) -> Any:
    """The page, opened from a file."""
    path = place / "page.html"
    path.write_text(html, encoding="utf-8")
    browser.get(path.as_uri())
    return browser


def wait_for(browser: Any, script: str) -> Any:
    """Wait until a script answers with something."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 30, 0.05).until(lambda b: b.execute_script(script))


def complaints(browser: Any) -> list[Any]:
    return [line for line in browser.get_log("browser") if line["level"] in {"SEVERE", "WARNING"}]


def shown(browser: Any) -> int:
    return int(browser.execute_script("return document.querySelectorAll('.incident:not([hidden])').length"))


def test_it_draws_filters_and_zooms_without_a_complaint_or_a_request(browser: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    browser.get_log("performance")
    opened(browser, tmp_path, render(findings(many(30)), DAY, NEXT))
    wait_for(browser, "return document.querySelector('figure')?.plot?.x_range?.end")
    assert browser.execute_script("return document.getElementById('timeline').childElementCount") > 0

    browser.find_element(By.NAME, "text").send_keys("host7x")
    assert shown(browser) == 1
    assert browser.find_element(By.ID, "shown").get_property("value") == "1 of 30 shown"
    browser.find_element(By.CSS_SELECTOR, "button[type=reset]").send_keys(Keys.ENTER)
    wait_for(browser, "return document.querySelectorAll('.incident:not([hidden])').length === 30")

    width = "const r = document.querySelector('figure').plot.x_range; return r.end - r.start"
    before = browser.execute_script(width)
    browser.find_element(By.CSS_SELECTOR, ".zoom button").send_keys(Keys.ENTER)
    assert browser.execute_script(width) == pytest.approx(before / 2)

    assert complaints(browser) == []
    asked = [
        line["message"] for line in browser.get_log("performance") if '"Network.requestWillBeSent"' in line["message"]
    ]
    assert not [message for message in asked if "http://" in message or "https://" in message]


def test_the_keyboard_opens_an_incident_and_its_charts_follow(browser: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    opened(browser, tmp_path, render(findings(many(6)), DAY, NEXT))
    last = browser.find_elements(By.CSS_SELECTOR, ".incident > details > summary")[-1]
    assert not browser.execute_script("return [...document.querySelectorAll('figure')].at(-1).dataset.drawn")
    last.send_keys(Keys.ENTER)
    wait_for(browser, "return [...document.querySelectorAll('figure')].at(-1).plot !== undefined")
    names = "return [...document.querySelectorAll('figure .plot[role=img]')].map(e => e.getAttribute('aria-label'))"
    assert all("bytes of" in name or "packets of" in name for name in browser.execute_script(names))
    assert complaints(browser) == []


def test_the_keyboard_stops_where_it_can_do_something(browser: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    opened(browser, tmp_path, render(findings(many(2)), DAY, NEXT))
    wait_for(browser, "return [...document.querySelectorAll('figure')].every(f => f.dataset.ready)")
    here = """let e = document.activeElement; while (e.shadowRoot?.activeElement) e = e.shadowRoot.activeElement;
        return e.tagName"""
    stops = []
    for _ in range(15):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        stops.append(browser.execute_script(here))
    filters = ["SELECT", "SELECT", "SELECT", "INPUT", "BUTTON"]
    assert stops == ["A", *filters, "SUMMARY", "A", *["BUTTON"] * 5, "A", "BUTTON"]
    groups = "return [...document.querySelectorAll('[role=group]')].map(e => e.ariaLabel)"
    assert len(set(browser.execute_script(groups))) == 4


def test_a_chart_marks_its_own_incident_and_where_it_began(browser: Any, tmp_path: Path) -> None:
    day = [event("in bytes", 5000, 1000, start=DAY + timedelta(hours=hours)) for hours in (3, 9)]
    opened(browser, tmp_path, render(findings(day), DAY, NEXT))
    wait_for(browser, "return [...document.querySelectorAll('figure')].every(f => f.plot)")
    marks = """return [...document.querySelectorAll('figure')].map(f => f.plot.center
        .filter(one => ['BoxAnnotation', 'Span'].includes(one.type))
        .map(one => [one.left ?? one.location, one.fill_alpha]))"""
    first, second = ((DAY + timedelta(hours=hours)).timestamp() * 1000 for hours in (3, 9))
    assert sorted(browser.execute_script(marks)) == [
        [[first, 0.06], [second, 0.18], [second, None]],
        [[first, 0.18], [first, None], [second, 0.06]],
    ]
    starts = browser.execute_script("return [...document.querySelectorAll('figure')].map(f => f.plot.y_range.start)")
    assert starts == pytest.approx([-0.25, -0.25])


def test_a_chart_shows_points_that_are_alone_and_where_there_are_none(browser: Any, tmp_path: Path) -> None:
    absent = event("in bytes", None, 1000, kind="absent", minutes=60)
    found = findings([absent])
    ((name, (whole,)),) = found.traces.items()
    value = [None if 3 <= n < 288 and n % 100 else v for n, v in enumerate(whole.value)]
    found = replace(found, traces={name: (whole.model_copy(update={"value": value}),)})
    opened(browser, tmp_path, render(found, DAY, NEXT))
    wait_for(browser, "return !!document.querySelector('figure')?.plot")
    dots = """return document.querySelector('figure').plot.renderers.filter(r => r.glyph.type === 'Scatter')
        .flatMap(r => [...r.data_source.data.x])"""
    middles = [DAY + timedelta(minutes=5 * (n + 0.5)) for n in (100, 200)]
    assert browser.execute_script(dots) == [moment.timestamp() * 1000 for moment in middles]
    words = "return document.querySelector('figure').plot.center.filter(r => r.type === 'Label').map(r => r.text)"
    assert browser.execute_script(words) == ["no points"]
    form = "const f = document.querySelector('figure').plot.below[0].formatter; return [f.days, f.hours]"
    assert browser.execute_script(form) == ["%d %b", "%H:%M"]
    assert complaints(browser) == []


def test_it_says_how_long_ago(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(render(findings(many(1)), DAY, NEXT), encoding="utf-8")
    for after, words in ((90, "1h30m"), (59, "59m"), (60 * 24 * 3, "3 days")):
        now = f"Date.now = () => {(NEXT + timedelta(minutes=after)).timestamp() * 1000}"
        added = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": now})
        browser.get(path.as_uri())
        assert f"judged up to 2026-11-23 00:00 ({words} ago)" in browser.execute_script(
            "return document.body.innerText"
        )
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_labels_do_nothing(browser: Any, tmp_path: Path, name: str) -> None:
    opened(browser, tmp_path, render(findings([event("in bytes", 5000, 1000, HOSTILE[name])]), DAY, NEXT))
    wait_for(browser, "return !!document.querySelector('figure')?.plot")
    assert browser.title == "netanomaly 2026-11-22"
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    assert complaints(browser) == []


@pytest.fixture
def phone(browser: Any) -> Iterator[Any]:
    shape = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", shape)
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    yield browser
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_phone_has_room_for_the_timeline(phone: Any, tmp_path: Path) -> None:
    browser = phone
    opened(browser, tmp_path, render(findings(many(6)), DAY, NEXT))
    wait_for(browser, "return document.getElementById('timeline').plot?.inner_width > 0")
    assert browser.execute_script("return document.getElementById('timeline').plot.inner_width") > 200
    assert browser.execute_script("return document.documentElement.scrollWidth <= 390")


def test_a_finger_on_a_chart_scrolls_the_page(phone: Any, tmp_path: Path) -> None:
    opened(phone, tmp_path, render(findings(many(6)), DAY, NEXT))
    wait_for(phone, "return document.querySelector('figure')?.dataset.ready")
    place = """const plot = document.querySelector('figure .plot'); plot.scrollIntoView({ block: 'center' });
      const { x, y, width, height } = plot.getBoundingClientRect(); return [x + width / 2, y + height / 2];"""
    x, y = phone.execute_script(place)
    before = phone.execute_script("return scrollY")
    for kind, up in (("touchStart", 0), *(("touchMove", 20 * n) for n in range(1, 11))):
        phone.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y - up}]})
    phone.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    wait_for(phone, f"return scrollY > {before + 100}")


def test_an_address_and_a_bar_open_their_incident(browser: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    found = findings(many(6))
    opened(browser, tmp_path, render(found, DAY, NEXT))
    wait_for(browser, "return document.getElementById('timeline').plot?.inner_width > 0")
    is_open = "return document.getElementById(arguments[0]).firstElementChild.open"
    last, fourth = f"i-{found.incidents[5].id}", f"i-{found.incidents[3].id}"
    assert not browser.execute_script(is_open, last)
    browser.execute_script("document.querySelector('input[type=search]').value = 'nothing of this name'")
    browser.execute_script("document.getElementById('filters').dispatchEvent(new Event('input'))")
    assert shown(browser) == 0
    browser.execute_script("location.hash = arguments[0]", last)
    wait_for(browser, "return document.querySelectorAll('.incident:not([hidden])').length === 6")
    assert browser.execute_script(is_open, last)

    timeline = browser.find_element(By.ID, "timeline")
    high = browser.execute_script("return document.getElementById('timeline').plot.inner_height")
    from_middle = 5 + round(high * 3.5 / 6) - timeline.size["height"] // 2  # the frame begins 5 pixels below the top
    ActionChains(browser).move_to_element_with_offset(timeline, 0, from_middle).click().perform()
    wait_for(browser, f"return location.hash === '#{fourth}'")


def test_a_thousand_incidents_open_fast(browser: Any, tmp_path: Path) -> None:
    opened(browser, tmp_path, render(findings(many(1000)), DAY, NEXT))
    taken = wait_for(
        browser, "const t = performance.timing; return t.loadEventEnd && t.loadEventEnd - t.navigationStart"
    )
    assert shown(browser) == 1000
    assert taken < 10_000
    assert complaints(browser) == []


def test_everything_that_can_be_used_has_a_name(browser: Any, tmp_path: Path) -> None:
    """By the tree that the browser gives to screen readers."""
    opened(browser, tmp_path, render(findings(many(6)), DAY, NEXT))
    wait_for(browser, "return !!document.querySelector('figure')?.plot")
    nodes = [n for n in browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"] if not n["ignored"]]
    named = [(n["role"]["value"], n.get("name", {}).get("value", "")) for n in nodes]
    used = {"button", "combobox", "searchbox", "checkbox", "link", "image", "form", "DisclosureTriangle"}
    assert {"button", "combobox", "searchbox", "image", "main", "banner", "status", "table"} <= {r for r, _ in named}
    assert [role for role, name in named if role in used and not name] == []
    levels = browser.execute_script("return [...document.querySelectorAll('h1,h2,h3')].map(h => +h.tagName[1])")
    assert levels[0] == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))


def contrast(browser: Any, selector: str) -> float:
    """How much lighter the text or its ground is than the other, after WCAG."""
    script = """
      const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
      const weigh = ([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b;
      const light = (colour) => weigh(colour.match(/[\\d.]+/g).map((v) => linear(v / 255)));
      const words = getComputedStyle(document.querySelector(arguments[0])).color;
      const ground = getComputedStyle(document.body).backgroundColor;
      const [a, b] = [words, ground].map(light).sort((x, y) => y - x);
      return (a + 0.05) / (b + 0.05);"""
    return float(browser.execute_script(script, selector))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_ground(browser: Any, tmp_path: Path, scheme: str) -> None:
    wanted = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", wanted)
    opened(browser, tmp_path, render(findings(many(6)), DAY, NEXT))
    dark = browser.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 28)"
    assert dark == (scheme == "dark")
    for selector in (".sentence", ".badge", ".when", ".judged", ".rank", "h1 small"):
        assert contrast(browser, selector) >= 4.5, selector
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_on_paper_there_are_words_and_charts_and_no_buttons(browser: Any, tmp_path: Path) -> None:
    opened(browser, tmp_path, render(findings(many(6)), DAY, NEXT))
    wait_for(browser, "return !!document.querySelector('figure')?.plot")
    paper = base64.b64decode(browser.print_page())
    assert paper.startswith(b"%PDF")
    pages = paper.count(b"/Type /Page\n")
    assert 2 <= pages <= 12
    opened_now = "return document.querySelectorAll('.incident > details[open]').length"
    assert browser.execute_script(opened_now) == 6, "what is closed on the screen is told on paper"
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    browser.execute_script("delete document.querySelector('figure').dataset.ready")
    assert browser.execute_script("return getComputedStyle(document.querySelector('figure')).display") == "none"
    hidden = "return ['form', '.zoom'].map(s => getComputedStyle(document.querySelector(s)).display)"
    assert browser.execute_script(hidden) == ["none", "none"]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
