"""Findings to make pages of."""

from datetime import UTC, datetime, timedelta

from job.anomaly import SCHEMA, Anomaly
from job.found import Found, judged
from job.incident import group
from job.series import Looked, Trace, key_of
from tests.incidents.events import MINUTE, event

DAY = datetime(2026, 11, 22, tzinfo=UTC)
NEXT = DAY + timedelta(days=1)

HOSTILE = {
    "markup": '<script>document.title="owned"</script><img src=x onerror=alert(1)>',
    "quotes": "\"'`&lt;${1}{{7*7}}{% raw %}</script><!--",
    "formula": '=HYPERLINK("http://evil")',
    "lines": "one\r\ntwo\u2028three\x1b[31mred\x07",
    "eight bits": "\x9b31mred\x9d0;title\x9c\x85",
    "direction": "abc\u202egnp.exe\u2066",
    "long": "x" * 10_000,
    "comma": 'a,b;c"d\te',
}


def looked(anomalies: list[Anomaly], until: datetime = NEXT) -> Looked:
    one = anomalies[0] if anomalies else event("in bytes", 2, 1)
    return Looked(
        schema=SCHEMA,
        project="demo",
        metric=one.metric,
        query=one.query,
        start=DAY,
        until=until,
        series=40,
        tested=11_520,
        flagged=len(anomalies),
        warming_up=2,
        suppressed={"persistence": 3},
        types={},
    )


def trace(anomaly: Anomaly, minutes: int = 5) -> Trace:
    """The day of an anomaly's series: as expected, and what was observed while it was on."""
    step, periods = timedelta(minutes=minutes), 1440 // minutes
    value: list[float | None] = [anomaly.expected + n % 7 for n in range(periods)]
    for n in range(periods):
        if anomaly.start <= DAY + n * step < anomaly.end:
            value[n] = anomaly.observed
    return Trace(
        project=anomaly.project,
        metric=anomaly.metric,
        query=anomaly.query,
        resource=anomaly.resource,
        labels=anomaly.labels,
        unit=anomaly.unit,
        start=DAY,
        step=60 * minutes,
        value=value,
        expected=[anomaly.expected] * periods,
        lower=[anomaly.lower] * periods,
        upper=[anomaly.upper] * periods,
    )


def findings(anomalies: list[Anomaly], until: datetime = NEXT, minutes: int = 5) -> Found:
    """What would have been read of them, in periods of so many minutes."""
    one = looked(anomalies, until)
    return Found(
        incidents=tuple(group(anomalies, judged([one]))),
        anomalies={a.id: a for a in anomalies},
        traces={key_of(a): (trace(a, minutes),) for a in anomalies},
        looked=(one,),
        published=(),
        problems=(),
    )


def many(count: int) -> list[Anomaly]:
    """So many incidents of two series each, an hour at most apart from none of them."""
    return [
        event(
            what, 5000 + n, 1000, f"host{n}x", zone=f"zone{n}", start=DAY + (n % 270) * 5 * MINUTE, severity=40 + n % 61
        )
        for n in range(count)
        for what in ("in bytes", "out packets")
    ]
