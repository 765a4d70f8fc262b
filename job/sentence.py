"""An anomaly in one sentence, with numbers and units that a person reads."""

from datetime import timedelta

from job.anomaly import Anomaly
from job.ratio import RATIOS
from job.units import between, clean, idle, lasting, quantity

ENDLESS = "; it did not end, but is taken for the new normal from then on"


def of(anomaly: Anomaly) -> str:
    """Say what happened, where, since when and against what it was judged."""
    what = f"{noun(anomaly.metric)} of {clean(anomaly.series)}"
    when = f"{anomaly.peak:%Y-%m-%d %H:%M} UTC"
    length = lasting(anomaly.end - anomaly.start)
    if anomaly.kind in {"absent", "zero"}:
        return _outage(anomaly, what, when, length)
    before = ", going on from the day before" if anomaly.continued else ""
    end = ENDLESS if anomaly.adopted else ""
    begun = f"{anomaly.start:{'%H:%M' if anomaly.start.date() == anomaly.peak.date() else '%Y-%m-%d %H:%M'}}"
    return (
        f"{what} {'rose' if anomaly.direction == 'up' else 'fell'} to {quantity(anomaly.observed or 0.0, anomaly.unit)}"
        f" at {when}, {_usual(anomaly)} expected{_times(anomaly)}; {_for(anomaly, length)} from {begun}{before}{end};"
        f" judged by {_judged(anomaly)}; {len(anomaly.votes)} of {anomaly.detectors} detectors."
    )


def _outage(anomaly: Anomaly, what: str, when: str, length: str) -> str:
    """Say that nothing, or no point, came; how it ended, and what was expected."""
    still, now = {
        "absent": ("still did not report", "stopped reporting"),
        "zero": ("was still at nothing", "dropped to nothing"),
    }[anomaly.kind]
    told = f"{still} at {when}, going on from the day before" if anomaly.continued else f"{now} at {when}"
    end = ENDLESS if anomaly.adopted else ""
    more = " more" if anomaly.continued and not anomaly.ongoing else ""
    usual = f"{_usual(anomaly)} was expected, by {_judged(anomaly)}"
    if idling(anomaly):
        usual = f"it was idle then, but reported every {lasting(timedelta(seconds=anomaly.step))}"
    return f"{what} {told}, {_for(anomaly, length)}{more}{end}; {usual}."


def idling(anomaly: Anomaly) -> bool:
    """Whether points are missed of what did nothing."""
    return anomaly.kind == "absent" and idle(anomaly.expected, anomaly.unit, timedelta(seconds=anomaly.step))


def _judged(anomaly: Anomaly) -> str:
    """The slot of the season and the history that it was judged on."""
    told = history(anomaly)
    return against(anomaly) + (f" (history: {told})" if told else "")


def against(anomaly: Anomaly) -> str:
    """What it was compared with: the time before, the slot of the season at its peak, its group."""
    hour = f"{anomaly.peak:%H:%M} UTC"
    known = anomaly.history.keys()
    before = ["the hours before"] if "adaptive" in known else []
    slot = [f"a usual {anomaly.peak:%A} {hour}"] if "seasonal" in known else []
    slot = slot or ([f"a usual {hour}"] if known & {"adaptive", "stl"} else [])
    day = ["the day before"] if anomaly.kind in {"zero", "absent"} else []
    group = ["its group"] if "peers" in known else []
    *most, last = [*before, *slot, *day, *group] or ["the time before"]
    return f"{', '.join(most)} and {last}" if most else last


def history(anomaly: Anomaly) -> str:
    """How much past, where there is as much, each detector with a baseline judged by: `up to 2d6h for zscore`."""
    return ", ".join(f"up to {length} for {clean(name)}" for name, length in sorted(anomaly.history.items()))


def noun(metric: str) -> str:
    """What a metric type counts, in words: `received bytes` for …/received_bytes_count.

    >>> noun("compute.googleapis.com/instance/network/received_bytes_count")
    'received bytes'
    >>> noun("derived.netanomaly/vm/sent_per_received")
    'sent bytes per received byte'
    """
    top, per, bottom = metric.rsplit("/", 1)[-1].removesuffix("_count").replace("_", " ").partition(" per ")
    return clean(f"{top} bytes per {bottom} byte" if per and metric in RATIOS else f"{top}{per}{bottom}")


def _usual(anomaly: Anomaly) -> str:
    """The band, or the expected value where the band is not narrower than it."""
    if anomaly.expected != anomaly.expected:  # NaN
        return "more"
    return between(anomaly.lower, anomaly.upper, anomaly.unit)


def _times(anomaly: Anomaly) -> str:
    """How many times the expected value, where that says something."""
    if not anomaly.observed or anomaly.expected <= 0:
        return ""
    ratio = anomaly.observed / anomaly.expected
    return f" ({ratio:.3g}x the expected {quantity(anomaly.expected, anomaly.unit)})" if ratio < 1000 else ""


def _for(anomaly: Anomaly, length: str) -> str:
    """How long, and whether it goes on."""
    return f"{length} so far" if anomaly.ongoing else f"for {length}"
