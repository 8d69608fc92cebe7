"""Real servers for the tests: one embedded stack for the session, a database and a bucket of its own for each test."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg import sql

from contact_pipeline.database import migration, postgres
from contact_pipeline.database.postgres import Connection
from contact_pipeline.object_store import ObjectStore
from contact_pipeline.settings import Settings
from contact_pipeline.stack import control
from contact_pipeline.stack.home import Home
from contact_pipeline_tests.running import Importer
from contact_pipeline_tests.uploading import Api

_TEMPLATE = "migrated"


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home whose whole stack runs: servers, upload service, Dagster."""
    place = Home(tmp_path_factory.mktemp("home"))
    try:
        control.up(place, lambda _: None)
        yield place
    finally:
        control.down(place, lambda _: None)


@pytest.fixture(scope="session")
def stack(home: Home) -> Settings:
    """Settings of the running stack."""
    return home.settings()


@pytest.fixture(scope="session")
def maintenance_url(stack: Settings) -> str:
    """A database from which others are made, with an empty migrated one as their template."""
    url = stack.database_url.rsplit("/", 1)[0]
    with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_TEMPLATE)))
    migration.migrate(f"{url}/{_TEMPLATE}")
    return f"{url}/postgres"


@pytest.fixture
def fresh_database(maintenance_url: str) -> Iterator[Callable[[], str]]:
    """Makes empty databases with the tables in them; they are dropped after the test."""
    made: list[str] = []

    def make() -> str:
        name = f"test_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(maintenance_url, autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(_TEMPLATE))
            )
        made.append(name)
        return maintenance_url.rsplit("/", 1)[0] + f"/{name}"

    yield make
    with psycopg.connect(maintenance_url, autocommit=True) as connection:
        for name in made:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def settings(stack: Settings, fresh_database: Callable[[], str]) -> Settings:
    """The stack's servers, with a database that only this test uses, and a bucket that Dagster does not watch."""
    return stack.model_copy(update={"database_url": fresh_database(), "s3_bucket": "tests"})


@pytest.fixture
def store(settings: Settings) -> ObjectStore:
    """The bucket of tests that run imports themselves."""
    store = ObjectStore.from_settings(settings)
    store.ensure_bucket()
    return store


@pytest.fixture
def connection(settings: Settings) -> Iterator[Connection]:
    """A connection to the test's own database."""
    connection = postgres.connect(settings.database_url)
    yield connection
    connection.close()


@pytest.fixture
def importer(settings: Settings, store: ObjectStore, connection: Connection) -> Importer:
    """Runs imports step by step, without Dagster."""
    return Importer(settings, store, connection)


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[[str], Path]:
    """Writes text to a file of its own."""

    def write(text: str | bytes) -> Path:
        path = tmp_path / f"{uuid.uuid4().hex}.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


@pytest.fixture
def api(stack: Settings) -> Iterator[Api]:
    """The upload service of the running stack."""
    with httpx.Client(
        base_url=stack.api_url,
        headers={"Authorization": f"Bearer {stack.api_token.get_secret_value()}"},
        timeout=60,
        trust_env=False,
    ) as client:
        yield Api(client, ObjectStore.from_settings(stack))
