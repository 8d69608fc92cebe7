"""Each launch that failed says by which code: causes are counted by their kind."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("launches", sa.Column("code", sa.Text()))


def downgrade() -> None:
    op.drop_column("launches", "code")
