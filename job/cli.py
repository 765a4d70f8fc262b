"""The command `netanomaly`: reads the command line, calls the job, and says what came of it."""

import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

import click

from job import memory
from job.config import Settings
from job.errors import ConfigError, NetanomalyError
from job.log import json_lines
from job.units import clean

_EXITS = """Exit status: 0 done; 1 something failed and a retry may help; 2 fix the configuration; 3 not allowed."""


def main() -> NoReturn:
    """Run the command line and exit with its status."""
    try:
        status = cli.main(standalone_mode=False) or 0
    except click.exceptions.Abort:
        status = 1
    except click.ClickException as error:
        error.show()
        _log(error.format_message())
        status = 2
    except NetanomalyError as error:
        for line in str(error).splitlines():
            click.echo(f"netanomaly: {clean(line, 2000)}", err=True)
        _log(str(error))
        status = error.exit_status
    except BrokenPipeError:  # the reader of our output went away: not our failure
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status)


def _log(complaint: str) -> None:
    """Tell Cloud Run's log too, in its form, why nothing was done."""
    if "CLOUD_RUN_EXECUTION" in os.environ:
        labels = {"execution": os.environ["CLOUD_RUN_EXECUTION"], "task": os.environ.get("CLOUD_RUN_TASK_INDEX", "0")}
        json_lines(sys.stdout, labels)("ERROR", "command.refused", complaint)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}, epilog=_EXITS)
@click.version_option(package_name="netanomaly")
def cli() -> None:
    """Find anomalies in network metrics, and write them where people and programs can read them.

    `netanomaly run` alone tries it on made-up traffic and a local folder; nothing else is needed.
    """


def _settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command an option for every setting that is not a table."""
    for name, field in reversed(Settings.model_fields.items()):
        if name in {"policy", "rule", "query", "detector", "files", "synthetic"}:
            continue
        option = "--" + (field.alias or name).replace("_", "-")
        kind: dict[str, Any] = (
            {"is_flag": True, "default": None} if field.annotation is bool else {"metavar": _META[name]}
        )
        command = click.option(option, name, help=_help(name), **kind)(command)
    text = "TOML file (local or gs://BUCKET/OBJECT) of settings; flags and NETANOMALY_… variables go before it."
    return click.option("--config", metavar="FILE", help=text)(command)


_META = {
    "source": "[synthetic|monitoring|files]",
    "project": "P[,P…]",
    "metrics": "NAME[,NAME…]",
    "filter": "FILTER",
    "hours": "N",
    "from_": "TIME",
    "to": "TIME",
    "step": "DURATION",
    "settle": "DURATION",
    "input": "PLACE",
    "output": "PLACE",
    "cache": "[on|off|PLACE]",
    "detection": "[adaptive|textbook]",
    "detectors": "NAME[,NAME…]",
    "parts": "N",
    "calls": "N",
    "memory": "SIZE",
    "retry_for": "DURATION",
    "mutes": "FILE",
    "tell": "N",
    "write_back": "PROJECT",
    "monitoring_endpoint": "HOST:PORT",
}


def _help(name: str) -> str:
    """A setting's description and, where there is one to show, its default."""
    from datetime import timedelta

    from detectors.duration import text

    field = Settings.model_fields[name]
    shown = text(field.default) if isinstance(field.default, timedelta) else field.default
    if name == "memory":
        shown = memory.text(field.default)
    plain = isinstance(shown, str | int | float) and shown not in {"", False}
    return f"{field.description}" + (f" [{shown}]" if plain else "")


FORMATS = ("table", "json", "csv", "html", "md")


def _load(given: Mapping[str, Any], instead: tuple[str, ...] = ()) -> Settings:
    from job.config import load
    from job.store import read_text

    return load({name.rstrip("_"): value for name, value in given.items()}, os.environ, read_text, instead)


@cli.command(epilog=_EXITS)
@_settings
def run(**given: Any) -> int:
    """Read the last hours (or --from/--to), flag anomalies, and write them to the output.

    Days are judged whole, up to what has settled, so a later run only adds to them or amends them; --from/--to makes
    it a backfill of any length, which goes on where it was interrupted. In Cloud Run, tasks share the work.
    """
    settings = _load(given)
    from job.commands.run import run as command

    return command(settings, os.environ, datetime.now(UTC))


@cli.command(epilog=_EXITS)
@_settings
def plan(**given: Any) -> int:
    """Say what `run` would do: days, series, calls and their cost. Reads no points and writes nothing."""
    settings = _load(given)
    from job.commands.plan import plan as command

    return command(settings, os.environ, datetime.now(UTC))


@cli.command(epilog=_EXITS)
@_settings
def check(**given: Any) -> int:
    """Try whether the metrics can be read and the output written, and say which role is missing."""
    settings = _load(given)
    from job.commands.check import check as command

    return command(settings, os.environ, datetime.now(UTC))


@cli.command()
@click.option("--output", metavar="PLACE", help=_help("output"))
@click.option("--since", metavar="TIME", help="Only what ended after this time or date (UTC).")
@click.option("--until", metavar="TIME", help="Only what began before this time or date (UTC).")
@click.option(
    "--severity", metavar="N|NAME", help="Only what is at least so severe: 0 to 100, low, medium, high, critical."
)
@click.option(
    "--resource", metavar="NAME", help="Only what touches a resource of this name; a part, or a pattern as web-*."
)
@click.option("--nature", metavar="NAME", help="Only incidents of this nature, such as flood.")
@click.option(
    "--what",
    type=click.Choice(["incidents", "anomalies"]),
    help="Incidents, or the anomalies that they are made of; default: anomalies for json and csv, else incidents.",
)
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option("--mutes", metavar="FILE", help=_help("mutes"))
@click.option("--config", metavar="FILE", help="TOML file of settings, of which `output` and `mutes` are used.")
def report(form: str, **given: str | None) -> int:
    """Read incidents or anomalies back from the output: as a table, JSON, CSV, HTML or Markdown."""
    settings = _load({name: given[name] for name in ("output", "mutes", "config")})
    since, until = _time("--since", given["since"]), _time("--until", given["until"])
    from job.commands.report import report as command

    return command(
        settings, since, until, form, given["what"] or "", given["severity"], given["resource"], given["nature"]
    )


def _time(option: str, given: str | None) -> datetime | None:
    from job.units import parse_time

    try:
        return parse_time(given) if given else None
    except ValueError as error:
        raise ConfigError(f"{option}: {error}") from None


@cli.command()
@click.option("--in", "given", metavar="PLACE", required=True, help="Folder of CSV or Parquet files: timestamp,value.")
@click.option("--out", metavar="PLACE", required=True, help="Folder or gs://BUCKET/PREFIX for the scored rows.")
@click.option("--step", metavar="DURATION", help="Step of the series; default: a manifest's, or the usual spacing.")
@click.option("--detectors", metavar="NAME[,NAME…]", help=_help("detectors"))
@click.option("--config", metavar="FILE", help="TOML file of settings, of which policy and detectors are used.")
def score(given: str, out: str, step: str | None, detectors: str | None, config: str | None) -> int:
    """Score recorded series row by row: timestamp, score, is_anomaly, expected, lower, upper."""
    from detectors.duration import parse

    settings = _load({"detectors": detectors, "config": config})
    try:
        length = parse(step) if step else None
    except ValueError as error:
        raise ConfigError(f"--step: {error}") from None
    from job.commands.score import score as command

    return command(settings, given, out, length)


_SHARE = click.FloatRange(min=0, max=1)
_COMPARE = "Detectors to try beside those configured, several in one as zscore+ewma; all: each installed one; or none."
_SIZES = "Sizes of spikes, drops, shifts and ramps, in times what the series showed."
_SPACING = "Time between two incidents of a series."
_WARM_UP = "Time after a series' first point in which there are none."
_COOLDOWN = "False alarms so close together are one; at least two periods."

_BACKTEST_EXITS = (
    "Exit status: 0 done; 1 a demand is not met, or a retry may help; 2 fix the configuration; 3 not allowed."
)


@cli.command(epilog=_BACKTEST_EXITS)
@_settings
@click.option("--labels", metavar="FILE", default="", help="CSV (local or gs://) of known windows: series,start,end.")
@click.option("--compare", metavar="NAME[,NAME…]", default="all", show_default=True, help=_COMPARE)
@click.option("--kinds", metavar="NAME[,NAME…]", help="Kinds of incidents; default: every kind.")
@click.option("--sizes", metavar="N[,N…]", default="1.2,1.5,2,3,5,10", show_default=True, help=_SIZES)
@click.option("--replays", type=click.IntRange(0, 100), help="Replays with incidents; default: as many as sizes.")
@click.option("--spacing", metavar="DURATION", default="2d", show_default=True, help=_SPACING)
@click.option("--warm-up", metavar="DURATION", default="3d", show_default=True, help=_WARM_UP)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Another seed, other places.")
@click.option("--cooldown", metavar="DURATION", default="1h", show_default=True, help=_COOLDOWN)
@click.option("--min-recall", type=_SHARE, help="Demand: least recall of incidents from --at-size up, and of outages.")
@click.option("--at-size", type=click.FloatRange(min=1), default=3.0, show_default=True, help="Size of --min-recall.")
@click.option("--max-false-alarms", type=click.FloatRange(min=0), help="Demand: most false alarms a week and series.")
@click.option("--min-f1", type=_SHARE, help="Demand: least F1 of the labelled windows.")
@click.option("--format", "form", type=click.Choice(FORMATS[:3]), default="table", show_default=True)
@click.option("--plot", metavar="FILE", default="", help="HTML file for the plot.")
def backtest(**given: Any) -> int:
    """Replay the past, as it was and with incidents put in: what is caught, how late, and how many alarms are false.

    Replays 28 days unless --hours or --from and --to say otherwise, by the code of `run`. Incidents of stated kinds
    and sizes go to seeded places; a size of 3x is three times (or a third) of what the series showed there. Points are
    read, and nothing is written but the plot. Demands are of the detectors as configured.
    """
    from job.backtest.asked import asked
    from job.commands.backtest import backtest as command

    own = {name: given.pop(name) for name in list(given) if name not in {"config", *Settings.model_fields}}
    return command(lambda instead: _load(given, instead), asked(**own), os.environ, datetime.now(UTC))


@cli.command()
def detectors() -> int:
    """List the installed detectors, their settings and where they come from."""
    from job.commands.catalogue import detectors as command

    return command()


@cli.command()
def metrics() -> int:
    """List the presets of --metrics, and which metric types each of them reads."""
    from job.commands.catalogue import metrics as command

    return command()
