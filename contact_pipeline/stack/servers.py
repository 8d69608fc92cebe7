"""How each server is started, and how to tell that it answers."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from pydantic import SecretStr

from contact_pipeline.settings import PREFIX, Settings
from contact_pipeline.stack.dagster_servers import grpc_answers
from contact_pipeline.stack.home import Home
from contact_pipeline.stack.processes import Server
from contact_pipeline.stack.programs import http_answers


def application_environment(home: Home, settings: Settings) -> dict[str, str]:
    """What our own processes and Dagster's find in their environment."""
    return {
        **settings_environment(settings),
        "DAGSTER_HOME": str(home.dagster),
        "TMPDIR": str(home.folder("tmp")),
        "DAGSTER_DISABLE_TELEMETRY": "true",
        "PYTHONUNBUFFERED": "1",
        # The fork server of runs has one thread; arrays of numbers are not multiplied anywhere.
        "OPENBLAS_NUM_THREADS": "1",
        # Two rayon threads an import: more only contend with Postgres on a laptop.
        "POLARS_MAX_THREADS": os.environ.get("POLARS_MAX_THREADS", "2"),
    }


def settings_environment(settings: Settings) -> dict[str, str]:
    """The settings as variables of the environment."""
    values = {name: getattr(settings, name) for name in Settings.model_fields}
    return {PREFIX + name.upper(): _as_text(value) for name, value in values.items() if value is not None}


def _as_text(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return json.dumps(value) if isinstance(value, list) else str(value)


def upload_service(environment: dict[str, str], port: int) -> Server:
    """The upload service, under uvicorn."""
    return Server(
        "api",
        [
            sys.executable,
            "-m",
            "uvicorn",
            "contact_pipeline.uploads.app:create_app",
            "--factory",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--no-access-log",
            "--timeout-graceful-shutdown",
            "5",
        ],
        lambda: http_answers(f"http://127.0.0.1:{port}/health"),
        environment,
    )


def answers(name: str, ports: dict[str, int]) -> bool:
    """Whether a server that is said to run answers. Of those that cannot be asked cheaply: yes."""
    if name == "dagster-code":
        return grpc_answers(ports["code"], seconds=3)
    if name == "api":
        return http_answers(f"http://127.0.0.1:{ports['api']}/health")
    return True
