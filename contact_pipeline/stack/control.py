"""Bringing a stack up and down, and saying what it is."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import sql

from contact_pipeline.database import migration, postgres, tokens
from contact_pipeline.errors import StackError
from contact_pipeline.object_store import ObjectStore
from contact_pipeline.settings import PREFIX, Settings
from contact_pipeline.stack import dagster_servers, processes, servers, storage_servers
from contact_pipeline.stack.home import Home, free_ports, port_is_free
from contact_pipeline.stack.processes import SUPERVISOR, Report, start_missing

_BUCKET = "contact-pipeline"

_OWNER = "local"

_GIVEN_UP_DAYS = 8

_TABLES = ["runs", "run_tags", "event_logs", "job_ticks", "instigators"]

_MAKE_TABLES = """
import dagster
with dagster.DagsterInstance.get() as instance:
    instance.run_storage, instance.event_log_storage, instance.schedule_storage
"""

_ORDER_OF_ENDING = (
    SUPERVISOR,
    "dagster-daemon",
    "dagster-webserver",
    "dagster-code",
    "api",
    "seaweedfs",
    "valkey",
    "postgres",
)


def up(home: Home, report: Report, *, dagster: bool = True) -> Settings:
    """Start whatever does not run yet, and return when everything answers.

    Args:
        dagster: whether Dagster's processes are started too; without them somebody runs `dg dev`.

    Raises:
        StackError: something does not start; the message has the end of its log.
    """
    with home.locked():
        state = home.prepare()
        _move_from_taken_ports(home, state)
        settings = _settings(state)
        state["settings"] = _plain(settings)
        home.save(state)
        _start_storage(home, state, report)
        _prepare_storage(settings, report)
        environment = servers.application_environment(home, settings)
        if dagster:
            _start_dagster(home, state, settings, environment, report)
        start_missing(home, [servers.upload_service(environment, state["ports"]["api"])], report)
    return settings


def down(home: Home, report: Report) -> None:
    """End every process of the stack. What it stored stays."""
    # Before the lock: it holds that while it starts something again.
    processes.stop(home, SUPERVISOR)
    with home.locked():
        home.forget_restarts()
        running = sorted(processes.noted(home), key=_ORDER_OF_ENDING.index)
        # Each waits some seconds for what it is doing: together they take no longer than the slowest.
        together = [name for name in running if name.startswith("dagster") or name == "api"]
        for name in together:
            processes.ask_to_end(home, name)
        for name in running:
            report(f"stopping {name}")
            processes.stop(home, name, asked=name in together)
        if home.exists():
            storage_servers.forget_sockets(home.load()["ports"])


def status(home: Home) -> dict[str, Any]:
    """Where everything is, and which processes run.

    Raises:
        StackError: no stack was ever started here.
    """
    settings = home.settings()
    # A process may live, and what it is for may not.
    running = {
        name: processes.is_running(home, name) and servers.answers(name, home.load()["ports"])
        for name in processes.noted(home)
    }
    return {
        "home": str(home.path),
        "running": bool(running) and all(running.values()),
        "processes": running,
        "restarts": home.restarts(),
        "database_url": settings.database_url,
        "redis_url": settings.redis_url,
        "s3_endpoint_url": settings.s3_endpoint_url,
        "s3_bucket": settings.s3_bucket,
        "s3_access_key_id": settings.s3_access_key_id,
        "s3_secret_access_key": _revealed(settings.s3_secret_access_key),
        "api_url": settings.api_url,
        "dagster_url": settings.dagster_url,
        "api_token": settings.api_token.get_secret_value(),
    }


def _given(name: str) -> str | None:
    return os.environ.get(PREFIX + name)


def _settings(state: dict[str, Any]) -> Settings:
    """The embedded servers' addresses, but where the environment names a real one."""
    ports, secrets = state["ports"], state["secrets"]
    database_url = _given("DATABASE_URL") or (
        f"postgresql://contact_pipeline:{secrets['postgres_password']}@127.0.0.1:{ports['postgres']}/contact_pipeline"
    )
    url = postgres.sqlalchemy_url(database_url)
    dagster_url = url.set(drivername="postgresql+psycopg2", database=f"{url.database}_dagster")
    embedded: dict[str, Any] = {
        "database_url": database_url,
        "dagster_database_url": dagster_url.render_as_string(hide_password=False),
        "redis_url": f"redis://:{secrets['redis_password']}@127.0.0.1:{ports['redis']}/0",
        "s3_bucket": _BUCKET,
        "api_token": secrets["api_token"],
        "api_url": f"http://127.0.0.1:{ports['api']}",
        "dagster_url": f"http://127.0.0.1:{ports['dagster']}",
    }
    if not _real_s3():
        embedded |= {
            "s3_endpoint_url": f"http://127.0.0.1:{ports['s3']}",
            "s3_access_key_id": secrets["s3_access_key_id"],
            "s3_secret_access_key": secrets["s3_secret_access_key"],
        }
    return Settings(**{name: value for name, value in embedded.items() if _given(name.upper()) is None})


def _real_s3() -> bool:
    return bool(_given("S3_ENDPOINT_URL") or _given("S3_ACCESS_KEY_ID") or _given("S3_BUCKET"))


def _plain(settings: Settings) -> dict[str, Any]:
    values = {name: getattr(settings, name) for name in Settings.model_fields}
    return {name: _revealed(value) for name, value in values.items() if value is not None}


def _revealed(value: Any) -> Any:
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value


def _move_from_taken_ports(home: Home, state: dict[str, Any]) -> None:
    """Where nothing of ours runs, a port that somebody took meanwhile is exchanged."""
    if any(processes.is_running(home, name) for name in processes.noted(home)):
        return
    taken = [name for name, port in state["ports"].items() if not port_is_free(port)]
    state["ports"].update(zip(taken, free_ports(len(taken)), strict=True))


def _start_storage(home: Home, state: dict[str, Any], report: Report) -> None:
    ports, secrets = state["ports"], state["secrets"]
    storage: list[processes.Server] = []
    if not _given("DATABASE_URL"):
        storage_servers.initialise_postgres(home, secrets["postgres_password"])
        if not processes.is_running(home, "postgres"):
            storage_servers.forget_stale_lock(home)
        storage.append(storage_servers.postgres(home, ports["postgres"]))
    if not _given("REDIS_URL"):
        storage.append(storage_servers.valkey(home, ports["redis"], secrets["redis_password"]))
    if not _real_s3():
        storage.append(
            storage_servers.seaweedfs(home, ports, secrets["s3_access_key_id"], secrets["s3_secret_access_key"])
        )
    start_missing(home, storage, report)


def _prepare_storage(settings: Settings, report: Report) -> None:
    report("preparing the databases and the bucket")
    for database_url in (settings.database_url, settings.dagster_database_url):
        _create_database(database_url)
    migration.migrate(settings.database_url)
    with contextlib.closing(postgres.connect(settings.database_url)) as connection:
        tokens.ensure_token(connection, settings.api_token.get_secret_value(), _OWNER, "operator")
    store = ObjectStore.from_settings(settings)
    store.ensure_bucket()
    if not _real_s3():
        store.allow_browsers()
        store.abort_given_up_uploads(_GIVEN_UP_DAYS)


def _create_database(database_url: str) -> None:
    """Make a database that is not there, by way of `postgres`, which every server has."""
    url = postgres.sqlalchemy_url(database_url).set(drivername="postgresql")
    with contextlib.suppress(psycopg.OperationalError):
        psycopg.connect(url.render_as_string(hide_password=False), connect_timeout=10).close()
        return
    maintenance = url.set(database="postgres").render_as_string(hide_password=False)
    try:
        with psycopg.connect(maintenance, autocommit=True, connect_timeout=10) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(url.database or "")))
    except psycopg.errors.DuplicateDatabase:
        return
    except psycopg.Error as error:
        raise StackError(
            f"the database {url.database!r} on {url.host}:{url.port} is not there and cannot be created "
            f"(SQLSTATE {error.sqlstate}): create it, or give {PREFIX}DATABASE_URL a user who may"
        ) from None


def _start_dagster(
    home: Home, state: dict[str, Any], settings: Settings, environment: dict[str, str], report: Report
) -> None:
    ports = state["ports"]
    home.folder("dagster")
    shutil.copyfile(str(files("contact_pipeline.stack") / "dagster.yaml"), home.dagster / "dagster.yaml")
    workspace = home.dagster / "workspace.yaml"
    workspace.write_text(
        f"load_from:\n  - grpc_server: {{host: 127.0.0.1, port: {ports['code']}, location_name: contact_pipeline}}\n"
    )
    _prepare_dagster(settings, environment, report)
    start_missing(home, [dagster_servers.dagster_code_server(environment, ports["code"])], report, wait=False)
    start_missing(
        home,
        [
            dagster_servers.dagster_webserver(environment, workspace, ports["dagster"]),
            dagster_servers.dagster_daemon(environment, workspace, ports["dagster"]),
        ],
        report,
    )


def _prepare_dagster(settings: Settings, environment: dict[str, str], report: Report) -> None:
    """Make Dagster's tables before its processes start: each makes those that it misses, and two at once collide."""
    url = postgres.sqlalchemy_url(settings.dagster_database_url).set(drivername="postgresql")
    with contextlib.closing(postgres.connect(url.render_as_string(hide_password=False))) as connection:
        row = postgres.fetch_one(
            connection, "SELECT count(to_regclass(name)) AS there FROM unnest(%s::text[]) AS wanted (name)", _TABLES
        )
    if row is not None and row["there"] == len(_TABLES):
        return
    report("preparing Dagster's tables")
    made = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _MAKE_TABLES],
        env={**os.environ, **environment}, capture_output=True, text=True,
    )  # fmt: skip
    if made.returncode != 0:
        raise StackError(f"Dagster's tables cannot be made: {made.stderr.strip().splitlines()[-1:]}")
