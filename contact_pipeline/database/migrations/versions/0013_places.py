"""The places of rows that made their contacts, beside rows without contact ids."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("contributions", sa.Column("places", sa.LargeBinary()), if_not_exists=True)


def downgrade() -> None:
    op.drop_column("contributions", "places")
