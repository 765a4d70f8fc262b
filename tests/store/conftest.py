from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from job.store import Store
from job.store.bucket import NO_BUCKET_READS, Bucket
from job.store.folder import Folder
from tests.emulator import Cloud


@pytest.fixture
def bucket(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Bucket]]:
    """Make stores in one new bucket of the cloud, impatient unless told otherwise."""
    monkeypatch.setenv(NO_BUCKET_READS, "to be restored")
    monkeypatch.delenv(NO_BUCKET_READS)
    name = cloud.make_bucket()
    clients = []

    def make(prefix: str = "out", *, wait: float = 5.0, wait_max: float = 0.5, named: str = name) -> Bucket:
        clients.append(cloud.client())
        return Bucket(named, prefix, clients[-1], wait=wait, wait_max=wait_max)

    yield make
    for client in clients:
        client.close()


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Each kind of store, empty."""
    if request.param == "folder":
        return Folder(tmp_path / "out")
    made: Bucket = request.getfixturevalue("bucket")()
    return made
