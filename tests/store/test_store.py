"""What holds of every store."""

from job.store import Object, Store


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
