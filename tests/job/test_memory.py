import platform
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.config import Settings
from job.memory import MIB, parse, rows, text, together


@pytest.mark.parametrize(
    ("written", "size"),
    [
        *[("512MiB", 512 << 20), ("1Gi", 1 << 30), ("1.5 GiB", 3 << 29), ("5Ki", 5 << 10)],
        *[("2g", 2 * 10**9), ("800MB", 8 * 10**8), ("5 kB", 5000), ("900000", 900_000)],
    ],
)
def test_sizes_are_read_as_people_and_cloud_run_write_them(written: str, size: int) -> None:
    assert parse(written) == size


@pytest.mark.parametrize("written", ["", "much", "-1GiB", "1TiB", "1GiBiB", "\u0661GiB x", "1e9"])
def test_what_is_no_size_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="no size"):
        parse(written)


@given(st.integers(0, 1 << 45))
def test_a_size_is_written_as_it_is_read(size: int) -> None:
    assert parse(text(size)) == size


def test_a_task_too_small_is_refused_and_said_how_large() -> None:
    with pytest.raises(ValueError, match="384MiB or more"):
        Settings.model_validate({"memory": "256MiB"})
    assert Settings.model_validate({"memory": "2GiB"}).model_dump(mode="json")["memory"] == "2GiB"


def test_more_memory_makes_no_larger_blocks_than_are_of_use() -> None:
    assert rows(1 << 30, 4000) == rows(1 << 40, 4000) == 128


def test_what_is_compared_takes_most() -> None:
    assert together(1 << 30, 10_000, 5000) == 629 < together(2 << 30, 10_000, 5000) // 2
    assert together(1 << 30, 10_000, 500) > 2000
    assert together(384 * MIB, 10**9, 10**9) == 2


def test_more_columns_are_fewer_rows() -> None:
    assert rows(1 << 30, 50_000) * 50_000 * 8 * 40 < 1 << 30
    assert 10 < rows(1 << 30, 160_000) < rows(1 << 30, 60_000) // 2
    assert rows(384 * MIB, 10**9) == 2


FAULTS = """
import resource, sys
import numpy as np
from job.memory import tune_allocator
if sys.argv[1] == "tuned":
    tune_allocator()
for n in range(50):
    if n == 10:
        begun = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = [np.ones(500_000) for _ in range(4)]
    del arrays
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - begun)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have other allocators")
def test_what_is_freed_is_used_again_and_not_asked_for_anew() -> None:
    faults = []
    for how in ("plain", "tuned"):
        done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
        faults.append(int(done.stdout))
    assert faults[1] < 1000 < faults[0]
