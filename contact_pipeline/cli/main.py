"""The entry point of `contact-pipeline`: all commands, and how an error becomes a sentence."""

from __future__ import annotations

import sys

from contact_pipeline.cli import import_commands, stack_commands, upload_commands
from contact_pipeline.cli.app import app, errors
from contact_pipeline.errors import ContactPipelineError

# Importing a module of commands registers them.
COMMANDS = (stack_commands, upload_commands, import_commands)


def main() -> None:
    """Run a command; print an error as one sentence."""
    try:
        app()
    except ContactPipelineError as error:
        errors.print(f"contact-pipeline: {error}", style="red", markup=False, highlight=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
