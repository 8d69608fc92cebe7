"""Commands about imports: list, show, cancel, rejects, undo, import again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

from contact_pipeline.cli.app import IdArgument, app, report
from contact_pipeline.cli.options import HomeOption, JsonOption, connected
from contact_pipeline.cli.output import plain, print_json, print_summary, print_table
from contact_pipeline.cli.upload_commands import client_of
from contact_pipeline.contacts.messages import MESSAGES
from contact_pipeline.database import deciding, launch_queue, launches, queries
from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.records import ImportRecord
from contact_pipeline.database.undo import undoing
from contact_pipeline.errors import StackError
from contact_pipeline.importing import rejects_export, restoring, retention
from contact_pipeline.importing.column_accounts import columns_of
from contact_pipeline.importing.dry_run_report import columns_table, decisions
from contact_pipeline.importing.planning import recalled
from contact_pipeline.importing.report import summarise
from contact_pipeline.object_store import ObjectStore
from contact_pipeline.stack.home import DEFAULT_HOME, Home


@app.command()
def imports(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List the newest imports."""
    with connected(home) as connection:
        summaries = [
            {"file_name": record.file_name, **asdict(summarise(connection, record))}
            for record in queries.recent(connection)
        ]
    if as_json:
        print_json({"imports": summaries})
        return
    table = Table(
        "upload", "file", "state", "rows", "inserted", "updated", "unchanged", "rejected", "seconds", box=None
    )
    for summary in summaries:
        numbers = [summary[name] for name in ("rows", "inserted", "updated", "unchanged", "rejected", "seconds")]
        table.add_row(summary["upload_id"], plain(summary["file_name"]), summary["state"], *(f"{n:,}" for n in numbers))
    print_table(table, 200)


def _record(connection: Connection, upload_id: str) -> ImportRecord:
    record = queries.find(connection, upload_id)
    if record is None:
        raise StackError(f"no import {upload_id} is known: `contact-pipeline imports` lists them")
    return record


@app.command()
def show(upload_id: IdArgument, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show one import: its counts, its warnings, its rejects by code."""
    with connected(home) as connection:
        record = _record(connection, upload_id)
        summary = asdict(summarise(connection, record))
        warnings = queries.totals(connection, upload_id).warnings
        rejects = queries.rejects_by_code(connection, upload_id)
        waiting = launch_queue.waiting_for(connection, upload_id)
        launched = launches.of_import(connection, upload_id)
        columns = columns_of(connection, record)
        noted = queries.noted_rows(connection, upload_id)
    details: dict[str, Any] = {
        "file_name": plain(record.file_name),
        "object": f"s3://{record.bucket}/{record.object_key}",
        "attempt": record.attempt,
        "run_id": record.run_id,
        "waits_for": record.waits_for,
        "next_launch_at": str(waiting.due_at) if waiting else None,
        "place": waiting.place if waiting else None,
        "launches": [f"{one.launch}: asked by {one.asked_by}, {one.outcome or 'open'}" for one in launched],
        "source": (record.mapping or {}).get("source"),
        "options": record.options,
        "rejects_of": record.rejects_of,
        "reading": decisions(recalled(record)) if record.dialect and record.mapping else None,
        "columns": [asdict(column) for column in columns],
        "warnings_by_code": warnings,
        "rows_of_warnings": noted,
        "rejects_by_code": rejects,
    }
    if as_json:
        print_json(summary | details)
    else:
        reading: dict[str, Any] = details.pop("reading") or {}
        del details["columns"]
        print_summary(summary | details | reading.get("reading", {}) | {"confidence": reading.get("confidence")})
        if columns:
            Console().print(Markdown("\n".join(columns_table(columns))))


@app.command()
def cancel(upload_id: IdArgument, home: HomeOption = DEFAULT_HOME) -> None:
    """Cancel an upload or an import. When this returns, no further row of it is loaded."""
    with client_of(home) as client:
        print(f"{upload_id} is {client.cancel(upload_id)['state']}")


@app.command()
def rejects(
    upload_id: IdArgument,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", dir_okay=False, help="Write them to a .csv or .xlsx file, to be fixed and imported."
        ),
    ] = None,
) -> None:
    """List the rows that did not load: where they are and what is wrong; or write them to a file."""
    with connected(home) as connection:
        record = _record(connection, upload_id)
        if out is not None:
            _write_rejects(connection, record, out)
            return
        found = queries.rejects(connection, upload_id)
    if as_json:
        told = [
            {
                "row": reject.row,
                "line": reject.line,
                "codes": reject.codes,
                "columns": reject.columns,
                "messages": [MESSAGES[code] for code in reject.codes],
            }
            for reject in found
        ]
        print_json({"upload_id": upload_id, "rejects": told})
        return
    table = Table("row", "line", "code", "column", "what is wrong", box=None)
    for reject in found:
        for code, column in zip(reject.codes, reject.columns, strict=True):
            table.add_row(str(reject.row), str(reject.line), code, plain(column), MESSAGES[code])
    print_table(table, 160)


def _write_rejects(connection: Connection, record: ImportRecord, out: Path) -> None:
    if not record.dialect:
        raise StackError(f"import {record.upload_id} has no rejects: its file was not read")
    if out.suffix.lower() == ".xlsx":
        rejects_export.rejects_xlsx(connection, record, out)
    else:
        with out.open("wb") as target:
            target.writelines(rejects_export.rejects_csv(connection, record))
    total = queries.rejected_rows(connection, record.upload_id)
    print(f"{out}: {total:,} rows to fix; then: contact-pipeline import {out}")


@app.command()
def undo(upload_id: IdArgument, home: HomeOption = DEFAULT_HOME) -> None:
    """Undo an import: contacts become what the imports that still stand give."""
    with connected(home) as connection:
        done = undoing.undo(
            connection, upload_id, "command line", on_chunk=lambda so_far: report(f"{upload_id}: {so_far} so far")
        )
    print(f"{upload_id} is undone: {done}")


@app.command("retention")
def show_retention(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show what would be let go now of what is older than its days. The job `apply_retention` does it each night."""
    with connected(home) as connection:
        found = retention.what_would_go(connection, Home(home).settings())
    print_json(found) if as_json else print_summary(found)


@app.command("recognise-restored")
def recognise_restored(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Take copies in a bucket that was restored from a backup for the files that the ledger has.

    They have another time, and often another ETag: without this they would be imported as new uploads. Run it before
    you start Dagster, and only after a restore.
    """
    with connected(home) as connection:
        found = asdict(restoring.recognise(connection, ObjectStore.from_settings(Home(home).settings())))
    print_json(found) if as_json else print_summary(found)


@app.command("import-again")
def import_again(upload_id: IdArgument, home: HomeOption = DEFAULT_HOME) -> None:
    """Import again what failed, or was cancelled, undone or only checked: of what is not undone, the rest."""
    with connected(home) as connection:
        deciding.import_again(connection, upload_id, "command line")
    print(f"{upload_id} is queued")
