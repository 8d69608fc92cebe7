"""A hash of the record that a contact was written from last, by which it is recognised when it comes again."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("contacts", "contact_versions"):
        op.add_column(table, sa.Column("record_hash", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    for table in ("contacts", "contact_versions"):
        op.drop_column(table, "record_hash")
