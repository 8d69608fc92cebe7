"""The tables, as SQLAlchemy metadata. `contacts` is built from the table of fields.

Text that is looked up by equality has the C collation: a byte comparison is all
that a lookup needs, whatever locale the database has.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

from contact_pipeline.database.contact_tables import metadata, sql_now
from contact_pipeline.database.records import COUNTS, AskedBy, ImportState

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
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=sql_now()),
    Column("started_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    Column("cancelled_at", DateTime(timezone=True)),
    CheckConstraint("state IN ({})".format(", ".join(f"'{state}'" for state in ImportState)), name="state"),
)
Index("imports_object_key_etag_uploaded_at", imports.c.object_key, imports.c.etag, imports.c.uploaded_at, unique=True)
Index("imports_ordered_at", imports.c.ordered_at, unique=True)
Index("imports_state", imports.c.state, imports.c.created_at)
Index("imports_owner", imports.c.owner, imports.c.created_at)
Index("imports_rejects_of", imports.c.rejects_of)

launches: Final = Table(
    "launches",
    metadata,
    Column("upload_id", Text, ForeignKey("imports.upload_id"), primary_key=True),
    Column("launch", Integer, primary_key=True),
    Column("asked_by", Text, nullable=False),
    Column("actor", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=sql_now()),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("asked_at", DateTime(timezone=True)),
    Column("run_id", Text),
    Column("attempt", Integer),
    Column("started_at", DateTime(timezone=True)),
    Column("ended_at", DateTime(timezone=True)),
    Column("outcome", Text),
    Column("reason", Text),
    Column("code", Text),
    CheckConstraint("asked_by IN ({})".format(", ".join(f"'{who}'" for who in AskedBy)), name="asked_by"),
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
    Column("noted_at", DateTime(timezone=True), nullable=False, server_default=sql_now()),
)

restored_objects: Final = Table(
    "restored_objects",
    metadata,
    Column("object_key", Text, primary_key=True),
    Column("etag", Text, primary_key=True),
    Column("put_at", DateTime(timezone=True), primary_key=True),
    Column("upload_id", Text, nullable=False),
)

cancelled_uploads: Final = Table(
    "cancelled_uploads",
    metadata,
    Column("upload_id", Text, primary_key=True),
    Column("actor", Text, nullable=False),
    Column("cancelled_at", DateTime(timezone=True), nullable=False, server_default=sql_now()),
)

upload_options: Final = Table(
    "upload_options",
    metadata,
    Column("upload_id", Text, primary_key=True),
    Column("options", JSONB, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=sql_now()),
)

mappings: Final = Table(
    "mappings",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("signature", Text, primary_key=True),
    Column("mapping", JSONB, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=sql_now()),
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
    Column("committed_at", DateTime(timezone=True), nullable=False, server_default=sql_now()),
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
    Column("places", LargeBinary),
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
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=sql_now()),
    Column("dispatched_at", DateTime(timezone=True)),
)
Index("outbox_new", outbox.c.message, postgresql_where=outbox.c.dispatched_at.is_(None))
Index("outbox_upload_id", outbox.c.upload_id, outbox.c.topic)

webhooks: Final = Table(
    "webhooks",
    metadata,
    Column("webhook", BigInteger, Identity(), primary_key=True),
    # `*`: everybody's imports.
    Column("owner", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=sql_now()),
    CheckConstraint("kind IN ('standard', 'text')", name="kind"),
)

deliveries: Final = Table(
    "deliveries",
    metadata,
    Column("delivery", BigInteger, Identity(), primary_key=True),
    Column("message", BigInteger, nullable=False),
    Column("webhook", BigInteger, ForeignKey("webhooks.webhook"), nullable=False),
    Column("upload_id", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("due_at", DateTime(timezone=True), nullable=False, server_default=sql_now()),
    Column("delivered_at", DateTime(timezone=True)),
    Column("dead_at", DateTime(timezone=True)),
    Column("trouble", Text),
)
Index("deliveries_message_webhook", deliveries.c.message, deliveries.c.webhook, unique=True)
Index(
    "deliveries_open",
    deliveries.c.due_at,
    postgresql_where=deliveries.c.delivered_at.is_(None) & deliveries.c.dead_at.is_(None),
)

removals: Final = Table(
    "removals",
    metadata,
    Column("upload_id", Text, primary_key=True),
    Column("what", Text, primary_key=True),
    Column("removed_at", DateTime(timezone=True), nullable=False, server_default=sql_now()),
    Column("summary", JSONB),
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
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=sql_now()),
    Column("used_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
    CheckConstraint("role IN ({})".format(", ".join(f"'{role}'" for role in ROLES)), name="role"),
)
Index("api_tokens_hash", api_tokens.c.hash, unique=True)

audit_events: Final = Table(
    "audit_events",
    metadata,
    Column("event", BigInteger, Identity(), primary_key=True),
    Column("happened_at", DateTime(timezone=True), nullable=False, server_default=sql_now()),
    Column("actor", Text, nullable=False),
    Column("token_id", Text),
    Column("what", Text, nullable=False),
    Column("upload_id", Text),
)
Index("audit_events_upload_id", audit_events.c.upload_id)
Index("audit_events_happened_at", audit_events.c.happened_at)
