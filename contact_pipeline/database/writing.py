"""Putting matched rows into `contacts`: COPY for the new, one UPDATE for the changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl
import pyarrow
from pgpq import ArrowToPostgresBinaryEncoder
from pgpq.encoders import LargeStringEncoderBuilder
from pgpq.schema import Jsonb
from psycopg.rows import scalar_row

from contact_pipeline.contacts.cleaning import TIMESTAMP_TYPE
from contact_pipeline.contacts.fields import CONSENT_FIELDS
from contact_pipeline.contacts.identity import LINKEDIN_SLUG, NAME_COMPANY
from contact_pipeline.database import contact_tables
from contact_pipeline.database.batch_columns import EXTRA, FILL_BLANKS, KEY, RECORD_HASH, ROW_HASH, VERSION
from contact_pipeline.database.postgres import Connection
from contact_pipeline.files.chunks import Reject

# psycopg and libpq hold what is written until the server took it.
_ROWS_A_WRITE: Final = 1_000
_IDENTITY_COLUMNS: Final = (LINKEDIN_SLUG, NAME_COMPANY)
_VERSIONED: Final = tuple(column.name for column in contact_tables.contacts.columns)
_NOT_VALUES: Final = frozenset({*_IDENTITY_COLUMNS, ROW_HASH, RECORD_HASH, EXTRA})


class RowsLost(Exception):
    """A statement took another number of rows than it was to take."""


@dataclass(frozen=True)
class Change:
    """SQL that changes some of the staged contacts: keep their before-images, then update them."""

    keep: bytes
    update: bytes


@dataclass(frozen=True)
class Statements:
    """SQL for one set of columns, made once an import."""

    columns: tuple[str, ...]
    create_incoming: bytes
    truncate_incoming: bytes
    copy_new: bytes
    copy_new_with_keys: bytes
    copy_incoming: bytes
    lock: bytes
    newer: Change
    blanks: Change


def statements(columns: Sequence[str], *, may_opt_in: bool = False) -> Statements:
    """The SQL for a file that feeds these columns (fields, `extra`, identity columns, both hashes).

    Args:
        may_opt_in: whether its rows may take back what a contact does not want: else they only ever add to that.
    """
    listed, incoming = ", ".join(columns), _incoming(columns)
    consent = [column for column in columns if column in CONSENT_FIELDS and not may_opt_in]
    values = [column for column in columns if column not in _NOT_VALUES and column not in consent]
    differs = [f"s.{column} IS NOT NULL AND s.{column} IS DISTINCT FROM c.{column}" for column in values]
    fills = [f"s.{column} IS NOT NULL AND c.{column} IS NULL" for column in values]
    # Whatever the order of rows, and also where only blanks are filled: a no stays, and a new one counts.
    no = [
        f"s.{column} IS NOT NULL AND s.{column} IS DISTINCT FROM c.{column} AND c.{column} IS NOT TRUE"
        for column in consent
    ]
    said = [f"{column} = c.{column} IS TRUE OR COALESCE(s.{column}, c.{column})" for column in consent]
    no_or_blank = [
        f"({said_no}) AND (s.{column} OR c.{column} IS NULL)" for said_no, column in zip(no, consent, strict=True)
    ]
    said_or_filled = [
        f"{column} = c.{column} IS TRUE OR s.{column} IS TRUE OR COALESCE(c.{column}, s.{column})" for column in consent
    ]
    overwrite = [f"{column} = COALESCE(s.{column}, c.{column})" for column in [*values, LINKEDIN_SLUG]]
    fill = [f"{column} = COALESCE(c.{column}, s.{column})" for column in [*values, LINKEDIN_SLUG]]
    differs, overwrite, fills, fill = differs + no, overwrite + said, fills + no_or_blank, fill + said_or_filled
    for condition, assignments in ((differs, overwrite), (fills, fill)):
        condition.append(f"s.{NAME_COMPANY} IS NOT NULL AND c.{NAME_COMPANY} IS NULL")
        assignments.append(f"{NAME_COMPANY} = COALESCE(c.{NAME_COMPANY}, s.{NAME_COMPANY})")
    if EXTRA in columns:
        differs.append("s.extra IS NOT NULL AND NOT COALESCE(c.extra, '{}') @> s.extra")
        fills.append("s.extra IS NOT NULL AND NOT COALESCE(c.extra, '{}') ?& ARRAY(SELECT jsonb_object_keys(s.extra))")
        overwrite.append("extra = COALESCE(COALESCE(c.extra, '{}') || s.extra, c.extra)")
        fill.append("extra = COALESCE(s.extra || COALESCE(c.extra, '{}'), c.extra)")
    if "contact_id" in columns:
        claims = "source = CASE WHEN c.contact_id IS NULL AND s.contact_id IS NOT NULL THEN s.source ELSE c.source END"
        overwrite.append(claims)
        fill.append(claims)
    overwrite += ["row_hash = s.row_hash", "record_hash = s.record_hash", "updated_by_upload_at = %(uploaded_at)s"]
    of_new = f"source, {listed}, created_by_import, updated_by_upload_at"
    return Statements(
        columns=tuple(columns),
        create_incoming=(
            f"CREATE TEMPORARY TABLE IF NOT EXISTS {incoming} ON COMMIT DELETE ROWS AS "
            f"SELECT key, 0::bigint AS version, false AS fill, source, {listed} FROM contacts LIMIT 0"
        ).encode(),
        copy_new=f"COPY contacts ({of_new}) FROM STDIN (FORMAT BINARY)".encode(),
        copy_new_with_keys=f"COPY contacts (key, {of_new}) FROM STDIN (FORMAT BINARY)".encode(),
        truncate_incoming=f"TRUNCATE {incoming}".encode(),
        copy_incoming=f"COPY {incoming} (key, version, fill, source, {listed}) FROM STDIN (FORMAT BINARY)".encode(),
        lock=(
            f"SELECT count(*) AS locked FROM (SELECT FROM contacts c JOIN {incoming} s USING (key) "
            "WHERE c.xmin::text::bigint = s.version ORDER BY c.key FOR NO KEY UPDATE OF c) held"
        ).encode(),
        newer=_change(incoming, "NOT s.fill", differs, overwrite),
        blanks=_change(incoming, "s.fill", fills, fill),
    )


def _incoming(columns: Sequence[str]) -> str:
    """The name of the temporary table for rows with these columns.

    Behind a pooler a session has those of other imports too, and of the release before.
    """
    of_contacts = contact_tables.contacts.columns
    types = [f"{column} {of_contacts[column].type}" for column in (KEY, "source", *columns)]
    return f"incoming_{hashlib.md5(', '.join(types).encode(), usedforsecurity=False).hexdigest()}"


def _change(incoming: str, which: str, differs: Sequence[str], assignments: Sequence[str]) -> Change:
    """For each contact of which something differs. The row is locked between the two statements."""
    condition = f"{which} AND ({' OR '.join(f'({difference})' for difference in differs)})"
    before = ", ".join(f"c.{column}" for column in _VERSIONED)
    return Change(
        keep=f"""
            INSERT INTO contact_versions ({", ".join(_VERSIONED)}, replaced_by_import, replaced_in_chunk)
            SELECT {before}, %(upload_id)s, %(chunk)s
            FROM {incoming} s JOIN contacts c USING (key)
            WHERE {condition}""".encode(),
        update=f"""
            UPDATE contacts c
            SET {", ".join(assignments)}, updated_by_import = %(upload_id)s, updated_at = now()
            FROM {incoming} s
            WHERE c.key = s.key AND {condition}
            RETURNING c.key""".encode(),
    )


def copy_new(
    connection: Connection,
    sql: Statements,
    rows: pl.DataFrame,
    source: str,
    constants: Mapping[str, Any],
    *,
    with_keys: bool,
) -> tuple[int, int, pl.Series | None]:
    """COPY new contacts into the table; returns two keys that theirs lie between, and theirs where `with_keys`."""
    first = next_key(connection)
    keys = _next_keys(connection, rows.height) if with_keys else None
    frame = rows.select(
        *([keys] if keys is not None else []),
        pl.lit(source).alias("source"),
        *sql.columns,
        pl.lit(constants["upload_id"]).alias("created_by_import"),
        pl.lit(constants["uploaded_at"]).cast(TIMESTAMP_TYPE).alias("updated_by_upload_at"),
    )
    _copy(connection, sql.copy_new if keys is None else sql.copy_new_with_keys, frame)
    return first, next_key(connection), keys


def _next_keys(connection: Connection, count: int) -> pl.Series:
    with connection.cursor(row_factory=scalar_row, binary=True) as cursor:
        keys = cursor.execute(
            """SELECT array_agg(nextval(name))
               FROM (SELECT pg_get_serial_sequence('contacts', 'key')::regclass AS name OFFSET 0) of_keys,
                    generate_series(1, %s)""",
            (count,),
        ).fetchone()
    return pl.Series(KEY, keys, dtype=pl.Int64())


def next_key(connection: Connection) -> int:
    """A key that no contact gets."""
    row = connection.execute("SELECT nextval(pg_get_serial_sequence('contacts', 'key')) AS key").fetchone()
    assert row is not None
    key: int = row["key"]
    return key


def stage_and_lock(connection: Connection, sql: Statements, rows: pl.DataFrame, source: str) -> bool:
    """COPY rows of known contacts into the temporary table and lock the contacts, in order of their keys.

    Returns:
        False where any of them is not as it was when it was matched.
    """
    connection.execute(sql.create_incoming)
    connection.execute(sql.truncate_incoming)
    frame = rows.select(KEY, VERSION, FILL_BLANKS, pl.lit(source).alias("source"), *sql.columns)
    _copy(connection, sql.copy_incoming, frame)
    row = connection.execute(sql.lock).fetchone()
    return row is not None and row["locked"] == rows.height


def update_known(connection: Connection, sql: Statements, rows: pl.DataFrame, constants: Mapping[str, Any]) -> set[int]:
    """Update the staged contacts where something changes; returns their keys."""
    changed: set[int] = set()
    older = rows[FILL_BLANKS]
    for change, wanted in ((sql.newer, not older.all()), (sql.blanks, older.any())):
        if not wanted:
            continue
        kept = connection.execute(change.keep, dict(constants)).rowcount
        with connection.cursor(row_factory=scalar_row, binary=True) as cursor:
            keys = cursor.execute(change.update, dict(constants)).fetchall()
        if len(keys) != kept:
            raise RowsLost(f"{kept} before-images were kept of {len(keys)} contacts that changed")
        changed.update(keys)
    return changed


def _copy(connection: Connection, statement: bytes, frame: pl.DataFrame) -> None:
    encoder = _encoder(_as_arrow(frame.clear()).schema)
    with connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            copy.write(encoder.write_header())
            for rows in frame.iter_slices(_ROWS_A_WRITE):
                for batch in _as_arrow(rows).to_batches():
                    copy.write(encoder.write_batch(batch))
            copy.write(encoder.finish())
        if cursor.rowcount != frame.height:
            raise RowsLost(f"COPY took {cursor.rowcount} rows of {frame.height}")


def _as_arrow(frame: pl.DataFrame) -> pyarrow.Table:
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def _encoder(schema: pyarrow.Schema) -> ArrowToPostgresBinaryEncoder:
    builders = {
        column.name: (
            LargeStringEncoderBuilder.new_with_output(column, Jsonb())
            if column.name == EXTRA
            else ArrowToPostgresBinaryEncoder.infer_encoder(column)
        )
        for column in schema
    }
    return ArrowToPostgresBinaryEncoder.new_with_encoders(schema, builders)


def write_rejects(connection: Connection, upload_id: str, chunk: int, rejects: Sequence[Reject]) -> None:
    """COPY a chunk's rejects into `rejected_rows`."""
    if not rejects:
        return
    with connection.cursor() as cursor:
        with cursor.copy(
            b'COPY rejected_rows (upload_id, "row", chunk, line, codes, columns, record) FROM STDIN (FORMAT BINARY)'
        ) as copy:
            copy.set_types(["text", "int8", "int4", "int8", "text[]", "text[]", "bytea"])
            for reject in rejects:
                copy.write_row(
                    (upload_id, reject.row, chunk, reject.line, list(reject.codes), list(reject.columns), reject.record)
                )
        if cursor.rowcount != len(rejects):
            raise RowsLost(f"COPY took {cursor.rowcount} rejects of {len(rejects)}")
