"""Statistical detectors: numpy arrays in, expected values, spreads and scores out.

This package knows numpy and scipy and nothing else: no Google Cloud, no files, no configuration.
"""

from detectors.detector import Detector
from detectors.frame import Frame, Labels
from detectors.scores import CAP, Scores

__all__ = ["CAP", "Detector", "Frame", "Labels", "Scores"]
