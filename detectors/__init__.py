"""Statistical detectors: numpy arrays in, expected values, spreads and scores out.

This package knows numpy and scipy and nothing else: no Google Cloud, no files, no configuration.
"""

from detectors.adaptive import Adaptive
from detectors.detector import Banded, Detector
from detectors.ewma import Ewma
from detectors.frame import Frame, Labels
from detectors.peers import Peers
from detectors.scores import CAP, Scores
from detectors.seasonal import Seasonal
from detectors.stl import Stl
from detectors.zscore import ZScore

__all__ = [
    "CAP",
    "Adaptive",
    "Banded",
    "Detector",
    "Ewma",
    "Frame",
    "Labels",
    "Peers",
    "Scores",
    "Seasonal",
    "Stl",
    "ZScore",
]
