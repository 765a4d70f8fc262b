"""What the settings of several detectors must be, and how it is said when they are not."""

from datetime import timedelta
from typing import Protocol

from detectors.duration import text


class Guarded(Protocol):
    """The settings of a detector whose baseline far points do not teach."""

    @property
    def warm_up(self) -> timedelta:
        """How much past must have points."""

    @property
    def adopt(self) -> timedelta:
        """How long a shift lasts until it is the new normal."""

    @property
    def guard(self) -> float:
        """From how many deviations on a point is far."""


def check(settings: Guarded, *, window: timedelta | None = None, **others: timedelta) -> None:
    """Refuse settings that make no sense: `others` are durations, too, and the `window` is what must hold the warm-up.

    Raises:
        ValueError: a duration or the guard is not positive, or the warm-up is longer than the window.
    """
    for name, duration in {"warm_up": settings.warm_up, "adopt": settings.adopt, **others}.items():
        if duration <= timedelta(0):
            raise ValueError(f"{name} {text(duration)} is not positive")
    if window is not None and settings.warm_up > window:
        raise ValueError(
            f"warm_up {text(settings.warm_up)} is longer than the window {text(window)}, which never holds it"
        )
    if not settings.guard > 0:
        raise ValueError(f"guard {settings.guard} is not a positive number of deviations")
