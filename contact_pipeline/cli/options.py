"""What several commands of the command line take, and what is chosen for an import."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from contact_pipeline.database import postgres
from contact_pipeline.database.postgres import Connection
from contact_pipeline.importing.options import ImportOptions
from contact_pipeline.stack.home import Home

HomeOption = Annotated[Path, typer.Option("--home", help="Folder that the servers keep everything in.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

Strictness = Annotated[
    str | None, typer.Option(help="lenient (default): a wrong value is dropped; strict: its row is.")
]
OnExisting = Annotated[str | None, typer.Option(help="update (default), fill_blanks or skip contacts that are known.")]
Consent = Annotated[
    str | None, typer.Option(help="keep (default): no row takes back an opt-out or a bounce; may_opt_in: it may.")
]
MaxRejects = Annotated[int | None, typer.Option(help="Stop when more rows than this are rejected.")]
MaxRejectRatio = Annotated[float | None, typer.Option(help="Stop when more than this share of the rows is rejected.")]
OnTooManyRejects = Annotated[
    str | None, typer.Option(help="After such a stop: keep (default) or undo what was loaded.")
]
Encoding = Annotated[str | None, typer.Option(help="Encoding of the file, as Python names it.")]
Delimiter = Annotated[str | None, typer.Option(help="One of , ; | : or tab.")]
HeaderRow = Annotated[int | None, typer.Option(help="Line that the header is on, from 1.")]
Sheet = Annotated[str | None, typer.Option(help="Name of the sheet, of a workbook.")]
DayFirst = Annotated[bool | None, typer.Option("--day-first/--month-first", help="Whether 3/4/2024 is in April.")]
MappingFile = Annotated[
    Path | None,
    typer.Option("--mapping", exists=True, dir_okay=False, help="JSON: column title to field, full_name or extra."),
]
Source = Annotated[str | None, typer.Option(help="The system whose contact ids the file carries.")]


def chosen(mapping: Path | None, **given: Any) -> dict[str, Any]:
    """The options that were given, made sure of before anything is uploaded.

    Raises:
        typer.BadParameter: one is wrong.
    """
    named = {name: value for name, value in given.items() if value is not None}
    if mapping is not None:
        try:
            named["mapping"] = json.loads(mapping.read_text(encoding="utf-8"))
        except ValueError:
            raise typer.BadParameter(f"{mapping} is no JSON", param_hint="--mapping") from None
    try:
        ImportOptions.model_validate(named)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        option = "--" + str(first["loc"][0]).replace("_", "-")
        raise typer.BadParameter(first["msg"], param_hint=option) from None
    return named


@contextmanager
def connected(home: Path) -> Iterator[Connection]:
    """A connection to a home's database."""
    with closing(postgres.connect(Home(home).settings().database_url)) as connection:
        yield connection
