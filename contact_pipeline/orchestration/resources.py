"""What ops, sensors and schedules work with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import dagster as dg

from contact_pipeline.database.postgres import Connection, connect
from contact_pipeline.importing.progress import ProgressBoard
from contact_pipeline.object_store import ObjectStore
from contact_pipeline.settings import Settings, get_settings


class Pipeline(dg.ConfigurableResource[None]):
    """The servers that the settings name. Nothing is connected before it is used."""

    @property
    def settings(self) -> Settings:
        """The process's settings."""
        return get_settings()

    def store(self) -> ObjectStore:
        """The bucket of uploads."""
        return ObjectStore.from_settings(self.settings)

    def board(self) -> ProgressBoard:
        """The live counters."""
        return ProgressBoard.from_url(self.settings.redis_url)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection to Postgres."""
        with closing(connect(self.settings.database_url)) as connection:
            yield connection
