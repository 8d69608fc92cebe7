"""What an import has loaded, as a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from contact_pipeline.contacts.fields import FIELDS
from contact_pipeline.database import exporting
from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.records import ImportRecord
from contact_pipeline.files.rejects_file import guard
from contact_pipeline.importing.planning import recalled


def contacts_csv(connection: Connection, record: ImportRecord) -> Iterator[bytes]:
    """The contacts of an import's rows as they are now, as CSV: UTF-8 with a byte order mark, for Excel.

    Contacts that files of other owners have given values to are left out. Its columns are all fields, by the titles
    that an import knows, and those that the import kept as they were. An import that has loaded nothing, or is undone,
    gives the titles alone.
    """
    kept = [key for key in recalled(record).mapping.extra if key] if record.dialect and record.mapping else []
    titles = io.StringIO(newline="")
    csv.writer(titles, lineterminator="\n").writerow(
        [field.headers[0] if field.headers else field.name for field in FIELDS] + [guard(key) for key in kept]
    )
    yield ("\ufeff" + titles.getvalue()).encode()
    yield from exporting.contacts_csv(connection, record.upload_id, record.owner, kept)
