"""Undoing an import: contacts that it made go, contacts that it changed get their former values back.

Only what nobody has touched since is undone. One transaction: all of it, or nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from contact_pipeline.warehouse import ledger, tables
from contact_pipeline.warehouse.database import Connection, scrubbed

_UNDOABLE: Final = ("succeeded", "failed", "cancelled", "undoing")
_COLUMNS: Final = [column.name for column in tables.contacts.columns if column.name != "key"]


class CannotBeUndone(Exception):
    """The import is in a state that cannot be undone. The message says which."""


@dataclass(frozen=True)
class Undone:
    """What an undo did.

    Attributes:
        removed: contacts that the import had made, and that are gone.
        restored: contacts that have their former values again.
        kept: contacts that were left alone, for another import has changed them since.
    """

    removed: int
    restored: int
    kept: int

    def __str__(self) -> str:
        """As a sentence's end."""
        kept = f", {self.kept:,} left alone that were changed since" if self.kept else ""
        return f"{self.removed:,} contacts removed, {self.restored:,} restored{kept}"


def undo(
    connection: Connection,
    upload_id: str,
    actor: str,
    *,
    also_from: tuple[str, ...] = (),
    error: tuple[str, str] | None = None,
) -> Undone:
    """Undo an import. Undoing it again does nothing more.

    Args:
        actor: who asks for it.
        also_from: further states that it may be undone from: a run undoes the import that it holds.
        error: code and sentence, where it is undone because something was wrong with it.

    Raises:
        CannotBeUndone: it is running, was only checked, or is not known.
    """
    with scrubbed(), connection.transaction():
        record = connection.execute(
            "SELECT state, error FROM imports WHERE upload_id = %s FOR UPDATE", (upload_id,)
        ).fetchone()
        state = record["state"] if record else "not known"
        if state == "undone":
            return Undone(0, 0, 0)
        if state not in (*_UNDOABLE, *also_from):
            raise CannotBeUndone(f"import {upload_id} is {state}: cancel it, or wait for its end, and undo it then")
        undone = _undo(connection, upload_id)
        code, message = error or (None, None)
        connection.execute(
            """UPDATE imports SET state = 'undone', finished_at = clock_timestamp(),
                      error_code = COALESCE(%s, error_code), error = COALESCE(%s, error)
               WHERE upload_id = %s""",
            (code, f"{message}. What was loaded is undone: {undone}" if message else None, upload_id),
        )
        counts = {"removed": undone.removed, "restored": undone.restored, "kept": undone.kept}
        ledger.audit(connection, upload_id, actor, "undone", counts=counts)
        ledger.announce(connection, upload_id, "import.undone", counts)
    return undone


def _undo(connection: Connection, upload_id: str) -> Undone:
    parameters = {"upload_id": upload_id}
    removed = connection.execute(
        """DELETE FROM contacts
           WHERE created_by_import = %(upload_id)s
             AND COALESCE(updated_by_import, created_by_import) = %(upload_id)s""",
        parameters,
    ).rowcount
    connection.execute(
        b"""CREATE TEMPORARY TABLE former ON COMMIT DROP AS
            SELECT DISTINCT ON (key) * FROM contact_versions
            WHERE replaced_by_import = %(upload_id)s AND created_by_import <> %(upload_id)s ORDER BY key, version""",
        parameters,
    )
    # An e-mail or id may have been passed on between two of them: no two may hold it on the way back.
    connection.execute(
        """UPDATE contacts c SET email = NULL, contact_id = NULL FROM former f
           WHERE c.key = f.key AND c.updated_by_import = %(upload_id)s
             AND (c.email IS DISTINCT FROM f.email OR c.contact_id IS DISTINCT FROM f.contact_id)""",
        parameters,
    )
    changed_since = connection.execute(
        """SELECT (SELECT count(*) FROM former JOIN contacts c USING (key)
                   WHERE c.updated_by_import IS DISTINCT FROM %(upload_id)s)
                + (SELECT count(*) FROM contacts WHERE created_by_import = %(upload_id)s) AS total""",
        parameters,
    ).fetchone()
    assignments = ", ".join(f"{column} = f.{column}" for column in _COLUMNS)
    restored = connection.execute(
        f"""UPDATE contacts c SET {assignments} FROM former f
            WHERE c.key = f.key AND c.updated_by_import = %(upload_id)s""".encode(),
        parameters,
    ).rowcount
    return Undone(removed, restored, changed_since["total"] if changed_since else 0)
