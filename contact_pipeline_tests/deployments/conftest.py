from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from contact_pipeline.samples import files as sample_files
from contact_pipeline.settings import Settings
from contact_pipeline.stack import control
from contact_pipeline.stack.home import Home
from contact_pipeline_tests.deployments.serving import Deployment


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Postgres, Valkey and S3, without Dagster."""
    home = Home(tmp_path_factory.mktemp("servers"))
    try:
        yield control.up(home, lambda _: None, dagster=False)
    finally:
        control.down(home, lambda _: None)


@pytest.fixture
def long_file(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A file of fifteen chunks, of people that no other test has."""
    path = tmp_path / "long.csv"
    sample_files.write(path, 150_000, "A9", seed=sum(map(ord, request.node.name)), dirty=0.01)
    return path


@pytest.fixture
def deploy(servers: Settings, tmp_path: Path) -> Iterator[Callable[..., Deployment]]:
    """Makes deployments with a database and a bucket of their own; they are ended after the test."""
    made: dict[str, Deployment] = {}

    def make(**environment: str) -> Deployment:
        name = f"deployed_{uuid.uuid4().hex[:8]}"
        url, dagster_url = (one.rsplit("/", 1)[0] for one in (servers.database_url, servers.dagster_database_url))
        theirs = servers.model_copy(
            update={
                "database_url": f"{url}/{name}",
                "dagster_database_url": f"{dagster_url}/{name}_dagster",
                "s3_bucket": name.replace("_", "-"),
            }
        )
        folder = tmp_path / name
        folder.mkdir()
        made[name] = Deployment(folder, theirs, environment)
        return made[name]

    yield make
    for deployment in made.values():
        deployment.stop()
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        for name in made:
            for one in (name, f"{name}_dagster"):
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(one)))
