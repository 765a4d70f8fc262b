import doctest
import subprocess
import sys

import pytest

import detectors.ewma
import detectors.names
import detectors.peers
import detectors.seasonal
import detectors.stl
import detectors.zscore


@pytest.mark.parametrize(
    "module", [detectors.ewma, detectors.names, detectors.peers, detectors.seasonal, detectors.stl, detectors.zscore]
)
def test_the_examples_are_true(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]  # pytest hands the module over as an object
    assert result.attempted > 0
    assert result.failed == 0


def test_the_package_needs_numpy_alone() -> None:
    code = "import detectors.laws, sys; print(*{m.partition('.')[0] for m in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout.split()
    assert "numpy" in loaded
    assert not {"job", "pandas", "google", "pytest", "scipy"} & set(loaded)
