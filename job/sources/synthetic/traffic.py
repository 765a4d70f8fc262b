"""The traffic of one resource, as rates on a grid of whole UTC days.

    rate = level x (week + bursts) x drift x incidents x noise, rounded to whole bytes or packets a period

Everything but the noise from one point to the next is the same at every step.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from job.sources.synthetic.draws import bell, bits, rare, uniform
from job.sources.synthetic.fleet import Fleet, Member
from job.sources.synthetic.incidents import SMALL, Effect, Event, effects, events, levels
from job.sources.synthetic.roles import DAY, WEEK, week

Values = NDArray[np.float64]

_THURSDAY = 3 * DAY
"""1970-01-01 was one: minutes since Monday."""

_SAMPLE = 5
"""The minutes of the points that a role's noise is stated for."""

_LOST_ONE_IN = 2048
_GAP_CHANCE = 0.1
_GAP_MINUTES = (3, 20)


def rates(fleet: Fleet, member: Member, quantity: str, days: range, minutes: int, *, incidents: bool) -> Values:
    """A quantity of a member per second over `days` (days since 1970), in steps of so many minutes; NaN is no point.

    A day's numbers do not depend on which days are asked.
    """
    happening = events(fleet, member, days) if incidents else []
    usual = levels(member)
    touched = [(event, touch[quantity]) for event in happening if quantity in (touch := effects(event, usual))]
    if quantity.startswith("dropped"):
        return _drops(fleet, member, quantity, days, minutes, touched)
    present = _present(fleet, member, days, minutes, [event.span for event in happening if event.kind == "absence"])
    activity = _activity(fleet, member, days, minutes)
    values = usual[quantity] * activity
    for event, effect in touched:
        _disturb(values, event, effect, days, minutes)
    values *= _noise(fleet, member, quantity, days, minutes)
    return np.where(present > 0, _whole(values * present, minutes), np.nan)


def _whole(rate: Values, minutes: int) -> Values:
    """Rates of a counter, which counts whole bytes and packets in each period."""
    seconds = 60.0 * minutes
    return np.asarray(np.rint(rate * seconds) / seconds)


def _activity(fleet: Fleet, member: Member, days: range, minutes: int) -> Values:
    start = days.start * DAY + _THURSDAY + member.offset
    at = (np.arange(min(len(days) * DAY, WEEK)) + start) % WEEK
    activity = np.resize(week(member.role)[at].reshape(-1, minutes).mean(axis=1), len(days) * DAY // minutes)
    for span, size in _bursts(fleet, member, days):
        where, share = _cover(span, days, minutes)
        activity[where] += size * share
    return activity * np.exp(_drift(fleet, member, days, minutes))


def _bursts(fleet: Fleet, member: Member, days: range) -> Iterator[tuple[range, float]]:
    """The minutes and sizes of a member's random, normal bursts."""
    habit = member.role.bursts
    if habit is None:
        return
    around = range(days.start - 1, days.stop + 1)
    draws = uniform(bits(fleet.seed, "bursts", member.series, around, 4 * habit.most))
    (early, late), (short, long), (small, large) = habit.hours, habit.minutes, habit.size
    for day, row in zip(around, draws.reshape(len(around), habit.most, 4), strict=True):
        if (day + 3) % 7 >= 5 and not habit.weekends:
            continue
        for chance, when, length, size in row:
            start = day * DAY + int(60 * (early + (late - early) * when)) - member.offset
            if chance < habit.chance:
                yield range(start, start + round(short + (long - short) * length)), small + (large - small) * size


def _drift(fleet: Fleet, member: Member, days: range, minutes: int) -> Values:
    """The logarithm of the slow changes: lines between one random number an hour, and one a day."""
    knots = bell(bits(fleet.seed, "drift", member.series, range(days.start, days.stop + 1), 25))
    hours, whole_days = knots[:, :24].ravel(), knots[:, 24]
    middle = (2 * np.arange(len(days) * DAY // minutes) + 1) * minutes
    return member.role.drift * (_between(hours, 60, middle) + _between(whole_days, DAY, middle))


def _between(knots: Values, apart: int, middle: NDArray[np.int_]) -> Values:
    """The line through knots that many minutes apart, at half minutes: whole numbers, exact from any first day."""
    place, past = np.divmod(middle, 2 * apart)
    rest = past / (2 * apart)
    return np.asarray(knots[place] * (1 - rest) + knots[place + 1] * rest)


def _noise(fleet: Fleet, member: Member, quantity: str, days: range, minutes: int) -> Values:
    """The factor that changes from point to point: some of it shared by both directions, some a direction's own.

    Bytes and packets of a direction share it, but for a little that moves the mean size of a packet.
    """

    def white(stream: str) -> Values:
        return bell(bits(fleet.seed, stream, member.series, days, DAY // minutes)).ravel()

    direction = "received" if quantity.startswith("received") else "sent"
    calm = member.role.noise * (_SAMPLE / minutes) ** 0.25
    noise = calm * (0.8 * white("both") + 0.6 * white(direction))
    if not quantity.endswith("bytes"):
        noise += (0.02 if quantity.endswith("packets") else 0.05) * white(f"{direction} {quantity}")
    return np.asarray(np.exp(noise))


def _drops(
    fleet: Fleet, member: Member, quantity: str, days: range, minutes: int, touched: list[tuple[Event, Effect]]
) -> Values:
    """Rates of a counter that mostly has no point: a few packets now and then, and what incidents add.

    It is the network that counts them, also while a machine is silent.
    """
    stream = "refused" if quantity in ("dropped_bytes", "dropped_packets") else quantity
    draws = uniform(bits(fleet.seed, stream, member.series, days, DAY // minutes)).ravel()
    chance = 1 - (1 - member.role.drops) ** minutes
    packets = np.where(draws < chance, 1 + np.floor(12 * (draws / chance) ** 3), np.nan) / (60.0 * minutes)
    values = packets * SMALL if quantity == "dropped_bytes" else packets
    for event, effect in touched:
        where, share = _cover(event.span, days, minutes)
        values[where] = np.nan_to_num(values[where]) + effect.more * share
    there = (values > 0) & (_present(fleet, member, days, minutes) == 1)
    return np.where(there, _whole(values, minutes), np.nan)


def _disturb(values: Values, event: Event, effect: Effect, days: range, minutes: int) -> None:
    """Let an event have its effect on `values`, in proportion where it covers a part of a period."""
    where, share = _cover(event.span, days, minutes)
    if effect.gradual:
        middle = (np.arange(where.start, where.stop) + 0.5) * minutes + days.start * DAY
        share = share * np.clip((middle - event.span.start) / len(event.span), 0, 1)
    values[where] *= 1 + (effect.gain - 1) * share
    values[where] += effect.more * share


def _present(fleet: Fleet, member: Member, days: range, minutes: int, absences: Iterable[range] = ()) -> Values:
    """Which part of each period has points: 0 in a gap, in an absence, and before and after a resource's life.

    A gap hides only the periods that it covers wholly; a resource that comes, goes or falls silent within a period
    leaves less in it.
    """
    lost = bits(fleet.seed, "both", member.series, days, DAY // minutes).ravel()
    present = np.where(rare(lost, _LOST_ONE_IN), 0.0, 1.0)
    for span in _gaps(fleet, member, days):
        where, share = _cover(span, days, minutes)
        present[where] *= share < 1
    for span in absences:
        where, share = _cover(span, days, minutes)
        present[where] *= 1 - share
    where, share = _cover(member.life, days, minutes)
    alive = np.zeros_like(present)
    alive[where] = share
    return present * alive


def _gaps(fleet: Fleet, member: Member, days: range) -> Iterator[range]:
    around = range(days.start - 1, days.stop)
    short, long = _GAP_MINUTES
    for day, (chance, when, length) in zip(
        around, uniform(bits(fleet.seed, "gaps", member.series, around, 3)), strict=True
    ):
        if chance < _GAP_CHANCE:
            start = day * DAY + int(when * DAY)
            yield range(start, start + round(short + (long - short) * length))


def _cover(span: range, days: range, minutes: int) -> tuple[slice, Values]:
    """The periods of `days` that a span of minutes touches, and the part of each that it covers."""
    start, stop = span.start - days.start * DAY, span.stop - days.start * DAY
    first = max(start // minutes, 0)
    last = max(min(-(-stop // minutes), len(days) * DAY // minutes), first)
    begins = np.arange(first, last) * minutes
    covered = np.minimum(begins + minutes, stop) - np.maximum(begins, start)
    return slice(first, last), covered / minutes
