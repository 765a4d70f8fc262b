"""Statistical detectors: numpy arrays in, expected values, spreads and scores out.

This package knows numpy and scipy and nothing else: no Google Cloud, no files, no configuration. Its names are looked
up when they are first asked for, so that whoever only reads a duration does not wait for numpy.
"""

from typing import TYPE_CHECKING

__all__ = [
    "CAP",
    "Adaptive",
    "Banded",
    "Detector",
    "Ewma",
    "Frame",
    "Labels",
    "Late",
    "Peers",
    "Resumable",
    "Scores",
    "Seasonal",
    "Stl",
    "ZScore",
]

if TYPE_CHECKING:
    from detectors.adaptive import Adaptive
    from detectors.detector import Banded, Detector, Late, Resumable
    from detectors.ewma import Ewma
    from detectors.frame import Frame, Labels
    from detectors.peers import Peers
    from detectors.scores import CAP, Scores
    from detectors.seasonal import Seasonal
    from detectors.stl import Stl
    from detectors.zscore import ZScore
else:

    def __getattr__(name: str) -> object:
        """A public name, out of the module that is named as it, or as given here."""
        from importlib import import_module

        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        homes = {"CAP": "scores", "Labels": "frame"} | dict.fromkeys(("Banded", "Late", "Resumable"), "detector")
        home = homes.get(name, name.lower())
        found = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
        return found
