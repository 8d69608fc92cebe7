"""Launches, the order of uploads, and what each chunk contributed to which contacts."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("imports", sa.Column("ordered_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("imports", sa.Column("fruitless", sa.Integer(), server_default="0", nullable=False))
    op.add_column("imports", sa.Column("waits_for", sa.Text(), nullable=True))
    # S3 tells when an object was put to the second in a HEAD, and some stores more precisely in a list.
    op.execute("UPDATE imports SET uploaded_at = date_trunc('second', uploaded_at)")
    op.execute(
        """UPDATE imports i SET ordered_at = uploaded_at + make_interval(secs => (place - 1) / 1e6)
           FROM (SELECT upload_id, row_number() OVER (PARTITION BY uploaded_at ORDER BY created_at, upload_id) AS place
                 FROM imports) placed
           WHERE placed.upload_id = i.upload_id"""
    )
    op.alter_column("imports", "ordered_at", nullable=False)
    op.create_index("imports_ordered_at", "imports", ["ordered_at"], unique=True)
    op.drop_index("imports_object_key_etag", "imports")
    op.create_index(
        "imports_object_key_etag_uploaded_at", "imports", ["object_key", "etag", "uploaded_at"], unique=True
    )
    op.create_table(
        "launches",
        sa.Column("upload_id", sa.Text(), nullable=False),
        sa.Column("launch", sa.Integer(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint("asked_by IN ('sensor', 'retry', 'backfill', 'person')", name="launches_asked_by"),
        sa.CheckConstraint("(ended_at IS NULL) = (outcome IS NULL)", name="launches_ended"),
        sa.ForeignKeyConstraint(["upload_id"], ["imports.upload_id"], name="launches_upload_id_fkey"),
        sa.PrimaryKeyConstraint("upload_id", "launch", name="launches_pkey"),
    )
    op.create_index("launches_open", "launches", ["due_at"], postgresql_where=sa.text("ended_at IS NULL"))
    op.create_index("launches_run_id", "launches", ["run_id"], unique=True)
    # What was under way, or was to be tried again, goes on.
    op.execute(
        """UPDATE imports SET state = 'queued', run_id = NULL, heartbeat_at = NULL, error = NULL, error_code = NULL,
                  finished_at = NULL
           WHERE state IN ('loading', 'verifying')
              OR state = 'failed' AND COALESCE(error_code, 'transient') = 'transient' AND attempt < 3"""
    )
    # Every import that is not over needs a launch, or nothing would ever go on with it; beyond all run keys of old.
    op.execute(
        """INSERT INTO launches (upload_id, launch, asked_by, due_at)
           SELECT upload_id, attempt + 1000, 'retry', now() FROM imports WHERE state = 'queued'"""
    )
    op.create_table(
        "contributions",
        sa.Column("number", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("upload_id", sa.Text(), nullable=False),
        sa.Column("chunk", sa.Integer(), nullable=False),
        sa.Column("first_key", sa.BigInteger(), nullable=True),
        sa.Column("last_key", sa.BigInteger(), nullable=True),
        sa.Column("without_ids", sa.Boolean(), nullable=False),
        sa.Column("keys", sa.LargeBinary(), nullable=True),
        sa.Column("hashes", sa.LargeBinary(), nullable=True),
        sa.Column("rows", sa.LargeBinary(), nullable=True),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["upload_id"], ["imports.upload_id"], name="contributions_upload_id_fkey"),
        sa.PrimaryKeyConstraint("number", name="contributions_pkey"),
    )
    op.create_index("contributions_upload_id_chunk", "contributions", ["upload_id", "chunk"])
    for column in ("keys", "hashes", "rows"):
        # They are compressed already where that helps.
        op.execute(f"ALTER TABLE contributions ALTER COLUMN {column} SET STORAGE EXTERNAL")
    op.drop_index("contact_versions_replaced_by_import", "contact_versions")
    op.create_index("contact_versions_key", "contact_versions", ["key"])
    op.create_table(
        "ignored_objects",
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("etag", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("noted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("object_key", "etag", name="ignored_objects_pkey"),
    )
    op.create_table(
        "cancelled_uploads",
        sa.Column("upload_id", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("upload_id", name="cancelled_uploads_pkey"),
    )


def downgrade() -> None:
    op.drop_table("cancelled_uploads")
    op.drop_table("ignored_objects")
    op.drop_index("contact_versions_key", "contact_versions")
    op.create_index("contact_versions_replaced_by_import", "contact_versions", ["replaced_by_import", "key"])
    op.drop_table("contributions")
    op.drop_table("launches")
    op.drop_index("imports_object_key_etag_uploaded_at", "imports")
    op.create_index("imports_object_key_etag", "imports", ["object_key", "etag"], unique=False)
    op.drop_index("imports_ordered_at", "imports")
    for column in ("waits_for", "fruitless", "ordered_at"):
        op.drop_column("imports", column)
