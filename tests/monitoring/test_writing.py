"""The numbers that a run writes back, as the service takes them."""

from datetime import timedelta

import grpc
import pytest

from job.errors import ConfigError, Failed, NotAllowed
from job.sources.monitoring import Patience
from job.sources.monitoring.writing import PREFIX, write
from tests.monitoring_server import Fault, MonitoringServer

SOON = Patience(total=timedelta(seconds=0.3), first=timedelta(seconds=0.01), longest=timedelta(seconds=0.02))
SECOND = timedelta(seconds=1)


def put(server: MonitoringServer, seconds: int = 0, **numbers: int) -> None:
    write("p", numbers, "gs://b/net", server.now + seconds * SECOND, server.endpoint, SOON)


def points(server: MonitoringServer, name: str) -> list[int | float]:
    return [value for _, value in server.written.points.get((PREFIX + name, (("output", "gs://b/net"),)), [])]


def test_each_number_is_a_series_of_its_own(server: MonitoringServer) -> None:
    put(server, incidents=3, worst_severity=88, heartbeat=1)
    put(server, 60, incidents=0, worst_severity=0, heartbeat=1)
    assert points(server, "incidents") == [3, 0]
    assert points(server, "worst_severity") == [88, 0]
    assert points(server, "heartbeat") == [1, 1]
    assert server.calls == {"CreateTimeSeries": 2}


@pytest.mark.parametrize("seconds", [0, 3, -60])
def test_who_comes_second_leaves_it_at_that(server: MonitoringServer, seconds: int) -> None:
    put(server, incidents=3)
    put(server, seconds, incidents=4)
    assert points(server, "incidents") == [3]


def test_a_passing_failure_is_tried_again(server: MonitoringServer) -> None:
    server.faults = [Fault(grpc.StatusCode.UNAVAILABLE, times=2, method="CreateTimeSeries")]
    put(server, incidents=3)
    assert points(server, "incidents") == [3]


def test_a_lasting_one_says_so(server: MonitoringServer) -> None:
    server.faults = [Fault(grpc.StatusCode.UNAVAILABLE, "tired", times=10**6, method="CreateTimeSeries")]
    with pytest.raises(Failed, match="tired"):
        put(server, incidents=3)


def test_the_role_that_is_missing_is_named(server: MonitoringServer) -> None:
    server.denied = {"p"}
    with pytest.raises(NotAllowed, match=r"timeSeries\.create was refused; grant roles/monitoring\.metricWriter"):
        put(server, incidents=3)


def test_what_else_the_service_does_not_take_is_an_error(server: MonitoringServer) -> None:
    with pytest.raises(ConfigError, match="too far in the past"):
        put(server, -26 * 3600, incidents=3)
