"""What holds of every store."""

from threading import Barrier, Thread

import pytest

from job.errors import ConfigError, Conflict
from job.store import Head, Object, Store, put_over
from job.store.probe import NAME, Finding, check


def test_what_is_put_is_got(store: Store) -> None:
    head = store.put("a/b.jsonl", b"one\n", meta={"input": "ü"})
    assert store.get("a/b.jsonl") == Object(head, b"one\n")
    assert store.head("a/b.jsonl") == head
    assert (head.name, head.meta, head.size) == ("a/b.jsonl", {"input": "ü"}, 4)


def test_nothing_is_there_before_it_is_put(store: Store) -> None:
    assert store.get("a") is None
    assert store.head("a/b") is None
    assert list(store.names()) == []
    store.delete("a/b")


def test_an_empty_object_is_an_object(store: Store) -> None:
    head = store.put("a", b"")
    assert store.get("a") == Object(head, b"")


def test_a_second_writer_is_refused(store: Store) -> None:
    first = store.put("a", b"one")
    with pytest.raises(Conflict, match="somebody else"):
        store.put("a", b"two")
    second = store.put("a", b"two", replaces=first)
    with pytest.raises(Conflict):
        store.put("a", b"three", replaces=first)
    assert store.get("a") == Object(second, b"two")


def test_what_is_to_be_replaced_must_be_there(store: Store) -> None:
    head = store.put("a", b"one")
    store.delete("a")
    with pytest.raises(Conflict):
        store.put("a", b"two", replaces=head)
    assert store.get("a") is None


def test_equal_bytes_with_other_meta_are_another_object(store: Store) -> None:
    first = store.put("a", b"one", meta={"complete": "no"})
    with pytest.raises(Conflict):
        store.put("a", b"one", meta={"complete": "yes"})
    second = store.put("a", b"one", meta={"complete": "yes"}, replaces=first)
    assert second.version != first.version
    assert store.head("a") == second


def test_a_write_that_was_stored_already_succeeds(store: Store) -> None:
    first = store.put("a", b"one", meta={"k": "v"})
    assert store.put("a", b"one", meta={"k": "v"}) == first
    assert store.head("a") == first


def test_of_racing_writers_one_wins(store: Store) -> None:
    first = store.put("a", b"start")
    start, won, lost = Barrier(4), [], []

    def write(data: bytes) -> None:
        start.wait()
        try:
            won.append((store.put("a", data, replaces=first), data))
        except Conflict:
            lost.append(data)

    threads = [Thread(target=write, args=[bytes([i]) * 1000]) for i in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert (len(won), len(lost)) == (1, 3)
    assert store.get("a") == Object(*won[0])


def test_names_are_sorted_and_begin_with_the_prefix(store: Store) -> None:
    for name in ["b/2", "b/10", "a/ü.json", "bb", "b/1/x", "a b"]:
        store.put(name, name.encode())
    assert list(store.names()) == ["a b", "a/ü.json", "b/1/x", "b/10", "b/2", "bb"]
    assert list(store.names("b/")) == ["b/1/x", "b/10", "b/2"]
    assert list(store.names("b/1")) == ["b/1/x", "b/10"]
    assert list(store.names("b/1/")) == ["b/1/x"]
    assert list(store.names("c/d/")) == []
    assert list(store.names("../")) == []


def test_put_over_writes_over_anything(store: Store) -> None:
    put_over(store, "a", b"one", {"k": "1"})
    head = put_over(store, "a", b"two", {"k": "2"})
    assert store.get("a") == Object(head, b"two")
    assert head.meta == {"k": "2"}


class Rushed:
    """A store before which somebody else is faster, a number of times."""

    def __init__(self, store: Store, times: int) -> None:
        self.store, self.times = store, times

    def head(self, name: str) -> Head | None:
        found = self.store.head(name)
        if self.times:
            self.times -= 1
            self.store.put(name, f"other {self.times}".encode(), replaces=found)
        return found

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)


def test_put_over_tries_again_when_somebody_was_faster(store: Store) -> None:
    rushed: Store = Rushed(store, 3)  # type: ignore[assignment]  # the rest is passed on by __getattr__
    head = put_over(rushed, "a", b"mine")
    assert store.get("a") == Object(head, b"mine")


def test_put_over_gives_up_in_the_end(store: Store) -> None:
    rushed: Store = Rushed(store, 9)  # type: ignore[assignment]  # the rest is passed on by __getattr__
    with pytest.raises(Conflict):
        put_over(rushed, "a", b"mine", tries=3)
    assert rushed.times == 6  # type: ignore[attr-defined]  # the double counts, the protocol does not


BAD = [
    "",
    "/a",
    "a/",
    "a//b",
    "../a",
    "a/../b",
    ".",
    ".meta/lock",
    "a/.b",
    "a\0b",
    "a\nb",
    "a\\b",
    "x" * 201,
    "a/" * 600,
]


@pytest.mark.parametrize("name", BAD)
def test_a_bad_name_is_not_written(store: Store, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot name an object"):
        store.put(name, b"")
    with pytest.raises(ConfigError, match="cannot name an object"):
        store.delete(name)


def test_check_finds_all_allowed_and_leaves_nothing(store: Store) -> None:
    verbs = ["read", "write", "overwrite", "list", "delete"]
    assert check(store) == tuple(Finding(verb, allowed=True, needed=verb != "delete") for verb in verbs)
    assert store.get(NAME) is None
