"""What a user would pick instead, on the same file and machine.

    python -m benchmarks.peers [rows]

Each is run once: they are slow, and the differences large.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.orm import Session, registry

from benchmarks.environment import COLUMNS, Environment, environment, table
from contact_pipeline.database.contact_tables import contacts
from contact_pipeline.database.postgres import sqlalchemy_url
from contact_pipeline.samples import files as sample_files

_BATCH = 10_000


def measure(at: Environment, rows: int = 50_000) -> str:
    """Load one file in each way; returns a Markdown section."""
    _install(at)
    path = at.folder / "peers.csv"
    sample_files.write(path, rows, "A9", seed=42)
    at.empty()
    ours = at.run_import(path).seconds
    typed = at.export(at.folder / "peers-typed.csv")
    lines = [["Contact Pipeline: validated, matched, accounted for", f"{ours:.1f}", f"{rows / ours:,.0f}", "1.0"]]
    ways: list[tuple[str, Callable[[], object]]] = [
        ("pandas `read_csv` + `to_sql`: text, no index, no upsert, no rejects", lambda: _to_sql(at, path)),
        ("SQLAlchemy ORM, INSERTs of 10,000: typed before, same indexes", lambda: _orm(at, typed)),
        ("dlt, Arrow to `append`: own types, no index, no rejects", lambda: _dlt(at, path)),
        ("sling, `full-refresh` of a file: own types, no index, no rejects", lambda: _sling(at, path)),
        ("pgloader: text, same columns, no index, rejects to a log", lambda: _pgloader(at, path)),
    ]
    for name, way in ways:
        at.empty()
        started = perf_counter()
        try:
            way()
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            lines.append([name, f"does not run here ({type(error).__name__})", "", ""])
            continue
        taken = perf_counter() - started
        lines.append([name, f"{taken:.1f}", f"{rows / taken:,.0f}", f"{taken / ours:.1f}"])
    return f"### Others, {rows:,} rows x 67 columns, once each\n\n" + table(["way", "s", "rows/s", "÷ ours"], lines)


def _engine(at: Environment) -> sa.Engine:
    return sa.create_engine(sqlalchemy_url(at.settings.database_url))


def _to_sql(at: Environment, path: Path) -> None:
    engine = _engine(at)
    for chunk in pd.read_csv(path, dtype=str, chunksize=_BATCH):
        chunk.to_sql("peers_pandas", engine, if_exists="append", index=False)
    engine.dispose()


def _orm(at: Environment, typed: Path) -> None:
    class Contact:
        pass

    registry().map_imperatively(Contact, contacts)
    engine = _engine(at)
    with typed.open(newline="") as source, Session(engine) as session:
        rows = (_converted(row) for row in csv.DictReader(source, COLUMNS.split(", ")))
        while batch := list(islice(rows, _BATCH)):
            session.execute(sa.insert(Contact), batch)
            session.commit()
    engine.dispose()


def _converted(row: dict[str, str]) -> dict[str, Any]:
    return {name: _CONVERTERS.get(name, str)(text) if text else None for name, text in row.items()}


_CONVERTERS: dict[str, Callable[[str], Any]] = {
    column.name: (lambda text: text == "t") if isinstance(column.type, sa.Boolean) else json.loads
    for column in contacts.columns
    if isinstance(column.type, sa.Boolean | sa.JSON)
}

_DLT = """
import sys, dlt, pyarrow.csv
path, url = sys.argv[1:]
@dlt.resource(name="peers_dlt", write_disposition="append")
def rows():
    yield from pyarrow.csv.open_csv(path, parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True))
dlt.pipeline("peers", destination=dlt.destinations.postgres(url), dataset_name="public").run(rows())
"""


def _dlt(at: Environment, path: Path) -> None:
    subprocess.run(
        [at.folder / "dlt" / "bin" / "python", "-c", _DLT, str(path), at.settings.database_url],
        check=True,
        capture_output=True,
        env={"HOME": str(at.folder), "RUNTIME__DLTHUB_TELEMETRY": "false", "PATH": "/usr/bin:/bin"},
    )


def _sling(at: Environment, path: Path) -> None:
    (program,) = (at.folder / "sling").glob("lib/python*/site-packages/sling_linux_amd64/bin/sling-*")
    target = at.settings.database_url.replace("+psycopg", "") + "?sslmode=disable"
    what = ["--src-stream", f"file://{path}", "--tgt-conn", "PEERS", "--tgt-object", "public.peers_sling"]
    subprocess.run(
        [program, "run", *what, "--mode", "full-refresh"],
        check=True,
        capture_output=True,
        env={"HOME": str(at.folder), "PEERS": target, "SLING_DISABLE_TELEMETRY": "true", "PATH": "/usr/bin:/bin"},
    )


def _install(at: Environment) -> None:
    """Install those that are Python packages, each into an environment of its own: that is not timed."""
    for name, packages in (("dlt", ("dlt[postgres]", "pyarrow")), ("sling", ("sling-linux-amd64",))):
        if not (at.folder / name).exists():
            venv.create(at.folder / name, with_pip=True)
            python = str(at.folder / name / "bin" / "python")
            subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True, capture_output=True)


def _pgloader(at: Environment, path: Path) -> None:
    program = shutil.which("pgloader")
    if program is None:
        raise FileNotFoundError("pgloader")
    with path.open(newline="") as source:
        width = len(next(csv.reader(source)))
    columns = ", ".join(f"c{number}" for number in range(width))
    at.execute(f"CREATE TABLE peers_pgloader ({columns.replace(',', ' text,')} text)")
    script = at.folder / "peers.load"
    script.write_text(
        f"LOAD CSV FROM '{path}' ({columns}) INTO {at.settings.database_url} TARGET TABLE peers_pgloader ({columns}) "
        "WITH skip header = 1, fields optionally enclosed by '\"', fields terminated by ',';\n"
    )
    subprocess.run([program, "--root-dir", str(at.folder), str(script)], check=True, capture_output=True)


if __name__ == "__main__":
    with environment() as place:
        print(measure(place, *map(int, sys.argv[1:])))
