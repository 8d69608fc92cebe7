"""What each chunk contributed to which contacts.

A row of the file that is a contact's contributes its values. Those of a row that
made its contact are in `contacts`, or in the first of the contact's former
versions. Those of any other row are kept here: whole where nothing else holds
them, else as a hash of the row that said the same before. So contacts can be made
again from the imports that still stand (`undoing`), and an older upload that
comes late knows what a newer one has confirmed (`commits`).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow
from psycopg.rows import DictRow

from contact_pipeline.database.postgres import Connection

KEY: Final = "key"
HASH: Final = "hash"
CONFIRMED: Final = "confirmed"
"""The hash of a row that is kept with its place, and without values: it says what was said before."""

MADE: Final = "made"
"""Whether a row made its contact."""

UNDO: Final = -1
"""The chunk number of an undo: it is committed in the order of the chunks too."""

_CODEC: Final = "zstd"
NO_KEYS: Final = np.empty(0, np.int64)


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
        return np.concatenate([NO_KEYS, *(series.to_numpy() for series in keys)])

    @property
    def row_keys(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Keys of `rows`."""
        return np.concatenate([NO_KEYS, *(frame[KEY].to_numpy() for frame in self.rows)])


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
            _packed_rows(rows),
            _packed_rows(places),
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
            _packed_rows(stored.rows),
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
        return NO_KEYS
    count = int.from_bytes(packed[:4], "little")
    plain = pyarrow.decompress(packed[4:], decompressed_size=8 * count, codec=_CODEC, asbytes=True)
    return np.cumsum(np.frombuffer(plain, np.int64))


def _packed_rows(rows: pl.DataFrame | None) -> bytes | None:
    if rows is None or not rows.height:
        return None
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
    return np.concatenate([unpacked(row["keys"]), rows[KEY].to_numpy() if rows is not None else NO_KEYS])
