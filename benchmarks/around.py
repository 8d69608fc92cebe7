"""What is around a first import: a check before it, its undo, files without contact ids, one stranger in the table.

    python -m benchmarks.around [rows]

Each beside the import that it is compared with, in turn, three rounds; medians.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.environment import Environment, environment, table
from contact_pipeline.database import postgres
from contact_pipeline.database.undo import undoing
from contact_pipeline.samples import files as sample_files

_ROUNDS = 3
_ID = "Apollo Contact Id"


def measure(at: Environment, rows: int = 200_000) -> str:
    """Measure every case; returns a Markdown section."""
    path = at.folder / "around.csv"
    sample_files.write(path, rows, "A9", seed=42, dirty=0.01)
    without = _without_ids(path, at.folder / "without.csv")
    halves = [_without_ids(path, at.folder / f"half.{odd}.csv", odd) for odd in (0, 1)]
    stranger = at.folder / "stranger.csv"
    stranger.write_text("Email,First Name\nnobody@stranger.example,Nobody\n")
    seconds: dict[str, list[float]] = {}

    def timed(case: str, run: Callable[[], float]) -> None:
        seconds.setdefault(case, []).append(run())

    for _ in range(_ROUNDS):
        at.empty()
        timed("its check", lambda: at.run_import(path, mode="check").seconds)
        timed("an import", lambda: at.run_import(path).seconds)
        timed("unchanged", lambda: at.run_import(path).seconds)
        at.run_import(stranger)
        timed("unchanged, with one contact without id in the table", lambda: at.run_import(path).seconds)
        at.empty()
        timed("its undo", lambda: _undo(at, path))
        at.empty()
        timed("without ids", lambda: at.run_import(without).seconds)
        timed("without ids, unchanged", lambda: at.run_import(without).seconds)
        at.empty()
        timed("without ids, in two halves at once", lambda: _at_once(at, halves))
    against = dict.fromkeys(seconds, "an import")
    against["unchanged, with one contact without id in the table"] = "unchanged"
    against |= dict.fromkeys(("without ids, unchanged", "without ids, in two halves at once"), "without ids")
    lines = [
        [
            case,
            f"{median(taken):.1f}",
            " / ".join(f"{one:.1f}" for one in taken),
            f"{median(taken) / median(seconds[against[case]]):.2f} of {against[case]}",
        ]
        for case, taken in seconds.items()
    ]
    title = f"### Around an import of {rows:,} rows x 67 columns"
    return title + "\n\n" + table(["case", "s (median)", "s", "\u00f7"], lines)


def _undo(at: Environment, path: Path) -> float:
    upload_id = at.put(path)
    at.run_put(upload_id)
    started = perf_counter()
    with closing(postgres.connect(at.settings.database_url)) as connection:
        undoing.undo(connection, upload_id, "bench")
    return perf_counter() - started


def _at_once(at: Environment, paths: list[Path]) -> float:
    """The seconds of the longer one, from when its process has loaded its modules, as of an import alone."""
    uploads = [at.put(path) for path in paths]
    with ThreadPoolExecutor(len(uploads)) as pool:
        return max(done.seconds for done in pool.map(at.run_put, uploads))


def _without_ids(path: Path, target: Path, odd: int | None = None) -> Path:
    """The same people without their ids; of every second row where `odd` says so."""
    with path.open(newline="") as source, target.open("w", newline="") as output:
        reader, writer = csv.reader(source), csv.writer(output, lineterminator="\n")
        header = next(reader)
        place = header.index(_ID)
        for number, row in enumerate([header, *reader]):
            if number == 0 or odd is None or number % 2 == odd:
                writer.writerow(row[:place] + row[place + 1 :])
    return target


if __name__ == "__main__":
    with environment() as here:
        print(measure(here, *map(int, sys.argv[1:])))
