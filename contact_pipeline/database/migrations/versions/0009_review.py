"""Uploads that a person looks at before they are imported."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_BEFORE = "'queued', 'loading', 'verifying', 'succeeded', 'failed', 'cancelled', 'undoing', 'undone', 'checked'"


def upgrade() -> None:
    # NOT VALID, then validated: a running import is not held up while the table is looked through.
    op.drop_constraint(op.f("imports_state"), "imports")
    op.execute(f"ALTER TABLE imports ADD CONSTRAINT imports_state CHECK (state IN ('in_review', {_BEFORE})) NOT VALID")
    op.execute("ALTER TABLE imports VALIDATE CONSTRAINT imports_state")


def downgrade() -> None:
    op.execute("DELETE FROM launches WHERE upload_id IN (SELECT upload_id FROM imports WHERE state = 'in_review')")
    op.execute("DELETE FROM imports WHERE state = 'in_review'")
    op.drop_constraint(op.f("imports_state"), "imports")
    op.execute(f"ALTER TABLE imports ADD CONSTRAINT imports_state CHECK (state IN ({_BEFORE}))")
