"""What the command line prints."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.table import Table


def print_json(value: Any) -> None:
    """Print one JSON object."""
    print(json.dumps(value, indent=2, default=str))


def print_summary(summary: dict[str, Any]) -> None:
    """Print what became of an import, a line for each number."""
    table = Table(show_header=False, box=None)
    for name, value in summary.items():
        if value is not None:
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            table.add_row(name, f"{value:,}" if is_number else str(value))
    Console().print(table, markup=False)


def plain(text: str) -> str:
    """A file name as it can be shown: without control characters."""
    return "".join(character if character.isprintable() else "?" for character in text)
