"""Cloud Monitoring's messages, without the clients of nine services that their package imports beside them.

Of these one is used, and the others are a good part of what a task takes to its first request. So the package
`google.cloud.monitoring_v3` is put in place without being run, and what lies below it is imported. Whoever asks it for
a name that is not there yet has it run then, whole: nothing is lost by it. PEP 562 and `importlib` promise all that
this does.
"""

import sys
from functools import cache
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from threading import RLock
from types import ModuleType
from typing import Any

PACKAGE = "google.cloud.monitoring_v3"

_PUBLIC = {"__all__", "__version__"}

_lock = RLock()


@cache
def types() -> Any:
    """The module that holds the messages' classes."""
    with _lock:
        spec = find_spec(PACKAGE) if PACKAGE not in sys.modules else None
        if spec is None:
            return import_module(f"{PACKAGE}.types")
        package = _placed(spec)
        try:
            return import_module(f"{PACKAGE}.types")
        except (ImportError, AttributeError):  # a version of it whose messages do need the package
            package.__getattr__("__all__")
            return import_module(f"{PACKAGE}.types")


def _placed(spec: ModuleSpec) -> ModuleType:
    """The package as it is before it is run, which is when it is asked for a name of its own."""
    package, begun = module_from_spec(spec), list[bool]()

    def missing(name: str) -> Any:
        if (name.startswith("__") and name not in _PUBLIC) or find_spec(f"{PACKAGE}.{name}"):
            raise AttributeError(name)  # modules below it are imported for themselves
        with _lock:
            if not begun and spec.loader:
                begun.append(True)
                spec.loader.exec_module(package)
        if name not in vars(package):
            raise AttributeError(f"module {PACKAGE!r} has no attribute {name!r}", name=name, obj=package)
        return vars(package)[name]

    vars(package)["__getattr__"] = missing
    sys.modules[PACKAGE] = package
    parent, _, child = PACKAGE.rpartition(".")
    setattr(sys.modules[parent], child, package)
    return package
