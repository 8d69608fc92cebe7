"""Making some contacts again, without an import that had rows of them, from the contributions of those that stand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import polars as pl
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from contact_pipeline.contacts.fields import CONSENT_FIELDS
from contact_pipeline.database import contributions, matching, tables, writing
from contact_pipeline.database.contributions import HASH, KEY, UNDO, Stored
from contact_pipeline.database.postgres import Connection, DatabaseFailed, scrubbed
from contact_pipeline.database.tables import IDENTITY_INDEXES
from contact_pipeline.database.undo import replaying
from contact_pipeline.database.undo.replaying import Contact, Contribution, Import, Values

_OF_AN_IMPORT: Final = frozenset(
    {"created_by_import", "updated_by_import", "updated_by_upload_at", "created_at", "updated_at"}
)
_COLUMNS: Final = [column.name for column in tables.contacts.columns if column.name != "key"]
_VALUES: Final = [name for name in _COLUMNS if name not in _OF_AN_IMPORT and name != "source"]
_MAX_TOGETHER: Final = 20_000
"""Contacts that are matched with each other anew. Where more share an inbox or a name, each is made by itself."""

Keys = np.ndarray[Any, np.dtype[np.int64]]


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


def keys_of(connection: Connection, query: str, parameters: Sequence[Any]) -> Keys:
    """The keys that a query gives."""
    return np.array([row["key"] for row in connection.execute(query.encode(), parameters).fetchall()], np.int64)


class Others:
    """Which chunks of other imports have rows of which contacts."""

    def __init__(self, upload_id: str) -> None:
        self._upload_id = upload_id
        self._seen = 0
        self._touched: dict[int, Keys] = {}

    def look(self, connection: Connection) -> None:
        """Look what has been committed since the last time."""
        while True:
            found = connection.execute(
                """SELECT number, keys, rows FROM contributions
                   WHERE number > %s AND chunk <> %s AND (keys IS NOT NULL OR rows IS NOT NULL)
                   ORDER BY number LIMIT 100""",
                (self._seen, UNDO),
            ).fetchall()
            if not found:
                return
            for row in found:
                self._touched[row["number"]] = np.unique(contributions.touched_keys(row))
            self._seen = found[-1]["number"]

    def forget(self, number: int) -> None:
        """The contributions of a chunk are other ones now."""
        self._touched.pop(number, None)
        self._seen = min(self._seen, number - 1)

    def numbers(self, keys: Keys) -> list[int]:
        """The chunks that have rows of any of these contacts."""
        return [number for number, touched in self._touched.items() if np.isin(keys, touched, assume_unique=True).any()]

    def touch(self, keys: Keys, but: int) -> Keys:
        """Those of these contacts that a chunk other than one has rows of."""
        found = np.zeros(len(keys), bool)
        for number, touched in self._touched.items():
            if number != but:
                found |= np.isin(keys, touched, assume_unique=True)
        return keys[found]


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
    if matching.holds_any_without_id(connection):
        together, gathered = _together(connection, keys, others)
        try:
            with connection.transaction(), scrubbed():
                contacts = replaying.matched_anew(gathered.contributions)
                more = _write(connection, together, contacts)
                _move(connection, contacts, others)
            concerned |= together | {contact.key for contact in contacts if contact.key is not None}
        except DatabaseFailed as error:
            if error.constraint not in IDENTITY_INDEXES:
                raise
            more = Undone(kept=len(together & set(keys.tolist())))
    # Whoever is left is told by their contact ids alone, and meets nobody else.
    apart = [key for key in keys.tolist() if key not in together]
    removed = _remove(connection, upload_id, [key for key in apart if key not in touched])
    rest = set(apart) - removed
    gathered = _gather(connection, rest, others)
    step = _write(connection, rest - gathered.unknown, replaying.one_by_one(gathered.contributions))
    done = Undone(
        step.removed + len(removed) + more.removed,
        step.restored + more.restored,
        more.kept + len(gathered.unknown),
    )
    return done, concerned


def _remove(connection: Connection, upload_id: str, keys: list[int]) -> set[int]:
    """Delete those contacts that this import alone made and changed."""
    rows = connection.execute(
        """DELETE FROM contacts WHERE key = ANY(%s) AND created_by_import = %s
             AND COALESCE(updated_by_import, created_by_import) = %s RETURNING key""",
        (keys, upload_id, upload_id),
    ).fetchall()
    return {row["key"] for row in rows}


@dataclass
class _Gathered:
    """All contributions to some contacts, and the stored chunks that they are from."""

    contributions: list[Contribution] = field(default_factory=list)
    unknown: set[int] = field(default_factory=set)
    """Contacts that an import from before contributions were kept has changed."""


def _gather(connection: Connection, keys: Iterable[int], others: Others) -> _Gathered:
    """Every contribution to these contacts, of imports that are undone too: others may refer to their rows."""
    wanted = np.array(sorted(keys), np.int64)
    found = _Gathered()
    if not len(wanted):
        return found
    imports: dict[str, Import] = {}
    images = connection.execute(
        f"""SELECT DISTINCT ON (key, created_by_import) * FROM (
                SELECT key, 1 AS later, 0::bigint AS version, {", ".join(_COLUMNS)} FROM contacts
                WHERE key = ANY(%(keys)s) AND updated_by_import IS NULL
                UNION ALL
                SELECT key, 0, version, {", ".join(_COLUMNS)} FROM contact_versions
                WHERE key = ANY(%(keys)s) AND updated_by_import IS NULL) images
            ORDER BY key, created_by_import, later, version""".encode(),
        {"keys": wanted.tolist()},
    ).fetchall()
    numbers = others.numbers(wanted)
    chunks = connection.execute("SELECT * FROM contributions WHERE number = ANY(%s)", (numbers,)).fetchall()
    names = {row["created_by_import"] for row in images} | {row["upload_id"] for row in chunks}
    for record in connection.execute(
        "SELECT upload_id, ordered_at, options, state FROM imports WHERE upload_id = ANY(%s)", (list(names),)
    ).fetchall():
        imports[record["upload_id"]] = Import(
            record["upload_id"],
            record["ordered_at"],
            record["options"].get("on_existing", "update"),
            record["state"] not in ("undone", "undoing"),
            record["options"].get("consent") == "may_opt_in",
        )
    by_hash: dict[tuple[int, int], Contribution] = {}

    def add(contribution: Contribution) -> None:
        found.contributions.append(contribution)
        for name in ("row_hash", "record_hash"):
            value = contribution.values.get(name)
            if value is not None:
                by_hash.setdefault((contribution.key, value), contribution)

    ranges = _ranges(connection, {row["created_by_import"] for row in images})
    # An import that was undone and imported again has rows of both lives; those of the first count no more.
    past = {upload_id: replace(one, stands=False) for upload_id, one in imports.items()}
    for row in images:
        upload_id = row["created_by_import"]
        inserted = next((r for r in ranges.get(upload_id, ()) if r["first_key"] < row["key"] < r["last_key"]), None)
        made_by = (past if inserted and inserted["undone"] else imports)[upload_id]
        chunk = inserted["chunk"] if inserted else 0
        values = {name: row[name] for name in _VALUES if row[name] is not None}
        add(Contribution(row["key"], made_by, (chunk, -1), row["source"], values, is_image=True))
    stored = [Stored.of(chunk) for chunk in chunks]
    made_by_of = {row["number"]: (past if row["undone_at"] else imports)[row["upload_id"]] for row in chunks}
    whole: set[tuple[int, str]] = set()
    for one in stored:
        if one.rows is None:
            continue
        for values in one.rows.filter(one.rows[KEY].is_in(wanted.tolist())).to_dicts():
            key, place, source = values.pop(KEY), values.pop("first", 0), values.pop("source")
            made = bool(values.pop("made", None))
            if made:
                whole.add((key, one.upload_id))
            kept = {name: value for name, value in values.items() if value is not None}
            if isinstance(kept.get("extra"), str):
                kept["extra"] = json.loads(kept["extra"])
            add(
                Contribution(
                    key, made_by_of[one.number], (one.chunk, place), source, kept, made=made, number=one.number
                )
            )
    # Those that are kept row by row need no image: that may be several rows in one.
    found.contributions = [
        one for one in found.contributions if not (one.is_image and (one.key, one.made_by.upload_id) in whole)
    ]
    for one in stored:
        confirmed = one.confirmed.filter(one.confirmed[KEY].is_in(wanted.tolist()))
        for place, (key, value) in enumerate(zip(confirmed[KEY].to_list(), confirmed[HASH].to_list(), strict=True)):
            equal = by_hash.get((key, value))
            if equal is not None:
                found.contributions.append(
                    Contribution(
                        key, made_by_of[one.number], (one.chunk, place), equal.source, equal.values, number=one.number
                    )
                )
            elif made_by_of[one.number].stands:
                found.unknown.add(key)
    found.unknown |= _changed_by_unknown(connection, wanted)
    found.contributions = [one for one in found.contributions if one.key not in found.unknown]
    return found


def _ranges(connection: Connection, upload_ids: set[str]) -> dict[str, list[DictRow]]:
    """Where the keys lie that the chunks of imports have inserted, and whether these are undone."""
    rows = connection.execute(
        """SELECT upload_id, first_key, last_key, chunk, undone_at IS NOT NULL AS undone FROM contributions
           WHERE upload_id = ANY(%s) AND first_key IS NOT NULL ORDER BY chunk""",
        (list(upload_ids),),
    ).fetchall()
    found: dict[str, list[DictRow]] = {}
    for row in rows:
        found.setdefault(row["upload_id"], []).append(row)
    return found


def _changed_by_unknown(connection: Connection, keys: Keys) -> set[int]:
    """Contacts that an import has changed of which no contribution is kept: it is older than these are."""
    rows = connection.execute(
        """SELECT DISTINCT key FROM (
               SELECT key, updated_by_import AS import FROM contacts WHERE key = ANY(%(keys)s)
               UNION ALL
               SELECT key, updated_by_import FROM contact_versions WHERE key = ANY(%(keys)s)) changed
           WHERE import IS NOT NULL AND NOT EXISTS (SELECT FROM contributions c WHERE c.upload_id = import)""",
        {"keys": keys.tolist()},
    ).fetchall()
    return {row["key"] for row in rows}


def _together(connection: Connection, keys: Keys, others: Others) -> tuple[set[int], _Gathered]:
    """The contacts that are to be matched with each other anew, and all contributions to them.

    They are those among these, and those that share an identity with them, that are not told apart by their contact
    ids alone, and all that share an identity with those.
    """
    gathered = _gather(connection, keys.tolist(), others)
    mixed = {one.key for one in gathered.contributions if one.values.get("contact_id") is None}
    by_key: dict[int, set[tuple[str, Any]]] = {}
    for one in gathered.contributions:
        by_key.setdefault(one.key, set()).add((one.source, one.values.get("contact_id")))
    mixed |= {key for key, ids in by_key.items() if len(ids) > 1}
    current = _identities(connection, keys.tolist())
    seeds = mixed | _sharing(
        connection, [*current, *(one.values for one in gathered.contributions)], only_without_id=True
    )
    together: set[int] = set()
    new = seeds
    while new and len(together | new) <= _MAX_TOGETHER:
        together |= new
        found = _gather(connection, new, others)
        rows = [*_identities(connection, list(new)), *(one.values for one in found.contributions)]
        new = _sharing(connection, rows, only_without_id=False) - together
    if new:
        together = set()
    if together:
        locked = keys_of(
            connection, "SELECT key FROM contacts WHERE key = ANY(%s) ORDER BY key FOR UPDATE", (sorted(together),)
        )
        together = set(locked.tolist())
    whole = _gather(connection, together, others)
    return together - whole.unknown, whole


def _identities(connection: Connection, keys: list[int]) -> list[DictRow]:
    return connection.execute(
        "SELECT contact_id, email, linkedin_slug, name_company FROM contacts WHERE key = ANY(%s)", (keys,)
    ).fetchall()


def _sharing(connection: Connection, rows: Sequence[Values | DictRow], *, only_without_id: bool) -> set[int]:
    """Contacts that share an e-mail, LinkedIn slug or name with any of the rows."""
    wanted = replaying.shared_identities(rows)
    condition = "contact_id IS NULL AND" if only_without_id else ""
    found: set[int] = set()
    for name, values in wanted.items():
        if values:
            found |= set(
                keys_of(
                    connection,
                    f"SELECT key FROM contacts WHERE {condition} {name} = ANY(%s) LIMIT {_MAX_TOGETHER + 1}",
                    (values,),
                ).tolist()
            )
    return found


def _write(connection: Connection, keys: set[int], contacts: Sequence[Contact]) -> Undone:
    """Put contacts that were made again in the place of those that had these keys."""
    if not keys:
        return Undone()
    for contact in contacts:
        if contact.key is None:
            contact.key = writing.next_key(connection)
    kept = {contact.key for contact in contacts}
    gone = [key for key in keys if key not in kept]
    listed = ", ".join(("key", *_COLUMNS))
    # The row that made a contact is to be found again when that is gone, or another: others may say the same.
    connection.execute(
        f"""INSERT INTO contact_versions ({listed}, replaced_by_import, replaced_in_chunk)
            SELECT {listed}, created_by_import, %s FROM contacts c
            WHERE key = ANY(%s) AND updated_by_import IS NULL
              AND NOT EXISTS (SELECT FROM contact_versions v
                              WHERE v.key = c.key AND v.created_by_import = c.created_by_import
                                AND v.updated_by_import IS NULL)""".encode(),
        (UNDO, sorted(keys)),
    )
    connection.execute("DELETE FROM contacts WHERE key = ANY(%s)", (gone,))
    return Undone(len(gone), _put(connection, contacts))


def _put(connection: Connection, contacts: Sequence[Contact]) -> int:
    """Write contacts under their keys; returns how many are not what was there."""
    if not contacts:
        return 0
    columns = ["key", "source", *_VALUES, "created_by_import", "updated_by_import", "updated_by_upload_at"]
    listed = ", ".join(columns)
    connection.execute(b"DROP TABLE IF EXISTS pg_temp.remade")
    connection.execute(
        f"CREATE TEMPORARY TABLE remade ON COMMIT DROP AS SELECT {listed} FROM contacts LIMIT 0".encode()
    )
    with connection.cursor() as cursor, cursor.copy(f"COPY remade ({listed}) FROM STDIN".encode()) as copy:
        for contact in contacts:
            values = [contact.values.get(name) for name in ("source", *_VALUES)]
            written = [Jsonb(value) if isinstance(value, dict) else value for value in values]
            copy.write_row((contact.key, *written, contact.created_by, contact.updated_by, contact.ordered_at))
    said = ("source", *(name for name in _VALUES if name not in ("row_hash", "record_hash")))
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
        f"""UPDATE contacts c SET {assignments},
                   updated_at = CASE WHEN r.updated_by_import IS NOT NULL THEN now() END
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
    for one, key in moved:
        if one.is_image:
            connection.execute(
                """UPDATE contact_versions SET key = %s
                   WHERE key = %s AND created_by_import = %s AND updated_by_import IS NULL""",
                (key, one.key, one.made_by.upload_id),
            )
    for key, upload_id in {(one.key, one.made_by.upload_id) for one, _ in homes if one.made and one.key in left}:
        # Its rows are kept singly, and with other contacts: the row as it was in the table counts no more.
        connection.execute(
            """UPDATE contact_versions SET updated_by_import = created_by_import
               WHERE key = %s AND created_by_import = %s AND updated_by_import IS NULL""",
            (key, upload_id),
        )
    # Whole, from here: what they were equal to may be another contact's now.
    standing = [(one, key) for one, key in homes if one.key in left and one.number is not None]
    for number in {one.number for one, _ in standing if one.number is not None}:
        row = connection.execute("SELECT * FROM contributions WHERE number = %s", (number,)).fetchone()
        assert row is not None
        mine = [(one, key) for one, key in standing if one.number == number]
        rest = Stored.of(row).without(left)
        contributions.replace(connection, rest)
        whole = [
            {
                KEY: key,
                "first": one.order[1],
                "source": one.source,
                **one.values,
                **({"extra": json.dumps(one.values["extra"])} if "extra" in one.values else {}),
            }
            for one, key in mine
        ]
        contributions.enter(
            connection,
            row["upload_id"],
            row["chunk"],
            contributions.Contributions(rows=[pl.DataFrame(whole, infer_schema_length=None)], without_ids=True),
        )
        others.forget(number)
    others.look(connection)
