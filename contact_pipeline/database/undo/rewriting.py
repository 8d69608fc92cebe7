"""Writing contacts as they were made again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
from psycopg.types.json import Jsonb

from contact_pipeline.contacts.fields import CONSENT_FIELDS
from contact_pipeline.database import contributions, writing
from contact_pipeline.database.batch_columns import FIRST
from contact_pipeline.database.contributions import KEY, UNDO, Contributions, Stored
from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.undo.gathering import (
    CONTACT_COLUMNS,
    VALUE_COLUMNS,
)
from contact_pipeline.database.undo.others import Others
from contact_pipeline.database.undo.replaying import Contact, Contribution


@dataclass(frozen=True)
class Undone:
    """What an undo did.

    Attributes:
        removed: contacts that only the import had rows of, and that are gone.
        restored: contacts that others have rows of too: they are what these give.
        kept: contacts that were left as they are, since what they would become is taken by another contact.
        finished: whether that is all; else the rest follows.
    """

    removed: int = 0
    restored: int = 0
    kept: int = 0
    finished: bool = True

    def __str__(self) -> str:
        """As a sentence's end."""
        kept = (
            f", {self.kept:,} left as they are, whose former e-mail or id another contact has now" if self.kept else ""
        )
        return f"{self.removed:,} contacts removed, {self.restored:,} restored{kept}"


def remove_contacts(connection: Connection, upload_id: str, keys: list[int]) -> set[int]:
    """Delete those contacts that this import alone made and changed."""
    rows = connection.execute(
        """DELETE FROM contacts WHERE key = ANY(%s) AND created_by_import = %s
             AND COALESCE(updated_by_import, created_by_import) = %s RETURNING key""",
        (keys, upload_id, upload_id),
    ).fetchall()
    return {row["key"] for row in rows}


def rewrite(connection: Connection, upload_id: str, keys: set[int], contacts: Sequence[Contact]) -> Undone:
    """Put contacts that were made again, without an import, in the place of those that had these keys."""
    if not keys:
        return Undone()
    for contact in contacts:
        if contact.key is None:
            contact.key = writing.next_key(connection)
    kept = {contact.key for contact in contacts}
    gone = [key for key in keys if key not in kept]
    listed = ", ".join(("key", *CONTACT_COLUMNS))
    # The row that made a contact, or what settled imports have left of it, is to be found again.
    connection.execute(
        f"""INSERT INTO contact_versions ({listed}, replaced_by_import, replaced_in_chunk)
            SELECT {listed}, %s, %s FROM contacts WHERE key = ANY(%s)""".encode(),
        (upload_id, UNDO, sorted(keys)),
    )
    connection.execute("DELETE FROM contacts WHERE key = ANY(%s)", (gone,))
    return Undone(len(gone), _put(connection, contacts))


def _put(connection: Connection, contacts: Sequence[Contact]) -> int:
    """Write contacts under their keys; returns how many are not what was there."""
    if not contacts:
        return 0
    history = ("created_by_import", "updated_by_import", "updated_by_upload_at", "updated_at")
    columns = ["key", "source", *VALUE_COLUMNS, *history]
    listed = ", ".join(columns)
    connection.execute(b"DROP TABLE IF EXISTS pg_temp.remade")
    connection.execute(
        f"CREATE TEMPORARY TABLE remade ON COMMIT DROP AS SELECT {listed} FROM contacts LIMIT 0".encode()
    )
    with connection.cursor() as cursor, cursor.copy(f"COPY remade ({listed}) FROM STDIN".encode()) as copy:
        for contact in contacts:
            values = [contact.values.get(name) for name in ("source", *VALUE_COLUMNS)]
            written = [Jsonb(value) if isinstance(value, dict) else value for value in values]
            told = (contact.created_by, contact.updated_by, contact.ordered_at, contact.updated_at)
            copy.write_row((contact.key, *written, *told))
    said = ("source", *(name for name in VALUE_COLUMNS if name not in ("row_hash", "record_hash")))
    differs = " OR ".join(
        f"c.{name} IS NOT TRUE AND c.{name} IS DISTINCT FROM r.{name}"
        if name in CONSENT_FIELDS
        else f"c.{name} IS DISTINCT FROM r.{name}"
        for name in said
    )
    row = connection.execute(
        f"""SELECT count(*) AS restored FROM remade r LEFT JOIN contacts c USING (key)
            WHERE c.key IS NULL OR {differs}""".encode()
    ).fetchone()
    assert row is not None
    # An e-mail or id may pass from one of them to another: no two may hold it on the way.
    connection.execute(
        b"""UPDATE contacts c SET email = NULL, contact_id = NULL FROM remade r
            WHERE c.key = r.key AND (c.email IS DISTINCT FROM r.email OR c.contact_id IS DISTINCT FROM r.contact_id)"""
    )
    # What somebody does not want stays, though the import that said so is undone.
    assignments = ", ".join(
        f"{name} = c.{name} IS TRUE OR r.{name}" if name in CONSENT_FIELDS else f"{name} = r.{name}"
        for name in columns[1:]
    )
    connection.execute(
        b"UPDATE remade SET updated_at = now() WHERE updated_by_import IS NOT NULL AND updated_at IS NULL"
    )
    connection.execute(
        f"""UPDATE contacts c SET {assignments}
            FROM remade r WHERE c.key = r.key""".encode()
    )
    connection.execute(
        f"""INSERT INTO contacts ({listed}) SELECT {listed} FROM remade r
            WHERE NOT EXISTS (SELECT FROM contacts c WHERE c.key = r.key)""".encode()
    )
    restored: int = row["restored"]
    return restored


def _move(connection: Connection, contacts: Sequence[Contact], others: Others) -> None:
    """Keep contributions with the contacts that they have come to, where these are split or joined."""
    homes = [(one, contact.key) for contact in contacts for one in contact.contributions]
    moved = [(one, key) for one, key in homes if one.key != key]
    if not moved:
        return
    left = {one.key for one, _ in moved}
    columns = ", ".join(("replaced_by_import", "replaced_in_chunk", *CONTACT_COLUMNS))
    images = [(one, key) for one, key in moved if one.is_image]
    known = _with_contributions(connection, {one.made_by.upload_id for one, _ in images})
    for one, key in images:
        if one.base_of is not None or one.made_by.upload_id not in known:
            # As a new version: among those of the contact that it comes to, it is none of its former states.
            connection.execute(
                f"""WITH moved AS (DELETE FROM contact_versions
                                   WHERE key = %s AND created_by_import = %s AND updated_by_import IS NULL
                                   RETURNING {columns})
                    INSERT INTO contact_versions (key, {columns}) SELECT %s, {columns} FROM moved""".encode(),
                (one.key, one.made_by.upload_id, key),
            )
    singly = [(one, key) for one, key in images if one.base_of is None and one.made_by.upload_id in known]
    kept_singly = {(one.key, one.made_by.upload_id) for one, _ in homes if one.made and one.key in left}
    for key, upload_id in kept_singly | {(one.key, one.made_by.upload_id) for one, _ in singly}:
        # Its rows are kept singly, and with other contacts: the row as it was in the table counts no more.
        connection.execute(
            """UPDATE contact_versions SET updated_by_import = created_by_import
               WHERE key = %s AND created_by_import = %s AND updated_by_import IS NULL""",
            (key, upload_id),
        )
    for one, key in singly:
        _enter(connection, one.made_by.upload_id, one.order[0], [(one, key)])
    # Whole, from here: what they were equal to may be another contact's now.
    standing = [(one, key) for one, key in homes if one.key in left and one.number is not None]
    for number in {one.number for one, _ in standing if one.number is not None}:
        row = connection.execute("SELECT * FROM contributions WHERE number = %s", (number,)).fetchone()
        assert row is not None
        mine = [(one, key) for one, key in standing if one.number == number]
        rest = Stored.of(row).without(left)
        contributions.replace(connection, rest)
        _enter(connection, row["upload_id"], row["chunk"], mine)
        others.forget(number)
    others.look(connection)


def _with_contributions(connection: Connection, upload_ids: set[str]) -> set[str]:
    """Those of the imports that are not from before contributions were kept."""
    rows = connection.execute(
        "SELECT DISTINCT upload_id FROM contributions WHERE upload_id = ANY(%s)", (list(upload_ids),)
    ).fetchall()
    return {row["upload_id"] for row in rows}


def _enter(connection: Connection, upload_id: str, chunk: int, rows: Sequence[tuple[Contribution, int | None]]) -> None:
    """Keep rows of a chunk with their values, each with the key of the contact that it is of."""
    whole = [
        {
            KEY: key,
            FIRST: one.order[1],
            "source": one.source,
            **one.values,
            **({"extra": json.dumps(one.values["extra"])} if "extra" in one.values else {}),
        }
        for one, key in rows
    ]
    frame = pl.DataFrame(whole, infer_schema_length=None)
    contributions.enter(connection, upload_id, chunk, Contributions(rows=[frame], without_ids=True))
