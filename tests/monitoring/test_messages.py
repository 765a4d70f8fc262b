"""The messages of Cloud Monitoring without the rest of their package, which is there when it is asked for."""

import subprocess
import sys

import pytest

from tests.monitoring.fixtures import SENT
from tests.monitoring_server import MonitoringServer

READ = """
import sys
from datetime import UTC, datetime, timedelta
from job.sources.monitoring import Monitoring
source = Monitoring(("p",), timedelta(minutes=1), now=datetime(2026, 11, 2, tzinfo=UTC), endpoint=sys.argv[1])
assert source.describe(source.metrics((sys.argv[2],))[0]).unit == "By/s"
place = "google.cloud.monitoring_v3.services."
print(*{name.split(".")[4] for name in sys.modules if name.startswith(place)})
"""

WHOLE = """
from job.sources.monitoring.messages import types
types()
from google.cloud import monitoring_v3
import google.cloud.monitoring_v3
assert monitoring_v3 is google.cloud.monitoring_v3
from google.cloud.monitoring_v3.services.metric_service import MetricServiceClient
from google.cloud.monitoring_v3.query import Query
{}
assert monitoring_v3.MetricServiceClient is MetricServiceClient
assert monitoring_v3.TimeSeries is types().TimeSeries
assert {{name for name in monitoring_v3.__all__ if hasattr(monitoring_v3, name)}} == set(monitoring_v3.__all__)
assert len(monitoring_v3.__all__) > 100 and monitoring_v3.__version__
try:
    monitoring_v3.Nonsense
except AttributeError as error:
    print(error)
"""

ODD = """
import sys
class Needing:
    times = 0
    def find_spec(self, name, *_):
        if name == "google.cloud.monitoring_v3.types" and not Needing.times:
            Needing.times += 1
            raise ImportError("the package is not there")
sys.meta_path.insert(0, Needing())
from job.sources.monitoring.messages import types
print(types().TimeSeries.__name__, "MetricServiceClient" in vars(sys.modules["google.cloud.monitoring_v3"]))
"""


def said(program: str, *words: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return done.stdout.splitlines()


def test_what_reading_does_not_need_is_not_imported(server: MonitoringServer) -> None:
    server.metric(SENT)
    assert said(READ, server.endpoint, SENT.type) == ["metric_service"]


@pytest.mark.parametrize("first", ["from google.cloud.monitoring_v3 import *", ""])
def test_nothing_of_the_package_is_lost(first: str) -> None:
    assert said(WHOLE.format(first)) == ["module 'google.cloud.monitoring_v3' has no attribute 'Nonsense'"]


def test_where_the_package_is_there_already_its_messages_are_these() -> None:
    begun = "from google.cloud import monitoring_v3\nfrom job.sources.monitoring.messages import types\n"
    assert said(f"{begun}print(types() is monitoring_v3.types)") == ["True"]


def test_messages_that_need_the_package_are_had_with_it() -> None:
    assert said(ODD) == ["TimeSeries True"]
