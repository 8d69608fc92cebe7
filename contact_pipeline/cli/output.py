"""What the command line prints."""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text


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


def print_table(table: Table, width: int) -> None:
    """Print a table: as wide as the terminal, or as `width` where it goes to a file."""
    Console(width=None if sys.stdout.isatty() else width).print(table, markup=False)


_WHY: Final = {"title": "known title", "person": "your choice", "proposal": "by its values", "nothing": ""}


def print_first_look(look: dict[str, Any]) -> None:
    """Print where each column goes, and the cells of the first rows that would not load as they are."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    columns = Table("column", "first values", "filled", "goes to", "why", box=None, title_justify="left")
    columns.title = f"Columns, by the first {look['lookedAt']:,} rows"
    for one in look["columns"]:
        goes_to = one["field"] or ("extra" if one["extra"] else "ours")
        if one["suggestion"] and not one["field"]:
            goes_to += f" (looks like {one['suggestion']})"
        samples = " · ".join(plain(sample) for sample in one["samples"])
        shown = (plain(one["column"]), samples, f"{one['filled']:.0%}", goes_to, _WHY[one["mappedBy"]])
        columns.add_row(*map(Text, shown))
    console.print(columns, "")
    titles = [one["column"] for one in look["columns"]] + look["further"]
    cells = Table("row", "line", "column", "would be stored as", "what is wrong", box=None, title_justify="left")
    cells.title = f"Cells of the first {len(look['rows']):,} rows"
    for row in look["rows"]:
        for mark in row["marks"]:
            at = mark["column"]
            stored = "" if at is None or row["rejected"] else plain(row["cells"][at] or "")
            outcome = "its row is rejected" if row["rejected"] else stored or "left out"
            title = "" if at is None else plain(titles[at])
            cells.add_row(*map(Text, (f"{row['row']:,}", f"{row['line']:,}", title, outcome, plain(mark["message"]))))
    if cells.row_count:
        console.print(cells, "")


def plain(text: str) -> str:
    """A file name as it can be shown: without control characters."""
    return "".join(character if character.isprintable() else "?" for character in text)
