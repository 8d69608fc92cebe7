"""Reading plans and dry-run reports are kept under the names that the code has for them."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_RENAMED = (
    ("dialect", "wrapping", "content_encoding"),
    ("dialect", "sure", "confidence"),
    ("mapping", "habits", "column_formats"),
    ("mapping", "marks", "reject_columns"),
    ("report", "sure", "confidence"),
)


def upgrade() -> None:
    for column, old, new in _RENAMED:
        _rename(column, old, new)
    # Which columns count thousands is read with how they write numbers.
    op.execute(
        "UPDATE imports SET mapping = jsonb_set(mapping, '{column_formats,in_thousands}', mapping -> 'thousands') "
        "WHERE mapping ? 'column_formats' AND mapping ? 'thousands'"
    )


def downgrade() -> None:
    op.execute(
        "UPDATE imports SET mapping = mapping #- '{column_formats,in_thousands}' WHERE mapping ? 'column_formats'"
    )
    for column, old, new in _RENAMED:
        _rename(column, new, old)


def _rename(column: str, old: str, new: str) -> None:
    op.execute(
        f"UPDATE imports SET {column} = {column} - '{old}' || jsonb_build_object('{new}', {column} -> '{old}') "
        f"WHERE {column} ? '{old}'"
    )
