"""What the image is made of fits what the package asks for."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def pinned(file: str) -> dict[str, list[str]]:
    """The versions of each package, which may differ by the Python; each with a hash."""
    found: dict[str, list[str]] = {}
    for name, version, rest in re.findall(r"^([\w.-]+)==(\S+)(.*(?:\n .*)*)", (ROOT / file).read_text(), re.MULTILINE):
        assert "--hash=sha256:" in rest, name
        found.setdefault(name, []).append(version)
    return found


@pytest.mark.parametrize(
    ("file", "asked"),
    [
        ("requirements.txt", PROJECT["project"]["dependencies"]),
        ("requirements-build.txt", PROJECT["build-system"]["requires"]),
    ],
)
def test_what_is_pinned_is_what_is_asked_for(file: str, asked: list[str]) -> None:
    versions = pinned(file)
    for wanted in map(Requirement, asked):
        assert versions[wanted.name]
        assert all(wanted.specifier.contains(version) for version in versions[wanted.name]), wanted


def test_what_the_image_copies_is_sent_to_its_builder() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    sent = (ROOT / ".dockerignore").read_text().replace("/", "").split()
    names = [name for line in copied for name in line.split()]
    assert names
    assert all((ROOT / name).exists() and f"!{name}" in sent for name in names)
