"""Cloud Monitoring as a source of time series."""

from job.sources.monitoring.client import Patience
from job.sources.monitoring.source import Monitoring

__all__ = ["Monitoring", "Patience"]
