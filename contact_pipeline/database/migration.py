"""Bringing the tables to what the code expects, and telling whether they are so."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from contact_pipeline.database.postgres import PREPARE_THRESHOLD, Connection, connect, fetch_one, sqlalchemy_url
from contact_pipeline.errors import ContactPipelineError

_LOCK_SECONDS: Final = 3
"""Who needs a table waits behind a migration that waits for it."""

_SECONDS: Final = 600


class MigrationBlocked(ContactPipelineError):
    """The tables could not be changed, since somebody held one."""

    code = "database"
    retryable = True


def migrate(database_url: str) -> None:
    """Bring the tables to what this version of the code expects.

    Safe to call at any time, by several at once, and while imports run: it waits a few seconds for a table, lets those
    go on that wait behind it, and tries again.

    Raises:
        MigrationBlocked: somebody has held a table all the time.
        DatabaseFailed: no server answers, or it refuses.
    """
    # Told in a sentence where that cannot be.
    connect(database_url).close()
    engine = sqlalchemy.create_engine(
        sqlalchemy_url(database_url),
        poolclass=sqlalchemy.NullPool,
        connect_args={"prepare_threshold": PREPARE_THRESHOLD},
    )
    config = Config()
    config.set_main_option("script_location", str(files("contact_pipeline.database") / "migrations"))

    def upgrade() -> None:
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'"))
            connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(hashtext('contact_pipeline migrations'))"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    try:
        Retrying(
            retry=retry_if_exception(_is_about_locks),
            stop=stop_after_delay(_SECONDS),
            wait=wait_fixed(_LOCK_SECONDS),
            reraise=True,
        )(upgrade)
    except sqlalchemy.exc.OperationalError as error:
        if not _is_about_locks(error):
            raise
        raise MigrationBlocked(
            f"somebody has held a table for {_SECONDS // 60} minutes, a backup, a long query or another "
            "migration (pg_stat_activity shows which): nothing was changed; run `contact-pipeline migrate` again when "
            "it is over"
        ) from None
    finally:
        engine.dispose()


def is_migrated(connection: Connection) -> bool:
    """Whether the tables are those of this version of the code, or of a later one.

    Raises:
        DatabaseFailed: there are none.
    """
    row = fetch_one(connection, "SELECT version_num FROM contact_pipeline_version")
    return row is not None and row["version_num"] >= _newest_revision()


@cache
def _newest_revision() -> str:
    names = (path.name for path in files("contact_pipeline.database.migrations.versions").iterdir())
    return max(name[:4] for name in names if name[:4].isdigit())


def _is_about_locks(error: BaseException) -> bool:
    # Imports take tables in an order of their own.
    return isinstance(error, sqlalchemy.exc.OperationalError) and isinstance(
        error.orig, psycopg.errors.LockNotAvailable | psycopg.errors.DeadlockDetected
    )
