"""The tables of contacts, built from the table of fields."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from contact_pipeline.contacts.field import Kind
from contact_pipeline.contacts.fields import FIELDS, TEXT_KINDS

metadata: Final = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    }
)

_TYPES: Final[dict[Kind, TypeEngine[Any]]] = {
    **{kind: Text() for kind in TEXT_KINDS},
    Kind.AMOUNT: Numeric(18, 2),
    Kind.INTEGER: Integer(),
    Kind.SCORE: Numeric(9, 3),
    Kind.BOOLEAN: Boolean(),
    Kind.DATE: Date(),
    Kind.TIMESTAMP: DateTime(timezone=True),
}

_KEY: Final = Text(collation="C")

_LOOKED_UP: Final = frozenset({"contact_id", "email"})


def sql_now() -> Any:
    """The default of columns that hold when a row was made."""
    return func.now()


def _contact_columns() -> list[Column[Any]]:
    """What a contact consists of beside its key."""
    return [
        Column("source", _KEY, nullable=False),
        *(Column(field.name, _KEY if field.name in _LOOKED_UP else _TYPES[field.kind]) for field in FIELDS),
        Column("extra", JSONB),
        Column("linkedin_slug", _KEY),
        Column("name_company", _KEY),
        Column("row_hash", BigInteger),
        Column("record_hash", BigInteger),
        Column("created_by_import", Text, nullable=False),
        Column("updated_by_import", Text),
        Column("updated_by_upload_at", DateTime(timezone=True), nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=sql_now()),
        Column("updated_at", DateTime(timezone=True)),
    ]


contacts: Final = Table(
    "contacts",
    metadata,
    Column("key", BigInteger, Identity(), primary_key=True),
    *_contact_columns(),
)

_c = contacts.c

_without_id = _c.contact_id.is_(None)
Index(
    "contacts_source_contact_id",
    _c.source,
    _c.contact_id,
    unique=True,
    postgresql_where=_c.contact_id.is_not(None),
)
Index("contacts_email", _c.email, postgresql_where=_c.email.is_not(None))
Index(
    "contacts_email_without_id",
    _c.email,
    unique=True,
    postgresql_where=_without_id & _c.email.is_not(None),
)
Index("contacts_linkedin_slug", _c.linkedin_slug, postgresql_where=_c.linkedin_slug.is_not(None))
Index(
    "contacts_linkedin_slug_without_id",
    _c.linkedin_slug,
    postgresql_where=_without_id & _c.linkedin_slug.is_not(None),
)
Index("contacts_name_company", _c.name_company, postgresql_where=_c.name_company.is_not(None))
Index(
    "contacts_name_company_only",
    _c.name_company,
    postgresql_where=_without_id & _c.email.is_(None) & _c.linkedin_slug.is_(None),
)

IDENTITY_INDEXES: Final = frozenset({"contacts_source_contact_id", "contacts_email_without_id"})
"""Unique indexes that a concurrent import can hit first: the chunk is then matched again."""

contact_versions: Final = Table(
    "contact_versions",
    metadata,
    Column("version", BigInteger, Identity(), primary_key=True),
    Column("replaced_by_import", Text, nullable=False),
    Column("replaced_in_chunk", Integer, nullable=False),
    Column("replaced_at", DateTime(timezone=True), nullable=False, server_default=sql_now()),
    Column("key", BigInteger, nullable=False),
    *_contact_columns(),
)
Index("contact_versions_key", contact_versions.c.key)
