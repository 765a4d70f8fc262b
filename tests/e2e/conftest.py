from collections.abc import Iterator

import pytest

from tests.e2e.world import World, world
from tests.emulator import Cloud


@pytest.fixture
def here(cloud: Cloud) -> Iterator[World]:
    """The two services, with a fleet behind them."""
    with world(cloud) as made:
        yield made
