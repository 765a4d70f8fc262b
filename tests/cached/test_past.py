"""Runs that go on from what is known of a day's past write what runs over all of it write."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from job.past import Past
from job.sources import carried
from job.sources.history import Unusable, checksum
from job.store import Object
from job.store.folder import Folder
from job.units import utc
from tests.cached.test_wiring import NOW, SENT, ran
from tests.cached.world import DAY, HOUR, MONDAY, Lines
from tests.monitoring_server import MonitoringServer
from tests.monitoring_server.data import Series

MIDNIGHT = NOW - 15 * HOUR
DETECTORS = "zscore,ewma,stl"
PLAIN: dict[str, Any] = {"detectors": DETECTORS, "metrics": (SENT.type,), "hours": 1}


@pytest.fixture
def fleet() -> Iterator[tuple[MonitoringServer, list[Series]]]:
    """Machines with days and nights; of the last four one is born on the day, one died days ago, one is gone and back.

    The last has a shift that is under way at midnight.
    """
    with MonitoringServer(now=NOW) as running:
        rng, made, time = np.random.default_rng(5), list[Series](), np.arange(32 * 96)
        for n in range(7):
            values = np.round(1e7 * (n + 1) * (2 + np.sin(2 * np.pi * time / 96)) * rng.gamma(300, 1 / 300, len(time)))
            values[30 * 96 + 8 * n : 30 * 96 + 8 * n + 5] *= 7
            values[rng.random(len(values)) < 0.02] = np.nan
            gone = {3: slice(0, 30 * 96 + 5), 4: slice(25 * 96, None), 5: slice(20 * 96, 30 * 96 + 10)}
            values[gone.get(n, slice(0, 0))] = np.nan
            values[slice(30 * 96 - 9, 30 * 96 + 30) if n == 6 else slice(0, 0)] *= 4
            labels = {"resource.labels.instance_id": f"{n}", "resource.labels.zone": "z"}
            made.append(running.add(SENT, labels, values, MONDAY))
        yield running, made


def written(output: Path) -> dict[str, Any]:
    """What a run says of its days, and to whom: all of it but how long it took and what for."""
    store = Folder(output)
    found: dict[str, Any] = {}
    for name in [*store.names("anomalies/"), *store.names("series/"), *store.names("runs/")]:
        there = store.get(name)
        assert there
        if name.startswith("runs/"):
            slices = json.loads(there.data)["slices"]
            found[name] = [{key: value for key, value in one.items() if key != "seconds"} for one in slices]
        else:
            found[name] = there.data
    return found


def pasts(output: Path) -> list[str]:
    return [name for name in Folder(output).names("history/") if ".past-" in name]


def both(
    server: MonitoringServer, tmp_path: Path, now: datetime, *, cache: str = "on", **given: Any
) -> tuple[int, int, Lines]:
    """A run with kept history and one without, which write the same; what they were served, and the first one's log."""
    more = PLAIN | given
    with_it, log = ran(server, tmp_path / "with", now, 3, cache=cache, **more)
    without, _ = ran(server, tmp_path / "without", now, cache="off", **more)
    assert written(tmp_path / "with") == written(tmp_path / "without")
    return with_it, without, log


def forget_weeks(output: Path) -> None:
    """Remove the history of all that is more than three days old: whoever reads it is served it anew."""
    store = Folder(output)
    for name in list(store.names("history/")):
        day = name.rpartition("/")[2].partition(".")[0]
        if ".past-" not in name and name.endswith(".7d") and day < f"{MIDNIGHT - 9 * DAY:%Y-%m-%d}":
            store.delete(name)


def test_hourly_runs_of_a_day_look_at_its_past_once(fleet: tuple[MonitoringServer, Any], tmp_path: Path) -> None:
    server, _ = fleet
    for hour in (0, 1, 2):
        with_it, without, _ = both(server, tmp_path, NOW + hour * HOUR)
        if hour:
            assert with_it * 12 < without, "nothing that is long ago was read"
        assert len(pasts(tmp_path / "with")) == 3
        forget_weeks(tmp_path / "with")
    found = written(tmp_path / "with")
    assert any(data for name, data in found.items() if name.startswith("anomalies/"))


@pytest.mark.parametrize("hours", [1, 24], ids=["an hour", "a day"])
def test_over_midnight_each_day_has_its_own_past(
    fleet: tuple[MonitoringServer, Any], tmp_path: Path, hours: int
) -> None:
    server, _ = fleet
    for at in (-2, 1, 2, 22, 26):
        both(server, tmp_path, MIDNIGHT + at * HOUR, hours=hours)
    days = {name.rpartition("/")[2].partition(".")[0] for name in pasts(tmp_path / "with")}
    known = [f"{MIDNIGHT + n * DAY:%Y-%m-%d}" for n in (0, 1)]
    assert days == set(known[hours == 1 :]), "of days that no run comes to any more nothing is left"


def test_a_point_that_comes_late_is_not_passed_over(
    fleet: tuple[MonitoringServer, list[Series]], tmp_path: Path
) -> None:
    server, made = fleet
    for one in made[:4]:
        at = np.abs(one.ends - (MIDNIGHT - 2 * HOUR).timestamp() * 1000).argmin()
        one.late[at : at + 3] += 5 * 3_600_000
        one.values[at : at + 3] *= 6
    reports, store, day = [], Folder(tmp_path / "with"), f"{MIDNIGHT:%Y-%m-%d}"
    for at in (1, 2, 4, 5):
        both(server, tmp_path, MIDNIGHT + at * HOUR)
        reports.append([store.head(name) for name in pasts(tmp_path / "with") if day in name])
    assert reports[0] == reports[1] != reports[2] == reports[3]


def test_what_a_missing_point_means_holds_for_the_past(fleet: tuple[MonitoringServer, Any], tmp_path: Path) -> None:
    server, _ = fleet
    for hour in range(2):
        both(server, tmp_path, NOW + hour * HOUR, policy={"absence": "zero"})


def test_other_detectors_have_their_own_past(fleet: tuple[MonitoringServer, Any], tmp_path: Path) -> None:
    server, _ = fleet
    others: list[dict[str, Any]] = [
        {},
        {"detector": {"zscore": {"robust": True}}},
        {"detectors": "zscore"},
        {"policy": {"adopt": timedelta(hours=2)}},
        {"policy": {"absence": "zero"}},
    ]
    for turn in range(2):
        for n, other in enumerate(others):
            both(server, tmp_path / f"{n}", NOW + turn * HOUR, cache=str(tmp_path / "kept"), **other)


@pytest.mark.parametrize(
    "given", [{"detectors": "zscore,seasonal"}, {"from": MIDNIGHT - DAY, "to": MIDNIGHT, "hours": 24}]
)
def test_where_it_cannot_serve_no_past_is_kept(
    fleet: tuple[MonitoringServer, Any], tmp_path: Path, given: dict[str, Any]
) -> None:
    both(fleet[0], tmp_path, NOW, **given)
    assert pasts(tmp_path / "with") == []


def test_a_past_with_something_muted_in_it_is_looked_at_anew(
    fleet: tuple[MonitoringServer, Any], tmp_path: Path
) -> None:
    server, _ = fleet
    mutes = tmp_path / "mutes.json"
    both(server, tmp_path, NOW)
    until = utc(MIDNIGHT + 9 * HOUR)
    mutes.write_text(f'[[mute]]\nreason = "x"\nfrom = {utc(MIDNIGHT - 3 * HOUR)}\nuntil = {until}\n')
    both(server, tmp_path, NOW + HOUR, mutes=str(mutes))


def _replaced(data: bytes, old: bytes, new: bytes) -> bytes:
    """The object with another text in its head, and the checksum of that."""
    body = data.partition(b"\n")[2].replace(old, new)
    return carried.MARK + checksum(body) + b"\n" + body


BROKEN: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda _: b"", "of another kind or version"),
    "foreign": (lambda _: b"PK\3\4 something else" * 50, "of another kind or version"),
    "newer": (lambda data: data.replace(b"carried 1 ", b"carried 2 ", 1), "of another kind or version"),
    "truncated": (lambda data: data[: len(data) // 2], "checksum"),
    "another query": (lambda data: _replaced(data, b'"m"', b'"n"'), "another query"),
    "longer": (lambda data: _replaced(data, b'"rows"', b'"sows"'), "does not say"),
    "more rows": (lambda data: _replaced(data, b'"rows": 2', b'"rows": 3'), "labels"),
    "no rows": (lambda data: _replaced(data, b'"rows": 2', b'"rows": -2'), "counts"),
    "another type": (lambda data: _replaced(data, b'"<f8"', b'"|O8"'), "no array"),
    "another shape": (lambda data: _replaced(data, b"[2]", b"[1]"), "fit"),
    "a huge shape": (lambda data: _replaced(data, b"[2]", b"[9999999]"), "does not say"),
    "one bit": (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "checksum"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_past_of_this_day_is_refused(name: str) -> None:
    past, identity = (
        Past(
            np.ones(2, np.bool_),
            np.array([5, 0]),
            {"d": {"bits": np.eye(2, dtype=np.uint8)[:, :1], "x": np.eye(2)}},
            {"d": np.eye(2)},
        ),
        {"metric": "m"},
    )
    data = carried.write(({"id": "a"}, {"id": "b"}), past, "0", identity)
    again = carried.read(data, identity)
    assert again.past.carried["d"]["x"].flags.aligned, "or numpy copies it whenever it works with it"
    assert again.past.points.tolist() == [5, 0]
    assert again.past.carried["d"]["x"].tolist() == np.eye(2).tolist()
    assert (again.labels, again.read) == (({"id": "a"}, {"id": "b"}), "0")
    change, said = BROKEN[name]
    with pytest.raises(Unusable, match=said):
        carried.read(change(data), identity)


def one_kept(server: MonitoringServer, tmp_path: Path) -> tuple[Folder, str, Object]:
    """A store after a run, and one past in it."""
    both(server, tmp_path, NOW)
    store = Folder(tmp_path / "with")
    victim = pasts(tmp_path / "with")[1]
    sound = store.get(victim)
    assert sound
    return store, victim, sound


def test_one_that_cannot_be_used_is_named_and_made_anew(fleet: tuple[MonitoringServer, Any], tmp_path: Path) -> None:
    server, _ = fleet
    store, victim, sound = one_kept(server, tmp_path)
    store.put(victim, sound.data[:-3], replaces=sound.head)
    *_, log = both(server, tmp_path, NOW + HOUR)
    (line,) = log.of("cache.ignored")
    assert victim in line
    again = store.get(victim)
    assert again
    assert carried.read(again.data, json.loads(again.data.split(b"\n")[1])["query"]).labels


def _shorter(array: NDArray[Any]) -> NDArray[Any]:
    return array[:, :-1]


FORGED: dict[str, Callable[[Past], Past]] = {
    "a shorter array": lambda past: _with(past, "stl", seasons=_shorter(past.carried["stl"]["seasons"])),
    "one that broadcasts": lambda past: _with(past, "zscore", centre=past.carried["zscore"]["centre"][:, None]),
    "of another kind": lambda past: _with(past, "ewma", away=past.carried["ewma"]["away"].astype(np.float64)),
    "one too many": lambda past: _with(past, "ewma", more=past.carried["ewma"]["away"]),
    "fewer scores": lambda past: replace(past, scored={**past.scored, "stl": past.scored["stl"][:, :, :-1]}),
    "counts of another kind": lambda past: replace(past, points=past.points.astype(np.float64)),
    "of fewer detectors": lambda past: replace(
        past, carried={"stl": past.carried["stl"]}, scored={"stl": past.scored["stl"]}
    ),
}


def _with(past: Past, detector: str, **arrays: NDArray[Any]) -> Past:
    return replace(past, carried={**past.carried, detector: {**past.carried[detector], **arrays}})


def test_one_that_is_sound_but_of_another_form_is_named_and_made_anew(
    fleet: tuple[MonitoringServer, Any], tmp_path: Path
) -> None:
    server, _ = fleet
    store, victim, sound = one_kept(server, tmp_path)
    identity = json.loads(sound.data.split(b"\n")[1])["query"]
    opened = carried.read(sound.data, identity)
    for name, change in FORGED.items():
        there = store.head(victim)
        store.put(victim, carried.write(opened.labels, change(opened.past), opened.read, identity), replaces=there)
        _, log = ran(server, tmp_path / "with", NOW + HOUR, 3, cache="on", **PLAIN)
        assert [line for line in log.of("cache.ignored") if victim in line], name
        assert not [line for _, event, line in log.lines if event in {"slice.failed", "slice.crashed"}], name
        again = store.get(victim)
        assert again, name
        assert again.data == sound.data, name
