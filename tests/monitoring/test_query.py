import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.errors import ConfigError
from job.query import ALPHABET, Query, both, equals, in_part, part_filter, quote, share

LABEL = "resource.labels.instance_id"


def query(**settings: Any) -> Query:
    return Query("compute.googleapis.com/x", "p", timedelta(minutes=1), **settings)


def pattern_of(text: str) -> str:
    found = re.search(r'full_match\("(.*)"\)', text, re.DOTALL)
    assert found
    return found[1]


@given(st.text(), st.integers(1, len(ALPHABET)))
def test_every_value_is_in_exactly_one_part(value: str, parts: int) -> None:
    homes = [p for p in range(parts) if in_part({LABEL: value}, query(split_by=LABEL, parts=parts, part=p))]
    assert len(homes) == 1


@given(
    st.text() | st.sampled_from([*ALPHABET, "", "\n", "a\n", "Z", "9\u0301", "]", "\\"]), st.integers(2, len(ALPHABET))
)
def test_the_filter_chooses_what_in_part_chooses(value: str, parts: int) -> None:
    for part in range(parts):
        wanted = query(split_by=LABEL, parts=parts, part=part)
        assert bool(re.fullmatch(pattern_of(part_filter(wanted)), value)) == in_part({LABEL: value}, wanted)


def test_a_series_without_the_label_is_in_the_first_part() -> None:
    assert [in_part({}, query(split_by=LABEL, parts=3, part=p)) for p in range(3)] == [True, False, False]


@pytest.mark.parametrize("parts", range(2, len(ALPHABET) + 1))
def test_numeric_ids_spread_evenly(parts: int) -> None:
    sizes = [
        sum(in_part({LABEL: str(i)}, query(split_by=LABEL, parts=parts, part=p)) for i in range(1000))
        for p in range(parts)
    ]
    assert max(sizes) - min(sizes) <= 10, "a hundred endings of ten each"


@given(st.text() | st.text(ALPHABET + "\n-Z", max_size=4), st.integers(1, 8), st.sets(st.integers(0, 16), min_size=1))
def test_shares_of_a_part_are_disjoint_and_several_are_what_each_is(value: str, parts: int, wanted: set[int]) -> None:
    def there(shares: set[int]) -> bool:
        one = share(query(split_by=LABEL, parts=parts, part=parts - 1), shares, 17)
        return bool(re.fullmatch(pattern_of(one.filter), value))

    homes = {n for n in range(17) if there({n})}
    assert len(homes) == 1
    assert there(wanted) == bool(homes & wanted)


def test_one_part_needs_no_filter() -> None:
    assert part_filter(query()) == ""
    assert in_part({}, query())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"parts": 0}, "1 to 36"),
        ({"parts": 37, "split_by": LABEL}, "1 to 36"),
        ({"parts": 2, "part": 2, "split_by": LABEL}, "0 to 1"),
        ({"part": -1}, "0 to 0"),
        ({"parts": 2}, "split_by"),
        ({"parts": 2, "split_by": LABEL, "group_by": ("resource.labels.zone",)}, "resource.labels.zone"),
    ],
)
def test_parts_that_cannot_be_told_apart_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        query(**settings)


def test_a_quoted_value_cannot_leave_its_quotes() -> None:
    assert quote('a\\" OR b = "') == '"a\\\\\\" OR b = \\""'
    assert equals("metric.labels.x", 'v"') == 'metric.labels.x = "v\\""'


def test_filters_are_joined_in_parentheses() -> None:
    assert both('a = "1"', "", 'b = "2" OR c = "3"') == '(a = "1") AND (b = "2" OR c = "3")'
    assert both("", " ") == ""
    assert both('a = ")("') == 'a = ")("'


@pytest.mark.parametrize("text", ['a = "1") OR (b = "2"', 'a = "1', "a = '1", "(", ")", 'a = "\\"'])
def test_a_filter_that_would_reach_into_the_next_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="does not match"):
        both(text, 'project = "p"')
