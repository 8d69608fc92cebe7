"""Whether rate and memory stay flat as files grow.

    python -m benchmarks.growth [rows ...]

Three rounds each, medians; above a million rows, once.
"""

from __future__ import annotations

import sys
from statistics import median

from benchmarks.environment import Environment, environment, table
from contact_pipeline.samples import files as sample_files

_ROWS = (10_000, 100_000, 1_000_000, 5_000_000)
_MANY = 1_000_000


def measure(at: Environment, sizes: tuple[int, ...] = _ROWS) -> str:
    """Import files of these sizes into an empty table; returns a Markdown section."""
    lines = []
    for rows in sizes:
        path = at.folder / "growing.csv"
        sample_files.write(path, rows, "A9", seed=42, dirty=0.01)
        done = []
        for _ in range(1 if rows > _MANY else 3):
            at.empty()
            done.append(at.run_import(path))
        seconds = median(one.seconds for one in done)
        lines.append(
            [
                f"{rows:,}",
                f"{path.stat().st_size / 1e6:,.0f}",
                f"{seconds:.1f}",
                f"{rows / seconds:,.0f}",
                f"{median(one.peak for one in done):.0f}",
            ]
        )
        path.unlink()
    return "### Growth\n\n" + table(["rows", "MB", "s", "rows/s", "peak MiB"], lines)


if __name__ == "__main__":
    with environment() as place:
        print(measure(place, tuple(int(rows) for rows in sys.argv[1:]) or _ROWS))
