"""Tables on a terminal, and the same tables whole when they go into a file or another program."""

import sys

from rich.console import Console
from rich.table import Table

PIPED_WIDTH = 400
"""Wide enough that no cell is cut: a program that reads the table needs every character."""


def print_table(table: Table) -> None:
    """Print a table as wide as the terminal, or as wide as it is when nobody looks at it."""
    Console(width=None if sys.stdout.isatty() else PIPED_WIDTH).print(table)
