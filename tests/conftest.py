"""What tests of every area share: Cloud Storage over loopback."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests import emulator as loopback

# How long an example takes by the clock says how busy the machine is: under load, good ones were failures.
settings.register_profile("patient", parent=settings(), deadline=None)
settings.load_profile("patient")


@pytest.fixture(scope="session")
def emulator() -> Iterator[str]:
    """The address of a running Cloud Storage emulator."""
    if loopback.binary() is None:
        pytest.skip("no Cloud Storage emulator is packaged for this machine")
    with loopback.emulator() as url:
        yield url


@pytest.fixture
def cloud(emulator: str) -> Iterator[loopback.Cloud]:
    """The emulator behind a proxy that can be told to fail."""
    with loopback.cloud(emulator) as served:
        yield served
