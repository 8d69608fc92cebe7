"""Contacts that do not want e-mails; what each column of a file came to, and which rows a warning is about."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("contacts", "contact_versions"):
        op.add_column(table, sa.Column("unsubscribed", sa.Boolean(), nullable=True))
    for name in ("column_values", "noted_rows"):
        op.add_column("import_chunks", sa.Column(name, JSONB(), server_default="{}", nullable=False))


def downgrade() -> None:
    for name in ("column_values", "noted_rows"):
        op.drop_column("import_chunks", name)
    for table in ("contacts", "contact_versions"):
        op.drop_column(table, "unsubscribed")
