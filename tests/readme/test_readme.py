"""What the README shows works as it is shown."""

import doctest
import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from job.config import load
from job.lineup import build

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
COMMAND = Path(sys.executable).parent / "netanomaly"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def block(language: str, first: str) -> str:
    (found,) = [text for text in blocks(language) if text.startswith(first)]
    return found


@pytest.fixture(scope="module")
def milder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The README's package, installed beside this one."""
    source, target = tmp_path_factory.mktemp("milder"), tmp_path_factory.mktemp("site")
    (source / "pyproject.toml").write_text(block("toml", "# pyproject.toml"))
    (source / "milder.py").write_text(block("python", "# milder.py"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(target), str(source)], check=True, capture_output=True)
    (target / "test_milder.py").write_text(block("python", "# test_milder.py"))
    return target


def test_the_detector_of_the_readme_works_in_its_own_package(milder: Path, tmp_path: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": str(milder), "NETANOMALY_OUTPUT": str(tmp_path)}
    words = [str(COMMAND), "run", "--detectors", "seasonal,milder", "--from", "2026-11-14", "--to", "2026-11-15"]
    done = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert '"milder"' in "".join(path.read_text() for path in tmp_path.glob("anomalies/**/*.jsonl"))
    listed = subprocess.run([str(COMMAND), "detectors"], env=environ, capture_output=True, text=True, check=True).stdout
    assert "milder (milder 0.1.0): Believes the milder" in listed


def test_the_detector_of_the_readme_obeys_the_laws(milder: Path) -> None:
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(milder / "test_milder.py")]
    environ = {**os.environ, "PYTHONPATH": str(milder)}
    done = subprocess.run(words, env=environ, capture_output=True, text=True, check=False, cwd=milder)
    assert "1 passed" in done.stdout, done.stdout


def test_the_configuration_of_the_readme_is_one() -> None:
    text = block("toml", "# netanomaly.toml")
    settings = load({"config": "x"}, {}, lambda _: text)
    assert set(tomllib.loads(text)) <= settings.model_fields_set
    assert settings.policy_of("router.googleapis.com/nat/dropped_sent_packets_count").direction == "up"


def test_the_configuration_of_peers_is_one() -> None:
    text = block("toml", "# peers.toml")
    settings = load({"config": "x"}, {}, lambda _: text)
    made = build(settings.detectors, settings.detector)
    assert list(made) == ["adaptive", "peers"]
    assert (settings.policy.votes, settings.policy.false_alarms) == (1, load({}, {}, str).policy.false_alarms)


def test_the_gate_runs_the_test_command_of_the_readme() -> None:
    commands = [line for line in README.splitlines() if re.fullmatch(r"sh setup\.sh dev && .*pytest.*", line)]
    assert len(commands) == 1
    assert "s/^\\(sh setup\\.sh dev && .*pytest.*\\)$/\\1/p" in (ROOT / ".ci/run").read_text()


@pytest.mark.parametrize("module", ["anomaly", "presets", "query", "sentence", "units"])
def test_the_examples_of_docstrings_hold(module: str) -> None:
    assert doctest.testmod(importlib.import_module(f"job.{module}")).failed == 0
