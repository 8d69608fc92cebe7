"""Commands about the stack: up, down, status, demo, migrate, generate."""

from __future__ import annotations

import shlex
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from contact_pipeline.cli.app import app, errors, report
from contact_pipeline.cli.options import HomeOption, JsonOption
from contact_pipeline.cli.output import print_json
from contact_pipeline.cli.upload_commands import upload_and_wait
from contact_pipeline.database import migration
from contact_pipeline.errors import StackError
from contact_pipeline.samples import files as sample_files
from contact_pipeline.samples.generations import HEADERS
from contact_pipeline.stack import control, servers, supervisor
from contact_pipeline.stack.home import DEFAULT_HOME, Home

_DEMO_ROWS = 20_000


@app.command()
def up(
    home: HomeOption = DEFAULT_HOME,
    detach: Annotated[bool, typer.Option("--detach", help="Return when everything answers.")] = False,
    without_dagster: Annotated[
        bool, typer.Option("--without-dagster", help="Start no Dagster: run `dg dev` beside it.")
    ] = False,
) -> None:
    """Start the servers, and stay with them until Ctrl-C."""
    place = Home(home)
    stop = threading.Event()
    if not detach:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
    control.up(place, report, dagster=not without_dagster)
    if detach:
        supervisor.leave_supervisor(place, report)
        _print_addresses(place)
        return
    _print_addresses(place)
    errors.print("Ctrl-C stops everything.")
    supervisor.supervise(place, report, stop)
    control.down(place, report)


@app.command(hidden=True)
def supervise(home: HomeOption = DEFAULT_HOME) -> None:
    """Start again whatever of a stack dies, until it is taken down. `up --detach` leaves this behind."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    supervisor.supervise(Home(home), report, stop)


@app.command()
def down(home: HomeOption = DEFAULT_HOME) -> None:
    """Stop the servers. What they stored stays."""
    control.down(Home(home), report)


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
def env(home: HomeOption = DEFAULT_HOME) -> None:
    """Print what Dagster's processes need to reach the stack, as lines of a .env file."""
    place = Home(home)
    for name, value in servers.settings_environment(place.settings()).items():
        print(f"{name}={shlex.quote(value)}")


@app.command()
def migrate(home: HomeOption = DEFAULT_HOME) -> None:
    """Bring the tables of the configured database to this version."""
    migration.migrate(Home(home).settings().database_url)
    print("the tables are up to date")


@app.command()
def worker(
    concurrency: Annotated[int, typer.Option(help="Runs at once, each of up to 550 MB.", min=1)] = 2,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Run Dagster's runs here, as a worker of Celery. dagster.yaml in $DAGSTER_HOME says where the queue is."""
    del home  # every command takes it; what a worker needs is in its environment
    try:
        from contact_pipeline.orchestration.worker import work
    except ModuleNotFoundError as error:
        raise StackError(f"{error.name} is not installed: pip install 'contact-pipeline[celery]'") from None
    work(concurrency)


@app.command()
def demo(
    home: HomeOption = DEFAULT_HOME,
    rows: Annotated[int, typer.Option(help="Rows of the sample file.", min=1)] = _DEMO_ROWS,
) -> None:
    """Start everything, import a sample file end to end, and leave the servers running."""
    place = Home(home)
    control.up(place, report)
    supervisor.leave_supervisor(place, report)
    sample = place.folder("demo") / "sample.csv"
    report(f"writing a sample of {rows:,} rows, 1 % of them dirty")
    sample_files.write(sample, rows, "A9", seed=42, dirty=0.01)
    succeeded = upload_and_wait(home, sample, wait=True, as_json=False, options={})
    print()
    _print_addresses(place)
    print(f"Stop it with    contact-pipeline down --home {home}")
    if not succeeded:
        raise typer.Exit(1)


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
