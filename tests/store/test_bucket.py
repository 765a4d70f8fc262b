"""The bucket through the real client, over HTTP."""

import os
from collections.abc import Callable

import pytest

from job.errors import ConfigError, Conflict, Failed, NotAllowed
from job.store import Object, open_store
from job.store.bucket import NO_BUCKET_READS, Bucket, _crc32c
from job.store.probe import check
from tests.emulator import Cloud

Make = Callable[..., Bucket]
Call = Callable[[], object]


def test_a_prefix_holds_its_own_names_only(bucket: Make) -> None:
    one, two, bare = bucket("out"), bucket("out2"), bucket("")
    one.put("a", b"1")
    two.put("a", b"2")
    assert list(one.names()) == ["a"]
    assert list(bare.names()) == ["out/a", "out2/a"]
    assert (one.url.rpartition("/")[2], bare.url) == ("out", f"gs://{bare.bucket}")


def test_placeholders_of_folders_are_no_objects(bucket: Make) -> None:
    store = bucket()
    store._blob("sub/").upload_from_string(b"")
    store.put("sub/a", b"1")
    assert list(store.names()) == ["sub/a"]


def test_many_names_come_in_pages(bucket: Make, cloud: Cloud) -> None:
    store = bucket()
    for i in range(5):
        store.put(f"{i}", b"")
    assert list(store.names()) == ["0", "1", "2", "3", "4"]
    assert "fields=items%28name%29%2CnextPageToken" in cloud.asked[-1].path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.jsonl", "application/x-ndjson"),
        ("a.json", "application/json"),
        ("a.html", "text/html; charset=utf-8"),
        ("a.csv", "text/csv; charset=utf-8"),
        ("a.toml", "application/toml"),
        ("a.parquet", "application/vnd.apache.parquet"),
        ("a.d/b", "application/octet-stream"),
    ],
)
def test_content_types(bucket: Make, name: str, kind: str) -> None:
    store = bucket("")
    store.put(name, b"x")
    blob = store._look(name)
    assert blob is not None
    assert blob.content_type == kind


def test_every_write_names_what_it_replaces(bucket: Make, cloud: Cloud) -> None:
    store = bucket()
    first = store.put("a", b"one")
    store.put("a", b"two", replaces=first)
    writes = [asked.path for asked in cloud.asked if asked.method == "POST"]
    assert "ifGenerationMatch=0" in writes[0]
    assert f"ifGenerationMatch={first.version}" in writes[1]


def test_a_large_object_is_whole_and_names_what_it_replaces(bucket: Make, cloud: Cloud) -> None:
    store, data = bucket(), os.urandom(9 * 2**20)
    head = store.put("big", data, meta={"k": "v"})
    assert store.get("big") == Object(head, data)
    writes = [asked.path for asked in cloud.asked if asked.method == "POST"]
    assert all("ifGenerationMatch=0" in path for path in writes)
    with pytest.raises(Conflict):
        store.put("big", b"small")


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_passes_is_tried_again(bucket: Make, cloud: Cloud, status: int) -> None:
    store = bucket(wait_max=10)
    for method in ["POST", "GET", "DELETE"]:
        cloud.fail(status, method, times=2)
    store.put("a", b"one")
    found = store.get("a")
    assert found is not None
    store.delete("a")
    assert [asked.fault for asked in cloud.asked].count(status) == 6


@pytest.mark.parametrize("what", ["reset", "stall"])
def test_a_connection_that_breaks_is_made_again(bucket: Make, cloud: Cloud, what: str) -> None:
    store = bucket(wait=0.3, wait_max=10)
    cloud.fail(what, "POST")
    cloud.fail(what, "GET")
    store.put("a", b"one")
    assert store.head("a") is not None
    assert [asked.fault for asked in cloud.asked].count(what) == 2


@pytest.mark.parametrize("what", [503, 429, "reset", "stall"])
def test_patience_ends(bucket: Make, cloud: Cloud, what: int | str) -> None:
    store = bucket(wait=0.2, wait_max=0.2)
    cloud.fail(what, times=float("inf"))
    calls: list[Call] = [lambda: store.put("a", b"one"), lambda: store.get("a"), lambda: list(store.names())]
    for call in calls:
        with pytest.raises(Failed, match=r"cannot (write|read|list) gs://.*trying again may help"):
            call()
    with pytest.raises(Failed):
        store.delete("a")


@pytest.mark.parametrize("size", [3, 9 * 2**20])
@pytest.mark.parametrize("replacing", [False, True])
def test_a_write_whose_answer_is_lost_succeeds(bucket: Make, cloud: Cloud, size: int, *, replacing: bool) -> None:
    store, data = bucket(wait_max=10), b"x" * size
    first = store.put("a", b"old") if replacing else None
    cloud.fail("lost", "POST|PUT", "^/upload/")
    head = store.put("a", data, meta={"k": "v"}, replaces=first)
    assert store.get("a") == Object(head, data)
    assert [asked.fault for asked in cloud.asked].count("lost") == 1


LARGE = 9 * 2**20


@pytest.mark.parametrize("what", [503, 429, "reset", "lost"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_large_write_is_tried_again_where_it_broke(bucket: Make, cloud: Cloud, method: str, what: int | str) -> None:
    store, data = bucket(wait_max=10), os.urandom(LARGE)
    first = store.put("a", b"old")
    begun = len(cloud.asked)
    times = 1 if what == "lost" else 2
    cloud.fail(what, method, "^/upload/", times=times)
    head = store.put("a", data, meta={"k": "v"}, replaces=first)
    assert store.get("a") == Object(head, data)
    broken = [(method, what)] * times
    asked = [(one.method, one.fault) for one in cloud.asked[begun:] if one.method != "GET"]
    assert asked == ([*broken, ("POST", ""), ("PUT", "")] if method == "POST" else [("POST", ""), *broken, ("PUT", "")])


@pytest.mark.parametrize("what", [503, 403, 412, "reset"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_large_write_that_is_given_up_leaves_what_was_there(
    bucket: Make, cloud: Cloud, method: str, what: int | str
) -> None:
    store = bucket(wait_max=0.2)
    first = store.put("a", b"old", meta={"k": "v"})
    cloud.fail(what, method, "^/upload/", times=float("inf"))
    error = {403: NotAllowed, 412: Conflict}.get(what, Failed) if isinstance(what, int) else Failed
    for name, replaces in (("a", first), ("b", None)):
        with pytest.raises(error):
            store.put(name, bytes(LARGE), replaces=replaces)
    assert store.get("a") == Object(first, b"old")
    assert list(store.names()) == ["a"]


@pytest.mark.parametrize("status", [404, 410])
def test_a_large_write_whose_session_is_gone_begins_another(bucket: Make, cloud: Cloud, status: int) -> None:
    store, data = bucket(wait_max=10), os.urandom(LARGE)
    cloud.fail(status, "PUT", "^/upload/")
    head = store.put("a", data)
    assert store.get("a") == Object(head, data)
    assert [one.method for one in cloud.asked if one.method != "GET"] == ["POST", "PUT", "POST", "PUT"]


def test_a_large_write_is_sent_with_its_checksum(bucket: Make, cloud: Cloud) -> None:
    data = os.urandom(LARGE)
    bucket().put("a", data)
    (sent,) = [one.headers for one in cloud.asked if one.method == "PUT"]
    assert f"crc32c={_crc32c(data)}" in sent["x-goog-hash"]


def test_a_lost_answer_does_not_hide_another_writer(bucket: Make, cloud: Cloud) -> None:
    store = bucket(wait_max=10)
    store.put("a", b"theirs")
    cloud.fail("lost", "POST")
    with pytest.raises(Conflict):
        store.put("a", b"mine")
    found = store.get("a")
    assert found is not None
    assert found.data == b"theirs"


def test_a_download_cut_short_is_completed(bucket: Make, cloud: Cloud) -> None:
    store = bucket(wait_max=10)
    head = store.put("a", bytes(range(256)) * 100)
    cloud.fail("truncate", "GET", "alt=media")
    assert store.get("a") == Object(head, bytes(range(256)) * 100)
    assert [asked.fault for asked in cloud.asked].count("truncate") == 1


def test_a_wrong_byte_is_found(bucket: Make, cloud: Cloud) -> None:
    store = bucket()
    store.put("a", b"one")
    cloud.fail("corrupt", "GET", "alt=media")
    with pytest.raises(Failed, match="out/a is corrupt"):
        store.get("a")


def test_a_wrong_byte_in_a_resumed_download_is_found(bucket: Make, cloud: Cloud) -> None:
    store = bucket(wait_max=10)
    store.put("a", bytes(range(256)) * 100)
    cloud.fail("truncate", "GET", "alt=media")
    cloud.fail("corrupt", "GET", "alt=media")
    with pytest.raises(Failed, match="out/a is corrupt"):
        store.get("a")


def test_an_object_replaced_while_it_is_read_is_read_anew(bucket: Make, cloud: Cloud) -> None:
    store = bucket()
    first = store.put("a", b"one")
    cloud.before("GET", "alt=media", lambda: store.put("a", b"two", replaces=first))
    found = store.get("a")
    assert found is not None
    assert (found.data, found.head.version != first.version) == (b"two", True)


def test_objects_alone_are_enough(bucket: Make, cloud: Cloud) -> None:
    cloud.object_user()
    store = bucket()
    first = store.put("a", b"one")
    store.put("a", b"two", replaces=first)
    store.get("a")
    assert list(store.names()) == ["a"]
    assert all(finding.allowed for finding in check(store))
    assert cloud.bucket_reads() == 0


def test_the_background_read_of_the_bucket_is_off(cloud: Cloud) -> None:
    environ: dict[str, str] = {}
    Bucket(cloud.make_bucket(), "", cloud.client(), environ=environ)._blob("a")
    assert environ == {NO_BUCKET_READS: "true"}


@pytest.mark.parametrize(
    ("method", "path", "permission", "verbs"),
    [
        ("GET", "/o/", "storage.objects.get", ["read", "write", "overwrite"]),
        ("POST", "/o", "storage.objects.create", ["write", "overwrite"]),
        ("GET", r"/o\?", "storage.objects.list", ["list"]),
        ("DELETE", "/o/", "storage.objects.delete", ["delete"]),
    ],
)
def test_a_missing_permission_is_named(
    bucket: Make, cloud: Cloud, method: str, path: str, permission: str, verbs: list[str]
) -> None:
    store = bucket()
    cloud.deny(permission, method, path)
    refused = [finding for finding in check(store) if not finding.allowed]
    assert [finding.verb for finding in refused] == verbs
    for finding in refused:
        assert permission in finding.message
        assert f"grant roles/storage.objectUser on gs://{store.bucket}" in finding.message
        assert finding.needed == (finding.verb != "delete")


def test_a_refusal_that_names_nothing_is_told_what_is_needed(bucket: Make, cloud: Cloud) -> None:
    store = bucket()
    cloud.fail(403, message="Forbidden by storage.googleapis.com")
    with pytest.raises(NotAllowed, match=r"storage\.objects\.create is missing"):
        store.put("a", b"one")
    cloud.fail(401, message="Invalid Credentials")
    with pytest.raises(NotAllowed, match="credentials were not accepted"):
        store.get("a")


def test_a_bucket_that_does_not_exist(bucket: Make, cloud: Cloud) -> None:
    store = bucket(named="no-such-bucket")
    calls: list[Call] = [lambda: store.put("a", b"one"), lambda: list(store.names())]
    for call in calls:
        with pytest.raises(ConfigError, match="gcloud storage buckets create gs://no-such-bucket"):
            call()
    cloud.fail(404, times=2, message="The specified bucket does not exist.")
    with pytest.raises(ConfigError, match="does not exist"):
        store.get("a")
    with pytest.raises(ConfigError, match="does not exist"):
        store.delete("a")


def test_an_upload_address_is_not_told(bucket: Make, cloud: Cloud) -> None:
    store = bucket(wait_max=0.2)
    cloud.fail(503, "PUT", times=float("inf"), message=f"{cloud.url}/upload?upload_id=secret failed")
    with pytest.raises(Failed) as told:
        store.put("a", bytes(9 * 2**20))
    assert "upload_id" not in str(told.value)


def test_without_credentials_it_says_how_to_log_in(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ["GOOGLE_APPLICATION_CREDENTIALS", "STORAGE_EMULATOR_HOST"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", "/nowhere")
    with pytest.raises(NotAllowed, match="gcloud auth application-default login"):
        Bucket("some-bucket", environ={}).get("a")


def test_the_emulator_that_the_environment_names_is_used(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    name = cloud.make_bucket()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud.url)
    monkeypatch.setenv(NO_BUCKET_READS, "true")
    store = open_store(f"gs://{name}/deep/er/")
    assert isinstance(store, Bucket)
    store.put("a", b"one")
    assert list(store.names()) == ["a"]
    assert store.url == f"gs://{name}/deep/er"
    store._client.close()
