"""What the README says of incidents is so."""

import json
import re
from pathlib import Path

import pytest

from job.anomaly import lines
from job.found import LEDGER
from job.incident import Incident, group
from job.log import json_lines
from job.mutes import parse
from job.nature import NATURES
from job.publish import Telling, Told, one_day
from job.sources.monitoring.writing import PREFIX
from job.store.folder import Folder
from tests.emulator import Cloud
from tests.incidents.events import NIGHT, event
from tests.page.findings import DAY

README = (Path(__file__).parents[2] / "README.md").read_text()

OPTIONAL = "what reads the lines here is in the dev extra, which is not installed"


def block(language: str, holds: str) -> str:
    (found,) = [b for b in re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL) if holds in b]
    return str(found)


@pytest.mark.parametrize("name", [f.alias or name for name, f in Incident.model_fields.items()])
def test_every_field_of_an_incident_is_documented(name: str) -> None:
    assert f"| `{name}` |" in README


@pytest.mark.parametrize("name", NATURES)
def test_every_nature_is_documented(name: str) -> None:
    assert f"| {name} |" in README


def test_the_mutes_are_some() -> None:
    assert len(parse(block("toml", "# mutes.toml"), "README").every) == 3


def test_the_alerting_policies_are_policies_and_name_what_is_written() -> None:
    from google.cloud.monitoring_v3.types import AlertPolicy

    for policy in re.findall(r"--policy='(.*?)'|<<'END'\n(.*?)^END", README, re.DOTALL | re.MULTILINE):
        assert AlertPolicy.from_json("".join(policy)).conditions, "the API's own message, which refuses unknown fields"
    logged = json.loads(re.findall(r"--policy='(.*?)'", README, re.DOTALL)[0])
    words = logged["conditions"][0]["conditionMatchedLog"]["filter"]
    assert set(re.findall(r"incident\.[a-z]+(?=\")", words)) == {"incident.opened", "incident.amended"}
    assert "severity>=ERROR OR" in words, "whatever fails, is refused or stopped"
    job = (Path(__file__).parents[2] / "cloudbuild.yaml").read_text()
    assert re.findall(r'job_name="(.*?)"', words) == re.findall(r"_JOB: (\S+)", job)
    assert "notificationRateLimit" in logged["alertStrategy"]  # without which no policy on logs is taken
    paged = json.loads(re.findall(r"<<'END'\n(.*?)^END", README, re.DOTALL | re.MULTILINE)[0])
    filters = [next(v for k, v in one.items() if k != "displayName")["filter"] for one in paged["conditions"]]
    assert all(f'metric.type="{PREFIX}' in words for words in filters)
    names = {re.findall(r"netanomaly/(\w+)", words)[0] for words in filters}
    assert names <= {*Told().numbers, "heartbeat"}


def test_bigquery_is_shown_the_folders_that_are_written() -> None:
    partitioned, plain = block("sql", "CREATE EXTERNAL TABLE net.incidents").split(";")[:2]
    assert f"uris = ['gs://BUCKET/{LEDGER}*']" in partitioned
    assert f"hive_partition_uri_prefix = 'gs://BUCKET/{LEDGER[:-1]}'" in partitioned
    assert "WITH PARTITION COLUMNS (date DATE)" in partitioned
    assert "date" not in Incident.model_fields, "a partition's column is no field besides"
    assert "uris = ['gs://BUCKET/anomalies/*']" in plain
    assert "PARTITION" not in plain


def test_duckdb_reads_what_was_announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    duckdb = pytest.importorskip("duckdb", reason=OPTIONAL)
    store = Folder(tmp_path / "netanomaly-out")
    store.put("anomalies/date=2026-11-22/metric=x/p.part-00.jsonl", lines([event("in bytes", 5000, 1000)]))
    with (tmp_path / "log").open("w") as log:
        one_day(Telling(store, json_lines(log), parse("", "none")), DAY.date())
    monkeypatch.chdir(tmp_path)
    found = re.search(r'duckdb -c "(.*)"', block("sh", "duckdb"))
    assert found
    rows = duckdb.sql(found[1]).project("epoch(start::TIMESTAMPTZ), severity, sentence").fetchall()
    ((start, severity, sentence),) = rows
    assert (start, severity) == (NIGHT.timestamp(), 72)
    assert "web-1" in sentence


def test_duckdb_reads_a_bucket_as_it_is_shown(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # asks over gRPC, which the emulator lacks
    duckdb, gcsfs = pytest.importorskip("duckdb", reason=OPTIONAL), pytest.importorskip("gcsfs", reason=OPTIONAL)
    bucket, client = cloud.make_bucket(), cloud.client()
    there = client.bucket(bucket).blob("incidents/date=2026-11-22/incidents.jsonl")
    there.upload_from_string(group([event("in bytes", 5000, 1000)])[0].line() + "\n")
    client.close()
    files = gcsfs.GCSFileSystem(endpoint_url=cloud.url, token="anon", skip_instance_cache=True)  # noqa: S106 - no password, but that there is none
    statement = re.search(r'"(SELECT .*)"', block("python", "import duckdb"))
    assert statement
    with duckdb.connect() as connection:
        connection.register_filesystem(files)
        rows = connection.sql(statement[1].replace("BUCKET", bucket)).project("severity, sentence").fetchall()
    assert [(severity, "web-1" in sentence) for severity, sentence in rows] == [(72, True)]
