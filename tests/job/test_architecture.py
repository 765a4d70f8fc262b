"""Who may import what: the picture of the program, held against every file."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = {"bokeh", "dateutil", "google", "holidays", "grpc", "jinja2", "pandas", "pyarrow", "scipy", "rich"}

VALUES = {"job.errors", "job.units", "job.log", "job.anomaly", "job.policy", "job.query", "job.presets", "job.ratio"}
CORE = {
    "job.errors": set(),
    "job.units": set(),
    "job.log": {"job.units"},
    "job.toml": {"job.errors"},
    "job.anomaly": {"job.units"},
    "job.policy": set(),
    "job.query": {"job.errors"},
    "job.presets": {"job.errors", "job.ratio"},
    "job.ratio": set(),
    "job.lineup": {"job.errors"},
    "job.outage": {"job.policy"},
    "job.sentence": {"job.anomaly", "job.ratio", "job.units"},
    "job.explorer": {"job.anomaly", "job.ratio", "job.units"},
    "job.opinion": {"job.policy"},
    "job.lasting": {"job.opinion", "job.outage"},
    "job.worth": {"job.opinion", "job.outage", "job.policy", "job.units"},
    "job.event": {"job.anomaly", "job.lasting", "job.opinion", "job.outage", "job.policy", "job.worth"},
    "job.record": {
        "job.anomaly",
        "job.event",
        "job.explorer",
        "job.lasting",
        "job.opinion",
        "job.outage",
        "job.policy",
        "job.sentence",
        "job.units",
    },
    "job.judge": {
        "job.anomaly",
        "job.event",
        "job.lasting",
        "job.opinion",
        "job.outage",
        "job.policy",
        "job.record",
        "job.worth",
    },
    "job.series": {"job.anomaly", "job.kinship", "job.units"},
    "job.answer": {"job.errors"},
    "job.past": {"job.answer"},
    "job.sums": {"job.kinship", "job.series"},
    "job.taken": {"job.anomaly", "job.nature", "job.series"},
    "job.relief": {"job.anomaly", "job.kinship", "job.nature", "job.units"},
    "job.examine": {"job.anomaly", "job.judge", "job.memory", "job.opinion", "job.past", "job.policy", "job.record"}
    | {"job.answer", "job.series"},
    "job.rows": {"job.answer", "job.errors", "job.judge", "job.policy", "job.record", "job.units"},
    "job.memory": set(),
    "job.meter": set(),
    "job.tally": {"job.anomaly", "job.examine", "job.series", "job.sums"},
    "job.config": {"job.errors", "job.memory", "job.policy", "job.toml", "job.units"},
    "job.plan": VALUES | {"job.config"},
    "job.slices": VALUES
    | {"job.config", "job.examine", "job.memory", "job.meter", "job.mutes", "job.plan", "job.series"}
    | {"job.judge", "job.past", "job.record", "job.sources", "job.store", "job.sums", "job.tally"},
    "job.run": VALUES | {"job.memory", "job.plan", "job.slices", "job.store"},
    "job.kinship": {"job.anomaly", "job.ratio"},
    "job.nature": {"job.anomaly", "job.kinship", "job.ratio", "job.units"},
    "job.account": {"job.anomaly", "job.incident", "job.kinship", "job.sentence", "job.units"},
    "job.incident": {
        "job.account",
        "job.anomaly",
        "job.explorer",
        "job.kinship",
        "job.nature",
        "job.ratio",
        "job.relief",
        "job.units",
    },
    "job.days": {"job.errors", "job.store"},
    "job.report": VALUES | {"job.days", "job.store"},
    "job.found": VALUES
    | {
        "job.days",
        "job.incident",
        "job.kinship",
        "job.nature",
        "job.report",
        "job.series",
        "job.store",
        "job.sums",
        "job.taken",
    },
    "job.templates": set(),
    "job.charts": VALUES | {"job.explorer", "job.found", "job.incident", "job.kinship", "job.sentence", "job.series"},
    "job.page": VALUES | {"job.account", "job.charts", "job.found", "job.incident", "job.series", "job.templates"},
    "job.listing": VALUES | {"job.account", "job.incident", "job.kinship", "job.report"},
    "job.mutes": VALUES | {"job.incident", "job.kinship", "job.store", "job.toml"},
    "job.publish": VALUES | {"job.found", "job.incident", "job.mutes", "job.page", "job.store"},
    "job.cli": {
        "job.backtest",
        "job.commands",
        "job.config",
        "job.errors",
        "job.log",
        "job.memory",
        "job.store",
        "job.units",
    },
    "job.__main__": {"job.cli"},
    "job": {"job.report"},
}
PACKAGES = {
    "job.backtest": VALUES
    | {"job.backtest", "job.config", "job.examine", "job.memory", "job.mutes", "job.plan", "job.series"}
    | {"job.record", "job.slices", "job.sources", "job.store", "job.templates"},
    "job.sources": VALUES | {"job.config", "job.past", "job.sources", "job.store"},
    "job.store": {"job.errors", "job.store"},
    "job.commands": {"job"},
}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def modules(package: str) -> dict[str, ast.Module]:
    return {name_of(path): ast.parse(path.read_text()) for path in sorted((ROOT / package).rglob("*.py"))}


MODULES = modules("job") | modules("detectors")


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        below = [f"{node.module}.{alias.name}" for alias in node.names]
        inner = [name for name in below if name in MODULES]
        return inner if len(inner) == len(below) else [str(node.module), *inner]
    return []


def imports(tree: ast.AST) -> set[str]:
    return {name for node in ast.walk(tree) for name in imported(node)}


def at_import(tree: ast.AST) -> Iterator[str]:
    """What is imported when the module is: not in functions, not under TYPE_CHECKING."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield from imported(node)
        yield from at_import(node)


def within(name: str, allowed: set[str]) -> bool:
    return any(name == each or name.startswith(each + ".") for each in allowed)


def test_detectors_know_numpy_and_scipy_and_nothing_else() -> None:
    allowed = set(sys.stdlib_module_names) | {"numpy", "scipy", "detectors"}
    for module, tree in modules("detectors").items():
        assert {name.partition(".")[0] for name in imports(tree)} <= allowed, module


def test_google_is_known_only_to_the_monitoring_source_and_the_bucket() -> None:
    for module, tree in MODULES.items():
        if any(name.partition(".")[0] in {"google", "grpc"} for name in imports(tree)):
            assert within(module, {"job.sources.monitoring", "job.store.bucket"}), module


@pytest.mark.parametrize("module", MODULES)
def test_nothing_heavy_is_imported_with_a_module(module: str) -> None:
    assert not {name for name in at_import(MODULES[module]) if name.partition(".")[0] in HEAVY}


def test_no_module_imports_tests() -> None:
    for module, tree in MODULES.items():
        assert not {name for name in imports(tree) if name.partition(".")[0] == "tests"}, module


def test_every_module_imports_only_what_the_picture_allows() -> None:
    for module, tree in MODULES.items():
        if module.partition(".")[0] == "job":
            package = next((p for p in PACKAGES if within(module, {p})), None)
            assert package or module in CORE, f"{module} is not in the picture: say above what it may import"
            allowed = PACKAGES[package] if package else CORE[module]
            ours = {name for name in imports(tree) if name.partition(".")[0] == "job"}
            stray = {name for name in ours if not within(name, allowed)}
            assert not stray, f"{module} imports {stray}"


def test_no_import_cycle() -> None:
    """Python forgives cycles of modules that use each other late; a reader does not."""
    edges = {module: {name for name in at_import(tree) if name in MODULES} for module, tree in MODULES.items()}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path, module))
        if module not in done:
            for each in edges[module] - {module}:
                visit(each, (*path, module))
            done.add(module)

    for module in MODULES:
        visit(module, ())


@pytest.mark.parametrize(
    "words",
    [
        "",
        "--version",
        "--help",
        "run --help",
        "run --hours never",
        "report --since never",
        "backtest --kinds",
        "metrics",
    ],
)
def test_what_needs_no_numbers_loads_nothing_heavy(words: str) -> None:
    code = f"""
import json, sys
import job
from job.cli import cli
from job.errors import ConfigError
from click.exceptions import ClickException
try:
    cli.main({words.split()}, standalone_mode=False)
except (ClickException, ConfigError):
    pass
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(done.stderr)}
    assert "job" in loaded
    assert not loaded & (HEAVY | {"numpy"})
