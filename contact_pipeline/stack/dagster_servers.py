"""Dagster's code server, webserver and daemon: how each is started, and how to tell that it answers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import httpx

from contact_pipeline.stack.processes import Server
from contact_pipeline.stack.programs import script


def dagster_code_server(environment: dict[str, str], port: int) -> Server:
    """The code location, shared by webserver and daemon; runs are started, and terminated, through it."""
    return Server(
        "dagster-code",
        [
            sys.executable,
            "-W",
            "ignore",
            # Not `dagster code-server start`: that ends when it hears nothing for half a minute, as after a laptop's
            # sleep.
            "-m",
            "contact_pipeline.orchestration.code_server",
            "-m",
            "contact_pipeline.definitions",
            "--location-name",
            "contact_pipeline",
            "-h",
            "127.0.0.1",
            "-p",
            str(port),
        ],
        lambda: grpc_answers(port),
        environment,
        patience=120,
    )


def grpc_answers(port: int, seconds: float = 0.5) -> bool:
    """Whether the code server answers."""
    from grpc import FutureTimeoutError, channel_ready_future, insecure_channel

    with insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            channel_ready_future(channel).result(timeout=seconds)
        except FutureTimeoutError:
            return False
    return True


def dagster_webserver(environment: dict[str, str], workspace: Path, port: int) -> Server:
    """Dagster's UI and GraphQL."""
    url = f"http://127.0.0.1:{port}"
    return Server(
        "dagster-webserver",
        [script("dagster-webserver"), "-h", "127.0.0.1", "-p", str(port), "-w", str(workspace)],
        lambda: location_loaded(url),
        environment,
        patience=120,
    )


def dagster_daemon(environment: dict[str, str], workspace: Path, webserver_port: int) -> Server:
    """Dagster's daemon: sensors, schedules, the run queue, run retries, monitoring."""
    url = f"http://127.0.0.1:{webserver_port}"
    return Server(
        "dagster-daemon",
        [sys.executable, "-m", "contact_pipeline.orchestration.daemon", "run", "-w", str(workspace)],
        lambda: daemons_healthy(url),
        environment,
        patience=120,
    )


def graphql(url: str, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """Ask Dagster's webserver; None where it does not answer."""
    try:
        answer = httpx.post(f"{url}/graphql", json={"query": query, "variables": variables or {}}, timeout=20)
        data: dict[str, Any] | None = answer.json().get("data")
        return data
    except (httpx.HTTPError, ValueError):
        return None


def location_loaded(url: str) -> bool:
    """Whether the webserver has loaded the code location."""
    data = graphql(url, "{ repositoriesOrError { __typename ... on RepositoryConnection { nodes { name } } } }")
    return bool(data and (data.get("repositoriesOrError") or {}).get("nodes"))


def daemons_healthy(url: str) -> bool:
    """Whether every daemon that is required is healthy."""
    data = graphql(url, "{ instance { daemonHealth { allDaemonStatuses { required healthy } } } }")
    if not data:
        return False
    statuses = data["instance"]["daemonHealth"]["allDaemonStatuses"]
    return all(status["healthy"] for status in statuses if status["required"])
