"""A Cloud Monitoring for tests: the real protocol over loopback, and stricter than the job needs.

It holds series as arrays, has a clock that tests set, and can be told to fail.
"""

from tests.monitoring_server.data import Metric, Series
from tests.monitoring_server.server import Fault, MonitoringServer

__all__ = ["Fault", "Metric", "MonitoringServer", "Series"]
