from pathlib import Path

import pytest

from job.errors import ConfigError, NotAllowed
from job.store import open_store, read_text
from job.store.bucket import NO_BUCKET_READS, Bucket
from job.store.folder import Folder
from tests.emulator import Cloud


@pytest.mark.parametrize(
    ("url", "bucket", "prefix", "shown"),
    [
        ("gs://my-bucket", "my-bucket", "", "gs://my-bucket"),
        ("gs://my-bucket/", "my-bucket", "", "gs://my-bucket"),
        ("gs://my.bucket_1/a/b/", "my.bucket_1", "a/b/", "gs://my.bucket_1/a/b"),
    ],
)
def test_a_bucket_is_opened_without_being_asked(url: str, bucket: str, prefix: str, shown: str) -> None:
    store = open_store(url)
    assert isinstance(store, Bucket)
    assert (store.bucket, store.prefix, store.url) == (bucket, prefix, shown)


def test_a_folder_is_opened_without_being_made(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "not/yet"))
    assert isinstance(store, Folder)
    assert store.url == str(tmp_path / "not/yet")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    ["", "s3://bucket", "gs://", "gs:///a", "gs://Bucket", "gs://a", "gs://bucket/../x", "gs://b:80/x", "gs://u@bucket",
     "file:///tmp", "a\0b", "gs://bucket?x=1", "~nobody-at-all/x"],
)  # fmt: skip
def test_what_is_neither_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"gs://BUCKET/PREFIX|cannot name an object"):
        open_store(url)


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    with pytest.raises(ConfigError, match="is a file"):
        open_store(str(tmp_path / "a"))


def test_the_text_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data/c.toml").write_bytes(b"\xef\xbb\xbfa = '\xc3\xbc'")
    (tmp_path / "c.toml").symlink_to("..data/c.toml")
    assert read_text(str(tmp_path / "c.toml")) == "a = 'ü'"


def test_the_text_of_an_object(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud.url)
    monkeypatch.setenv(NO_BUCKET_READS, "true")
    url = f"gs://{cloud.make_bucket()}"
    store = open_store(url)
    store.put("conf/a.toml", b"a = 1")
    assert read_text(f"{url}/conf/a.toml") == "a = 1"
    with pytest.raises(ConfigError, match="has 5 bytes; a text is read up to 4"):
        read_text(f"{url}/conf/a.toml", limit=4)
    with pytest.raises(ConfigError, match="there is no"):
        read_text(f"{url}/b.toml")


def test_a_text_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 11)
    (tmp_path / "bytes").write_bytes(b"ok\xff")
    for url, why in [
        (str(tmp_path / "none"), "there is no"),
        (str(tmp_path / "big/x"), "there is no"),
        (str(tmp_path / "big"), "more than 10 bytes"),
        (str(tmp_path / "bytes"), "not UTF-8 text: invalid start byte at byte 2"),
        (str(tmp_path), "cannot read"),
        ("a\0b", "cannot read"),
        ("gs://bucket", "names no object"),
        ("gs://bucket/", "names no object"),
        ("s3://bucket/a", "there is no"),
    ]:
        with pytest.raises((ConfigError, NotAllowed), match=why):
            read_text(url, limit=10)
