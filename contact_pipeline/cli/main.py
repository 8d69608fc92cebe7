"""The command line."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from contact_pipeline.cli import options, tokens
from contact_pipeline.cli.options import HomeOption, JsonOption, connected
from contact_pipeline.cli.output import plain, print_json, print_summary
from contact_pipeline.client import NotReached, Refused, UploadClient
from contact_pipeline.contacts.messages import MESSAGES
from contact_pipeline.database import launches, postgres, queries, states
from contact_pipeline.database.claims import UnknownImport
from contact_pipeline.database.postgres import Connection, DatabaseFailed
from contact_pipeline.database.states import CannotBeImportedAgain
from contact_pipeline.database.undo import undoing
from contact_pipeline.database.undo.undoing import CannotBeUndone
from contact_pipeline.files.errors import FileRefused
from contact_pipeline.importing import rejects_export
from contact_pipeline.importing.column_accounts import columns_of
from contact_pipeline.importing.dry_run_report import as_markdown, columns_table, decisions
from contact_pipeline.importing.planning import recalled
from contact_pipeline.importing.report import summarise
from contact_pipeline.samples import files as sample_files
from contact_pipeline.samples.generations import HEADERS
from contact_pipeline.stack import control
from contact_pipeline.stack.home import DEFAULT_HOME, Home, StackError

_DEMO_ROWS = 20_000
_POLL_SECONDS = 0.5

_TOLD = (
    StackError, Refused, NotReached, DatabaseFailed, FileRefused, CannotBeUndone, CannotBeImportedAgain, UnknownImport,
)  # fmt: skip

app = typer.Typer(
    name="contact-pipeline",
    help="Import huge contact files into Postgres, on Dagster.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(tokens.app, name="token")
_errors = Console(stderr=True)

FileArgument = Annotated[
    Path,
    typer.Argument(exists=True, dir_okay=False, readable=True, help="A CSV or Excel file, compressed or not."),
]
IdArgument = Annotated[str, typer.Argument(help="The upload's id.")]


def main() -> None:
    """Run a command; what goes wrong is told in a sentence."""
    try:
        app()
    except _TOLD as error:
        _errors.print(f"contact-pipeline: {error}", style="red", markup=False, highlight=False)
        sys.exit(1)


def _report(text: str) -> None:
    _errors.print(f"… {text}", style="dim", markup=False, highlight=False)


@contextmanager
def _client(home: Path) -> Iterator[UploadClient]:
    settings = Home(home).settings()
    with closing(UploadClient(settings.api_url, settings.api_token.get_secret_value())) as client:
        yield client


@app.command()
def up(
    home: HomeOption = DEFAULT_HOME,
    detach: Annotated[bool, typer.Option("--detach", help="Return when everything answers.")] = False,
) -> None:
    """Start the servers, and stay with them until Ctrl-C."""
    place = Home(home)
    stop = threading.Event()
    if not detach:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
    control.up(place, _report)
    if detach:
        control.leave_supervisor(place, _report)
        _print_addresses(place)
        return
    _print_addresses(place)
    _errors.print("Ctrl-C stops everything.")
    control.supervise(place, _report, stop)
    control.down(place, _report)


@app.command(hidden=True)
def supervise(home: HomeOption = DEFAULT_HOME) -> None:
    """Start again whatever of a stack dies, until it is taken down. `up --detach` leaves this behind."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    control.supervise(Home(home), _report, stop)


@app.command()
def down(home: HomeOption = DEFAULT_HOME) -> None:
    """Stop the servers. What they stored stays."""
    control.down(Home(home), _report)


@app.command()
def status(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Say what runs, and where it is reached."""
    found = control.status(Home(home))
    if as_json:
        print_json(found)
        return
    for name, running in found["processes"].items():
        again = found["restarts"].get(name)
        print(f"{name:20} {'running' if running else 'ended'}{f', started again {again} times' if again else ''}")
    _print_addresses(Home(home))


def _print_addresses(home: Home) -> None:
    settings = home.settings()
    print(f"Dagster UI      {settings.dagster_url}")
    print(f"Upload page     {settings.api_url}   (sign in with the api_token of: contact-pipeline status --json)")


@app.command()
def migrate(home: HomeOption = DEFAULT_HOME) -> None:
    """Bring the tables of the configured database to this version."""
    postgres.migrate(Home(home).settings().database_url)
    print("the tables are up to date")


@app.command()
def demo(
    home: HomeOption = DEFAULT_HOME,
    rows: Annotated[int, typer.Option(help="Rows of the sample file.", min=1)] = _DEMO_ROWS,
) -> None:
    """Start everything, import a sample file end to end, and leave the servers running."""
    place = Home(home)
    control.up(place, _report)
    control.leave_supervisor(place, _report)
    sample = place.folder("demo") / "sample.csv"
    _report(f"writing a sample of {rows:,} rows, 1 % of them dirty")
    sample_files.write(sample, rows, "A9", seed=42, dirty=0.01)
    succeeded = _import(home, sample, wait=True, as_json=False, options={})
    print()
    _print_addresses(place)
    print(f"Stop it with    contact-pipeline down --home {home}")
    if not succeeded:
        raise typer.Exit(1)


@app.command("import")
def import_file(
    file: FileArgument,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the import to end; 0 only if it succeeded.")] = False,
    strictness: options.Strictness = None,
    on_existing: options.OnExisting = None,
    consent: options.Consent = None,
    max_rejects: options.MaxRejects = None,
    max_reject_ratio: options.MaxRejectRatio = None,
    on_too_many_rejects: options.OnTooManyRejects = None,
    encoding: options.Encoding = None,
    delimiter: options.Delimiter = None,
    header_row: options.HeaderRow = None,
    sheet: options.Sheet = None,
    day_first: options.DayFirst = None,
    mapping: options.MappingFile = None,
    source: options.Source = None,
) -> None:
    """Upload a file in parallel chunks; its import starts by itself."""
    chosen = options.chosen(
        mapping,
        strictness=strictness,
        on_existing=on_existing,
        consent=consent,
        max_rejects=max_rejects,
        max_reject_ratio=max_reject_ratio,
        on_too_many_rejects=on_too_many_rejects,
        encoding=encoding,
        delimiter=delimiter,
        header_row=header_row,
        sheet=sheet,
        day_first=day_first,
        source=source,
    )
    if not _import(home, file, wait=wait, as_json=as_json, options=chosen):
        raise typer.Exit(1)


@app.command()
def check(
    file: FileArgument,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
    strictness: options.Strictness = None,
    on_existing: options.OnExisting = None,
    consent: options.Consent = None,
    max_rejects: options.MaxRejects = None,
    max_reject_ratio: options.MaxRejectRatio = None,
    encoding: options.Encoding = None,
    delimiter: options.Delimiter = None,
    header_row: options.HeaderRow = None,
    sheet: options.Sheet = None,
    day_first: options.DayFirst = None,
    mapping: options.MappingFile = None,
    source: options.Source = None,
) -> None:
    """Say what an import of a file would do: the same pipeline, and nothing is written."""
    chosen = options.chosen(
        mapping,
        mode="check",
        strictness=strictness,
        on_existing=on_existing,
        consent=consent,
        max_rejects=max_rejects,
        max_reject_ratio=max_reject_ratio,
        encoding=encoding,
        delimiter=delimiter,
        header_row=header_row,
        sheet=sheet,
        day_first=day_first,
        source=source,
    )
    if not _import(home, file, wait=True, as_json=as_json, options=chosen):
        raise typer.Exit(1)


def _import(home: Path, file: Path, *, wait: bool, as_json: bool, options: dict[str, Any]) -> bool:
    """Upload, watch if asked to, print the outcome; false where the import did not succeed."""
    with _client(home) as client:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, TimeRemainingColumn(), console=_errors, transient=True) as bars:
            size = file.stat().st_size
            sending = bars.add_task("uploading", total=size)
            upload_id = client.upload(file, lambda count: bars.advance(sending, count), options)
            if wait:
                loading = bars.add_task("importing", total=size)
                for progress in client.watch(upload_id, lambda: threading.Event().wait(_POLL_SECONDS)):
                    bars.update(loading, completed=progress["bytes"])
    if not wait:
        print_json({"upload_id": upload_id, "state": "completed"}) if as_json else print(f"uploaded as {upload_id}")
        return True
    with connected(home) as connection:
        record = queries.find(connection, upload_id)
        summary = summarise(connection, record) if record else {"upload_id": upload_id, "state": "unknown"}
    if record and record["report"]:
        if as_json:
            print_json(summary | {"warnings_by_code": record["warnings"], "report": record["report"]})
        else:
            Console().print(Markdown(as_markdown(record)))
    else:
        print_json(summary) if as_json else print_summary(summary)
    return summary["state"] in ("succeeded", "checked")


@app.command()
def imports(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List the newest imports."""
    with connected(home) as connection:
        summaries = [
            {"file_name": record["file_name"], **summarise(connection, record)} for record in queries.recent(connection)
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
    Console(width=None if sys.stdout.isatty() else 200).print(table, markup=False)


def _record(connection: Connection, upload_id: str) -> dict[str, Any]:
    record = queries.find(connection, upload_id)
    if record is None:
        raise StackError(f"no import {upload_id} is known: `contact-pipeline imports` lists them")
    return record


@app.command()
def show(upload_id: IdArgument, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show one import: its counts, its warnings, its rejects by code."""
    with connected(home) as connection:
        record = _record(connection, upload_id)
        summary = summarise(connection, record)
        warnings = queries.totals(connection, upload_id)["warnings"]
        rejects = queries.rejects_by_code(connection, upload_id)
        waiting = launches.waiting_for(connection, upload_id) or {}
        launched = launches.of_import(connection, upload_id)
        columns = columns_of(connection, record)
        noted = queries.noted_rows(connection, upload_id)
    details = {
        "file_name": plain(record["file_name"]),
        "object": f"s3://{record['bucket']}/{record['object_key']}",
        "attempt": record["attempt"],
        "run_id": record["run_id"],
        "waits_for": record["waits_for"],
        "next_launch_at": str(waiting["due_at"]) if waiting else None,
        "place": waiting.get("place"),
        "launches": [f"{one['launch']}: asked by {one['asked_by']}, {one['outcome'] or 'open'}" for one in launched],
        "source": (record["mapping"] or {}).get("source"),
        "options": record["options"],
        "rejects_of": record["rejects_of"],
        "reading": decisions(recalled(record)) if record["dialect"] and record["mapping"] else None,
        "columns": columns,
        "warnings_by_code": warnings,
        "rows_of_warnings": noted,
        "rejects_by_code": rejects,
    }
    if as_json:
        print_json(summary | details)
    else:
        reading = details.pop("reading") or {}
        del details["columns"]
        print_summary(summary | details | reading.get("reading", {}) | {"confidence": reading.get("confidence")})
        if columns:
            Console().print(Markdown("\n".join(columns_table(columns))))


@app.command()
def cancel(upload_id: IdArgument, home: HomeOption = DEFAULT_HOME) -> None:
    """Cancel an upload or an import. When this returns, no further row of it is loaded."""
    with _client(home) as client:
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
        told = [reject | {"messages": [MESSAGES[code] for code in reject["codes"]]} for reject in found]
        print_json({"upload_id": upload_id, "rejects": told})
        return
    table = Table("row", "line", "code", "column", "what is wrong", box=None)
    for reject in found:
        for code, column in zip(reject["codes"], reject["columns"], strict=True):
            table.add_row(str(reject["row"]), str(reject["line"]), code, plain(column), MESSAGES[code])
    Console(width=None if sys.stdout.isatty() else 160).print(table, markup=False)


def _write_rejects(connection: Connection, record: dict[str, Any], out: Path) -> None:
    if not record["dialect"]:
        raise StackError(f"import {record['upload_id']} has no rejects: its file was not read")
    if out.suffix.lower() == ".xlsx":
        rejects_export.rejects_xlsx(connection, record, out)
    else:
        with out.open("wb") as target:
            target.writelines(rejects_export.rejects_csv(connection, record))
    total = queries.rejected_rows(connection, record["upload_id"])
    print(f"{out}: {total:,} rows to fix; then: contact-pipeline import {out}")


@app.command()
def undo(upload_id: IdArgument, home: HomeOption = DEFAULT_HOME) -> None:
    """Undo an import: contacts become what the imports that still stand give."""
    with connected(home) as connection:
        done = undoing.undo(
            connection, upload_id, "command line", on_chunk=lambda so_far: _report(f"{upload_id}: {so_far} so far")
        )
    print(f"{upload_id} is undone: {done}")


@app.command("import-again")
def import_again(upload_id: IdArgument, home: HomeOption = DEFAULT_HOME) -> None:
    """Import again what failed, or was cancelled, undone or only checked: of what is not undone, the rest."""
    with connected(home) as connection:
        states.import_again(connection, upload_id, "command line")
    print(f"{upload_id} is queued")


@app.command()
def generate(
    out: Annotated[Path, typer.Argument(help="File to write.")],
    rows: Annotated[int, typer.Option(help="How many rows.", min=0)] = 1_000,
    headers: Annotated[str, typer.Option(help="Header generation, A1 to A11.")] = "A9",
    seed: Annotated[int, typer.Option(help="The same seed gives the same file.", min=0)] = 42,
    dirty: Annotated[float, typer.Option(help="Share of rows with something wrong.", min=0, max=1)] = 0.0,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Write a realistic contact file of made-up people."""
    del home  # every command takes it; a generated file needs no stack
    if headers not in HEADERS:
        raise typer.BadParameter(f"one of {', '.join(HEADERS)}", param_hint="--headers")
    size = sample_files.write(out, rows, headers, seed, dirty)
    print(f"{out}: {rows:,} rows, {size:,} bytes")


if __name__ == "__main__":
    main()
