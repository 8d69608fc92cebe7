"""Dagster's own storage in Postgres, over connections that are kept.

Dagster opens a connection for each of its statements: some two hundred for the run of a small file, 26 a second while
nothing is to be done. Half of the time that Postgres spends on many small files goes into that.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import (
    create_pg_engine,
    get_token_provider_from_config,
    pg_url_from_config,
    retry_pg_connection_fn,
)
from sqlalchemy import Engine

if TYPE_CHECKING:
    from dagster_postgres.auth import PgTokenProvider

_KEPT: Final = 4
"""Connections of a process: its threads share them. More are opened when they are needed, and closed again."""

_KEPT_SECONDS: Final = 300

_LOOKED_FOR: Final = frozenset({"runs", "instance_info", "event_logs", "jobs"})
"""Tables by which Dagster's storages tell, each time that one is made, whether they are to make their tables."""


class KeptConnectionsStorage(DagsterPostgresStorage):
    """Dagster's storage; but all instances of a process share its connections. `dagster.yaml` names it as `custom`."""

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
        token_provider: PgTokenProvider | None = None,
    ) -> None:
        engine = _engine(postgres_url, os.getpid()) if token_provider is None else None
        if engine is not None and should_autocreate_tables:
            # Dagster's own storages look for them too, each over two connections of its own.
            tables = retry_pg_connection_fn(lambda: sqlalchemy.inspect(engine).get_table_names())
            should_autocreate_tables = not _LOOKED_FOR.issubset(tables)
        super().__init__(postgres_url, should_autocreate_tables, inst_data, token_provider)
        if engine is not None:
            for storage in (self._run_storage, self._event_log_storage, self._schedule_storage):
                storage._engine = engine

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> KeptConnectionsStorage:
        """Made by Dagster from `dagster.yaml`; configured as `storage: postgres` is."""
        return cls(
            inst_data=inst_data,
            postgres_url=pg_url_from_config(config_value),
            should_autocreate_tables=config_value.get("should_autocreate_tables", True),
            token_provider=get_token_provider_from_config(config_value),
        )


@lru_cache(maxsize=4)
def _engine(postgres_url: str, _process: int) -> Engine:
    """The engine of a process: one that is forked makes its own."""
    return create_pg_engine(
        postgres_url,
        isolation_level="AUTOCOMMIT",
        pool_size=_KEPT,
        max_overflow=-1,
        # A server that was restarted has closed them.
        pool_pre_ping=True,
        pool_recycle=_KEPT_SECONDS,
    )
