"""Where the program begins: what is to be set before anything else is imported."""

import gc
from typing import NoReturn

YOUNG = 50_000
"""So many new objects are looked through for cycles at once: imports alone make more, and leave none."""


def main() -> NoReturn:
    """Run the command line and exit with its status."""
    gc.set_threshold(YOUNG)
    from job import cli

    cli.main()


if __name__ == "__main__":
    main()
