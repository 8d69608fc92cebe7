"""Alembic's entry point. The connection comes from `database.migration`."""

from alembic import context

from contact_pipeline.database.contact_tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # Dagster keeps its own revisions in `alembic_version`, should both share a database.
    version_table="contact_pipeline_version",
)
with context.begin_transaction():
    context.run_migrations()
