"""The program's name, its options, and how it says what went wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from contact_pipeline.cli import tokens, webhook_commands

app = typer.Typer(
    name="contact-pipeline",
    help="Import huge contact files into Postgres, on Dagster.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(tokens.app, name="token")
app.add_typer(webhook_commands.app, name="webhook")

errors = Console(stderr=True)

FileArgument = Annotated[
    Path,
    typer.Argument(exists=True, dir_okay=False, readable=True, help="A CSV or Excel file, compressed or not."),
]

IdArgument = Annotated[str, typer.Argument(help="The upload's id.")]


def report(text: str) -> None:
    """Say on standard error what is being done."""
    errors.print(f"… {text}", style="dim", markup=False, highlight=False)
