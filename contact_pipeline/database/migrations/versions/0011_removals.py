"""What imports have no more."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A table of its own: a column more in `imports` would stop the release that is running.
    op.create_table(
        "removals",
        sa.Column("upload_id", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("summary", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("upload_id", "what", name=op.f("removals_pkey")),
    )


def downgrade() -> None:
    op.drop_table("removals")
