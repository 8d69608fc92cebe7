"""Commands that send a file: import and check."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from contact_pipeline.cli.app import FileArgument, app, errors
from contact_pipeline.cli.options import HomeOption, JsonOption, connected, import_options
from contact_pipeline.cli.output import print_first_look, print_json, print_summary
from contact_pipeline.client import Refused, UploadClient
from contact_pipeline.database import queries
from contact_pipeline.importing.dry_run_report import as_markdown
from contact_pipeline.importing.report import summarise
from contact_pipeline.stack.home import DEFAULT_HOME, Home

_POLL_SECONDS = 0.5


@contextmanager
def client_of(home: Path) -> Iterator[UploadClient]:
    """A client of a stack's upload service."""
    settings = Home(home).settings()
    with closing(UploadClient(settings.api_url, settings.api_token.get_secret_value())) as client:
        yield client


@app.command("import")
@import_options("mode", "review")
def import_file(
    file: FileArgument,
    *,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the import to end; 0 only if it succeeded.")] = False,
    options: dict[str, Any],
) -> None:
    """Upload a file in parallel chunks; its import starts by itself."""
    if not upload_and_wait(home, file, wait=wait, as_json=as_json, options=options):
        raise typer.Exit(1)


@app.command()
@import_options("mode", "review", "on_too_many_rejects")
def check(
    file: FileArgument, *, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False, options: dict[str, Any]
) -> None:
    """Say what an import of a file would do: the same pipeline, and nothing is written."""
    checked = upload_and_wait(
        home, file, wait=True, as_json=as_json, options={**options, "mode": "check"}, show_first_rows=not as_json
    )
    if not checked:
        raise typer.Exit(1)


def upload_and_wait(
    home: Path,
    file: Path,
    *,
    wait: bool,
    as_json: bool,
    options: dict[str, Any],
    show_first_rows: bool = False,
) -> bool:
    """Upload, watch if asked to, print the outcome; false where the import did not succeed."""
    with client_of(home) as client:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, TimeRemainingColumn(), console=errors, transient=True) as bars:
            size = file.stat().st_size
            sending = bars.add_task("uploading", total=size)
            upload_id = client.upload(file, lambda count: bars.advance(sending, count), options)
            if wait:
                loading = bars.add_task("importing", total=size)
                for progress in client.watch(upload_id, lambda: threading.Event().wait(_POLL_SECONDS)):
                    bars.update(loading, completed=progress["bytes"])
        if show_first_rows:
            with suppress(Refused):  # What is wrong with the file stands in its outcome.
                print_first_look(client.first_look(upload_id))
    if not wait:
        print_json({"upload_id": upload_id, "state": "completed"}) if as_json else print(f"uploaded as {upload_id}")
        return True
    with connected(home) as connection:
        record = queries.find(connection, upload_id)
        summary = asdict(summarise(connection, record)) if record else {"upload_id": upload_id, "state": "unknown"}
    if record and record.report:
        if as_json:
            print_json(summary | {"warnings_by_code": record.warnings, "report": record.report})
        else:
            Console().print(Markdown(as_markdown(record)))
    else:
        print_json(summary) if as_json else print_summary(summary)
    return summary["state"] in ("succeeded", "checked")
