"""Finding the contacts that a chunk's rows may be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import numpy as np
import polars as pl
from psycopg.rows import tuple_row

from contact_pipeline.contacts.identity import LINKEDIN_SLUG, NAME_COMPANY, Identity, as_rows, has_only_name
from contact_pipeline.contacts.resolution import ContactCandidate, Effect, MergePolicy
from contact_pipeline.contacts.same_names import name_of
from contact_pipeline.database import dry_run
from contact_pipeline.database.postgres import Connection

_COLUMNS: Final = """key, xmin::text::bigint, source, contact_id, email, linkedin_slug, name_company,
                     row_hash, record_hash, updated_by_upload_at > %(uploaded_at)s, created_by_import = %(upload_id)s,
                     created_by_import = %(upload_id)s OR COALESCE(updated_by_import = %(upload_id)s, false),
                     first_name, last_name"""
ONLY_NAME: Final = "contact_id IS NULL AND email IS NULL AND linkedin_slug IS NULL"
"""SQL: a contact is known by its name and company, and by nothing else."""

_WITHOUT_ID: Final = {
    "email": "contact_id IS NULL",
    LINKEDIN_SLUG: "contact_id IS NULL",
    NAME_COMPANY: ONLY_NAME,
}
"""SQL, by rung: contacts without ids that rows which have ids meet there. Each has its index."""


@dataclass(frozen=True, slots=True)
class StoredContact:
    """A contact as the database has it.

    Attributes:
        version: the row version that was seen; another one means that somebody changed it meanwhile.
        row_hash, record_hash: hashes of the row that was applied last, and of its record.
        written: whether this import wrote it before.
        name: its first and last name, in lower case.
    """

    version: int
    row_hash: int | None
    record_hash: int | None
    written: bool
    name: tuple[str, str] | None = None


@dataclass(frozen=True)
class Lookup:
    """What a lookup of contacts is for.

    Attributes:
        source: the system whose contact ids the file carries.
        upload_id, uploaded_at: the upload that is imported, and its place among all uploads.
        on_existing: what a row does to a contact that was there before this import.
        is_dry_run: `contacts` is a temporary table that real contacts are copied into when a row meets them.
        newer: keys, in order, of contacts that a newer upload has confirmed.
    """

    source: str
    upload_id: str
    uploaded_at: datetime
    on_existing: MergePolicy = MergePolicy.UPDATE
    is_dry_run: bool = False
    newer: np.ndarray[Any, np.dtype[np.int64]] = field(default_factory=lambda: np.empty(0, np.int64))

    def has_newer(self, key: int) -> bool:
        """Whether a newer upload has confirmed a contact."""
        at = int(np.searchsorted(self.newer, key))
        return at < len(self.newer) and bool(self.newer[at] == key)

    def effect(self, *, newer: bool, created_here: bool) -> Effect:
        """What a row does to a contact, given whether a newer upload wrote it last and whether this import made it."""
        if not created_here and self.on_existing is MergePolicy.SKIP:
            return Effect.NONE
        if newer or (not created_here and self.on_existing is MergePolicy.FILL_BLANKS):
            return Effect.FILL_BLANKS
        return Effect.OVERWRITE


@dataclass(frozen=True)
class Candidates:
    """Contacts that share an identity with a row of the chunk, by key."""

    people: dict[int, ContactCandidate]
    known: dict[int, StoredContact]

    def identifying(self) -> pl.DataFrame:
        """What identifies them, in the columns of rows."""
        return as_rows([person.identity for person in self.people.values()])


def find_candidates(connection: Connection, rows: Iterable[Identity], lookup: Lookup) -> Candidates:
    """Look up every contact that any of the rows could be.

    Rows with a contact id can meet, below the first rung, only contacts without
    one: where there are none of those, three lookups are saved.
    """
    with_id = [row for row in rows if row.contact_id is not None]
    without_id = [row for row in rows if row.contact_id is None]
    found = Candidates({}, {})
    parameters: dict[str, Any] = {
        "upload_id": lookup.upload_id,
        "uploaded_at": lookup.uploaded_at,
        "source": lookup.source,
    }

    def look(condition: str, values: Iterable[str | None]) -> None:
        wanted = sorted({value for value in values if value is not None})
        if not wanted:
            return
        with connection.cursor(row_factory=tuple_row) as cursor:
            if lookup.is_dry_run:
                dry_run.copy_in(connection, condition, {**parameters, "wanted": wanted})
            cursor.execute(
                f"SELECT {_COLUMNS} FROM contacts WHERE {condition}".encode(), {**parameters, "wanted": wanted}
            )
            for (
                key, version, owner, contact_id, email, slug, name, row_hash, record_hash, newer, created_here, written,
                *names,
            ) in cursor:  # fmt: skip
                effect = lookup.effect(newer=newer or lookup.has_newer(key), created_here=created_here)
                found.people[key] = ContactCandidate(Identity(contact_id, email, slug, name), key, owner, effect)
                found.known[key] = StoredContact(version, row_hash, record_hash, written, name_of(*names))

    look("source = %(source)s AND contact_id = ANY(%(wanted)s)", (row.contact_id for row in with_id))
    if with_id and any_without_id(connection, lookup):
        for name, without_id_there in _WITHOUT_ID.items():
            look(f"{without_id_there} AND {name} = ANY(%(wanted)s)", [getattr(row, name) for row in with_id])
    look("email = ANY(%(wanted)s)", (row.email for row in without_id))
    look("linkedin_slug = ANY(%(wanted)s)", (row.linkedin_slug for row in without_id))
    look("name_company = ANY(%(wanted)s)", (row.name_company for row in without_id if row.only_name))
    look(
        f"{ONLY_NAME} AND name_company = ANY(%(wanted)s)",
        (row.name_company for row in without_id if not row.only_name),
    )
    return found


def any_without_id(connection: Connection, lookup: Lookup) -> bool:
    """Whether the table has any contact without a contact id: asked of the partial indexes, which hold only those."""
    return any(holds_any_without_id(connection, table) for table in _tables(lookup))


def _tables(lookup: Lookup) -> tuple[str, ...]:
    return ("contacts", dry_run.REAL_CONTACTS) if lookup.is_dry_run else ("contacts",)


def holds_any_without_id(connection: Connection, table: str = "contacts") -> bool:
    """Whether a table of contacts has any without a contact id that could be met by what else is known of it."""
    row = connection.execute(
        f"""SELECT EXISTS (SELECT FROM {table} WHERE contact_id IS NULL AND email IS NOT NULL)
                OR EXISTS (SELECT FROM {table} WHERE contact_id IS NULL AND linkedin_slug IS NOT NULL)
                OR EXISTS (SELECT FROM {table} WHERE {ONLY_NAME}) AS any"""
    ).fetchone()
    return bool(row and row["any"])


# No cleaned value holds this character, and one text is faster made and read than an array of thousands.
_BETWEEN: Final = "\x01"


def _any_of(parameter: str) -> str:
    """SQL: any of the values of a parameter that `_joined` made."""
    return f"ANY(string_to_array(%({parameter})s, E'\\x01'))"


_BY_IDS: Final = f"source = %(source)s AND contact_id = {_any_of('wanted')}"


def _joined(values: pl.Series) -> str:
    return _BETWEEN.join(values.drop_nulls().unique().sort().to_list())


def meet_any_without_id(connection: Connection, rows: pl.DataFrame, lookup: Lookup) -> pl.Series:
    """Which rows that have ids share an e-mail, LinkedIn slug or name with a contact that has none.

    Returns:
        A mask of the rows.
    """
    shared = [
        pl.col(name).is_in(shared_without_id(connection, name, rows[name], lookup).implode()).fill_null(False)
        for name in _WITHOUT_ID
    ]
    return rows.select(pl.any_horizontal(shared)).to_series()


_FEW: Final = 1_000


def shared_without_id(connection: Connection, name: str, values: pl.Series, lookup: Lookup) -> pl.Series:
    """Those of the values of a rung (`email`, `linkedin_slug`, `name_company`) that a contact without an id has."""
    found: list[str] = []
    for table in _tables(lookup):
        of_these = f"SELECT {name} AS value FROM {table} WHERE {_WITHOUT_ID[name]} AND {name}"
        # Mostly there are none or few: read all, they are faster compared here than thousands of values looked up.
        rows = connection.execute(f"{of_these} IS NOT NULL LIMIT {_FEW + 1}".encode()).fetchall()
        if len(rows) > _FEW:
            rows = connection.execute(
                f"{of_these} = {_any_of('wanted')}".encode(), {"wanted": _joined(values)}
            ).fetchall()
        found += [row["value"] for row in rows]
    return pl.Series(found, dtype=pl.String())


def keys_met_without_id(
    connection: Connection, rows: pl.DataFrame, lookup: Lookup
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Keys of the contacts, among those that have ids, that rows without could be."""
    # A contact that has an id is met by its name only where nothing else is known of the row.
    parameters = {name: _joined(rows[name]) for name in ("email", LINKEDIN_SLUG)}
    parameters[NAME_COMPANY] = _joined(rows.filter(has_only_name())[NAME_COMPANY])
    found: list[int] = []
    for table in _tables(lookup):
        query = " UNION ALL ".join(f"SELECT key FROM {table} WHERE {name} = {_any_of(name)}" for name in parameters)
        found += [row["key"] for row in connection.execute(query.encode(), parameters).fetchall()]
    return np.array(found, np.int64)


def find_by_ids(connection: Connection, ids: pl.Series, lookup: Lookup) -> pl.DataFrame:
    """Look up the contacts of a source that have these ids.

    Returns:
        `contact_id`, `key`, `version`, `known_hash`, `known_record`, `fill` (a row only fills blanks), `leave` (a row
        does nothing), `written` (by this import, before), `known_first` and `known_last`: its names.
    """
    found = _look_up(connection, ids, lookup, tuple(_FOUND))
    if len(lookup.newer):
        confirmed = np.isin(found["key"].to_numpy(), lookup.newer)
        found = found.with_columns(pl.col("newer") | pl.Series(confirmed))
    cases = [(newer, created_here) for newer in (False, True) for created_here in (False, True)]
    effects = [lookup.effect(newer=newer, created_here=created_here) for newer, created_here in cases]
    told = pl.DataFrame(
        {
            "newer": [newer for newer, _ in cases],
            "created_here": [created_here for _, created_here in cases],
            "fill": [effect is Effect.FILL_BLANKS for effect in effects],
            "leave": [effect is Effect.NONE for effect in effects],
        }
    )
    return found.join(told, on=["newer", "created_here"]).drop("newer", "created_here")


def find_records(connection: Connection, ids: pl.Series, lookup: Lookup) -> pl.DataFrame:
    """Look up what contacts of a source that have these ids were written from.

    Returns:
        `contact_id`, `key`, `known_record`, `written`, as in `find_by_ids`, and `known_email`.
    """
    return _look_up(connection, ids, lookup, ("contact_id", "key", "known_record", "written", "known_email"))


_CREATED_HERE: Final = "created_by_import = %(upload_id)s"
_FOUND: Final[Mapping[str, tuple[str, pl.DataType]]] = {
    "contact_id": ("contact_id", pl.String()),
    "key": ("key", pl.Int64()),
    "version": ("xmin::text::bigint", pl.Int64()),
    "known_hash": ("row_hash", pl.Int64()),
    "known_record": ("record_hash", pl.Int64()),
    "newer": ("COALESCE(updated_by_upload_at > %(uploaded_at)s, false)", pl.Boolean()),
    "created_here": (_CREATED_HERE, pl.Boolean()),
    "known_email": ("email", pl.String()),
    "known_first": ("first_name", pl.String()),
    "known_last": ("last_name", pl.String()),
    "written": (f"{_CREATED_HERE} OR COALESCE(updated_by_import = %(upload_id)s, false)", pl.Boolean()),
}


def _look_up(connection: Connection, ids: pl.Series, lookup: Lookup, asked: Sequence[str]) -> pl.DataFrame:
    parameters = {
        "upload_id": lookup.upload_id,
        "uploaded_at": lookup.uploaded_at,
        "source": lookup.source,
        "wanted": _joined(ids),
    }
    if lookup.is_dry_run:
        dry_run.copy_in(connection, _BY_IDS, parameters)
    arrays = ", ".join(f"array_agg({_FOUND[name][0]})" for name in asked)
    with connection.cursor(row_factory=tuple_row, binary=True) as cursor:
        cursor.execute(f"SELECT {arrays} FROM contacts WHERE {_BY_IDS}".encode(), parameters)
        row = cursor.fetchone()
    assert row is not None
    return pl.DataFrame(
        [pl.Series(name, values or [], _FOUND[name][1]) for name, values in zip(asked, row, strict=True)]
    )
