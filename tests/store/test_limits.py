"""What the emulator does not enforce although the service does: when a test here fails, it has improved."""

from collections.abc import Callable

from job.store.bucket import Bucket
from tests.emulator import Cloud

Make = Callable[..., Bucket]


def test_the_emulator_ignores_preconditions_on_deletes(bucket: Make) -> None:
    store = bucket()
    store.put("a", b"one")
    store._blob("a").delete(if_generation_match=1)
    assert store.head("a") is None


def test_the_emulator_ignores_preconditions_on_resumable_uploads(bucket: Make) -> None:
    store = bucket()
    store.put("a", b"one")
    with store._blob("a").open("wb", if_generation_match=0) as file:
        file.write(b"two")
    found = store.get("a")
    assert found is not None
    assert found.data == b"two"


def test_the_emulator_ignores_preconditions_on_composes(bucket: Make) -> None:
    store = bucket()
    store.put("a", b"one")
    store._blob("a").compose([store._blob("a"), store._blob("a")], if_generation_match=0)
    found = store.get("a")
    assert found is not None
    assert found.data == b"oneone"


def test_the_emulator_does_not_check_the_checksum_of_an_upload(bucket: Make, cloud: Cloud) -> None:
    store = bucket()
    blob = store._blob("a")
    blob.crc32c = "AAAAAA=="
    blob.upload_from_string(b"one", checksum=None)
    assert cloud.asked[-1].method == "POST"
    assert store.head("a") is not None
