"""Detectors are anybody's code: what is wrong with one is said of it, and nothing wrong is taken for an answer."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from detectors import Frame, Scores, ZScore
from detectors.carried import Carried
from job import lineup
from job.errors import ConfigError, Faulty
from job.past import sample
from job.policy import Policy
from job.rows import scored
from job.run import exit_status
from tests.job.work import DAY, HOUR, backfill

ROOT = Path(__file__).parents[2]
DAY_LONG = timedelta(days=1)


@dataclass(frozen=True)
class Wrong:
    """A detector whose answer is changed on its way."""

    change: Callable[[Scores], object]
    history: timedelta = DAY_LONG

    def __call__(self, frame: Frame) -> Scores:
        return self.change(ZScore(DAY_LONG)(frame))  # type: ignore[return-value]  # which is what is tried


def _ends(_scores: Scores) -> Scores:
    raise SystemExit(0)


WRONG: dict[str, tuple[Callable[[Scores], object], str]] = {
    "a column less": (lambda s: Scores(s.expected[:, 1:], s.spread[:, 1:], s.score[:, 1:]), "expected has the shape"),
    "a row less": (lambda s: replace(s, score=s.score[1:]), "score has the shape"),
    "one axis": (lambda s: replace(s, spread=s.spread[0]), "too many indices"),
    "infinite": (lambda s: replace(s, score=np.where(np.isnan(s.score), np.inf, s.score)), "score is infinite"),
    "whole numbers": (lambda s: replace(s, expected=np.zeros(s.score.shape, int)), "expected is int64"),
    "a list": (lambda s: replace(s, expected=s.expected.tolist()), "TypeError"),
    "nothing": (lambda _: None, "NoneType"),
    "the end": (_ends, "SystemExit(0)"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_answer_fails_its_slice_and_names_the_detector(wrong: str, tmp_path: Path) -> None:
    change, said = WRONG[wrong]
    work = backfill(tmp_path, days=1).having(detectors={"zscore": ZScore(DAY_LONG), "mine": Wrong(change)})
    outcomes = work.run()
    assert [outcome.status for outcome in outcomes] == ["failed"] * 2, "each metric by itself"
    assert exit_status(outcomes) == 1
    assert outcomes[0].error.startswith("a fault in the detector 'mine': ")
    assert said in outcomes[0].error
    assert "Traceback" in work.events("slice.crashed")[0]["traceback"]
    assert not (tmp_path / "anomalies").exists()


def test_a_late_answer_that_is_not_just_what_was_asked_for_fails(tmp_path: Path) -> None:
    class Early(Wrong):
        def late(self, frame: Frame, first: int) -> Scores:
            del first
            return self(frame)

    outcomes = backfill(tmp_path, days=1).having(detectors={"mine": Early(lambda s: s)}).run()
    assert "'mine'" in outcomes[0].error
    assert "was asked for" in outcomes[0].error


def test_a_band_of_another_shape_fails(tmp_path: Path) -> None:
    class Banded(Wrong):
        def band(self, frame: Frame, _threshold: float, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
            lower = np.zeros((len(frame.labels), frame.values.shape[1] - first + 1))
            return lower, lower

    outcomes = backfill(tmp_path, days=1).having(detectors={"mine": Banded(lambda s: s)}).run()
    assert {outcome.error.partition(" (")[0] for outcome in outcomes if outcome.status == "failed"} == {
        "a fault in the detector 'mine': ValueError('lower has the shape"
    }


def test_what_compares_series_is_held_to_it_too(tmp_path: Path) -> None:
    class Peers(Wrong):
        peers = True

    outcomes = backfill(tmp_path, days=1).having(detectors={"mine": Peers(WRONG["a column less"][0])}).run()
    assert "'mine'" in outcomes[0].error
    assert "was asked for" in outcomes[0].error


def test_what_carries_nothing_over_is_named() -> None:
    class Forgetful(Wrong):
        def recent(self, _step: timedelta) -> timedelta:
            return HOUR

        def carry(self, frame: Frame, _first: int, _midnight: int) -> tuple[Scores, Carried]:
            del frame
            return None  # type: ignore[return-value]  # which is what is tried

        def resume(self, _carried: Carried, frame: Frame, _midnight: int) -> Scores:
            return self(frame)

    with pytest.raises(Faulty, match="the detector 'mine': TypeError"):
        sample({"mine": Forgetful(lambda s: s)}, HOUR, DAY - HOUR, DAY)


def test_rows_are_scored_by_answers_of_the_right_shape_alone() -> None:
    work = Frame(np.zeros((1, 48)), DAY, HOUR, ({},))
    with pytest.raises(Faulty, match=r"'mine'.*score has the shape"):
        scored(work, np.arange(48), {"mine": Wrong(WRONG["a row less"][0])}, Policy())


MODULE = """
from __future__ import annotations
from dataclasses import dataclass
from datetime import timedelta
from detectors import ZScore

class Good(ZScore):
    pass

@dataclass(frozen=True)
class Untold:
    size: Unknown = 1
    history = timedelta(days=1)
    def __call__(self, frame):
        return frame

class Raises:
    def __init__(self):
        raise KeyError("by a bug")

class Shy:
    def __call__(self, frame):
        return frame
    @property
    def history(self):
        raise RuntimeError("by a bug")
"""
POINTS = {
    "good": "theirs:Good",
    "gone": "theirs:Gone",
    "raises": "theirs:Raises",
    "shy": "theirs:Shy",
    "untold": "theirs:Untold",
    "ends": "ends:Any",
    "zscore": "theirs:Good",
}


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A package of somebody else's, with good detectors and bad ones, and a name that is taken."""
    (tmp_path / "theirs.py").write_text(MODULE)
    (tmp_path / "ends.py").write_text("raise SystemExit(0)")
    about = tmp_path / "theirs-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    points = "\n".join(f"{name} = {value}" for name, value in POINTS.items())
    (about / "entry_points.txt").write_text(f"[netanomaly.detectors]\n{points}\n")
    return tmp_path


def _asked(theirs: Path, code: str) -> subprocess.CompletedProcess[str]:
    begin = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(theirs)!r}]\n"
    return subprocess.run([sys.executable, "-c", begin + code], capture_output=True, text=True, check=False)


def test_a_package_whose_detectors_do_not_load_is_listed_and_named(theirs: Path) -> None:
    listed = _asked(theirs, "from job.commands.catalogue import detectors; detectors()")
    assert listed.returncode == 0, listed.stderr
    lines = {line.partition(" ")[0]: line for line in listed.stdout.splitlines() if not line.startswith(" ")}
    assert "no attribute 'Gone'" in lines["gone"]
    assert "SystemExit" in lines["ends"]
    assert "KeyError('by a bug')" in lines["raises"]
    assert "RuntimeError('by a bug')" in lines["shy"]
    assert "several packages have a detector 'zscore': netanomaly, theirs" in lines["zscore"]
    assert "good (theirs 1.0)" in lines["good"]
    assert "seasonal (netanomaly" in lines["seasonal"]


def test_what_does_not_load_is_a_matter_of_configuration(theirs: Path) -> None:
    code = """
import json
from job import lineup
from job.errors import ConfigError
said = {}
for name in ("gone", "ends", "shy", "raises", "zscore", "untold"):
    settings = {"size": 1} if name == "untold" else {}
    try:
        lineup.build((name,), {name: settings})
    except ConfigError as error:
        said[name] = str(error)
print(json.dumps(said))
"""
    asked = _asked(theirs, code)
    said = json.loads(asked.stdout or "{}")
    assert set(said) == {"gone", "ends", "shy", "raises", "zscore", "untold"}, asked.stderr
    assert all(name in complaint for name, complaint in said.items() if name != "untold"), said
    assert "Untold" in said["untold"]


@dataclass(frozen=True)
class Settled:
    """A detector with settings of many kinds."""

    window: timedelta = timedelta(days=1)
    other: timedelta | None = None
    names: tuple[str, ...] = ()
    steps: tuple[timedelta, ...] = ()
    factor: float = 1.0
    history: timedelta = timedelta(days=1)

    def __call__(self, frame: Frame) -> Scores:
        return ZScore()(frame)


def test_settings_are_read_as_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineup, "load", lambda _: Settled)

    def built(**settings: object) -> object:
        return lineup.build(("mine",), {"mine": settings})["mine"]

    told = {"window": "6h", "other": "1d12h", "names": ["a", "b"], "steps": ["1h", "2h"], "factor": 2}
    hours = timedelta(hours=1)
    assert built(**told) == Settled(6 * hours, 36 * hours, ("a", "b"), (hours, 2 * hours), 2.0)
    by_variable = {"names": "a, b,", "steps": "1h,2h", "factor": "2", "window": "6h", "other": "1d12h"}
    assert built(**by_variable) == built(**told)
    for key, wrong in (("other", "soon"), ("steps", ["1h", "x"]), ("factor", "much"), ("names", 3), ("window", 5)):
        with pytest.raises(ConfigError, match=f"detector.mine.{key}"):
            built(**{key: wrong})


def test_no_such_detector_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"no detector 'zscor'; there are: .*zscore"):
        lineup.build(("zscor",), {})
