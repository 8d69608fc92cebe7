"""The reference pages, made from the code: `make docs`. A test holds them to it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer
from pydantic import SecretStr

from contact_pipeline.cli.main import app
from contact_pipeline.contacts import dictionary
from contact_pipeline.contacts.messages import MESSAGES
from contact_pipeline.importing.options import ImportOptions
from contact_pipeline.settings import PREFIX, Settings
from contact_pipeline.uploads.app import create_app

_MADE = "<!-- made from the code by `make docs`: do not edit -->\n\n"


def pages() -> dict[str, str]:
    """Each page, by its file name."""
    return {
        "fields.md": dictionary.page(),
        "settings.md": _settings(),
        "options.md": _options(),
        "codes.md": _codes(),
        "command-line.md": _command_line(),
        "api.md": _api(),
    }


def _table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _default(value: Any) -> str:
    return "" if value is None or not str(value) or "Undefined" in repr(value) else f"`{value}`"


def _settings() -> str:
    rows = [
        (
            f"`{PREFIX}{name.upper()}`",
            field.description or "",
            "required" if field.is_required() else _default(field.default),
        )
        for name, field in Settings.model_fields.items()
    ]
    return (
        "# Settings\n\n"
        + _MADE
        + "Read once from the environment.\n\n"
        + _table(("variable", "meaning", "default"), rows)
    )


def _options() -> str:
    rows = [
        (f"`{name}`", field.description or "", _default(field.default))
        for name, field in ImportOptions.model_fields.items()
    ]
    intro = (
        "Chosen on the command line (`--on-existing skip`), in the body of `POST /api/upload/init/` "
        '(`"onExisting": "skip"`), and in Dagster\'s launchpad '
        "(`ops: {contacts: {config: {on_existing: skip}}}`).\n\n"
    )
    return "# Options of an import\n\n" + _MADE + intro + _table(("option", "meaning", "default"), rows)


def _codes() -> str:
    rows = [(f"`{code}`", message) for code, message in sorted(MESSAGES.items())]
    return "# Codes of errors and warnings\n\n" + _MADE + _table(("code", "meaning"), rows)


def _command_line() -> str:
    group: Any = typer.main.get_command(app)
    parts = ["# Command line\n\n" + _MADE + "Every command takes `--help`.\n"]
    for name, command in sorted(group.commands.items()):
        parts.append(f"## {name}\n\n{(command.help or '').strip()}\n")
        rows = [
            (f"`{' / '.join(parameter.opts)}`", getattr(parameter, "help", None) or "")
            for parameter in command.params
            if parameter.name != "help"
        ]
        if rows:
            parts.append(_table(("argument", "meaning"), rows))
        for sub, child in sorted(getattr(command, "commands", {}).items()):
            parts.append(f"### {name} {sub}\n\n{(child.help or '').strip()}\n")
    return "\n".join(parts)


def _api() -> str:
    settings = Settings(
        database_url="postgresql://localhost/x", redis_url="redis://localhost", s3_bucket="x", api_token=SecretStr("x")
    )
    described = create_app(settings).openapi()
    rows = [
        (f"`{method.upper()} {path}`", call.get("summary", ""), (call.get("description") or "").split("\n")[0])
        for path, calls in sorted(described["paths"].items())
        for method, call in calls.items()
    ]
    return (
        "# API\n\n"
        + _MADE
        + "`/openapi.json` describes bodies and answers.\n\n"
        + _table(("call", "name", "what it does"), rows)
    )


if __name__ == "__main__":
    folder = Path(__file__).parent / "reference"
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
    sys.stdout.write(f"{len(pages())} pages written\n")
