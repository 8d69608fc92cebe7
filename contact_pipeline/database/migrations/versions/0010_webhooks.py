"""Webhooks, and what each has been told."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "webhooks",
        sa.Column("webhook", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind IN ('standard', 'text')", name=op.f("webhooks_kind")),
        sa.PrimaryKeyConstraint("webhook", name=op.f("webhooks_pkey")),
    )
    op.create_table(
        "deliveries",
        sa.Column("delivery", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("message", sa.BigInteger(), nullable=False),
        sa.Column("webhook", sa.BigInteger(), nullable=False),
        sa.Column("upload_id", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dead_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["webhook"], ["webhooks.webhook"], name=op.f("deliveries_webhook_fkey")),
        sa.PrimaryKeyConstraint("delivery", name=op.f("deliveries_pkey")),
    )
    op.create_index("deliveries_message_webhook", "deliveries", ["message", "webhook"], unique=True)
    op.create_index(
        "deliveries_open",
        "deliveries",
        ["due_at"],
        postgresql_where=sa.text("delivered_at IS NULL AND dead_at IS NULL"),
    )
    # What was put before is told to nobody, and chunks to nobody at all.
    op.execute("DELETE FROM outbox WHERE topic = 'chunk.loaded'")
    op.add_column("outbox", sa.Column("dispatched_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE outbox SET dispatched_at = created_at")
    op.create_index("outbox_new", "outbox", ["message"], postgresql_where=sa.text("dispatched_at IS NULL"))
    op.create_index("outbox_upload_id", "outbox", ["upload_id", "topic"])


def downgrade() -> None:
    op.drop_index("outbox_upload_id", "outbox")
    op.drop_index("outbox_new", "outbox")
    op.drop_column("outbox", "dispatched_at")
    op.drop_table("deliveries")
    op.drop_table("webhooks")
