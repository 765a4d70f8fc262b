"""Metrics that nobody writes: ratios of two that somebody does, scored like any other."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

PREFIX = "derived.netanomaly/"
"""Metric types of ratios begin so."""


@dataclass(frozen=True)
class Ratio:
    """`top` over `bottom`, or over both where `share`; no point where the bottom is under `least`, in its unit.

    `worth` is the smallest deviation that is told, unless a policy says otherwise.
    """

    top: str
    bottom: str
    unit: str
    least: float
    worth: float = 0.0
    share: bool = False


PACKETS = 10.0
"""Packets a second: the mean size of fewer is noise."""

BYTES = 10e3
"""Bytes a second: a ratio to less is noise."""

_PREFIXES = {
    "vm": "compute.googleapis.com/instance/network/",
    "nat": "router.googleapis.com/nat/",
    "vpn": "vpn.googleapis.com/network/",
}


def _ratios(family: str) -> Iterator[tuple[str, Ratio]]:
    own, prefix = f"{PREFIX}{family}/", _PREFIXES[family]
    for way in ("received", "sent"):
        packets = f"{prefix}{way}_packets_count"
        yield f"{own}{way}_packet_size", Ratio(f"{prefix}{way}_bytes_count", packets, "By/packet", PACKETS)
        if family != "vm":
            dropped = f"{prefix}dropped_{way}_packets_count"
            yield f"{own}{way}_drop_share", Ratio(dropped, packets, "1", PACKETS, worth=0.01, share=True)
    sent, received = f"{prefix}sent_bytes_count", f"{prefix}received_bytes_count"
    yield f"{own}sent_per_received", Ratio(sent, received, "1", BYTES)
    yield f"{own}received_per_sent", Ratio(received, sent, "1", BYTES)  # a fall to a fifth is a rise to five


PRESETS: dict[str, tuple[str, ...]] = {f"{name}-derived": tuple(dict(_ratios(name))) for name in _PREFIXES}

RATIOS: dict[str, Ratio] = {name: ratio for family in _PREFIXES for name, ratio in _ratios(family)}


def family(name: str) -> str:
    """The family of a ratio, whose metrics are of the same resources."""
    return name.removeprefix(PREFIX).partition("/")[0]


def split(names: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The ratios that these names ask for (presets of ratios, their types, `derived` for all), and the other names."""
    given = tuple(names)
    every = {"derived": tuple(RATIOS), **PRESETS, **{name: (name,) for name in RATIOS}}
    asked = [ratio for name in given for ratio in every.get(name, ())]
    return tuple(dict.fromkeys(asked)), tuple(name for name in given if name not in every)
