"""Settled history in either kind of store."""

from job.store import Store
from tests.cached.test_cached import LATEST, NOON, PAST
from tests.cached.world import DAY, SPLIT, Lines, arrays, cached, same


def test_history_is_kept_alike_in_a_folder_and_in_a_bucket(store: Store) -> None:
    source, log = arrays(20), Lines()
    for later in (0, 0, 1, 1):
        now, start, end = (moment + later * DAY for moment in (NOON, PAST, LATEST))
        source.asked.clear()
        same(cached(source, store, now, log, size=10).read(SPLIT, start, end), source.cut(start, end))
    assert source.hours == 2 * 6
    assert len(list(store.names("history/"))) == 2 * 7
    *_, broken = store.names("history/")
    store.delete(broken)
    store.put(broken, b"netanomaly history 9")
    same(cached(source, store, now, log, size=10).read(SPLIT, start, end), source.cut(start, end))
    assert [name for _, event, name in log.lines if event == "cache.ignored" and broken in name]
