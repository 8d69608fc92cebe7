"""The contributions that some contacts are made of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import numpy as np
from psycopg.rows import DictRow

from contact_pipeline.contacts.resolution import MergePolicy
from contact_pipeline.database import contact_tables, contributions
from contact_pipeline.database.contributions import CONFIRMED, HASH, KEY, MADE, Stored
from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.records import ImportRecord, ImportState, select_all
from contact_pipeline.database.retention import BEFORE_SETTLED, SETTLED, Removed
from contact_pipeline.database.undo.others import Keys, Others
from contact_pipeline.database.undo.replaying import BEFORE_ALL, Contribution, Import

_OF_AN_IMPORT: Final = frozenset(
    {"created_by_import", "updated_by_import", "updated_by_upload_at", "created_at", "updated_at"}
)

CONTACT_COLUMNS: Final = [column.name for column in contact_tables.contacts.columns if column.name != "key"]

VALUE_COLUMNS: Final = [name for name in CONTACT_COLUMNS if name not in _OF_AN_IMPORT and name != "source"]


def keys_of(connection: Connection, query: str, parameters: Sequence[Any]) -> Keys:
    """The keys that a query gives."""
    return np.array([row["key"] for row in connection.execute(query.encode(), parameters).fetchall()], np.int64)


@dataclass
class Gathered:
    """All contributions to some contacts, and the stored chunks that they are from."""

    contributions: list[Contribution] = field(default_factory=list)
    unknown: set[int] = field(default_factory=set)
    """Contacts that an import from before contributions were kept has changed."""


def gather(connection: Connection, keys: Iterable[int], others: Others) -> Gathered:
    """Every contribution to these contacts, of imports that are undone too: others may refer to their rows."""
    wanted = np.array(sorted(keys), np.int64)
    if not len(wanted):
        return Gathered()
    bases = _bases(connection, wanted)
    images = [row for row in _images(connection, wanted) if (row["key"], row["created_by_import"]) not in bases]
    chunks = connection.execute(
        f"SELECT * FROM contributions c WHERE number = ANY(%s) AND NOT {SETTLED}".encode(), (others.numbers(wanted),)
    ).fetchall()
    imports = _imports(connection, {row["created_by_import"] for row in images} | {row["upload_id"] for row in chunks})
    # An import that was undone and imported again has rows of both lives; those of the first count no more.
    past = {upload_id: replace(one, stands=False) for upload_id, one in imports.items()}
    gathering = _Gathering(wanted.tolist())
    newest = _newest_settled(connection, bases, min((one.ordered_at for one in imports.values()), default=None))
    for row in bases.values():
        last = row["updated_by_import"] or row["created_by_import"]
        settled = Import(last, newest[row["key"]], MergePolicy.UPDATE, stands=True)
        gathering.add(_contribution_of(row, settled, BEFORE_ALL, base_of=row["created_by_import"]))
    ranges = _ranges(connection, {row["created_by_import"] for row in images})
    places = _places(connection, wanted, {row["created_by_import"] for row in images})
    for row in images:
        upload_id = row["created_by_import"]
        inserted = next((r for r in ranges.get(upload_id, ()) if r["first_key"] < row["key"] < r["last_key"]), None)
        made_by = (past if inserted and inserted["undone"] else imports)[upload_id]
        somewhere = (inserted["chunk"] if inserted else 0, -1)
        gathering.add(_contribution_of(row, made_by, places.get((upload_id, row["key"]), somewhere)))
    stored = [(Stored.of(row), (past if row["undone_at"] else imports)[row["upload_id"]]) for row in chunks]
    for one, made_by in stored:
        gathering.add_rows(one, made_by)
    for one, made_by in stored:
        gathering.add_confirmed(one, made_by)
    return gathering.whole(_changed_by_unknown(connection, wanted))


class _Gathering:
    """Contributions while they are gathered: first what says something itself, then what says it again."""

    def __init__(self, wanted: list[int]) -> None:
        self._wanted = wanted
        self._found = Gathered()
        self._by_hash: dict[tuple[int, int], Contribution] = {}
        self._made: set[tuple[int, str]] = set()

    def add(self, contribution: Contribution) -> None:
        self._found.contributions.append(contribution)
        for name in ("row_hash", "record_hash"):
            value = contribution.values.get(name)
            if value is not None:
                self._by_hash.setdefault((contribution.key, value), contribution)

    def add_rows(self, stored: Stored, made_by: Import) -> None:
        """The rows that a chunk has kept with their values."""
        for values in self._rows(stored, hashed=False):
            key, place, source = values.pop(KEY), values.pop("first", 0), values.pop("source")
            made = bool(values.pop(MADE, None))
            if made:
                self._made.add((key, stored.upload_id))
            kept = {name: value for name, value in values.items() if value is not None}
            if isinstance(kept.get("extra"), str):
                kept["extra"] = json.loads(kept["extra"])
            order = (stored.chunk, place)
            self.add(Contribution(key, made_by, order, source, kept, made=made, number=stored.number))

    def add_confirmed(self, stored: Stored, made_by: Import) -> None:
        """The rows that a chunk has kept as the hash of what was said before."""
        confirmed = stored.confirmed.filter(stored.confirmed[KEY].is_in(self._wanted))
        told = list(enumerate(zip(confirmed[KEY].to_list(), confirmed[HASH].to_list(), strict=True)))
        told += [(row["first"], (row[KEY], row[CONFIRMED])) for row in self._rows(stored, hashed=True)]
        for place, (key, hashed) in told:
            equal = self._by_hash.get((key, hashed))
            if equal is not None:
                order = (stored.chunk, place)
                self._found.contributions.append(
                    Contribution(key, made_by, order, equal.source, equal.values, number=stored.number)
                )
            elif made_by.stands:
                self._found.unknown.add(key)

    def whole(self, unknown: set[int]) -> Gathered:
        """All of it, without the contacts of which not all is known."""
        found = self._found
        # Those that are kept row by row need no image: that may be several rows in one.
        found.contributions = [
            one
            for one in found.contributions
            if not (one.is_image and one.base_of is None and (one.key, one.made_by.upload_id) in self._made)
        ]
        # Where nothing says what a contact was made of, it is not to go for that.
        found.unknown |= unknown | ({*self._wanted} - {one.key for one in found.contributions})
        found.contributions = [one for one in found.contributions if one.key not in found.unknown]
        return found

    def _rows(self, stored: Stored, *, hashed: bool) -> list[dict[str, Any]]:
        if stored.rows is None or (hashed and CONFIRMED not in stored.rows.columns):
            return []
        rows = stored.rows.filter(stored.rows[KEY].is_in(self._wanted))
        if CONFIRMED not in rows.columns:
            return rows.to_dicts()
        which = rows[CONFIRMED].is_not_null()
        return rows.filter(which if hashed else ~which).drop([] if hashed else [CONFIRMED]).to_dicts()


def _imports(connection: Connection, upload_ids: set[str]) -> dict[str, Import]:
    return {
        record.upload_id: Import(
            record.upload_id,
            record.ordered_at,
            MergePolicy(record.options.get("on_existing", MergePolicy.UPDATE)),
            record.state not in (ImportState.UNDONE, ImportState.UNDOING),
            record.options.get("consent") == "may_opt_in",
        )
        for record in select_all(
            connection, ImportRecord, "SELECT * FROM imports WHERE upload_id = ANY(%s)", list(upload_ids)
        )
    }


def _contribution_of(row: DictRow, made_by: Import, order: tuple[int, int], base_of: str | None = None) -> Contribution:
    values = {name: row[name] for name in VALUE_COLUMNS if row[name] is not None}
    return Contribution(
        row["key"],
        made_by,
        order,
        row["source"],
        values,
        is_image=row["updated_by_import"] is None,
        base_of=base_of,
        updated_at=row["updated_at"] or row["created_at"],
    )


def _images(connection: Connection, keys: Keys) -> list[DictRow]:
    """Contacts as the imports have made them that had them first."""
    columns = ", ".join(CONTACT_COLUMNS)
    return connection.execute(
        f"""SELECT DISTINCT ON (key, created_by_import) * FROM (
                SELECT key, 1 AS later, 0::bigint AS version, {columns} FROM contacts
                WHERE key = ANY(%(keys)s) AND updated_by_import IS NULL
                UNION ALL
                SELECT key, 0, version, {columns} FROM contact_versions
                WHERE key = ANY(%(keys)s) AND updated_by_import IS NULL) images
            ORDER BY key, created_by_import, later, version""".encode(),
        {"keys": keys.tolist()},
    ).fetchall()


def _bases(connection: Connection, keys: Keys) -> dict[tuple[int, str], DictRow]:
    """Contacts as settled imports have left them, by key and the import that made them."""
    columns = ", ".join(CONTACT_COLUMNS)
    rows = connection.execute(
        f"""SELECT first.* FROM (
                SELECT DISTINCT ON (key) * FROM (
                    SELECT key, 0 AS later, version, {columns} FROM contact_versions v
                    WHERE key = ANY(%(keys)s) AND NOT {BEFORE_SETTLED}
                    UNION ALL
                    SELECT key, 1, 0, {columns} FROM contacts WHERE key = ANY(%(keys)s)) states
                ORDER BY key, later, version) first
            JOIN removals r ON r.upload_id = COALESCE(updated_by_import, created_by_import)
            WHERE r.what = '{Removed.HISTORY}' AND r.removed_at > COALESCE(updated_at, created_at)""".encode(),
        {"keys": keys.tolist()},
    ).fetchall()
    return {(row["key"], row["created_by_import"]): row for row in rows}


def _newest_settled(
    connection: Connection, bases: Mapping[tuple[int, str], DictRow], oldest: datetime | None
) -> dict[int, datetime]:
    """The place of the newest settled upload that has written, or confirmed, each contact.

    Args:
        oldest: the place of the oldest import that is not settled: what is older makes no difference.
    """
    newest = {row["key"]: row["updated_by_upload_at"] for row in bases.values()}
    if not newest or oldest is None:
        return newest
    keys = np.array(sorted(newest), np.int64)
    rows = connection.execute(
        f"""SELECT i.ordered_at, c.keys, c.rows FROM contributions c JOIN imports i USING (upload_id)
            WHERE i.ordered_at > %s AND c.undone_at IS NULL AND i.state <> 'undone' AND {SETTLED}
              AND (c.keys IS NOT NULL OR c.rows IS NOT NULL)""".encode(),
        (oldest,),
    )
    for row in rows:
        for key in keys[np.isin(keys, contributions.touched_keys(row))].tolist():
            newest[key] = max(newest[key], row["ordered_at"])
    return newest


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


def _places(connection: Connection, keys: Keys, upload_ids: set[str]) -> dict[tuple[str, int], tuple[int, int]]:
    """Chunk and place within it of the rows that made contacts, by import and key, where they are kept."""
    rows = connection.execute(
        """SELECT upload_id, chunk, places FROM contributions
           WHERE upload_id = ANY(%s) AND places IS NOT NULL AND first_key < %s AND last_key > %s""",
        (list(upload_ids), int(keys[-1]), int(keys[0])),
    ).fetchall()
    return {
        (row["upload_id"], key): (row["chunk"], place)
        for row in rows
        if (frame := contributions.unpacked_rows(row["places"])) is not None
        for key, place in frame.filter(frame[KEY].is_in(keys.tolist())).rows()
    }


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
