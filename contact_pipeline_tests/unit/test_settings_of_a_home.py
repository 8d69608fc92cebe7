"""Which servers a command is for: those of the stack in its folder, or those that the environment names."""

from __future__ import annotations

import pytest

from contact_pipeline.errors import StackError
from contact_pipeline.settings import SettingsMissing
from contact_pipeline.stack.home import Home

STACK = {"database_url": "postgresql://x@127.0.0.1:1/stack", "redis_url": "redis://127.0.0.1:2", "s3_bucket": "stack"}


@pytest.fixture
def home(tmp_path, monkeypatch) -> Home:
    """A home whose stack has come up, in an environment that names nothing."""
    for name in ("DATABASE_URL", "REDIS_URL", "S3_BUCKET", "S3_ENDPOINT_URL", "API_URL"):
        monkeypatch.delenv(f"CONTACT_PIPELINE_{name}", raising=False)
    made = Home(tmp_path)
    made.save({"settings": STACK})
    return made


def test_the_stacks_where_the_environment_names_none(home):
    assert home.settings().database_url == STACK["database_url"]


def test_what_is_no_server_is_taken_from_the_environment(home, monkeypatch):
    monkeypatch.setenv("CONTACT_PIPELINE_API_URL", "https://elsewhere.example")
    assert home.settings().database_url == STACK["database_url"]
    assert home.settings().api_url == "https://elsewhere.example"


def test_an_environment_of_another_installation_is_not_filled_in(home, monkeypatch):
    monkeypatch.setenv("CONTACT_PIPELINE_REDIS_URL", "redis://production")
    monkeypatch.setenv("CONTACT_PIPELINE_S3_BUCKET", "production")
    with pytest.raises(SettingsMissing, match="CONTACT_PIPELINE_DATABASE_URL must be set"):
        home.settings()
    monkeypatch.setenv("CONTACT_PIPELINE_DATABASE_URL", "postgresql://production/x")
    assert home.settings().redis_url == "redis://production"


def test_an_environment_that_names_the_stacks_own_servers_is_filled_in(home, monkeypatch):
    monkeypatch.setenv("CONTACT_PIPELINE_REDIS_URL", STACK["redis_url"])
    assert home.settings().database_url == STACK["database_url"]


def test_without_a_stack_what_is_missing_is_named(tmp_path, home, monkeypatch):
    with pytest.raises(StackError, match="nothing was started"):
        Home(tmp_path / "empty").settings()
    monkeypatch.setenv("CONTACT_PIPELINE_S3_BUCKET", "production")
    with pytest.raises(SettingsMissing, match="CONTACT_PIPELINE_DATABASE_URL, CONTACT_PIPELINE_REDIS_URL must be set"):
        Home(tmp_path / "empty").settings()
