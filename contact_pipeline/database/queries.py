"""What the ledger says: queries that change nothing."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from psycopg.rows import class_row

from contact_pipeline.database.postgres import Connection, fetch_one, scrubbed
from contact_pipeline.database.records import (
    COUNTS,
    ChunkRecord,
    FirstReject,
    ImportRecord,
    ImportState,
    Liveness,
    RejectsOfCode,
    Totals,
    select_all,
    select_one,
)
from contact_pipeline.files.rejects_file import Reject


def lock_import(connection: Connection, upload_id: str) -> ImportRecord | None:
    """An import, locked until the transaction's end; None where there is none."""
    query = "SELECT * FROM imports WHERE upload_id = %s FOR NO KEY UPDATE"
    return select_one(connection, ImportRecord, query, upload_id)


STALE_AFTER_SECONDS: Final = 60
"""A run that has given no sign for so long may be replaced, whatever Dagster believes of it."""

LOST_AFTER_SECONDS: Final = 180
"""A run that has given no sign for so long is declared failed, so that Dagster retries it."""


def find(connection: Connection, upload_id: str) -> ImportRecord | None:
    """The import of an upload, or None."""
    return select_one(connection, ImportRecord, "SELECT * FROM imports WHERE upload_id = %s", upload_id)


def find_by_key(connection: Connection, object_key: str) -> ImportRecord | None:
    """The newest import of an object, or None."""
    return select_one(
        connection,
        ImportRecord,
        "SELECT * FROM imports WHERE object_key = %s ORDER BY created_at DESC LIMIT 1",
        object_key,
    )


def recent(connection: Connection, limit: int = 50) -> list[ImportRecord]:
    """The newest imports."""
    return select_all(connection, ImportRecord, "SELECT * FROM imports ORDER BY created_at DESC LIMIT %s", limit)


@dataclass(frozen=True)
class ImportFilter:
    """Which imports are meant; what is None is not asked for.

    Attributes:
        name: part of the file's name, in any case.
        day: on which the file was put (UTC).
    """

    owner: str | None = None
    name: str | None = None
    state: ImportState | None = None
    day: date | None = None


def page(
    connection: Connection, which: ImportFilter, limit: int, before: tuple[datetime, str] | None = None
) -> list[ImportRecord]:
    """The newest imports of some kind, older than one that began at a time with an id."""
    at, upload_id = before or (None, None)
    return select_all(
        connection,
        ImportRecord,
        """SELECT * FROM imports
           WHERE (%(owner)s::text IS NULL OR owner = %(owner)s)
             AND (%(name)s::text IS NULL OR position(lower(%(name)s) IN lower(file_name)) > 0)
             AND (%(state)s::text IS NULL OR state = %(state)s)
             AND (%(day)s::date IS NULL OR (uploaded_at AT TIME ZONE 'UTC')::date = %(day)s)
             AND (%(id)s::text IS NULL OR (created_at, upload_id) < (%(at)s, %(id)s))
           ORDER BY created_at DESC, upload_id DESC LIMIT %(limit)s""",
        owner=which.owner,
        name=which.name,
        state=which.state,
        day=which.day,
        limit=limit,
        at=at,
        id=upload_id,
    )


def liveness(connection: Connection, upload_id: str) -> Liveness | None:
    """State and run of an import, and whether its sign of life is `stale`, or so old that its run is `lost`.

    A database that has just come back says nothing of who could not reach it meanwhile.
    """
    return select_one(
        connection,
        Liveness,
        """SELECT state, run_id, silent > %s AS stale, silent > %s AS lost
           FROM (SELECT *, extract(epoch FROM clock_timestamp() - greatest(heartbeat_at, pg_postmaster_start_time()))
                           AS silent FROM imports WHERE upload_id = %s) import""",
        STALE_AFTER_SECONDS,
        LOST_AFTER_SECONDS,
        upload_id,
    )


def stale_undos(connection: Connection, seconds: float) -> list[str]:
    """Imports whose undo has made no progress for so long."""
    with scrubbed():
        rows = connection.execute(
            """SELECT upload_id FROM imports WHERE state = 'undoing'
               AND heartbeat_at < clock_timestamp() - make_interval(secs => %s) ORDER BY heartbeat_at""",
            (seconds,),
        ).fetchall()
    return [row["upload_id"] for row in rows]


def totals(connection: Connection, upload_id: str) -> Totals:
    """Sums over the committed chunks of an import."""
    sums = ", ".join(f"COALESCE(sum({count}), 0)::bigint AS {count}" for count in COUNTS)
    found = select_one(
        connection,
        Totals,
        f"""SELECT count(*) AS chunks, COALESCE(sum(rows), 0)::bigint AS rows, {sums},
                   COALESCE(max(bytes_read), 0)::bigint AS bytes_read,
                   (SELECT COALESCE(jsonb_object_agg(code, total), '{{}}')
                    FROM (SELECT entry.key AS code, sum(entry.value::bigint) AS total
                          FROM import_chunks w, jsonb_each_text(w.warnings) entry
                          WHERE w.upload_id = %s GROUP BY 1) summed) AS warnings
            FROM import_chunks WHERE upload_id = %s""",
        upload_id,
        upload_id,
    )
    assert found is not None
    return found


def column_values(connection: Connection, upload_id: str) -> dict[int, int]:
    """By a column's position, how many values it had in the rows of the committed chunks."""
    with scrubbed():
        rows = connection.execute(
            """SELECT entry.key::integer AS position, sum(entry.value::bigint)::bigint AS values
               FROM import_chunks, jsonb_each_text(column_values) entry WHERE upload_id = %s GROUP BY 1""",
            (upload_id,),
        ).fetchall()
    return {row["position"]: row["values"] for row in rows}


def noted_rows(connection: Connection, upload_id: str, most: int = 100) -> dict[str, list[int]]:
    """By a warning's code, the first rows that it is about."""
    with scrubbed():
        rows = connection.execute(
            """SELECT entry.key AS code, entry.value AS numbers FROM import_chunks, jsonb_each(noted_rows) entry
               WHERE upload_id = %s ORDER BY chunk""",
            (upload_id,),
        ).fetchall()
    found: dict[str, list[int]] = {}
    for row in rows:
        found.setdefault(row["code"], []).extend(row["numbers"])
    return {code: numbers[:most] for code, numbers in found.items()}


def last_chunk(connection: Connection, upload_id: str) -> ChunkRecord | None:
    """The last committed chunk, where an attempt goes on, or None."""
    query = "SELECT * FROM import_chunks WHERE upload_id = %s ORDER BY chunk DESC LIMIT 1"
    return select_one(connection, ChunkRecord, query, upload_id)


def reject_codes(connection: Connection, upload_id: str, row: int) -> list[str]:
    """Why a row was rejected; nothing where it was not."""
    found = fetch_one(connection, 'SELECT codes FROM rejected_rows WHERE upload_id = %s AND "row" = %s', upload_id, row)
    return list(found["codes"]) if found is not None else []


def gaps(connection: Connection, upload_id: str, data_offset: int) -> int:
    """How many committed chunks do not begin, in number, row and byte, where the one before them ends."""
    row = fetch_one(
        connection,
        """SELECT count(*) AS gaps FROM (
               SELECT chunk, first_row, begin_offset,
                      lag(chunk, 1, -1) OVER w + 1 AS next_chunk,
                      lag(first_row + rows, 1, 1::bigint) OVER w AS next_row,
                      lag(end_offset, 1, %s::bigint) OVER w AS next_offset
               FROM import_chunks WHERE upload_id = %s WINDOW w AS (ORDER BY chunk)) chunks
           WHERE chunk <> next_chunk OR first_row <> next_row OR begin_offset <> next_offset""",
        data_offset,
        upload_id,
    )
    assert row is not None
    return int(row["gaps"])


def rejected_rows(connection: Connection, upload_id: str) -> int:
    """How many rejected rows are kept."""
    row = fetch_one(connection, "SELECT count(*) AS total FROM rejected_rows WHERE upload_id = %s", upload_id)
    assert row is not None
    return int(row["total"])


def rejects(connection: Connection, upload_id: str, limit: int | None = None) -> list[Reject]:
    """The rejected rows in file order, without their content."""
    return select_all(
        connection,
        Reject,
        """SELECT "row", line, codes, columns FROM rejected_rows WHERE upload_id = %s ORDER BY "row" LIMIT %s""",
        upload_id,
        limit,
    )


def stream_rejects(connection: Connection, upload_id: str) -> Generator[Reject]:
    """The rejected rows in file order, with their content, however many there are."""
    with (
        scrubbed(),
        connection.transaction(),
        connection.cursor(name="rejects", row_factory=class_row(Reject)) as cursor,
    ):
        cursor.itersize = 1000
        cursor.execute(
            '''SELECT "row", line, codes, columns, record FROM rejected_rows WHERE upload_id = %s ORDER BY "row"''',
            (upload_id,),
        )
        yield from cursor


def first_rejects(connection: Connection, upload_id: str, each: int) -> list[FirstReject]:
    """The first rejected rows of each code."""
    return select_all(
        connection,
        FirstReject,
        """SELECT code, "column", "row", line FROM (
               SELECT code, "column", "row", line, row_number() OVER (PARTITION BY code ORDER BY "row") AS place
               FROM rejected_rows, unnest(codes, columns) AS found (code, "column") WHERE upload_id = %s) numbered
           WHERE place <= %s ORDER BY code, "row" """,
        upload_id,
        each,
    )


def rejects_by_code(connection: Connection, upload_id: str) -> dict[str, int]:
    """How many rows were rejected for each code, the most frequent first."""
    with scrubbed():
        rows = connection.execute(
            """SELECT code, count(*) AS total FROM rejected_rows, unnest(codes) AS code
               WHERE upload_id = %s GROUP BY code ORDER BY total DESC, code""",
            (upload_id,),
        ).fetchall()
    return {row["code"]: row["total"] for row in rows}


def rejects_by_code_and_column(connection: Connection, upload_id: str) -> list[RejectsOfCode]:
    """How many rows were rejected for each code in each column, the most frequent first."""
    return select_all(
        connection,
        RejectsOfCode,
        """SELECT code, "column", count(*) AS rows
           FROM rejected_rows, unnest(codes, columns) AS found (code, "column")
           WHERE upload_id = %s GROUP BY 1, 2 ORDER BY rows DESC, code, "column" LIMIT 1000""",
        upload_id,
    )
