"""Options of imports, remembered mappings, links between an import and the one whose rejects it brings back."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("imports", sa.Column("options", postgresql.JSONB(), server_default="{}", nullable=False))
    op.add_column("imports", sa.Column("rejects_of", sa.Text(), nullable=True))
    op.add_column("imports", sa.Column("report", postgresql.JSONB(), nullable=True))
    op.create_index("imports_rejects_of", "imports", ["rejects_of"])
    op.add_column("import_chunks", sa.Column("bytes_read", sa.BigInteger(), server_default="0", nullable=False))
    op.execute("UPDATE import_chunks SET bytes_read = end_offset")
    # An import that has not ended decides anew how its file is read: what was kept of that has another form now.
    op.execute("UPDATE imports SET dialect = NULL, mapping = NULL WHERE state <> 'succeeded'")
    op.create_table(
        "upload_options",
        sa.Column("upload_id", sa.Text(), nullable=False),
        sa.Column("options", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("upload_id", name="upload_options_pkey"),
    )
    op.create_table(
        "mappings",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("mapping", postgresql.JSONB(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("owner", "signature", name="mappings_pkey"),
    )


def downgrade() -> None:
    op.drop_table("mappings")
    op.drop_table("upload_options")
    op.drop_column("import_chunks", "bytes_read")
    op.drop_index("imports_rejects_of", "imports")
    op.drop_column("imports", "report")
    op.drop_column("imports", "rejects_of")
    op.drop_column("imports", "options")
