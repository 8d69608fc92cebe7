r"""How long an import takes, against `psql \copy` of the same typed rows into the same table with the same indexes.

    python -m benchmarks.importing [rows] [rows already in the table]

Both on the embedded PostgreSQL at its durable settings, in turn, three rounds;
medians. The import is its steps from open to publish, in a process of its own as
a run is, reading the file from the embedded S3 server. What `\copy` loads is what
the import had loaded: it validates, matches and accounts for nothing.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.environment import COLUMNS, Environment, Imported, environment, table
from contact_pipeline.samples import files as sample_files

_ROUNDS = 3
_SEED = "seed"


def measure(at: Environment, rows: int, existing: int = 0) -> str:
    """Measure every case; returns a Markdown section."""
    path = at.folder / "contacts.csv"
    sample_files.write(path, rows, "A9", seed=42, dirty=0.01)
    at.empty()
    at.run_import(path)
    typed = at.export(at.folder / "typed.csv")
    if existing:
        _fill(at, typed, rows, existing)

    def begin() -> None:
        if existing:
            at.begin_from(_SEED)
        else:
            at.empty()

    seconds: dict[str, list[float]] = {}
    told: dict[str, Imported] = {}
    cases = _cases(at, path, typed, rows, into_empty=not existing)
    for _ in range(_ROUNDS):
        begin()
        for case, (from_start, run) in cases.items():
            if from_start:
                begin()
            done = run()
            if isinstance(done, Imported):
                told[case] = done
            seconds.setdefault(case, []).append(done.seconds if isinstance(done, Imported) else done)
    return _section(rows, existing, path.stat().st_size, seconds, told)


Case = tuple[bool, Callable[[], Imported | float]]


def _cases(at: Environment, path: Path, typed: Path, rows: int, *, into_empty: bool) -> dict[str, Case]:
    """What is measured, in this order: whether it begins from the start, and how it is done."""
    copy = f"\\copy contacts ({COLUMNS}) FROM '{typed}' CSV"
    cases: dict[str, Case] = {
        "`\\copy`": (True, lambda: at.psql(copy)),
        "all new": (True, lambda: at.run_import(path)),
        "all unchanged": (False, lambda: at.run_import(path)),
    }
    if into_empty:
        halves = [at.export(at.folder / f"typed.{odd}.csv", f"key % 2 = {odd}") for odd in (0, 1)]
        half, changed = at.folder / "half.csv", at.folder / "changed.csv"
        _write_half(path, half, rows // 2)
        _write_changed(path, changed)
        cases |= {
            "all changed": (False, lambda: at.run_import(changed)),
            "`\\copy` to a temporary table + UPDATE": (False, lambda: _copy_and_update(at, typed)),
            "half known": (True, lambda: (at.run_import(half), at.run_import(path))[1]),
            "`\\copy`, two streams": (True, lambda: _copy_twice(at, halves)),
        }
    return cases


def _copy_twice(at: Environment, halves: Sequence[Path]) -> float:
    started = perf_counter()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda half: at.psql(f"\\copy contacts ({COLUMNS}) FROM '{half}' CSV"), halves))
    return perf_counter() - started


def _copy_and_update(at: Environment, typed: Path) -> float:
    """What somebody writes who updates contacts by hand: no before-images, no row left out, nothing said of any."""
    assignments = ", ".join(f"{column} = i.{column}" for column in COLUMNS.split(", "))
    return at.psql(
        "CREATE TEMPORARY TABLE incoming (LIKE contacts)",
        "ALTER TABLE incoming DROP COLUMN key",
        f"\\copy incoming ({COLUMNS}) FROM '{typed}' CSV",
        "ANALYZE incoming",
        f"UPDATE contacts c SET {assignments} FROM incoming i "
        "WHERE c.source = i.source AND c.contact_id = i.contact_id",
    )


def _write_half(path: Path, target: Path, rows: int) -> None:
    with path.open(newline="") as source, target.open("w", newline="") as output:
        csv.writer(output, lineterminator="\n").writerows(islice(csv.reader(source), rows + 1))


def _write_changed(path: Path, target: Path) -> None:
    """The same people, each with another title."""
    with path.open(newline="") as source, target.open("w", newline="") as output:
        reader, writer = csv.reader(source), csv.writer(output, lineterminator="\n")
        header = next(reader)
        writer.writerow(header)
        title = header.index("Title")
        for row in reader:
            if len(row) > title:
                row[title] = f"Former {row[title]}"
            writer.writerow(row)


def _fill(at: Environment, typed: Path, rows: int, existing: int) -> None:
    """Put other people into the table, until it has so many, and keep the database."""
    copies = -(-existing // rows)
    columns = COLUMNS.split(", ")
    other = [{"contact_id": "contact_id || '-' || n", "email": "n || email"}.get(name, name) for name in columns]
    at.empty()
    at.psql(
        "CREATE UNLOGGED TABLE incoming (LIKE contacts)",
        "ALTER TABLE incoming DROP COLUMN key",
        f"\\copy incoming ({COLUMNS}) FROM '{typed}' CSV",
        f"INSERT INTO contacts ({COLUMNS}) SELECT {', '.join(other)} FROM incoming, generate_series(1, {copies}) n "
        f"WHERE contact_id IS NOT NULL LIMIT {existing}",
        "DROP TABLE incoming",
        "VACUUM ANALYZE contacts",
    )
    at.keep_as(_SEED)


_AGAINST = {"all changed": "`\\copy` to a temporary table + UPDATE"}


def _section(rows: int, existing: int, size: int, seconds: dict[str, list[float]], told: dict[str, Imported]) -> str:
    lines, parts = [], []
    for case, taken in seconds.items():
        against = _AGAINST.get(case, "`\\copy`")
        ratio = median(taken) / median(seconds[against])
        done = told.get(case)
        lines.append(
            [
                case,
                f"{median(taken):.1f}",
                " / ".join(f"{one:.1f}" for one in taken),
                f"{ratio:.2f}" + (" of the UPDATE" if case in _AGAINST else ""),
                f"{rows / median(taken):,.0f}",
                f"{done.peak}" if done else "",
            ]
        )
        if done:
            whole = sum(done.parts.values())
            told_parts = sorted(done.parts.items(), key=lambda part: -part[1])
            parts.append([case, ", ".join(f"{name} {spent:.1f} ({spent / whole:.0%})" for name, spent in told_parts)])
    where = f"a table of {existing:,}" if existing else "an empty table"
    return "\n\n".join(
        [
            f"### {rows:,} rows x 67 columns ({size / 1e6:,.0f} MB) into {where}",
            table(["case", "s (median)", "s", "÷ `\\copy`", "rows/s", "peak MiB"], lines),
            table(["case", "seconds by part, of threads that run side by side"], parts),
        ]
    )


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    with environment() as place:
        print(measure(place, *(numbers or [1_000_000])))
