"""The rejects of an import as a file."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Final

from contact_pipeline.database import queries
from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.records import ImportRecord
from contact_pipeline.files import dialect
from contact_pipeline.files.blob import BlockFile
from contact_pipeline.files.rejects_file import RejectsWriter, unguard
from contact_pipeline.object_store import ObjectStore

REJECTS: Final = "rejects/"
"""Prefix of the rejects files in the bucket."""


_SHOWN_CHARACTERS: Final = 2_000_000


def rejects_csv(connection: Connection, record: ImportRecord) -> Iterator[bytes]:
    """The rejects of an import, as CSV; the titles alone where there are none."""
    if not record.dialect:
        yield b""
        return
    yield from _writer(record).csv(queries.stream_rejects(connection, record.upload_id))


def first_rejects(connection: Connection, record: ImportRecord, rows: int) -> tuple[list[str], list[list[str]]]:
    """The titles and the first rows of the rejects file of an import, as they are without guards against formulas.

    Nothing where its file was not read.
    """
    if not record.dialect:
        return [], []
    writer = _writer(record)
    found = queries.stream_rejects(connection, record.upload_id)
    with closing(found):
        shown: list[list[str]] = []
        size = 0
        for reject in islice(found, rows):
            shown.append([unguard(cell) for cell in writer.cells(reject)])
            size += sum(map(len, shown[-1]))
            if size > _SHOWN_CHARACTERS:
                break
        return [unguard(title) for title in writer.titles], shown


def rejects_xlsx(connection: Connection, record: ImportRecord, path: Path) -> None:
    """Write the rejects of an import as an Excel workbook.

    Raises:
        FileRefused: they do not fit into a sheet.
    """
    _writer(record).xlsx(queries.stream_rejects(connection, record.upload_id), path)


def _writer(record: ImportRecord) -> RejectsWriter:
    assert record.dialect is not None
    found = dialect.recalled(record.dialect)
    return RejectsWriter(found.header, found.csv_format, record.upload_id)


def store_rejects(
    connection: Connection, store: ObjectStore, record: ImportRecord, on_bytes: Callable[[], None]
) -> None:
    """Put the rejects file of an import into the bucket, if it has rejects; else take away that of an earlier import.

    Args:
        on_bytes: called again and again while it is written.

    Raises:
        StoreFailed: S3 did not take it.
    """
    key = f"{REJECTS}{record.upload_id}.csv"
    if not queries.rejected_rows(connection, record.upload_id):
        # It may have been imported before, by other options, and undone.
        store.delete(key)
        return

    def blocks() -> Iterator[bytes]:
        for block in rejects_csv(connection, record):
            on_bytes()
            yield block

    store.put(key, io.BufferedReader(BlockFile(blocks()), 1 << 20), "text/csv; charset=utf-8")
