from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contact_pipeline.database import postgres
from contact_pipeline.database.postgres import Connection
from contact_pipeline.object_store import ObjectStore
from contact_pipeline.samples import files as sample_files
from contact_pipeline.settings import Settings
from contact_pipeline.stack.home import Home
from contact_pipeline_tests.running import Dagster


class Cli:
    """The command line, on the running stack."""

    def __init__(self, home: Home) -> None:
        self.home = home

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "contact_pipeline.cli.main", *arguments, "--home", str(self.home.path)],
            capture_output=True, text=True, timeout=280,
        )  # fmt: skip

    def json(self, *arguments: str) -> dict[str, Any]:
        done = self.run(*arguments, "--json")
        assert done.stdout, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer


@pytest.fixture
def cli(home: Home) -> Cli:
    return Cli(home)


@pytest.fixture
def dagster(stack: Settings) -> Dagster:
    return Dagster(stack.dagster_url)


@pytest.fixture
def bucket(stack: Settings) -> ObjectStore:
    """The bucket that the running Dagster watches."""
    return ObjectStore.from_settings(stack)


@pytest.fixture
def warehouse(stack: Settings) -> Iterator[Connection]:
    """The database that the running Dagster loads."""
    connection = postgres.connect(stack.database_url)
    yield connection
    connection.close()


@pytest.fixture
def long_file(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A file that takes some seconds to import, of people that no other test has."""
    path = tmp_path / "long.csv"
    sample_files.write(path, 120_000, "A9", seed=sum(map(ord, request.node.name)) + 1_000, dirty=0.01)
    return path
