"""The table of contacts, as Dagster's catalogue shows it."""

from __future__ import annotations

from typing import Final

import dagster as dg
from sqlalchemy.dialects import postgresql

from contact_pipeline.contacts.fields import FIELD_BY_NAME
from contact_pipeline.database.contact_tables import contacts

TABLE_NAME: Final = "contact_pipeline.public.contacts"

_OURS: Final = {
    "key": "the contact, in this table only",
    "source": "the system whose contact id it has",
    "extra": "values of columns that feed no field, by their titles",
    "linkedin_slug": "what is looked up: the name in its LinkedIn address",
    "name_company": "what is looked up: name and company, normalised",
    "row_hash": "of the row that it was written from last, cleaned",
    "record_hash": "of the row that it was written from last, as it is in its file",
    "created_by_import": "the upload whose row made it",
    "updated_by_import": "the upload whose row changed it last",
    "updated_by_upload_at": "when the newest upload that has a row of it was put",
    "created_at": "when it was inserted",
    "updated_at": "when it was changed last",
}


def table_schema() -> dg.TableSchema:
    """Every column with its type, and what it holds."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=str(column.type.compile(dialect)).partition(" COLLATE")[0].lower(),
                description=_description(column.name),
                constraints=dg.TableColumnConstraints(nullable=bool(column.nullable), unique=bool(column.primary_key)),
            )
            for column in contacts.columns
        ]
    )


def _description(name: str) -> str:
    field = FIELD_BY_NAME.get(name)
    if field is None:
        return _OURS[name]
    return f"{field.headers[0]} ({field.kind.value})"
