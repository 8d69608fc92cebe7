"""Making some contacts again, without an import that had rows of them, from the contributions of those that stand."""

from __future__ import annotations

from contact_pipeline.database import contributions, matching
from contact_pipeline.database.contact_tables import IDENTITY_INDEXES
from contact_pipeline.database.contributions import Stored
from contact_pipeline.database.postgres import Connection, DatabaseFailed, scrubbed
from contact_pipeline.database.undo import replaying
from contact_pipeline.database.undo.gathering import gather
from contact_pipeline.database.undo.grouping import gather_together
from contact_pipeline.database.undo.others import Keys, Others
from contact_pipeline.database.undo.rewriting import Undone, _move, remove_contacts, rewrite


def remake(connection: Connection, upload_id: str, own: Stored, keys: Keys, others: Others) -> tuple[Undone, set[int]]:
    """Make the contacts that a chunk had rows of again, without its import.

    Returns:
        What was done, and the keys of all contacts that it concerns.
    """
    if not len(keys):
        return Undone(), set()
    concerned = set(keys.tolist())
    touched = set(others.touch(keys, own.number).tolist())
    together: set[int] = set()
    more = Undone()
    if matching.holds_any_without_id(connection) or contributions.any_without_ids(connection):
        together, gathered = gather_together(connection, keys, others)
        try:
            with connection.transaction(), scrubbed():
                contacts = replaying.matched_anew(gathered.contributions)
                more = rewrite(connection, upload_id, together, contacts)
                _move(connection, contacts, others)
            concerned |= together | {contact.key for contact in contacts if contact.key is not None}
        except DatabaseFailed as error:
            if error.constraint not in IDENTITY_INDEXES:
                raise
            more = Undone(kept=len(together & set(keys.tolist())))
    # The contacts that are left are identified by their ids alone.
    apart = [key for key in keys.tolist() if key not in together]
    removed = remove_contacts(connection, upload_id, [key for key in apart if key not in touched])
    rest = set(apart) - removed
    gathered = gather(connection, rest, others)
    step = rewrite(connection, upload_id, rest - gathered.unknown, replaying.one_by_one(gathered.contributions))
    done = Undone(
        step.removed + len(removed) + more.removed,
        step.restored + more.restored,
        more.kept + len(gathered.unknown),
    )
    return done, concerned
