from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from fastapi.testclient import TestClient

from contact_pipeline.database import tokens
from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.tokens import Role
from contact_pipeline.object_store import ObjectStore
from contact_pipeline.settings import Settings, get_settings
from contact_pipeline.stack.servers import settings_environment
from contact_pipeline.uploads.app import create_app


@pytest.fixture
def serve(settings: Settings, store: ObjectStore) -> Iterator[Callable[..., TestClient]]:
    """Serves the application in this process, on the test's own database; settings may be changed."""
    with ExitStack() as stack_:

        def start(**changed: Any) -> TestClient:
            application = create_app(settings.model_copy(update=changed))
            return stack_.enter_context(TestClient(application, raise_server_exceptions=False))

        yield start


@pytest.fixture
def service(serve: Callable[..., TestClient]) -> TestClient:
    """The application in this process."""
    return serve()


@pytest.fixture
def process_settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test's settings are those of this process, as in one of Dagster's."""
    for name, value in settings_environment(settings).items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.fixture
def token(connection: Connection) -> Callable[..., dict[str, str]]:
    """Makes tokens; returns the headers that carry one."""

    def make(owner: str = "ada", role: Role = "uploader") -> dict[str, str]:
        return {"Authorization": f"Bearer {tokens.create_token(connection, owner, role)[1]}"}

    return make
