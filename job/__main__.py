"""Where the program begins: what is to be set before anything else is imported."""

import gc
import os
from typing import NoReturn

YOUNG = 200_000
"""So many new objects are looked through for cycles at once: imports alone make more, and leave none."""

ALONE = {"OPENBLAS_NUM_THREADS": "1", "PYDANTIC_DISABLE_PLUGINS": "1"}
"""Blocks are scored side by side: threads of numpy's own would only wait for work, busily, from its import on. And no
installed package is looked into for a plugin of pydantic's, which takes longer than to check the settings."""


def main() -> NoReturn:
    """Run the command line and exit with its status."""
    gc.set_threshold(YOUNG)
    os.environ |= ALONE | os.environ  # what is set already stays
    from job import cli

    try:
        cli.main()
    finally:
        gc.freeze()  # or Python looks for cycles in all that a run has made, only to end: up to a tenth of a run's CPU


if __name__ == "__main__":
    main()
