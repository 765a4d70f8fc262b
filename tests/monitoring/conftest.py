from collections.abc import Iterator

import pytest

from tests.monitoring_server import MonitoringServer


@pytest.fixture
def server() -> Iterator[MonitoringServer]:
    with MonitoringServer() as running:
        yield running
