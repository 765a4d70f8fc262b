from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import pytest

from detectors import Detector, Frame, Scores
from detectors.carried import Carried
from detectors.detector import available, load
from detectors.laws import LAWS, Law, check, verify
from detectors.peers import Peers
from detectors.scores import score
from detectors.stl import Stl
from detectors.zscore import ZScore

VARIANTS = [ZScore(robust=True), Stl(robust=True), Stl(weekly=True)]
BY_NAME = {law.name: law for law in LAWS}


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
@pytest.mark.parametrize("name", available())
def test_a_registered_detector_obeys(name: str, law: Law) -> None:
    law.check(load(name)())


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
@pytest.mark.parametrize("detector", VARIANTS, ids=["zscore", "stl", "weekly stl"])
def test_a_variant_obeys(detector: Detector, law: Law) -> None:
    law.check(detector)


Spoil = Callable[[Frame, Scores], Scores]


@dataclass(frozen=True)
class Broken:
    """A z-score with a planted bug: settings of its own, and a way to spoil what comes out."""

    sound: Detector = field(default_factory=ZScore)
    spoil: Spoil = lambda _, scores: scores

    @property
    def history(self) -> timedelta:
        return self.sound.history

    def __call__(self, frame: Frame) -> Scores:
        return self.spoil(frame, self.sound(frame))


@dataclass(frozen=True)
class Short:
    """Claims that it needs less past than it does."""

    history: timedelta = timedelta(hours=6)

    def __call__(self, frame: Frame) -> Scores:
        return ZScore()(frame)


def peers(_: Frame, scores: Scores) -> Scores:
    return Scores(scores.expected, scores.spread, scores.score - np.nan_to_num(scores.score.mean(axis=0)))


def looks_ahead(frame: Frame, scores: Scores) -> Scores:
    return Scores(scores.expected, scores.spread, scores.score - frame.values.shape[1] * 1e-15)


def absolute_floor(frame: Frame, scores: Scores) -> Scores:
    return score(frame.values, scores.expected, scores.spread + 1e-3)


def single_precision(frame: Frame, scores: Scores) -> Scores:
    return score(frame.values, scores.expected.astype(np.float32).astype(float), scores.spread)


def fills_gaps(_: Frame, scores: Scores) -> Scores:
    return Scores(scores.expected, scores.spread, np.nan_to_num(scores.score))


def writes_into_its_input(frame: Frame, scores: Scores) -> Scores:
    if frame.values.base is not None and frame.values.size:
        frame.values.base[..., 0] = 0.0
    return scores


def unguarded(frame: Frame, scores: Scores) -> Scores:
    with np.errstate(all="ignore"):
        return Scores(scores.expected, scores.spread, (frame.values - scores.expected) / scores.spread)


def silent(_: Frame, scores: Scores) -> Scores:
    return Scores(scores.expected, scores.spread, scores.score * 0.0)


def nervous(_: Frame, scores: Scores) -> Scores:
    return Scores(scores.expected, scores.spread / 2, np.clip(scores.score * 2, -1000, 1000))


def echoes(frame: Frame, scores: Scores) -> Scores:
    steps = timedelta(days=1) // frame.step
    late = scores.score.copy()
    late[:, steps:] -= np.nan_to_num(np.where(np.abs(scores.score) > 9, scores.score, 0.0))[:, : -steps or None]
    return Scores(scores.expected, scores.spread, late)


class Hasty(ZScore):
    """Takes the last columns for the whole."""

    def late(self, frame: Frame, first: int) -> Scores:
        return self(frame.columns(first, frame.values.shape[1]))


class Forgetful(ZScore):
    """Carries over that nothing was ever far off."""

    def carry(self, frame: Frame, first: int, midnight: int) -> tuple[Scores, Carried]:
        scores, carried = super().carry(frame, first, midnight)
        return scores, {**carried, "away": np.zeros_like(carried["away"])}


class Half(Broken):
    """Carries something over, and never says how much of the past it still needs: nobody would resume it."""

    def carry(self, frame: Frame, first: int, midnight: int) -> tuple[Scores, Carried]:
        return ZScore().carry(frame, first, midnight)

    def resume(self, carried: Carried, frame: Frame, midnight: int) -> Scores:
        return ZScore().resume(carried, frame, midnight)


@pytest.mark.parametrize(
    ("name", "detector"),
    [
        ("what is resumed is the same", Half()),
        ("what is resumed is the same", Forgetful()),
        ("what is late is the same", Hasty()),
        ("rows are independent", Broken(spoil=peers)),
        ("the future changes nothing", Broken(spoil=looks_ahead)),
        ("history suffices", Short()),
        ("units do not matter", Broken(spoil=absolute_floor)),
        ("units do not matter", Broken(spoil=single_precision)),
        ("a missing point is nothing", Broken(spoil=fills_gaps)),
        ("a missing point is nothing", Broken(spoil=writes_into_its_input)),
        ("a flat line is quiet", Broken(spoil=unguarded)),
        ("a flat line is quiet", Broken(spoil=silent)),
        ("a score is in deviations", Broken(spoil=nervous)),
        ("a score is in deviations", Broken(spoil=silent)),
        ("an incident stays what it was", Broken(spoil=echoes)),
        ("an incident stays what it was", Broken(ZScore(guard=1e9))),
    ],
)
def test_a_planted_bug_is_caught(name: str, detector: Detector) -> None:
    with pytest.raises(AssertionError):
        BY_NAME[name].check(detector)


def test_every_law_has_a_planted_bug() -> None:
    marks = test_a_planted_bug_is_caught.pytestmark  # type: ignore[attr-defined]  # pytest puts it there
    assert {name for name, _ in marks[0].args[1]} == set(BY_NAME)


def test_a_detector_of_peers_is_exempt_from_the_first_law() -> None:
    @dataclass(frozen=True)
    class Peers(Broken):
        peers: bool = True

    BY_NAME["rows are independent"].check(Peers(spoil=peers))


@pytest.mark.parametrize(
    ("name", "spoil"),
    [("a flat line is quiet", silent), ("a score is in deviations", silent), ("an incident stays what it was", echoes)],
)
def test_a_detector_of_peers_is_held_to_the_other_laws(name: str, spoil: Spoil) -> None:
    @dataclass(frozen=True)
    class Spoilt(Broken):
        peers: bool = True

    with pytest.raises(AssertionError):
        BY_NAME[name].check(Spoilt(sound=Peers(), spoil=spoil))


def test_check_names_what_is_broken_and_verify_raises_it() -> None:
    broken = Broken(spoil=fills_gaps)
    assert any(
        line.startswith("a missing point is nothing: a missing point has a score (first at") for line in check(broken)
    )
    with pytest.raises(AssertionError, match="a missing point has a score"):
        verify(broken)
    assert check(ZScore()) == []
