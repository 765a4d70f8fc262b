import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from job.errors import ConfigError, Conflict, Failed, NotAllowed
from job.store.folder import Folder, _told
from job.store.probe import check


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "out")


def test_the_files_are_what_people_expect(folder: Folder) -> None:
    folder.put("a/b.jsonl", b"one\n", meta={"k": "v"})
    seen = sorted(
        p.relative_to(folder.path).as_posix() for p in folder.path.glob("**/*.json*") if ".meta" not in p.parts
    )
    assert seen == ["a/b.jsonl"]
    assert (folder.path / "a/b.jsonl").read_bytes() == b"one\n"


def test_reading_creates_nothing(folder: Folder) -> None:
    folder.get("a")
    folder.head("a")
    list(folder.names("a/"))
    assert not folder.path.exists()


def test_equal_objects_have_equal_versions_everywhere(tmp_path: Path) -> None:
    heads = [Folder(tmp_path / name).put("a", b"one", meta={"k": "v"}) for name in "xy"]
    assert heads[0] == heads[1]


def test_a_changed_bit_is_found(folder: Folder) -> None:
    folder.put("a", b"one")
    file = folder.path / "a"
    time = file.stat().st_mtime_ns
    file.write_bytes(b"onf")
    os.utime(file, ns=(time, time))
    with pytest.raises(Failed, match="out/a is corrupt"):
        folder.get("a")
    with pytest.raises(Failed, match="out/a is corrupt"):
        folder.head("a")


def test_a_corrupt_object_can_be_deleted_and_written_again(folder: Folder) -> None:
    test_a_changed_bit_is_found(folder)
    folder.delete("a")
    folder.put("a", b"one")
    assert folder.head("a") is not None


def test_a_file_edited_by_hand_is_an_object_without_meta(folder: Folder) -> None:
    old = folder.put("a", b"one", meta={"complete": "yes"})
    (folder.path / "a").write_bytes(b"edited")
    head = folder.head("a")
    assert head is not None
    assert head.meta == {}
    with pytest.raises(Conflict):
        folder.put("a", b"two", replaces=old)
    folder.put("a", b"two", replaces=head)


def test_a_file_without_a_sidecar_is_an_object_without_meta(folder: Folder) -> None:
    folder.path.mkdir()
    (folder.path / "a").write_bytes(b"one")
    head = folder.head("a")
    assert head is not None
    assert (head.meta, head.size) == ({}, 3)
    with pytest.raises(Conflict):
        folder.put("a", b"two")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"meta": 1}', '{"meta": {"k": 1}}', '{"sha256": "x"}', "\udcff"])
def test_a_broken_sidecar_is_none(folder: Folder, text: str) -> None:
    folder.put("a", b"one", meta={"k": "v"})
    (folder.path / ".meta/.a.json").write_bytes(text.encode(errors="surrogateescape"))
    found = folder.get("a")
    assert found is not None
    assert (found.data, found.head.meta) == (b"one", {})


@pytest.mark.parametrize("missing", [(), ("crc32",), ("sha256",), ("crc32", "size")])
@pytest.mark.parametrize("data", [b"one", b"two", b"three"])
def test_whoever_gets_an_object_and_whoever_looks_at_it_are_told_the_same(
    folder: Folder, data: bytes, missing: tuple[str, ...]
) -> None:
    folder.put("a", b"one", meta={"k": "v"})
    side = json.loads((folder.path / ".meta/.a.json").read_bytes())
    (folder.path / ".meta/.a.json").write_text(json.dumps({k: v for k, v in side.items() if k not in missing}))
    (folder.path / "a").write_bytes(data)
    os.utime(folder.path / "a", ns=(1, 1))
    found = folder.get("a")
    assert found is not None
    assert found.head == folder.head("a")
    assert found.head.meta == ({"k": "v"} if data == b"one" and "sha256" not in missing else {})


def test_a_copied_folder_keeps_its_meta(folder: Folder) -> None:
    head = folder.put("a", b"one", meta={"k": "v"})
    os.utime(folder.path / "a", ns=(1, 1))
    assert folder.head("a") == head


def test_a_sidecar_without_its_file_claims_nothing(folder: Folder) -> None:
    folder.put("a", b"one", meta={"k": "v"})
    (folder.path / "a").unlink()
    assert folder.get("a") is None
    assert folder.put("a", b"two").meta == {}


KILLED = """
import os, signal, sys
from pathlib import Path
from job.store.folder import Folder

def replace(path, target, plain=Path.replace):
    if {when}(path, target):
        os.kill(os.getpid(), signal.SIGKILL)
    return plain(path, target)

Path.replace = replace
folder = Folder(Path(sys.argv[1]))
folder.put("a/b.txt", b"new", meta={{"complete": "new"}}, replaces=folder.head("a/b.txt"))
"""


@pytest.mark.parametrize(
    ("when", "data", "meta"),
    [
        ("(lambda path, target: True)", b"old", {"complete": "old"}),
        ("(lambda path, target: target.suffix == '.json')", b"new", {}),
    ],
)
def test_a_killed_write_leaves_a_whole_object(folder: Folder, when: str, data: bytes, meta: dict[str, str]) -> None:
    folder.put("a/b.txt", b"old", meta={"complete": "old"})
    killed = subprocess.run([sys.executable, "-c", KILLED.format(when=when), folder.path], check=False)
    assert killed.returncode == -signal.SIGKILL
    found = folder.get("a/b.txt")
    assert found is not None
    assert (found.data, found.head.meta) == (data, meta)
    assert list(folder.names()) == ["a/b.txt"]
    folder.put("a/b.txt", b"new", meta={"complete": "new"}, replaces=found.head)
    assert not [path for path in folder.path.rglob("*") if path.name.endswith(".tmp")]


WRITER = """
import sys
from pathlib import Path
from job.errors import Conflict
from job.store.folder import Folder

folder, me, wins = Folder(Path(sys.argv[1])), sys.argv[2], 0
while wins < 20:
    found = folder.get("counter")
    n = str(int(found.data) + 1)
    try:
        folder.put("counter", n.encode(), meta={"n": n, "writer": me}, replaces=found.head)
        wins += 1
    except Conflict:
        pass
"""


def test_processes_that_write_one_object_lose_no_write(folder: Folder) -> None:
    folder.put("counter", b"0", meta={"n": "0"})
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, folder.path, str(i)]) for i in range(3)]
    while any(writer.poll() is None for writer in writers):
        found = folder.get("counter")
        assert found is not None
        assert found.head.meta["n"] == found.data.decode()
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    last = folder.get("counter")
    assert last is not None
    assert last.data == b"60"


def test_links_out_of_the_folder_are_refused(folder: Folder, tmp_path: Path) -> None:
    folder.put("a/b", b"one")
    (tmp_path / "secret").write_bytes(b"secret")
    (folder.path / "a/link").symlink_to(tmp_path / "secret")
    (folder.path / "up").symlink_to(tmp_path)
    assert list(folder.names()) == ["a/b"]
    assert list(folder.names("up/")) == []
    for name in ["a/link", "up/secret"]:
        with pytest.raises(ConfigError, match="leads out of"):
            folder.get(name)
        with pytest.raises(ConfigError, match="leads out of"):
            folder.put(name, b"two")
    assert (tmp_path / "secret").read_bytes() == b"secret"


def test_a_linked_hidden_folder_is_refused(folder: Folder, tmp_path: Path) -> None:
    folder.path.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (folder.path / ".meta").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="leads out of"):
        folder.put("a", b"one")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_planted_temporary_link_is_not_followed(folder: Folder, tmp_path: Path) -> None:
    folder.put("a", b"one")
    (tmp_path / "secret").write_bytes(b"secret")
    (folder.path / ".b.tmp").symlink_to(tmp_path / "secret")
    with pytest.raises(Failed):
        folder.put("b", b"two")
    assert (tmp_path / "secret").read_bytes() == b"secret"


def test_the_folder_itself_may_be_a_link(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    folder.path.symlink_to(tmp_path / "real")
    folder.put("a/b", b"one")
    assert list(folder.names()) == ["a/b"]
    assert (tmp_path / "real/a/b").read_bytes() == b"one"


def test_a_file_cannot_be_a_folder_too(folder: Folder) -> None:
    folder.put("a", b"one")
    with pytest.raises(ConfigError, match="cannot have one name"):
        folder.put("a/b", b"two")
    assert folder.get("a/b") is None
    folder.put("c/d", b"three")
    with pytest.raises(ConfigError, match="cannot have one name"):
        folder.put("c", b"four")
    assert folder.get("c") is None
    assert list(folder.names()) == ["a", "c/d"]
    assert not [path for path in folder.path.rglob("*") if path.name.endswith(".tmp")]


FULL = """
import resource, sys
from pathlib import Path
from job.errors import Failed
from job.store.folder import Folder

resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
folder = Folder(Path(sys.argv[1]))
try:
    folder.put("a", bytes(2000), replaces=folder.head("a"))
except Failed as error:
    print(error)
"""


def test_a_full_disk_keeps_what_was_there(folder: Folder) -> None:
    head = folder.put("a", b"old", meta={"k": "v"})
    ran = subprocess.run([sys.executable, "-c", FULL, folder.path], check=True, capture_output=True, text=True)
    assert f"cannot write {folder.path}/a: File too large" in ran.stdout
    assert folder.head("a") == head
    assert not [path for path in folder.path.rglob("*") if path.name.endswith(".tmp")]


def test_names_next_to_each_other_share_no_sidecar(folder: Folder) -> None:
    folder.put("a", b"1", meta={"k": "1"})
    folder.put("a.json/b", b"2", meta={"k": "2"})
    heads = [folder.head("a"), folder.head("a.json/b")]
    assert [head and head.meta for head in heads] == [{"k": "1"}, {"k": "2"}]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(folder: Folder) -> None:
    folder.path.mkdir(mode=0o555)
    with pytest.raises(NotAllowed, match="may not write"):
        folder.put("a", b"one")
    assert [finding.verb for finding in check(folder) if not finding.allowed] == ["write", "overwrite", "delete"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_what_may_not_be_written_says_so(number: int) -> None:
    with pytest.raises(NotAllowed, match=r"may not write out/a: .*; grant this user access"), _told("out/a", "write"):
        raise OSError(number, os.strerror(number))


def test_what_the_disk_refuses_is_told() -> None:
    with pytest.raises(Failed, match="cannot write /proc/none/a"):
        Folder(Path("/proc/none")).put("a", b"one")
