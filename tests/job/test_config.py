"""Where settings come from, and that what cannot work is refused in one clear line before anything happens."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from job.config import Settings, load
from job.errors import ConfigError
from job.policy import Persistence
from job.store import read_text
from tests.emulator import Cloud
from tests.job.command import netanomaly


def settings(
    flags: dict[str, Any] | None = None, environ: dict[str, str] | None = None, toml: str | None = None
) -> Settings:
    given = dict(flags or {})
    if toml is not None:
        given["config"] = "job.toml"
    return load(given, environ or {}, lambda _: toml or "")


def complaint(*given: Any, **more: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        settings(*given, **more)
    return str(caught.value)


@pytest.mark.parametrize("given", [{"source": "synthetic"}, {"source": "files", "input": "x"}])
def test_what_is_not_asked_of_cloud_monitoring_may_be_finer_than_a_minute(given: dict[str, str]) -> None:
    assert settings({**given, "step": "30s"}).step == timedelta(seconds=30)


def test_flags_go_before_the_environment_before_the_file_before_defaults() -> None:
    toml = 'step = "10m"\nhours = 1\ncalls = 2\n[policy]\nthreshold = 3.0\nloud = 5.0'
    environ = {"NETANOMALY_HOURS": "2", "NETANOMALY_CALLS": "3", "NETANOMALY_POLICY__THRESHOLD": "4"}
    got = settings({"calls": "4", "metrics": "vm, nat"}, environ, toml)
    assert (got.calls, got.hours, got.step, got.retry_for) == (4, 2.0, timedelta(minutes=10), timedelta(minutes=3))
    assert (got.policy.threshold, got.policy.loud) == (4.0, 5.0)
    assert got.metrics == ("vm", "nat")


def test_a_flag_that_was_not_given_and_an_empty_variable_leave_what_is_there() -> None:
    assert settings({"hours": None}, {"NETANOMALY_HOURS": ""}, "hours = 5").hours == 5


def test_the_environment_can_name_the_file() -> None:
    got = load({}, {"NETANOMALY_CONFIG": "x.toml"}, lambda place: {"x.toml": "hours = 7"}[place])
    assert got.hours == 7


@pytest.mark.parametrize(
    "toml", ["from = 2026-02-01\nto = 2026-02-03T01:00:00+01:00", 'from = "2026-02-01"\nto = "2026-02-03T00:00:00Z"']
)
def test_times_are_toml_s_own_or_words(toml: str) -> None:
    got = settings(toml=toml)
    assert (got.from_, got.to) == (datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 2, 3, tzinfo=UTC))


@pytest.mark.parametrize(
    ("given", "detection", "detectors"),
    [
        ({}, "adaptive", ("adaptive",)),
        ({"detectors": "ewma"}, "textbook", ("ewma",)),
        ({"detectors": "ewma,adaptive"}, "adaptive", ("ewma", "adaptive")),
        ({"detectors": "ewma", "detection": "adaptive"}, "adaptive", ("ewma",)),
        ({"detection": "textbook"}, "textbook", ("zscore", "ewma", "seasonal")),
    ],
)
def test_detectors_without_a_detection_stand_on_the_textbook(
    given: dict[str, Any], detection: str, detectors: tuple[str, ...]
) -> None:
    got = settings(given)
    assert (got.detection, got.detectors) == (detection, detectors)
    assert (got.policy.false_alarms is None) is (detection == "textbook")


def test_a_threshold_goes_before_the_false_alarms_of_the_detection() -> None:
    plain = settings()
    got = settings(toml="[policy]\nthreshold = 4.5")
    assert plain.policy.false_alarms is not None
    assert plain.policy.cut != plain.policy.threshold
    assert got.policy.cut == 4.5
    ruled = settings(toml='[[rule]]\nmetrics = ["a"]\npolicy = {threshold = 4.5}')
    assert (ruled.policy_of("a").cut, ruled.policy_of("b").cut) == (4.5, plain.policy.cut)


def test_a_later_rule_goes_before_an_earlier_one_and_both_before_the_policy() -> None:
    got = settings(
        toml="""
[policy]
threshold = 5.0
direction = "up"
[[rule]]
metrics = ["vm", "*dropped*"]
policy = { threshold = 7.0, persistence = "1/1" }
[[rule]]
metrics = "*packets*"
policy = { threshold = 8.0 }
"""
    )
    assert got.policy_of("x").threshold == 5.0
    both = got.policy_of("dropped_packets_count")
    assert (both.threshold, both.persistence, both.direction) == (8.0, Persistence(hits=1, periods=1), "up")
    assert got.policy_of("a/b", "vm").threshold == 7.0


def test_a_rule_is_recorded_as_it_was_written() -> None:
    got = settings(toml='[[rule]]\nmetrics = "vm"\npolicy = { adopt = "2h" }')
    assert got.model_dump(mode="json")["rule"] == [{"metrics": ["vm"], "policy": {"adopt": "2h"}}]


ABSURD = "999999999999999999999999"
WRONG = [
    ({"flags": {"hours": "nan"}}, ["--hours", "nan", "finite"]),
    ({"flags": {"hours": "inf"}}, ["--hours", "inf", "finite"]),
    ({"flags": {"hours": "0"}}, ["--hours", "'0'", "greater than 0"]),
    ({"flags": {"hours": "-1"}}, ["--hours", "greater than 0"]),
    ({"flags": {"hours": ABSURD}}, ["--hours", "less than or equal to 17520"]),
    ({"flags": {"hours": "twelve"}}, ["--hours", "'twelve'", "number"]),
    ({"flags": {"write_back": "my project!"}}, ["--write-back", "'my project!'", "no project's id", "prod-net"]),
    ({"flags": {"monitoring_endpoint": "localhost"}}, ["--monitoring-endpoint", "'localhost'", "HOST:PORT"]),
    ({"flags": {"step": "5x"}}, ["--step", "'5x'", "90m"]),
    ({"toml": "step = 300"}, ["step in job.toml", "'300'", "90m"]),
    ({"toml": "settle = 10.5"}, ["settle in job.toml", "'10.5'", "90m"]),
    ({"toml": "[policy]\nabsence_after = 15"}, ["policy.absence_after in job.toml", "'15'", "90m"]),
    ({"flags": {"step": "7m"}}, ["step = 7m", "divide a day", "5m"]),
    ({"flags": {"step": "0s"}}, ["--step", "0s", "1s"]),
    ({"flags": {"step": "30s", "source": "monitoring"}}, ["step = 30s", "whole minutes", "1m"]),
    ({"flags": {"step": f"{ABSURD}d"}}, ["--step", ABSURD, "longer"]),
    ({"flags": {"settle": "367d"}}, ["--settle", "367", "366d"]),
    ({"flags": {"retry_for": "0m"}}, ["--retry-for", "0s"]),
    ({"flags": {"from": "2026-02-03", "to": "2026-02-01"}}, ["from = 2026-02-03", "not before", "2026-02-01", "swap"]),
    ({"flags": {"from": "2026-02-01", "to": "2026-02-01"}}, ["not before"]),
    ({"flags": {"from": "yesterday"}}, ["--from", "'yesterday'", "2026-11-22"]),
    ({"flags": {"from": "2026-02-30"}}, ["--from", "2026-02-30"]),
    ({"flags": {"from": "0001-01-01"}}, ["--from", "0001-01-01", "1980"]),
    ({"flags": {"from": "0001-01-01T00:00:00+09:00"}}, ["--from", "0001-01-01T00:00:00+09:00"]),
    ({"flags": {"to": "9999-12-31"}}, ["--to", "9999-12-31", "2999"]),
    ({"flags": {"detectors": " , "}}, ["--detectors", "at least one"]),
    ({"flags": {"source": "files"}}, ["--input"]),
    ({"flags": {"input": "x"}}, ["'x'", "--source files"]),
    ({"flags": {"parts": "0"}}, ["--parts", "'0'"]),
    ({"flags": {"parts": "37"}}, ["--parts", "36"]),
    ({"flags": {"source": "prometheus"}}, ["--source", "'prometheus'", "monitoring"]),
    ({"environ": {"NETANOMALY_STEPP": "5m"}}, ["NETANOMALY_STEPP", "no such setting", "step"]),
    ({"environ": {"NETANOMALY_POLICY": "3"}}, ["NETANOMALY_POLICY", "'3'", "table"]),
    ({"environ": {"NETANOMALY_POLICY": "3", "NETANOMALY_POLICY__LOUD": "3"}}, ["NETANOMALY_POLICY__LOUD", "unset"]),
    ({"environ": {"NETANOMALY_POLICY__THRESHOLD": "inf"}}, ["NETANOMALY_POLICY__THRESHOLD", "inf", "finite"]),
    ({"environ": {"NETANOMALY_POLICY__TRESHOLD": "3"}}, ["NETANOMALY_POLICY__TRESHOLD", "did you mean threshold?"]),
    ({"environ": {"NETANOMALY_POLICY__VOTES": "0"}}, ["NETANOMALY_POLICY__VOTES", "'0'", "majority or all"]),
    ({"environ": {"NETANOMALY_POLICY__PERSISTENCE": "4/3"}}, ["NETANOMALY_POLICY__PERSISTENCE", "4 hits", "M <= N"]),
    ({"environ": {"NETANOMALY_POLICY__PERSISTENCE": "often"}}, ["'often'", "2/3"]),
    ({"environ": {"NETANOMALY_STEP__X": "3"}}, ["NETANOMALY_STEP"]),
    ({"environ": {"NETANOMALY_RULE": "x"}}, ["NETANOMALY_RULE", "'x'", "in the file", "[[...]]"]),
    ({"toml": "hourz = 3"}, ["hourz in job.toml", "did you mean hours?"]),
    ({"toml": "hours = "}, ["job.toml is not TOML", "Invalid value"]),
    ({"toml": "a = " + "[" * 5000}, ["job.toml is not TOML"]),
    ({"toml": "hours = " + "9" * 5000}, ["job.toml is not TOML", "digits"]),
    ({"toml": "policy.threshold" + ".a" * 5000 + " = 1"}, ["job.toml", "nested deeper than 20"]),
    ({"toml": "[polcy]\na = 1"}, ["polcy in job.toml", "did you mean policy?"]),
    ({"toml": "[policy]\nabsence_after = -3"}, ["policy.absence_after in job.toml"]),
    ({"toml": '[[rule]]\nmetrics = "vm"'}, ["rule.0.policy in job.toml", "missing"]),
    (
        {"toml": '[[rule]]\nmetrics = "vm"\npolicy = { treshold = 3 }'},
        ["rule.0.policy.treshold in job.toml", "did you mean threshold?"],
    ),
    (
        {"toml": '[[rule]]\nmetrics = "vm"\npolicy = { loud = 0.5 }'},
        ["rule.0.policy.loud in job.toml", "0.5", "greater than or equal to 1"],
    ),
    ({"toml": '[[query]]\ntype = "a.b/c"'}, ["[[query]]", "monitoring"]),
    ({"toml": "[detector.ewma2]\nx = 1"}, ["[detector.ewma2]", "detectors = adaptive", "textbook"]),
    ({"toml": "policy = 4"}, ["policy in job.toml", "table"]),
    ({"flags": {"hours": "é\n[red]"}}, ["--hours", "é\\n[red]"]),
]  # fmt: skip


@pytest.mark.parametrize(("given", "words"), WRONG)
def test_what_is_wrong_is_one_line_that_names_value_rule_and_way_out(given: dict[str, Any], words: list[str]) -> None:
    said = complaint(**given)
    assert len(said.splitlines()) == 1
    assert "pydantic" not in said
    assert [word for word in words if word not in said] == []


def test_everything_that_is_wrong_is_told_at_once_and_by_the_name_of_its_place() -> None:
    said = complaint(
        {"hours": "x"}, {"NETANOMALY_POLICY__LOUD": "y"}, "[policy]\nthreshold = -1\n[synthetic]\nvms = 0"
    ).splitlines()
    names = ["--hours", "NETANOMALY_POLICY__LOUD", "policy.threshold in job.toml", "synthetic.vms in job.toml"]
    assert sorted(line.partition(":")[0] for line in said) == names


def test_what_does_not_go_together_is_told_at_once() -> None:
    said = complaint({"step": "7m", "input": "x", "from": "2026-02-02", "to": "2026-02-01"})
    assert len(said.splitlines()) == 3


def test_a_file_in_a_bucket(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud.url)
    bucket = cloud.make_bucket()
    client = cloud.client()
    try:
        client.bucket(bucket).blob("conf/job.toml").upload_from_string("hours = 6")
    finally:
        client.close()
    assert load({"config": f"gs://{bucket}/conf/job.toml"}, {}, read_text).hours == 6
    with pytest.raises(ConfigError, match=r"no .gs://.*/none.toml"):
        load({"config": f"gs://{bucket}/none.toml"}, {}, read_text)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--step", "7m"], ["step = 7m"]),
        (["--hourz", "7"], ["--hourz", "--hours"]),
        (["--detectors", "ewm,zscore"], ["'ewm'", "ewma, "]),
        (["--metrics", "vn"], ["'vn'", "vpn"]),
        (["--from", "2999-01-01"], ["2999-01-01", "present"]),
        (["--config", "none.toml"], ["none.toml"]),
        (["--detectors", "a", "--metrics", "b", "--output", "ftp://x"], ["'a'", "'b'", "'ftp://x'"]),
    ],
)
def test_a_refused_run_reads_and_writes_nothing_and_exits_2(words: list[str], said: list[str], tmp_path: Path) -> None:
    done = netanomaly("run", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert [word for word in said if word not in done.stderr] == []
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_no_server_is_asked_before_the_settings_are_right(tmp_path: Path) -> None:
    """An endpoint where nobody listens would be a failure (1), were it asked."""
    words = ["--source", "monitoring", "--project", "p", "--monitoring-endpoint", "127.0.0.1:1", "--detectors", "nope"]
    assert netanomaly("run", *words, cwd=tmp_path).returncode == 2


@pytest.mark.parametrize(
    "toml",
    [
        "[detector.zscore]\nwindov = 3",
        '[detector.zscore]\nwindow = "soon"',
        '[detector.zscore]\nwindow = "99999d"',
        "[detector.zscore]\nguard = -1",
        '[detector.zscore]\nguard = "x"',
    ],
)
def test_settings_of_detectors_are_checked_too(toml: str, tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text(toml)
    done = netanomaly("run", "--config", "job.toml", cwd=tmp_path)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "detector.zscore" in done.stderr
