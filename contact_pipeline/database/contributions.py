"""What each chunk contributed to which contacts, and in which order chunks were committed.

A row of the file that is a contact's contributes its values. Those of a row that
made its contact are in `contacts`, or in the first of the contact's former
versions. Those of any other row are kept here: whole where nothing else holds
them, else as a hash of the row that said the same before. So contacts can be made
again from the imports that still stand (`undoing`), and an older upload that
comes late knows what a newer one has confirmed.

Chunks of different imports are matched side by side, without a lock, and checked
when they are committed, one at a time: a chunk whose matches another commit has
made wrong is matched again.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow
from psycopg.rows import DictRow

from contact_pipeline.contacts.identity import LINKEDIN_SLUG, NAME_COMPANY, has_only_name
from contact_pipeline.database.events import ADVISORY_CLASS
from contact_pipeline.database.matching import ONLY_NAME
from contact_pipeline.database.postgres import Connection

KEY: Final = "key"
HASH: Final = "hash"
CONFIRMED: Final = "confirmed"
"""The hash of a row that is kept with its place, and without values: it says what was said before."""

MADE: Final = "made"
"""Whether a row made its contact."""

UNDO: Final = -1
"""The chunk number of an undo: it is committed in the order of the chunks too."""

_COMMITS: Final = 2
_CODEC: Final = "zstd"
_NO_KEYS: Final = np.empty(0, np.int64)


@dataclass
class Contributions:
    """What a chunk contributes, gathered while it is loaded.

    Attributes:
        confirmed: frames of `key` and `hash`: contacts that have been written from an equal row before, and its hash.
        rows: frames of `key`, `first` (place in the chunk), `source` and columns of contacts: rows of known contacts
            that are not equal to that; with `made` true, rows that made their contact; with `confirmed`, a hash, rows
            that are equal to one before, whose place counts.
        places: frames of `key` and `first`: contacts that hold the row that made them, whose place counts.
        not_locked: keys of known contacts that rows do nothing to: another import may change them meanwhile.
        first_key, last_key: keys of the contacts that it inserted lie between them.
        without_ids: whether it wrote contacts by rows that have no contact id.
    """

    confirmed: list[pl.DataFrame] = field(default_factory=list)
    rows: list[pl.DataFrame] = field(default_factory=list)
    places: list[pl.DataFrame] = field(default_factory=list)
    not_locked: list[pl.Series] = field(default_factory=list)
    first_key: int | None = None
    last_key: int | None = None
    without_ids: bool = False

    def copy(self) -> Contributions:
        """As it is now, to return to."""
        lists = (list(self.confirmed), list(self.rows), list(self.places), list(self.not_locked))
        return Contributions(*lists, self.first_key, self.last_key, self.without_ids)

    def inserted(self, first_key: int, last_key: int) -> None:
        """Contacts were inserted, whose keys lie between these."""
        self.first_key = first_key if self.first_key is None else min(self.first_key, first_key)
        self.last_key = last_key if self.last_key is None else max(self.last_key, last_key)

    @property
    def looked_at(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Keys of known contacts that are not locked, though what becomes of rows depends on them."""
        placed = [rows.filter(pl.col(CONFIRMED).is_not_null()) for rows in self.rows if CONFIRMED in rows.columns]
        keys = [frame[KEY] for frame in (*self.confirmed, *placed)] + self.not_locked
        return np.concatenate([_NO_KEYS, *(series.to_numpy() for series in keys)])

    @property
    def row_keys(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Keys of `rows`."""
        return np.concatenate([_NO_KEYS, *(frame[KEY].to_numpy() for frame in self.rows)])


def last_commit(connection: Connection) -> int:
    """The number of the last commit. What is looked up after this sees it, and all before it."""
    row = connection.execute("SELECT COALESCE(max(number), 0) AS number FROM contributions").fetchone()
    assert row is not None
    number: int = row["number"]
    return number


def lock_commits(connection: Connection) -> None:
    """Keep others from committing a chunk or an undo until the transaction's end."""
    connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", (ADVISORY_CLASS, _COMMITS))


def enter(connection: Connection, upload_id: str, chunk: int, found: Contributions) -> None:
    """Keep what a chunk contributes, in its transaction, which has locked the commits."""
    confirmed = pl.concat(found.confirmed) if found.confirmed else None
    rows = pl.concat(found.rows, how="diagonal") if found.rows else None
    places = pl.concat(found.places) if found.places else None
    connection.execute(
        """INSERT INTO contributions (upload_id, chunk, first_key, last_key, without_ids, keys, hashes, rows, places)
           VALUES (%s, %s, %s, %s, %s, %b, %b, %b, %b)""",
        (
            upload_id,
            chunk,
            found.first_key,
            found.last_key,
            found.without_ids,
            _packed(confirmed[KEY]) if confirmed is not None and confirmed.height else None,
            confirmed[HASH].to_numpy().tobytes() if confirmed is not None and confirmed.height else None,
            _packed_rows(rows) if rows is not None and rows.height else None,
            _packed_rows(places) if places is not None and places.height else None,
        ),
    )


def any_without_ids(connection: Connection) -> bool:
    """Whether any chunk wrote contacts by rows that have no contact id: those may have come to have one since."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM contributions WHERE without_ids AND chunk <> %s AND undone_at IS NULL) AS any",
        (UNDO,),
    ).fetchone()
    return bool(row and row["any"])


def enter_undo(connection: Connection, upload_id: str, keys: Sequence[int]) -> None:
    """Note, in the transaction that has locked the commits, which contacts an undo has touched."""
    connection.execute(
        """INSERT INTO contributions (upload_id, chunk, without_ids, keys, undone_at)
           VALUES (%s, %s, true, %b, clock_timestamp())""",
        (upload_id, UNDO, _packed(pl.Series(keys, dtype=pl.Int64()))),
    )


@dataclass(frozen=True)
class Stored:
    """The contributions of a chunk, as they are kept."""

    number: int
    upload_id: str
    chunk: int
    confirmed: pl.DataFrame
    rows: pl.DataFrame | None

    def without(self, keys: Iterable[int]) -> Stored:
        """The same but for what concerns these contacts."""
        left = list(keys)
        rows = self.rows.filter(~self.rows[KEY].is_in(left)) if self.rows is not None else None
        confirmed = self.confirmed.filter(~self.confirmed[KEY].is_in(left))
        return Stored(self.number, self.upload_id, self.chunk, confirmed, rows)

    @classmethod
    def of(cls, row: DictRow) -> Stored:
        """From a row of the table."""
        keys = unpacked(row["keys"])
        hashes = np.frombuffer(row["hashes"] or b"", np.int64)
        if len(hashes) != len(keys):
            # An undo keeps keys only, and so does what is settled.
            hashes = np.zeros(len(keys), np.int64)
        confirmed = pl.DataFrame({KEY: keys, HASH: hashes}, schema={KEY: pl.Int64(), HASH: pl.Int64()})
        return cls(row["number"], row["upload_id"], row["chunk"], confirmed, unpacked_rows(row["rows"]))


def replace(connection: Connection, stored: Stored) -> None:
    """Keep other contributions in the place of a chunk's."""
    keys, hashes = stored.confirmed[KEY], stored.confirmed[HASH]
    connection.execute(
        "UPDATE contributions SET keys = %b, hashes = %b, rows = %b WHERE number = %s",
        (
            _packed(keys) if stored.confirmed.height else None,
            hashes.to_numpy().tobytes() if stored.confirmed.height else None,
            _packed_rows(stored.rows) if stored.rows is not None and stored.rows.height else None,
            stored.number,
        ),
    )


def keep_keys_only(connection: Connection, number: int, keys: np.ndarray[Any, np.dtype[np.int64]] | None) -> None:
    """Keep of a commit's contributions only the contacts that they are of, or not even these."""
    packed = _packed(pl.Series(keys, dtype=pl.Int64())) if keys is not None and len(keys) else None
    connection.execute(
        "UPDATE contributions SET keys = %b, hashes = NULL, rows = NULL, places = NULL WHERE number = %s",
        (packed, number),
    )


def _packed(keys: pl.Series) -> bytes:
    """Differences are small where a file's contacts were inserted in its order."""
    differences = np.diff(keys.to_numpy(), prepend=0)
    packed: bytes = pyarrow.compress(differences.tobytes(), codec=_CODEC, asbytes=True)
    return len(keys).to_bytes(4, "little") + packed


def unpacked(packed: bytes | None) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Keys as `enter` keeps them."""
    if not packed:
        return _NO_KEYS
    count = int.from_bytes(packed[:4], "little")
    plain = pyarrow.decompress(packed[4:], decompressed_size=8 * count, codec=_CODEC, asbytes=True)
    return np.cumsum(np.frombuffer(plain, np.int64))


def _packed_rows(rows: pl.DataFrame) -> bytes:
    filled = [column for column in rows.columns if rows[column].null_count() < rows.height]
    buffer = io.BytesIO()
    rows.select(filled).write_ipc(buffer, compression="lz4")
    return buffer.getvalue()


def unpacked_rows(packed: bytes | None, columns: Sequence[str] | None = None) -> pl.DataFrame | None:
    """Rows as `enter` keeps them, without the columns that are blank throughout."""
    return pl.read_ipc(io.BytesIO(packed), columns=list(columns) if columns else None) if packed else None


def touched_keys(row: DictRow) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Keys of known contacts that a chunk had rows of, from its row of the table."""
    rows = unpacked_rows(row["rows"], [KEY])
    return np.concatenate([unpacked(row["keys"]), rows[KEY].to_numpy() if rows is not None else _NO_KEYS])


class NewerUploads:
    """Contacts that newer uploads than the one that is imported have rows of: it fills their blanks only.

    Those that a newer upload has written say so themselves; here are those that it has confirmed.
    """

    def __init__(self, upload_id: str, ordered_at: datetime) -> None:
        self._upload_id = upload_id
        self._ordered_at = ordered_at
        self._seen = 0
        self.keys = _NO_KEYS
        """In order."""

    def look(self, connection: Connection) -> None:
        """Look what has been committed since the last time."""
        undone = connection.execute(
            "SELECT EXISTS (SELECT FROM contributions WHERE number > %s AND chunk = %s) AS any", (self._seen, UNDO)
        ).fetchone()
        if self._seen and undone and undone["any"]:
            self._seen, self.keys = 0, _NO_KEYS
        last = last_commit(connection)
        if last == self._seen:
            return
        found = connection.execute(
            """SELECT c.keys, c.rows FROM contributions c JOIN imports i USING (upload_id)
               WHERE i.ordered_at > %s AND c.number > %s AND c.undone_at IS NULL AND i.state <> 'undone'
                 AND (c.keys IS NOT NULL OR c.rows IS NOT NULL)""",
            (self._ordered_at, self._seen),
        ).fetchall()
        if found:
            self.keys = np.unique(np.concatenate([self.keys, *(touched_keys(row) for row in found)]))
        self._seen = last


def still_right(
    connection: Connection,
    upload_id: str,
    ordered_at: datetime,
    seen: int,
    found: Contributions,
    matched: Iterable[pl.DataFrame],
) -> bool:
    """Whether what was committed since a chunk was matched leaves its matches as they are.

    Called with the commits locked.

    Args:
        upload_id, ordered_at: the chunk's upload, and its place among all.
        seen: the last commit before the chunk was matched.
        matched: the rows that were matched, with their identities; rows that were recognised by their id are not here.
    """
    looked_at, written = found.looked_at, found.row_keys
    # Chunks of one import are matched side by side only where none of their rows could be one person: what the one
    # before has changed can matter to contacts that are not locked, and to nothing else.
    others = connection.execute(
        """SELECT c.upload_id, c.chunk, c.first_key, c.last_key, c.without_ids, c.keys, c.rows,
                  i.ordered_at > %s AS newer
           FROM contributions c JOIN imports i USING (upload_id)
           WHERE c.number > %s AND (c.upload_id <> %s OR c.chunk = %s OR %s)""",
        (ordered_at, seen, upload_id, UNDO, len(looked_at) > 0),
        binary=True,
    ).fetchall()
    if not others:
        return True
    frames = [part for rows in matched for part in _with_ids_and_without(rows)]
    for other in others:
        changed = unpacked(other["keys"]) if other["chunk"] == UNDO else _changed_keys(other)
        if np.isin(changed, looked_at).any() or (other["chunk"] == UNDO and np.isin(changed, written).any()):
            return False
        if other["newer"] and np.isin(touched_keys(other), written).any():
            return False
        is_own = other["upload_id"] == upload_id and other["chunk"] != UNDO
        if not is_own and any(_meets(connection, other, changed, rows) for rows in frames):
            return False
    return True


def _with_ids_and_without(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    has_id = rows["contact_id"].is_not_null()
    return rows.filter(has_id), rows.filter(~has_id)


def _changed_keys(row: DictRow) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Keys of known contacts that a chunk may have changed, from its row of the table."""
    if row["rows"] is None:
        return _NO_KEYS
    told = {CONFIRMED, MADE} & {*pl.read_ipc_schema(io.BytesIO(row["rows"]))}
    rows = unpacked_rows(row["rows"], [KEY, *told])
    assert rows is not None
    return rows.filter(pl.all_horizontal(pl.col(name).is_null() for name in told) if told else True)[KEY].to_numpy()


def _meets(
    connection: Connection, other: DictRow, changed: np.ndarray[Any, np.dtype[np.int64]], rows: pl.DataFrame
) -> bool:
    """Whether rows share an identity, on a rung that joins them, with a contact that another chunk has written."""
    if not rows.height:
        return False
    all_have_ids = rows["contact_id"].null_count() == 0
    if all_have_ids and not other["without_ids"]:
        # Equal ids are kept apart by the index, and contacts with ids of their own never meet.
        return False
    wanted = {name: rows[name].drop_nulls().unique().to_list() for name in ("email", LINKEDIN_SLUG, NAME_COMPANY)}
    wanted["only_name"] = rows.filter(has_only_name())[NAME_COMPANY].drop_nulls().unique().to_list()
    only = "contact_id IS NULL AND" if all_have_ids else ""
    # By their names those meet of which one side has nothing else: namesakes at one company are many.
    shared = f"""{only} (email = ANY(%(email)s) OR linkedin_slug = ANY(%(linkedin_slug)s)
                         OR name_company = ANY(%(only_name)s)
                         OR ({ONLY_NAME} AND name_company = ANY(%(name_company)s)))"""
    row = connection.execute(
        f"""SELECT EXISTS (SELECT FROM contacts WHERE key BETWEEN %(first)s AND %(last)s
                             AND created_by_import = %(upload_id)s AND {shared})
                OR EXISTS (SELECT FROM contacts WHERE key = ANY(%(keys)s) AND {shared}) AS meets""".encode(),
        {
            **wanted,
            "first": other["first_key"],
            "last": other["last_key"],
            "upload_id": other["upload_id"],
            "keys": changed.tolist(),
        },
    ).fetchone()
    return bool(row and row["meets"])
