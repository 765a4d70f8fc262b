"""What machines and gateways do all week: one row of numbers a role."""

from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Family: TypeAlias = Literal["vm", "nat", "vpn"]
FAMILIES: tuple[Family, ...] = ("vm", "nat", "vpn")

DAY = 1440
WEEK = 7 * DAY


@dataclass(frozen=True)
class Job:
    """Work that a clock starts: every day (or every hour, when `hour` is None), `minutes` long, `size` x the level."""

    hour: float | None
    minutes: int
    size: float


@dataclass(frozen=True)
class Bursts:
    """Normal short work at random: up to `most` a day, each with probability `chance`, between two local hours.

    Lengths are minutes and sizes parts of the level, each (least, most).
    """

    most: int
    chance: float
    hours: tuple[float, float]
    minutes: tuple[int, int]
    size: tuple[float, float]
    weekends: bool = True


@dataclass(frozen=True)
class Role:
    """How a kind of resource uses the network.

    `level` is the By/s received at the top of an ordinary weekday, and `ratio` how many are sent for each. Activity,
    in parts of the level, runs daily from `floor` to `peak` at the local hour `top`; below 0 it is exactly 0.
    `width` is how broad the day is (1 narrow, 3 broad) and `weekend` what is left of it on Saturday and Sunday.
    Sizes are mean bytes a packet. `noise` is the relative deviation from one five-minute point to the next and
    `drift` from one hour and one day to the next. `drops` is the chance of a dropped packet in a minute.
    """

    name: str
    family: Family
    level: float
    ratio: float
    size_in: float
    size_out: float
    floor: float = 0.2
    peak: float = 1.0
    top: float = 14.0
    width: float = 2.0
    weekend: float = 0.6
    noise: float = 0.06
    drift: float = 0.06
    jobs: tuple[Job, ...] = ()
    bursts: Bursts | None = None
    drops: float = 0.001
    churn: bool = False

    @property
    def steady(self) -> bool:
        """Whether there is traffic at every hour."""
        return self.floor > 0


_SHORT = Bursts(most=2, chance=0.35, hours=(0, 24), minutes=(3, 12), size=(0.15, 0.6))

WEB = Role("web", "vm", 400e3, 5.0, 190, 1050, floor=0.18, weekend=0.65, bursts=_SHORT, drops=0.004)
DATABASE = Role(
    "database", "vm", 300e3, 2.5, 350, 900, floor=0.35, width=2.5, weekend=0.7, jobs=(Job(2.0, 30, 1.2),), bursts=_SHORT
)
BATCH = Role("batch", "vm", 900e3, 0.4, 1100, 420, floor=0.04, weekend=0.8, width=1.2, jobs=(Job(None, 10, 1.5),))
BACKUP = Role(
    "backup",
    "vm",
    20e6,
    0.02,
    1400,
    66,
    floor=0.002,
    peak=0.006,
    weekend=1.0,
    jobs=(Job(1.0, 110, 1.0),),
)
BASTION = Role(
    "bastion",
    "vm",
    20e3,
    1.6,
    120,
    210,
    floor=0.0,
    peak=0.0,
    weekend=0.0,
    noise=0.25,
    bursts=Bursts(most=4, chance=0.7, hours=(8, 18), minutes=(10, 90), size=(0.3, 1.2), weekends=False),
    drops=0.006,
)
OFFICE = Role("office", "vm", 250e3, 0.8, 500, 450, floor=-0.7, top=13, width=3.0, weekend=0.0, noise=0.1)
WORKER = Role("worker", "vm", 150e3, 1.1, 600, 640, floor=0.5, width=2.5, weekend=0.85, bursts=_SHORT, churn=True)
SPARE = Role("spare", "vm", 10e3, 1.0, 150, 150, floor=0.0, peak=0.0)
NAT = Role("nat", "nat", 5e6, 0.25, 1150, 260, floor=0.25, width=2.2, weekend=0.7, noise=0.05, drops=0.002)
VPN = Role("vpn", "vpn", 1.5e6, 0.7, 900, 700, floor=0.12, top=12, weekend=0.35, jobs=(Job(22.0, 45, 0.9),))

RACK = (WEB, WEB, DATABASE, BATCH, BACKUP, BASTION, WEB, OFFICE, DATABASE, WORKER, WEB, SPARE)
"""Twelve machines as a small company has them; a larger fleet is more of the same."""


@cache
def week(role: Role) -> NDArray[np.float64]:
    """A role's activity in parts of its level, for each minute from Monday 00:00 local time."""
    minute = np.arange(WEEK)
    warmth = np.exp((np.cos((minute / 60 - role.top) * (2 * np.pi / 24)) - 1) * (4 / role.width))
    coldest = np.exp(-8 / role.width)
    height = (warmth - coldest) / (1 - coldest) * np.where(minute < 5 * DAY, 1.0, role.weekend)
    activity = np.maximum(role.floor + (role.peak - role.floor) * height, 0.0)
    for job in role.jobs:
        since = minute % 60 if job.hour is None else (minute - round(job.hour * 60)) % DAY
        activity += job.size * (since < job.minutes)
    activity.flags.writeable = False
    return np.asarray(activity)
