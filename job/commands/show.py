"""What commands print: tables and lines, as wide as the terminal."""

import sys
from typing import TYPE_CHECKING

from job.units import clean

if TYPE_CHECKING:
    from rich.console import Console


def console(*, stderr: bool = False) -> "Console":
    """Where tables go; wide where nobody's terminal says how wide."""
    from rich.console import Console

    class Piped(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # not an exit with 1, as the class has it: whoever reads has enough

    stream = sys.stderr if stderr else sys.stdout
    return Piped(file=stream, width=None if stream.isatty() else 200)


def line(to: "Console", text: str) -> None:
    """One line, whatever is in it."""
    to.print(clean(text, 2000), markup=False, highlight=False, soft_wrap=True)
