from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from job.errors import ConfigError
from job.incident import Incident, group
from job.mutes import open_mutes, parse
from tests.incidents.events import NIGHT, event

MINUTE = timedelta(minutes=1)


def incident(start: datetime = NIGHT, **given: Any) -> Incident:
    (one,) = group([event("in bytes", 5000, 1000, start=start, **given)])
    return one


def reason(text: str, of: Incident) -> str | None:
    return parse(text, "mutes.toml").reason(of)


MUTE = '[[mute]]\nreason = "known"\n'


@pytest.mark.parametrize(
    ("more", "muted"),
    [
        ("until = 2026-11-22T03:40:00Z", True),
        ("until = 2026-11-22T03:39:00Z", False),
        ("from = 2026-11-22T03:11:00Z\nuntil = 2027-01-01", False),
        ('until = "2027-01-01"\nresource = "web-*"', True),
        ('until = 2027-01-01\nresource = "europe-west1-*"', True),
        ('until = 2027-01-01\nresource = "db-*"', False),
        ('until = 2027-01-01\nmetric = "*received_bytes*"', True),
        ('until = 2027-01-01\nmetric = "*sent*"', False),
        ('until = 2027-01-01\nnature = "flood"', False),
    ],
)
def test_a_mute_fits_and_ends(more: str, muted: bool) -> None:
    assert reason(MUTE + more, incident()) == ("known" if muted else None)


WEEKLY = """[[window]]
reason = "weekly maintenance"
rrule = "FREQ=WEEKLY;BYDAY=SU"
start = 2026-01-04T02:00:00
zone = "Europe/Berlin"
duration = "2h"
"""


@pytest.mark.parametrize(
    ("begins", "muted"),
    [
        (datetime(2026, 11, 22, 1, 0, tzinfo=UTC), True),  # winter: 02:00 there
        (datetime(2026, 11, 22, 0, 30, tzinfo=UTC), False),
        (datetime(2026, 7, 5, 0, 0, tzinfo=UTC), True),  # summer: 02:00 there, too
        (datetime(2026, 7, 5, 2, 0, tzinfo=UTC), False),
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), True),  # the night without a 02:00
        (datetime(2026, 10, 25, 0, 0, tzinfo=UTC), True),  # the night with two: the first of them
        (datetime(2026, 11, 23, 1, 0, tzinfo=UTC), False),
    ],
)
def test_a_window_keeps_to_the_clock_of_its_zone(begins: datetime, muted: bool) -> None:
    assert reason(WEEKLY, incident(begins)) == ("weekly maintenance" if muted else None)


def test_what_outlasts_its_window_is_told() -> None:
    begins = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
    assert reason(WEEKLY, incident(begins, minutes=120)) is not None
    assert reason(WEEKLY, incident(begins, minutes=125)) is None


@pytest.mark.parametrize(
    ("rule", "last"),
    [
        ("FREQ=WEEKLY;BYDAY=SU;UNTIL=20261122T010000Z", True),  # in UTC, as RFC 5545 has it: 02:00 there
        ("FREQ=WEEKLY;BYDAY=SU;UNTIL=20261122T005959Z", False),
        ("FREQ=WEEKLY;BYDAY=SU;UNTIL=20261122T020000", True),
        ("RRULE:FREQ=WEEKLY;BYDAY=SU;COUNT=47", True),
        ("FREQ=WEEKLY;BYDAY=SU;COUNT=46", False),
        ("FREQ=MONTHLY;BYDAY=4SU", True),
        ("FREQ=MONTHLY;BYDAY=-1SU", False),
    ],
)
def test_a_window_ends_as_its_rule_says(rule: str, last: bool) -> None:
    begins = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
    text = WEEKLY.replace("FREQ=WEEKLY;BYDAY=SU", rule)
    assert reason(text, incident(begins)) == ("weekly maintenance" if last else None)


def test_a_holiday_is_a_day_of_its_zone() -> None:
    text = '[[holidays]]\nreason = "holiday"\ncountry = "DE"\nzone = "Europe/Berlin"\n'
    assert reason(text, incident(datetime(2026, 12, 24, 23, 0, tzinfo=UTC))) == "holiday"
    assert reason(text, incident(datetime(2026, 12, 24, 22, 0, tzinfo=UTC))) is None
    assert reason(text, incident(datetime(2026, 11, 24, 12, 0, tzinfo=UTC))) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (MUTE, "mute.0.until is missing; write it, since a mute must end"),
        ("[[mute]]\nuntil = 2027-01-01", "mute.0.reason is missing"),
        (MUTE + "until = 'soon'", "'soon' is not a time"),
        (
            MUTE + "until = 2027-01-01\nresources = 'x'",
            "mute.0.resources: no such setting; there are: reason,",
        ),
        (WEEKLY.replace("Europe/Berlin", "Europe/Atlantis"), "no IANA time zone"),
        (WEEKLY.replace("Europe/Berlin", "../../etc/passwd"), "no IANA time zone"),
        (WEEKLY.replace("WEEKLY", "SECONDLY"), "needs FREQ="),
        (WEEKLY.replace("BYDAY=SU", "BYDAY=NO"), "no rule of RFC 5545"),
        (WEEKLY.replace("BYDAY=SU", "INTERVAL=0"), "INTERVAL=0; write 1"),  # would be searched for without end
        (WEEKLY.replace("WEEKLY;BYDAY=SU", "HOURLY;BYMONTH=2;BYMONTHDAY=30"), "never comes"),
        (WEEKLY.replace("BYDAY=SU", "UNTIL=20269931T000000Z"), "20269931T000000Z, which is no time"),
        (WEEKLY.replace("BYDAY=SU", ""), "is not one rule"),
        (MUTE + "from = 2027-01-01\nuntil = 2026-01-01", "from = 2027-01-01T00:00:00Z is not before until"),
        (MUTE.replace("known", "") + "until = 2027-01-01", "mute.0.reason is empty"),
        ("[mute]\nreason = 'x'", "write [[mute]]"),
        ("[[mutes]]\nreason = 'x'", "mutes: no such table; there are: mute, window, holidays"),
        (WEEKLY.replace("02:00:00", "02:00:00Z"), "wall-clock"),
        (WEEKLY.replace("2h", "0s"), "no time at all"),
        ('[[holidays]]\nreason = "x"\ncountry = "XX"', "no holidays are known of 'XX'"),
        ("mute = 3", "mute"),
        ("[[mute", "is not TOML"),
        ("mute = " + "[" * 5000, "is not TOML"),
    ],
)
def test_what_is_wrong_is_said(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as told:
        parse(text, "mutes.toml")
    assert words in str(told.value)
    assert "mutes.toml" in str(told.value)


def test_no_file_mutes_nothing_and_a_missing_one_is_refused() -> None:
    assert open_mutes("").reason(incident()) is None
    with pytest.raises(ConfigError):
        open_mutes("/nowhere/mutes.toml")
