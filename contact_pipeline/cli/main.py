"""The entry point of `contact-pipeline`: all commands, and how an error becomes a sentence."""

from __future__ import annotations

import sys

from contact_pipeline.cli import import_commands, stack_commands, upload_commands
from contact_pipeline.cli.app import app, errors
from contact_pipeline.client import NotReached, Refused
from contact_pipeline.database.claims import UnknownImport
from contact_pipeline.database.postgres import DatabaseFailed
from contact_pipeline.database.states import CannotBeImportedAgain
from contact_pipeline.database.undo.undoing import CannotBeUndone
from contact_pipeline.files.errors import FileRefused
from contact_pipeline.stack.home import StackError

# Importing a module of commands registers them.
COMMANDS = (stack_commands, upload_commands, import_commands)

_TOLD = (
    StackError, Refused, NotReached, DatabaseFailed, FileRefused, CannotBeUndone, CannotBeImportedAgain, UnknownImport,
)  # fmt: skip


def main() -> None:
    """Run a command; print an error as one sentence."""
    try:
        app()
    except _TOLD as error:
        errors.print(f"contact-pipeline: {error}", style="red", markup=False, highlight=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
