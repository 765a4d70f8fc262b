"""What a day of the week adds, against a slow twin."""

import math
from statistics import median

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.week import Week

Floats = NDArray[np.float64]


def there(values: list[float]) -> list[float]:
    return [x for x in values if not math.isnan(x)]


def middle(values: list[float]) -> float:
    known = there(values)
    return median(known) if known else math.nan


def adds(days: Floats, odd: NDArray[np.bool_], hours: int) -> list[float]:
    """The same of one series: (day, column of a day) of three weeks."""
    slots = days.shape[1]
    size = slots // hours
    hourly = [[middle(day[h * size : (h + 1) * size].tolist()) for h in range(hours)] for day in days]
    level = [middle([x for day in hourly[first : first + 7] for x in day]) for first in (0, 7, 14)]
    off = [[x - level[d // 7] for x in day] for d, day in enumerate(hourly)]
    knots = []
    for h in range(hours):
        much = [odd[d, h * size : (h + 1) * size].sum() * 2 > size for d in (0, 7, 14)]
        same = there([off[d][h] for i, d in enumerate((0, 7, 14)) if not (much[i] and sum(much) == 1)])
        more = median(same) - middle([day[h] for day in off]) if len(same) >= 2 else 0.0
        knots.append(0.0 if math.isnan(more) else more)
    ends = [knots[0], *knots, knots[-1]]
    smooth = [(ends[h] + 2 * ends[h + 1] + ends[h + 2]) / 4 for h in range(hours)]
    answer = []
    for column in range(slots):
        place = min(max((column + 0.5) / size - 0.5, 0), hours - 1)
        low = int(place)
        answer.append(smooth[low] + (place - low) * (smooth[min(low + 1, hours - 1)] - smooth[low]))
    return answer


@pytest.mark.parametrize(("slots", "hours"), [(48, 24), (96, 24), (24, 24), (8, 8), (2, 2), (10, 10)])
def test_it_is_that_of_plain_loops(slots: int, hours: int) -> None:
    rng = np.random.default_rng(slots)
    days = 100 + rng.normal(0, 5, (24, 6, slots))
    days[5::7] -= 40
    days[12, 1] = 0
    days[rng.random(days.shape) < 0.1] = np.nan
    days[3, 2], days[10, 2], days[4:12, 3], days[:, 4] = np.nan, np.nan, np.nan, np.nan
    odd = rng.random(days.shape) < 0.3
    odd[12, 1], odd[5], odd[:, 5] = True, True, True
    week = Week(6, slots)
    for d, day in enumerate(days):
        told = week.adds()
        if d < 21:
            assert told is None
        else:
            assert told is not None
            wanted = np.array([adds(days[d - 21 : d, row], odd[d - 21 : d, row], hours) for row in range(6)])
            np.testing.assert_allclose(told, wanted, rtol=0, atol=1e-10)
        week.learn(day, odd[d])


def test_one_outage_on_a_weekday_and_a_new_level_add_nothing_to_the_next_one() -> None:
    days = np.full((21, 1, 48), 100.0)
    days[13:] = 200.0
    days[5::7] -= 40
    week, again = Week(1, 48), Week(1, 48)
    for d, day in enumerate(days):
        week.learn(day, np.zeros(day.shape, dtype=np.bool_))
        again.learn(day if d != 14 else day * 0, np.full(day.shape, d == 14))
    assert week.adds() == pytest.approx(0.0)
    assert again.adds() == pytest.approx(0.0)
