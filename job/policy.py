"""What is worth telling a person: the rules between a score and an anomaly."""

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from detectors import duration


def _duration(given: Any) -> Any:
    """A number is none: whether it means seconds or minutes nobody would know."""
    return duration.parse(str(given)) if isinstance(given, (str, int, float)) else given


def _bounded(given: timedelta) -> timedelta:
    if not timedelta(0) <= given <= timedelta(days=366):
        raise ValueError(f"{given} is not a duration of 0s to 366d")
    return given


def _positive(given: timedelta) -> timedelta:
    if given < timedelta(seconds=1):
        raise ValueError(f"{duration.text(given)} is no time at all; write 1s or more")
    return given


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    AfterValidator(_bounded),
    PlainSerializer(duration.text, return_type=str),
]
"""A duration of nothing to a year, written 90m, 6h or 7d."""

Positive = Annotated[Duration, AfterValidator(_positive)]


def _votes(given: Any) -> int | str:
    words = str(given)
    if words in {"majority", "all"}:
        return words
    if re.fullmatch(r"[1-9]\d{0,3}", words):
        return int(words)
    raise ValueError(f"{given!r} is not how many detectors must agree: write a number from 1, majority or all")


class Persistence(BaseModel):
    """At least `hits` of the last `periods` periods must deviate; written `2/3`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hits: int = Field(ge=1)
    periods: int = Field(ge=1, le=1000)

    @model_validator(mode="before")
    @classmethod
    def _words(cls, given: Any) -> Any:
        if isinstance(given, str):
            match = re.fullmatch(r"\s*(\d{1,4})\s*/\s*(\d{1,4})\s*", given)
            if not match:
                raise ValueError(f"{given!r} is not M/N, such as 2/3: two hits within three periods")
            return {"hits": int(match[1]), "periods": int(match[2])}
        return given

    @model_validator(mode="after")
    def _possible(self) -> "Persistence":
        if self.hits > self.periods:
            raise ValueError(f"{self.hits} hits do not fit in {self.periods} periods; write M/N with M <= N")
        return self


class Policy(BaseModel):
    """What is worth telling a person, for one metric. Detectors score; only this decides."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    threshold: float = Field(6.0, gt=0, description="How many usual deviations from the expected value count as a hit.")
    false_alarms: float | None = Field(
        None,
        gt=0,
        lt=168,
        description="How many false alarms a week are borne of each series; replaces the threshold, for a detector "
        "whose scores are calibrated (adaptive).",
    )
    direction: Literal["both", "up", "down"] = Field("both", description="Which way a deviation must go to be told.")
    min_absolute: float = Field(0.0, ge=0, description="Smallest deviation, in the metric's unit, that is told.")
    min_relative: float = Field(0.2, ge=0, description="Smallest deviation that is told, as a share of the expected.")
    counting: bool = Field(
        True,
        description="Whether a deviation of a counter must also stand out of the noise of counting packets one by one "
        "(bytes count as packets of 500): a handful of packets is never told.",
    )
    min_volume: float = Field(0.0, ge=0, description="Below this level (observed and expected), nothing is told.")
    persistence: Persistence = Field(
        Persistence(hits=2, periods=3), description="M/N: M of the last N periods must be hits."
    )
    merge: Duration = Field(
        timedelta(minutes=30), description="Hits of one side that are no further apart belong to one event."
    )
    loud: float = Field(2.0, ge=1, description="A hit this many times over the threshold needs no persistence.")
    votes: Annotated[int | Literal["majority", "all"], BeforeValidator(_votes)] = Field(
        "majority", description="How many of the detectors that have a baseline must agree: a number, majority or all."
    )
    informed: bool = Field(
        True,
        description="Whether the detector with the longest history must be among those that agree, so that what is "
        "usual at this hour of the week is never told.",
    )
    absence: Literal["preset", "absent", "zero", "ignore"] = Field(
        "preset",
        description="What a missing point means: the resource is absent, its value is zero, or nothing; "
        "preset: what the metric's preset says.",
    )
    absence_after: Positive = Field(
        timedelta(minutes=15),
        description="How long points must be missing, or at zero, to be told; two periods at the least.",
    )
    adopt: Positive = Field(
        timedelta(days=1), description="After this long, what does not end is the new normal and no longer told."
    )

    @property
    def cut(self) -> float:
        """The score from which a deviation is a hit."""
        from detectors.deviates import threshold

        return self.threshold if self.false_alarms is None else threshold(self.false_alarms)

    def needed(self, speaking: Any) -> Any:
        """How many votes make a hit where so many detectors have a baseline (an array or a number)."""
        if self.votes == "all":
            return speaking
        if self.votes == "majority":
            return speaking // 2 + 1
        import numpy as np

        return np.minimum(self.votes, speaking)
