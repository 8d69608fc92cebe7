"""Tokens of the upload service, and a record of who did what with them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("token_id", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("role IN ('uploader', 'operator')", name="api_tokens_role"),
        sa.PrimaryKeyConstraint("token_id", name="api_tokens_pkey"),
    )
    op.create_index("api_tokens_hash", "api_tokens", ["hash"], unique=True)
    op.create_table(
        "audit_events",
        sa.Column("event", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("token_id", sa.Text(), nullable=True),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("upload_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("event", name="audit_events_pkey"),
    )
    op.create_index("audit_events_upload_id", "audit_events", ["upload_id"])
    op.create_index("audit_events_happened_at", "audit_events", ["happened_at"])


def downgrade() -> None:
    op.drop_table("audit_events")
    op.drop_table("api_tokens")
