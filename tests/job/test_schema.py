"""Every name that people script against stands in the README."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from job import ratio
from job.anomaly import Anomaly
from job.cli import cli
from job.config import PREFIX, CustomQuery, FilesTable, Rule, Settings, SyntheticTable, load
from job.policy import Policy
from job.presets import GROUPS, PRESETS

README = (Path(__file__).parents[2] / "README.md").read_text()
QUOTED = set(re.findall(r"`([^`\n]+)`", README))
WORDS = {word for quoted in QUOTED for word in re.split(r"[^\w-]+", quoted)} | set(
    re.findall(r"[\w-]+", "\n".join(re.findall(r"```.*?```", README, re.DOTALL)))
)

FIELDS = [field.alias or name for name, field in Anomaly.model_fields.items()]
SETTINGS = [field.alias or name for name, field in Settings.model_fields.items()]
TABLES: dict[str, type[BaseModel]] = {
    "policy": Policy,
    "rule": Rule,
    "query": CustomQuery,
    "files": FilesTable,
    "synthetic": SyntheticTable,
}


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_of_a_record_is_documented(name: str) -> None:
    assert name in QUOTED


@pytest.mark.parametrize("name", [*PRESETS, *GROUPS, *ratio.PRESETS])
def test_every_preset_is_documented(name: str) -> None:
    assert name in QUOTED


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_is_documented(name: str) -> None:
    assert {name, "--" + name.replace("_", "-"), PREFIX + name.upper()} & WORDS


@pytest.mark.parametrize("name", [f"{table}.{key}" for table, kind in TABLES.items() for key in kind.model_fields])
def test_every_setting_of_a_table_is_documented(name: str) -> None:
    assert name.partition(".")[2] in WORDS


def test_the_defaults_are_those_that_the_tables_say() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| \(?`([^`|]+)`\)? \|", README, re.MULTILINE))
    settings = load({}, {}, str).model_dump(mode="json", by_alias=True)
    settings |= settings["policy"] | settings["files"] | settings["synthetic"]
    settings |= CustomQuery(type="x.com/y").model_dump(mode="json")
    said = {name: settings[name] for name in told.keys() & settings.keys()}
    assert len(said) > 25
    assert {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in said.items()} == {
        name: told[name] for name in said
    }


@pytest.mark.parametrize("name", cli.commands)
def test_every_command_is_documented(name: str) -> None:
    assert any(quoted.startswith(f"netanomaly {name}") for quoted in QUOTED) or f"netanomaly {name}" in README
