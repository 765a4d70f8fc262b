"""What holds before anything is imported."""

import os
import subprocess
import sys

import pytest

BEGUN = """
import contextlib, os, sys
from job.__main__ import main
sys.argv = ["netanomaly", "--version"]
with contextlib.suppress(SystemExit):
    main()
import numpy, threadpoolctl
print(os.environ["OPENBLAS_NUM_THREADS"], *{pool["num_threads"] for pool in threadpoolctl.threadpool_info()})
"""


@pytest.mark.parametrize(
    ("given", "said"), [({}, "1 1"), ({"OPENBLAS_NUM_THREADS": "2"}, f"2 {min(2, os.cpu_count() or 1)}")]
)
def test_numpy_has_no_threads_that_wait_busily_unless_somebody_asks_for_them(given: dict[str, str], said: str) -> None:
    environ = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"} | given
    words = [sys.executable, "-c", BEGUN]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environ)
    assert done.stdout.splitlines()[-1] == said


ENDED = """
import contextlib, gc, sys
from job.__main__ import main
sys.argv = ["netanomaly", "--version"]
with contextlib.suppress(SystemExit):
    main()
print(gc.get_freeze_count() > 1000)
"""


def test_what_is_left_at_the_end_is_not_looked_through_for_cycles() -> None:
    done = subprocess.run([sys.executable, "-c", ENDED], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True"
