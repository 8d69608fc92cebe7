"""Contacts that do not want e-mails."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("contacts", "contact_versions"):
        op.add_column(table, sa.Column("unsubscribed", sa.Boolean(), nullable=True))


def downgrade() -> None:
    for table in ("contacts", "contact_versions"):
        op.drop_column(table, "unsubscribed")
