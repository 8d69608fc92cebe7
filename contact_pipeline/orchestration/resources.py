"""What ops, sensors and schedules work with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import dagster as dg
from pydantic import PrivateAttr, ValidationError

from contact_pipeline.database.postgres import Connection, KeptConnection, connect
from contact_pipeline.importing.progress import ProgressBoard
from contact_pipeline.object_store import ObjectStore
from contact_pipeline.settings import Settings, SettingsMissing, get_settings


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or ''}{parts.path}"


class Pipeline(dg.ConfigurableResource[None]):
    """The servers that the settings name. Nothing is connected before it is used.

    Attributes:
        postgres, redis, bucket: where they are, for the Resources page: without a user or a password.
    """

    postgres: str = ""
    redis: str = ""
    bucket: str = ""

    _database: KeptConnection | None = PrivateAttr(default=None)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002 - Dagster's
        """Close what the run's steps and checks have shared."""
        if self._database is not None:
            self._database.close()

    @classmethod
    def described(cls, settings: Settings | None) -> Pipeline:
        """The resource, with what it shows of the settings."""
        if settings is None:
            return cls()
        return cls(
            postgres=_place(settings.database_url),
            redis=_place(settings.redis_url),
            bucket=f"{settings.s3_endpoint_url or 's3:/'}/{settings.s3_bucket}",
        )

    @property
    def settings(self) -> Settings:
        """The process's settings.

        Raises:
            SettingsMissing: a variable is not set, or wrong.
        """
        try:
            return get_settings()
        except ValidationError as error:
            raise SettingsMissing(error) from None

    def store(self) -> ObjectStore:
        """The bucket of uploads."""
        return ObjectStore.from_settings(self.settings)

    def board(self) -> ProgressBoard:
        """The live counters."""
        return ProgressBoard.from_url(self.settings.redis_url)

    @property
    def database(self) -> KeptConnection:
        """A connection that the steps of a run share, one after another."""
        if self._database is None:
            self._database = KeptConnection(self.settings.database_url)
        return self._database

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection to Postgres, for this alone."""
        with closing(connect(self.settings.database_url)) as connection:
            yield connection
