"""Recorded time series in CSV and Parquet files."""

from job.sources.files.series import Kind, Stamp
from job.sources.files.source import Files

__all__ = ["Files", "Kind", "Stamp"]
