"""The check at full size: a file of 1,000,000 rows, imported through every process of a stack.

    python -m contact_pipeline_tests.million [--rows N]

It makes a stack of its own, imports a generated file (A9 header, 1 % dirty),
compares the counts with those of Python's csv, imports the same file again, and
prints what it measured. It fails where a row is not accounted for, where the
counts differ, or where the run took 500 MB of memory or more.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from contact_pipeline.samples import files as sample_files
from contact_pipeline.stack import control
from contact_pipeline.stack.home import Home
from contact_pipeline_tests.running import Dagster, accounted, independent_counts, metadata_of

MEMORY_LIMIT_MB = 500


def main() -> None:
    """Run the check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="million-") as folder:
        path = Path(folder) / "people.csv"
        size = sample_files.write(path, rows, "A9", seed=1, dirty=0.01)
        print(f"{rows:,} rows, {size / 1e6:,.0f} MB")
        home = Home(Path(folder) / "home")
        try:
            control.up(home, lambda _: None)
            loads, rejected = independent_counts(path)
            first = _import(home, path, "all new")
            assert first["rows"] == accounted(first) == rows
            assert (first["inserted"], first["rejected"]) == (loads, rejected)
            again = _import(home, path, "the same file again")
            assert again["rows"] == accounted(again) == rows
            assert (again["unchanged"], again["updated"], again["inserted"]) == (loads, 0, 0)
        finally:
            control.down(home, lambda _: None)


def _import(home: Home, path: Path, what: str) -> dict[str, Any]:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "contact_pipeline.cli.main",
            "import",
            str(path),
            "--wait",
            "--json",
            "--home",
            str(home.path),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    metadata = metadata_of(Dagster(home.settings().dagster_url), summary["upload_id"])
    peak = metadata["peak_memory_mb"]
    rate = summary["rows"] / summary["seconds"]
    print(f"{what}: {summary['seconds']:.1f} s, {rate:,.0f} rows/s, peak memory of the run {peak} MB")
    print(f"  { ({name: value for name, value in summary.items() if isinstance(value, int)}) }")
    print("  " + metadata["seconds_by_part"].replace("\n", "\n  "))
    assert peak < MEMORY_LIMIT_MB
    return summary


if __name__ == "__main__":
    main()
