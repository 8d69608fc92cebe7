"""Putting matched rows into `contacts`: COPY for the new, one UPDATE for the changed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from zlib import crc32

import polars as pl
import pyarrow
from pgpq import ArrowToPostgresBinaryEncoder
from pgpq.encoders import LargeStringEncoderBuilder
from pgpq.schema import Jsonb

from contact_pipeline.contacts.cleaning import TIMESTAMP_TYPE
from contact_pipeline.contacts.identity import LINKEDIN_SLUG, NAME_COMPANY, Effect, Person
from contact_pipeline.warehouse import tables
from contact_pipeline.warehouse.chunks import Reject
from contact_pipeline.warehouse.database import Connection
from contact_pipeline.warehouse.matching import Known

EXTRA: Final = "extra"
ROW_HASH: Final = "row_hash"
PLACE: Final = "place"
PLACES: Final = "places"
_PERSON: Final = "person"
# psycopg and libpq hold what is written until the server took it.
_ROWS_A_WRITE: Final = 1_000
_IDENTITY_COLUMNS: Final = (LINKEDIN_SLUG, NAME_COMPANY)
_VERSIONED: Final = ", ".join(column.name for column in tables.contacts.columns)
_NOT_VALUES: Final = frozenset({*_IDENTITY_COLUMNS, ROW_HASH, EXTRA})
_NOT_HASHED: Final = frozenset({*_IDENTITY_COLUMNS, ROW_HASH, PLACE, PLACES, _PERSON})


class RowsLost(Exception):
    """A COPY took another number of rows than it was sent."""


@dataclass(frozen=True)
class Statements:
    """SQL for one set of columns, made once an import."""

    columns: tuple[str, ...]
    create_incoming: bytes
    copy_new: bytes
    copy_incoming: bytes
    lock: bytes
    update_newer: bytes
    update_blanks: bytes


def statements(columns: Sequence[str]) -> Statements:
    """The SQL for a file that feeds these columns (fields, `extra`, identity columns, `row_hash`)."""
    listed = ", ".join(columns)
    values = [column for column in columns if column not in _NOT_VALUES]
    differs = [f"s.{column} IS NOT NULL AND s.{column} IS DISTINCT FROM c.{column}" for column in values]
    fills = [f"s.{column} IS NOT NULL AND c.{column} IS NULL" for column in values]
    overwrite = [f"{column} = COALESCE(s.{column}, c.{column})" for column in [*values, LINKEDIN_SLUG]]
    fill = [f"{column} = COALESCE(c.{column}, s.{column})" for column in [*values, LINKEDIN_SLUG]]
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
    overwrite += ["row_hash = s.row_hash", "updated_by_upload_at = %(uploaded_at)s"]
    return Statements(
        columns=tuple(columns),
        create_incoming=(
            "CREATE TEMPORARY TABLE incoming ON COMMIT DELETE ROWS AS "
            f"SELECT key, 0::bigint AS version, false AS fill, source, {listed} FROM contacts LIMIT 0"
        ).encode(),
        copy_new=(
            f"COPY contacts (source, {listed}, created_by_import, updated_by_upload_at) FROM STDIN (FORMAT BINARY)"
        ).encode(),
        copy_incoming=f"COPY incoming (key, version, fill, source, {listed}) FROM STDIN (FORMAT BINARY)".encode(),
        lock=(
            b"SELECT count(*) AS locked FROM (SELECT FROM contacts c JOIN incoming s USING (key) "
            b"WHERE c.xmin::text::bigint = s.version ORDER BY c.key FOR NO KEY UPDATE OF c) held"
        ),
        update_newer=_update("NOT s.fill", differs, overwrite),
        update_blanks=_update("s.fill", fills, fill),
    )


def _update(which: str, differs: Sequence[str], assignments: Sequence[str]) -> bytes:
    """Keep the before-image of each contact that changes, and change it."""
    condition = " OR ".join(f"({difference})" for difference in differs)
    return f"""
        WITH changing AS MATERIALIZED (
            SELECT c.* FROM contacts c JOIN incoming s USING (key) WHERE {which} AND ({condition})
        ), kept AS (
            INSERT INTO contact_versions ({_VERSIONED}, replaced_by_import, replaced_in_chunk)
            SELECT {_VERSIONED}, %(upload_id)s, %(chunk)s FROM changing
        )
        UPDATE contacts c
        SET {", ".join(assignments)}, updated_by_import = %(upload_id)s, updated_at = now()
        FROM incoming s JOIN changing USING (key)
        WHERE c.key = s.key
        RETURNING c.key""".encode()


@dataclass(frozen=True)
class Batch:
    """Rows of a chunk, merged to one a person, with the person each belongs to."""

    chunk: int
    rows: pl.DataFrame
    people: Sequence[Person]
    known: Mapping[int, Known]

    def __len__(self) -> int:
        return len(self.people)

    def halves(self) -> Iterator[Batch]:
        """The batch in two."""
        middle = len(self.people) // 2
        yield Batch(self.chunk, self.rows[:middle], self.people[:middle], self.known)
        yield Batch(self.chunk, self.rows[middle:], self.people[middle:], self.known)

    def places(self, index: int) -> list[int]:
        """Places in the chunk of the rows that one person consists of."""
        return self.rows[PLACES][index].to_list()

    def new(self) -> pl.DataFrame:
        """The people that are not in the table, in the order of the file.

        Where all have ids they are ordered by these, so that imports that load the
        same people side by side meet them in one order and do not deadlock.
        """
        mask = pl.Series([person.key is None for person in self.people], dtype=pl.Boolean())
        people = self.rows.filter(mask)
        by_id = people["contact_id"].null_count() == 0
        return people.sort("contact_id" if by_id else pl.col(PLACES).list.first())

    def differing(self) -> pl.DataFrame:
        """The known people whose row is not the one applied last, with `key`, `version` and `fill`."""
        hashes = self.rows[ROW_HASH].to_list()
        keys: list[int] = []
        versions: list[int] = []
        fill: list[bool] = []
        indexes: list[int] = []
        for index, person in enumerate(self.people):
            if person.key is None or person.effect is Effect.NONE or self.known[person.key].row_hash == hashes[index]:
                continue
            indexes.append(index)
            keys.append(person.key)
            versions.append(self.known[person.key].version)
            fill.append(person.effect is Effect.FILL)
        return self.rows[indexes].with_columns(
            pl.Series("key", keys, dtype=pl.Int64()),
            pl.Series("version", versions, dtype=pl.Int64()),
            pl.Series("fill", fill, dtype=pl.Boolean()),
        )

    def count(self, changed: set[int], counts: Counter[str]) -> None:
        """Account for every row, given the keys of contacts that changed."""
        for person in self.people:
            rows = len(person.rows)
            if person.key is None:
                counts["inserted"] += 1
                counts["duplicate_in_file"] += rows - 1
            elif self.known[person.key].written:
                counts["duplicate_in_file"] += rows
            else:
                counts["updated" if person.key in changed else "unchanged"] += 1
                counts["duplicate_in_file"] += rows - 1


def merge_groups(rows: pl.DataFrame, people: Sequence[Person], known: Mapping[int, Known], chunk: int) -> Batch:
    """Merge the rows of each person to one: a later value over an earlier one, a blank over none.

    For a contact that a newer upload wrote, only its blanks are filled, so the first value stays.
    """
    alone = [person for person in people if len(person.rows) == 1]
    together = [person for person in people if len(person.rows) > 1]
    frames = [rows[[person.rows[0] for person in alone]].with_columns(pl.concat_list(PLACE).alias(PLACES))]
    ordered = [*alone]
    for first_wins in (False, True):
        group = [person for person in together if (person.effect is Effect.FILL) is first_wins]
        if group:
            frames.append(_merge(rows, group, first_wins=first_wins))
            ordered += group
    return Batch(chunk, pl.concat(frames), ordered, known)


def _merge(rows: pl.DataFrame, people: Sequence[Person], *, first_wins: bool) -> pl.DataFrame:
    """One row for each person, of the rows that are that person."""
    members = rows[[row for person in people for row in person.rows]].with_columns(
        pl.Series(_PERSON, [index for index, person in enumerate(people) for _ in person.rows])
    )
    filled = pl.exclude(_PERSON, PLACE, NAME_COMPANY).drop_nulls()
    merged = members.group_by(_PERSON, maintain_order=True).agg(
        pl.col(PLACE).alias(PLACES),
        pl.col(PLACE).last(),
        pl.col(NAME_COMPANY).drop_nulls().first(),
        filled.first() if first_wins else filled.last(),
    )
    if EXTRA in rows.columns:
        extras = members.group_by(_PERSON, maintain_order=True).agg(pl.col(EXTRA).drop_nulls())[EXTRA]
        written = [_merged_extra(list(values), first_wins=first_wins) for values in extras]
        merged = merged.with_columns(pl.Series(EXTRA, written, dtype=pl.String()))
    return rehash(merged).select(*rows.columns, PLACES)


def _merged_extra(extras: Sequence[str], *, first_wins: bool) -> str | None:
    together: dict[str, Any] = {}
    for text in reversed(extras) if first_wins else extras:
        together |= json.loads(text)
    return json.dumps(together, ensure_ascii=False) if together else None


def rehash(rows: pl.DataFrame) -> pl.DataFrame:
    """Set `row_hash`: a hash of the row's values, whatever columns its file had.

    Polars may hash otherwise in another version: rows are then compared value by value, once.
    """
    hashed = sorted(column for column in rows.columns if column not in _NOT_HASHED)
    nothing = pl.repeat(0, rows.height, dtype=pl.UInt64(), eager=True)
    total = nothing
    for column in hashed:
        values = rows[column]
        if values.null_count() < rows.height:
            # A blank adds nothing, so that a file without the column gives the same hash.
            total = total ^ values.hash(seed=crc32(column.encode())).zip_with(values.is_not_null(), nothing)
    return rows.with_columns(total.reinterpret(signed=True).alias(ROW_HASH))


def copy_new(
    connection: Connection, sql: Statements, rows: pl.DataFrame, source: str, constants: Mapping[str, Any]
) -> None:
    """COPY new contacts into the table."""
    frame = rows.select(
        pl.lit(source).alias("source"),
        *sql.columns,
        pl.lit(constants["upload_id"]).alias("created_by_import"),
        pl.lit(constants["uploaded_at"]).cast(TIMESTAMP_TYPE).alias("updated_by_upload_at"),
    )
    _copy(connection, sql.copy_new, frame)


def stage_and_lock(connection: Connection, sql: Statements, rows: pl.DataFrame, source: str) -> bool:
    """COPY rows of known contacts into the temporary table and lock the contacts, in order of their keys.

    Returns:
        False where any of them is not as it was when it was matched.
    """
    connection.execute(b"TRUNCATE incoming")
    frame = rows.select("key", "version", "fill", pl.lit(source).alias("source"), *sql.columns)
    _copy(connection, sql.copy_incoming, frame)
    row = connection.execute(sql.lock).fetchone()
    return row is not None and row["locked"] == rows.height


def update_known(connection: Connection, sql: Statements, rows: pl.DataFrame, constants: Mapping[str, Any]) -> set[int]:
    """Update the staged contacts where something changes; returns their keys."""
    changed: set[int] = set()
    older = rows["fill"]
    if not older.all():
        changed |= {row["key"] for row in connection.execute(sql.update_newer, dict(constants))}
    if older.any():
        changed |= {row["key"] for row in connection.execute(sql.update_blanks, dict(constants))}
    return changed


def _copy(connection: Connection, statement: bytes, frame: pl.DataFrame) -> None:
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    encoder = _encoder(table.schema)
    with connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            copy.write(encoder.write_header())
            for batch in table.to_batches(max_chunksize=_ROWS_A_WRITE):
                copy.write(encoder.write_batch(batch))
            copy.write(encoder.finish())
        if cursor.rowcount != frame.height:
            raise RowsLost(f"COPY took {cursor.rowcount} rows of {frame.height}")


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
