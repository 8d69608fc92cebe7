"""What several commands of the command line take, and what is chosen for an import."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from pydantic import ValidationError

from contact_pipeline.database import postgres
from contact_pipeline.database.postgres import Connection
from contact_pipeline.importing.options import ImportOptions, plain_type
from contact_pipeline.stack.home import Home

HomeOption = Annotated[Path, typer.Option("--home", help="Folder that the servers keep everything in.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

_FILES: Final = {"mapping": "a JSON file: "}
_FLAGS: Final = {"day_first": "--day-first/--month-first", "save_mapping": "--save-mapping/--no-save-mapping"}


def import_options(*without: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each of `ImportOptions`; it gets those that were chosen as `options`.

    Args:
        without: the options that the command does not have.
    """
    names = [name for name in ImportOptions.model_fields if name not in without]

    def give(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True)

        @wraps(command)
        def chosen(*args: Any, **given: Any) -> None:
            options = {name: given.pop(name) for name in names}
            command(*args, **given, options=_checked({k: v for k, v in options.items() if v is not None}))

        parameters = [
            *(parameter for parameter in own.parameters.values() if parameter.name != "options"),
            *(_parameter(name) for name in names),
        ]
        chosen.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        chosen.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        return chosen

    return give


def _parameter(name: str) -> inspect.Parameter:
    field = ImportOptions.model_fields[name]
    kind: Any = Path if name in _FILES else plain_type(field.annotation)
    option = typer.Option(
        _FLAGS.get(name, "--" + name.replace("_", "-")),
        help=_FILES.get(name, "") + (field.description or ""),
        exists=name in _FILES,
        dir_okay=name not in _FILES,
    )
    annotation = Annotated[kind | None, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _checked(given: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, made sure of before anything is uploaded.

    Raises:
        typer.BadParameter: one is wrong.
    """
    for name in _FILES.keys() & given.keys():
        try:
            given[name] = json.loads(given[name].read_text(encoding="utf-8"))
        except ValueError:
            raise typer.BadParameter(f"{given[name]} is no JSON", param_hint=f"--{name}") from None
    try:
        ImportOptions.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        option = "--" + str(first["loc"][0]).replace("_", "-")
        raise typer.BadParameter(first["msg"], param_hint=option) from None
    return given


@contextmanager
def connected(home: Path) -> Iterator[Connection]:
    """A connection to a home's database."""
    with closing(postgres.connect(Home(home).settings().database_url)) as connection:
        yield connection
