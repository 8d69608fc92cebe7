"""Copies of objects that a backup has brought back."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "restored_objects",
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("etag", sa.Text(), nullable=False),
        sa.Column("put_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("upload_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("object_key", "etag", "put_at", name=op.f("restored_objects_pkey")),
    )


def downgrade() -> None:
    op.drop_table("restored_objects")
