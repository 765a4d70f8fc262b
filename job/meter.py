"""How far a run is, and where its time went."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, local


class Meter:
    """Seconds by stage, of all threads together, and what has been read: `series` (of days read at once) and `points`.

    Waiting counts in `wall` and not in `cpu`. What libraries do in threads of their own is in no stage.
    """

    series = 0
    points = 0

    def __init__(self) -> None:
        self._lock = Lock()
        self._in = local()
        self._spent: dict[str, tuple[float, float]] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Count what is done meanwhile in this thread, but for the stages within."""
        outer: tuple[str, ...] = getattr(self._in, "stages", ())
        self._turn(outer)
        self._in.stages = (*outer, stage)
        try:
            yield
        finally:
            self._turn(self._in.stages)
            self._in.stages = outer

    def _turn(self, stages: tuple[str, ...]) -> None:
        """Count this thread's time since the last turn for the innermost stage."""
        now = time.perf_counter(), time.thread_time()
        if stages:
            wall, cpu = (after - before for after, before in zip(now, self._in.since, strict=True))
            with self._lock:
                before = self._spent.get(stages[-1], (0.0, 0.0))
                self._spent[stages[-1]] = before[0] + wall, before[1] + cpu
        self._in.since = now

    def read(self, series: int, points: int) -> None:
        """Count what came."""
        with self._lock:
            self.series += series
            self.points += points

    def told(self) -> dict[str, dict[str, float]]:
        """The seconds of each stage so far, as a record has them."""
        with self._lock:
            return {stage: {"wall": round(w, 3), "cpu": round(c, 3)} for stage, (w, c) in sorted(self._spent.items())}
