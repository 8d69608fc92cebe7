"""How a file is written: decided once from its first bytes, and kept with the import.

Every attempt reads by what was decided at first, so that chunks are the same
each time.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Final

from contact_pipeline.files.errors import FileRefused
from contact_pipeline.files.records import LONGEST_RECORD, exact_records, line_ends

SAMPLE_BYTES: Final = 1 << 20
"""How much of the file the decision is taken from."""

_BOM: Final = b"\xef\xbb\xbf"
_MAGIC: Final = {
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"\x1f\x8b": "compressed with gzip",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook (.xls)",
    b"\x28\xb5\x2f\xfd": "compressed with Zstandard",
    b"%PDF": "a PDF document",
    b"\xff\xfe": "encoded as UTF-16",
    b"\xfe\xff": "encoded as UTF-16",
}


@dataclass(frozen=True)
class Dialect:
    """How to read a file.

    Attributes:
        encoding: name of its character encoding.
        delimiter: what separates values.
        header: its column titles, as written.
        data_offset: offset in bytes of the first record after the header.
        data_line: physical line that this record is on, counted from 1.
    """

    encoding: str
    delimiter: str
    header: tuple[str, ...]
    data_offset: int
    data_line: int


def detect(sample: bytes, *, whole: bool) -> Dialect:
    """Decide how a file is written.

    Args:
        sample: its first bytes, `SAMPLE_BYTES` of them unless it is shorter.
        whole: whether that is all of it.

    Raises:
        FileRefused: it is not a comma-separated table in UTF-8 with a header row.
    """
    for magic, what in _MAGIC.items():
        if sample.startswith(magic):
            raise FileRefused(
                "not_csv", f"the file is {what}; a comma-separated text file in UTF-8 is needed: save it as CSV"
            )
    start = len(_BOM) if sample.startswith(_BOM) else 0
    body = sample[start:]
    if not body.strip():
        raise FileRefused("empty_file", "the file is empty: it has no header row")
    if body.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
        raise FileRefused("not_csv", "the file is a web page, perhaps an error page saved in place of the export")
    header_record = exact_records(body, width=0, count=1, at_end=whole)
    if not len(header_record):
        raise FileRefused(
            "no_header", f"no header row ends within the first {LONGEST_RECORD:,} bytes: the file is not a CSV table"
        )
    begin, end = int(header_record.starts[0]), int(header_record.ends[0])
    try:
        text = body[begin:end].decode("utf-8")
    except UnicodeDecodeError:
        raise FileRefused("not_utf8", "the header row is not UTF-8: save the file as CSV UTF-8") from None
    if "\x00" in text:
        raise FileRefused("not_csv", "the header row holds NUL bytes: the file is not a text file in UTF-8")
    csv.field_size_limit(LONGEST_RECORD)
    header = next(csv.reader(io.StringIO(text, newline="")), [])
    return Dialect(
        encoding="utf-8",
        delimiter=",",
        header=tuple(header),
        data_offset=start + end,
        data_line=1 + len(line_ends(body[:end])),
    )
