import re
from importlib.resources import files

import psycopg
import pytest
import sqlalchemy
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from contact_pipeline.contacts.fields import FIELDS
from contact_pipeline.database import events, migration, postgres, queries
from contact_pipeline.database.contact_tables import contact_versions, contacts, metadata


def test_migrations_lead_to_the_tables_that_the_code_expects(settings):
    engine = sqlalchemy.create_engine(postgres.sqlalchemy_url(settings.database_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "version_table": "contact_pipeline_version"}
        )
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_migrating_again_changes_nothing(settings):
    migration.migrate(settings.database_url)


def test_contacts_and_their_versions_have_every_field():
    for table in (contacts, contact_versions):
        assert {field.name for field in FIELDS} <= set(table.columns.keys())
    assert set(contacts.columns.keys()) <= set(contact_versions.columns.keys())


@pytest.mark.parametrize(
    "change", ["UPDATE import_events SET why = 'x'", "DELETE FROM import_events", "TRUNCATE import_events"]
)
def test_the_history_cannot_be_changed(connection, change):
    events.audit(connection, "u", "tester", "queued")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(change)


def test_a_chunk_whose_rows_are_not_accounted_for_cannot_be_entered(importer, write_csv):
    upload_id = importer.register(write_csv("Email\n"))
    with pytest.raises(psycopg.errors.CheckViolation):
        importer.connection.execute(
            """INSERT INTO import_chunks (upload_id, chunk, attempt, first_row, rows, first_line, end_line,
               begin_offset, end_offset, inserted) VALUES (%s, 0, 1, 1, 10, 1, 1, 0, 0, 9)""",
            (upload_id,),
        )


def test_errors_are_told_without_values(settings):
    canary = "canary@secret.example"
    with (
        psycopg.connect(settings.database_url) as connection,
        pytest.raises(postgres.DatabaseFailed) as failed,
        postgres.scrubbed(),
    ):
        connection.execute("SELECT %s::int", (canary,))
    assert canary not in str(failed.value)
    assert failed.value.__cause__ is None
    assert failed.value.__suppress_context__
    assert failed.value.sqlstate == "22P02"


def downgrade(database_url: str, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(files("contact_pipeline.database") / "migrations"))
    engine = sqlalchemy.create_engine(postgres.sqlalchemy_url(database_url), poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def test_a_reading_plan_of_the_release_before_is_recalled_as_it_was(importer, settings, write_csv):
    upload_id = importer.register(write_csv("ZoomInfo Contact ID,Email,Revenue (in 000s USD)\n1,a@x.example,12\n"))
    downgrade(settings.database_url, "0006")
    importer.connection.execute(
        "UPDATE imports SET dialect = %s, mapping = %s WHERE upload_id = %s",
        (
            '{"wrapping": {"layers": [], "encoding": "utf-8"}, "sure": {"header": "certain"}}',
            '{"habits": {"day_first": ["hired"]}, "marks": null, "thousands": ["annual_revenue"]}',
            upload_id,
        ),
    )
    migration.migrate(settings.database_url)
    record = queries.find(importer.connection, upload_id)
    assert record is not None
    assert record.dialect["content_encoding"] == {"layers": [], "encoding": "utf-8"}
    assert record.dialect["confidence"] == {"header": "certain"}
    assert record.mapping["column_formats"] == {"day_first": ["hired"], "in_thousands": ["annual_revenue"]}
    assert record.mapping["reject_columns"] is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda url: re.sub(r":[^:@/]+@", ":wrong@", url), "refuses the user or the password"),
        (lambda url: re.sub(r":[^:@/]+@", ":pass@SECRET/x@", url), r"host is not known|is not of the form"),
        (lambda url: url.rsplit("/", 1)[0] + "/nowhere", "no such database"),
        (lambda url: re.sub(r":\d+/", ":1/", url), "nothing listens"),
        (lambda url: url.replace("postgresql://", "postgresql+psycopg2://"), "is not of the form"),
    ],
)
def test_who_gives_a_wrong_address_is_told_what_is_wrong_with_it(settings, change, told):
    for ask in (postgres.connect, migration.migrate):
        with pytest.raises(postgres.DatabaseFailed, match=told) as failed:
            ask(change(settings.database_url))
        assert "CONTACT_PIPELINE_DATABASE_URL" in str(failed.value)
        assert "SECRET" not in str(failed.value)


def test_tables_of_another_version_are_told(settings, connection):
    assert migration.is_migrated(connection)
    downgrade(settings.database_url, "0011")
    assert not migration.is_migrated(connection)
    connection.execute("DROP TABLE removals")
    with pytest.raises(postgres.DatabaseFailed, match="contact-pipeline migrate"), postgres.scrubbed():
        connection.execute("SELECT FROM removals")
