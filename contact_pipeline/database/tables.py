"""The tables, as SQLAlchemy metadata. `contacts` is built from the table of fields.

Text that is looked up by equality has the C collation: a byte comparison is all
that a lookup needs, whatever locale the database has.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from contact_pipeline.contacts.fields import FIELDS, TEXT_KINDS, Kind

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


def _now() -> Any:
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
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=_now()),
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
    Column("replaced_at", DateTime(timezone=True), nullable=False, server_default=_now()),
    Column("key", BigInteger, nullable=False),
    *_contact_columns(),
)
Index("contact_versions_key", contact_versions.c.key)

IMPORT_STATES: Final = (
    "queued",
    "loading",
    "verifying",
    "succeeded",
    "failed",
    "cancelled",
    "undoing",
    "undone",
    "checked",
)
COUNTS: Final = ("inserted", "updated", "unchanged", "duplicate_in_file", "rejected")
"""What becomes of a row; for a whole import `not_attempted` comes on top."""

imports: Final = Table(
    "imports",
    metadata,
    Column("upload_id", Text, primary_key=True),
    Column("state", Text, nullable=False, server_default="queued"),
    Column("bucket", Text, nullable=False),
    Column("object_key", Text, nullable=False),
    Column("etag", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("uploaded_at", DateTime(timezone=True), nullable=False),
    # The place among all uploads: `uploaded_at`, and within one second the order of registration.
    Column("ordered_at", DateTime(timezone=True), nullable=False),
    Column("file_name", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("options", JSONB, nullable=False, server_default="{}"),
    Column("rejects_of", Text),
    Column("dialect", JSONB),
    Column("mapping", JSONB),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("run_id", Text),
    Column("heartbeat_at", DateTime(timezone=True)),
    Column("fruitless", Integer, nullable=False, server_default="0"),
    Column("waits_for", Text),
    Column("total_rows", BigInteger),
    *(Column(count, BigInteger, nullable=False, server_default="0") for count in COUNTS),
    Column("warnings", JSONB, nullable=False, server_default="{}"),
    Column("timings", JSONB),
    Column("report", JSONB),
    Column("error_code", Text),
    Column("error", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=_now()),
    Column("started_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    Column("cancelled_at", DateTime(timezone=True)),
    CheckConstraint("state IN ({})".format(", ".join(f"'{state}'" for state in IMPORT_STATES)), name="state"),
)
Index("imports_object_key_etag_uploaded_at", imports.c.object_key, imports.c.etag, imports.c.uploaded_at, unique=True)
Index("imports_ordered_at", imports.c.ordered_at, unique=True)
Index("imports_state", imports.c.state, imports.c.created_at)
Index("imports_owner", imports.c.owner, imports.c.created_at)
Index("imports_rejects_of", imports.c.rejects_of)

ASKED_BY: Final = ("sensor", "retry", "backfill", "person")
"""Who asks for a run of an import."""

launches: Final = Table(
    "launches",
    metadata,
    Column("upload_id", Text, ForeignKey("imports.upload_id"), primary_key=True),
    Column("launch", Integer, primary_key=True),
    Column("asked_by", Text, nullable=False),
    Column("actor", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=_now()),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("asked_at", DateTime(timezone=True)),
    Column("run_id", Text),
    Column("attempt", Integer),
    Column("started_at", DateTime(timezone=True)),
    Column("ended_at", DateTime(timezone=True)),
    Column("outcome", Text),
    Column("reason", Text),
    CheckConstraint("asked_by IN ({})".format(", ".join(f"'{who}'" for who in ASKED_BY)), name="asked_by"),
    CheckConstraint("(ended_at IS NULL) = (outcome IS NULL)", name="ended"),
)
Index("launches_open", launches.c.due_at, postgresql_where=launches.c.ended_at.is_(None))
Index("launches_run_id", launches.c.run_id, unique=True)

ignored_objects: Final = Table(
    "ignored_objects",
    metadata,
    Column("object_key", Text, primary_key=True),
    Column("etag", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("noted_at", DateTime(timezone=True), nullable=False, server_default=_now()),
)

cancelled_uploads: Final = Table(
    "cancelled_uploads",
    metadata,
    Column("upload_id", Text, primary_key=True),
    Column("actor", Text, nullable=False),
    Column("cancelled_at", DateTime(timezone=True), nullable=False, server_default=_now()),
)

upload_options: Final = Table(
    "upload_options",
    metadata,
    Column("upload_id", Text, primary_key=True),
    Column("options", JSONB, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=_now()),
)

mappings: Final = Table(
    "mappings",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("signature", Text, primary_key=True),
    Column("mapping", JSONB, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=_now()),
)

import_chunks: Final = Table(
    "import_chunks",
    metadata,
    Column("upload_id", Text, ForeignKey("imports.upload_id"), primary_key=True),
    Column("chunk", Integer, primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("first_row", BigInteger, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("first_line", BigInteger, nullable=False),
    Column("end_line", BigInteger, nullable=False),
    Column("begin_offset", BigInteger, nullable=False),
    Column("end_offset", BigInteger, nullable=False),
    Column("bytes_read", BigInteger, nullable=False, server_default="0"),
    *(Column(count, Integer, nullable=False, server_default="0") for count in COUNTS),
    Column("warnings", JSONB, nullable=False, server_default="{}"),
    # By a column's position: how many values it had, in the rows that were read for all columns.
    Column("column_values", JSONB, nullable=False, server_default="{}"),
    # By a warning's code: the rows that it is about, the first hundred.
    Column("noted_rows", JSONB, nullable=False, server_default="{}"),
    Column("committed_at", DateTime(timezone=True), nullable=False, server_default=_now()),
    CheckConstraint("rows = " + " + ".join(COUNTS), name="every_row_accounted_for"),
)

contributions: Final = Table(
    "contributions",
    metadata,
    # In the order of the commits.
    Column("number", BigInteger, Identity(), primary_key=True),
    Column("upload_id", Text, ForeignKey("imports.upload_id"), nullable=False),
    Column("chunk", Integer, nullable=False),
    # Keys of the contacts that the chunk inserted lie between these, beside those of other imports.
    Column("first_key", BigInteger),
    Column("last_key", BigInteger),
    Column("without_ids", Boolean, nullable=False),
    Column("keys", LargeBinary),
    Column("hashes", LargeBinary),
    Column("rows", LargeBinary),
    Column("undone_at", DateTime(timezone=True)),
)
Index("contributions_upload_id_chunk", contributions.c.upload_id, contributions.c.chunk)

rejected_rows: Final = Table(
    "rejected_rows",
    metadata,
    Column("upload_id", Text, ForeignKey("imports.upload_id"), primary_key=True),
    Column("row", BigInteger, primary_key=True),
    Column("chunk", Integer, nullable=False),
    Column("line", BigInteger, nullable=False),
    Column("codes", ARRAY(Text), nullable=False),
    Column("columns", ARRAY(Text), nullable=False),
    Column("record", LargeBinary, nullable=False),
)

import_events: Final = Table(
    "import_events",
    metadata,
    Column("event", BigInteger, Identity(), primary_key=True),
    Column("upload_id", Text, nullable=False),
    Column("happened_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Column("actor", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("why", Text),
    Column("run_id", Text),
    Column("attempt", Integer),
    Column("counts", JSONB),
)
Index("import_events_upload_id", import_events.c.upload_id)

outbox: Final = Table(
    "outbox",
    metadata,
    Column("message", BigInteger, Identity(), primary_key=True),
    Column("upload_id", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=_now()),
)

ROLES: Final = ("uploader", "operator")
"""What a token may do: `uploader`, with its owner's uploads and imports; `operator`, with everybody's."""

api_tokens: Final = Table(
    "api_tokens",
    metadata,
    Column("token_id", Text, primary_key=True),
    Column("hash", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=_now()),
    Column("used_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
    CheckConstraint("role IN ({})".format(", ".join(f"'{role}'" for role in ROLES)), name="role"),
)
Index("api_tokens_hash", api_tokens.c.hash, unique=True)

audit_events: Final = Table(
    "audit_events",
    metadata,
    Column("event", BigInteger, Identity(), primary_key=True),
    Column("happened_at", DateTime(timezone=True), nullable=False, server_default=_now()),
    Column("actor", Text, nullable=False),
    Column("token_id", Text),
    Column("what", Text, nullable=False),
    Column("upload_id", Text),
)
Index("audit_events_upload_id", audit_events.c.upload_id)
Index("audit_events_happened_at", audit_events.c.happened_at)
