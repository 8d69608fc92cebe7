"""How a file is written, decided from its first bytes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from typing import Final

from contact_pipeline.errors import FileRefused
from contact_pipeline.files import encoding, quoting
from contact_pipeline.files.blob import Blob
from contact_pipeline.files.compression import EXCEL
from contact_pipeline.files.csv.shape import Shape, shape_of
from contact_pipeline.files.dialect import DELIMITERS, QUOTES, SAMPLE_BYTES, Dialect, FormatOverrides
from contact_pipeline.files.header_row import (
    HEADER_WITHIN_ROWS,
    MIN_KNOWN_TITLES,
    HeaderCandidate,
    Sample,
    find_header,
    refuse_damaged_header,
    refuse_torn_header,
)
from contact_pipeline.files.text import ContentEncoding, Text, unwrap

_BOM: Final = "\ufeff".encode()

_WINDOWS: Final = 8

_WINDOW_BYTES: Final = 256 << 10

_MAX_COLUMNS: Final = 4_096

_PDF: Final = b"%PDF"
_TAR: Final = b"ustar"
_TAR_AT: Final = 257
"""Where the magic of POSIX.1-1988 stands in a header of tar."""

_NO_OVERRIDES: Final = FormatOverrides()


def detect(blob: Blob, overrides: FormatOverrides = _NO_OVERRIDES) -> tuple[Dialect, bytes]:
    """Decide how a file is written.

    Returns:
        The dialect, and the first bytes of the text behind the header.

    Raises:
        FileRefused: it is no table with a header row, or cannot be unpacked or decoded.
    """
    try:
        return _detect(blob, overrides)
    except UnicodeError:
        named = overrides.encoding or "any encoding that is looked for"
        raise FileRefused("wrong_encoding", f"the file is no text in {named}: say its encoding") from None


def _detect(blob: Blob, overrides: FormatOverrides) -> tuple[Dialect, bytes]:
    if not blob.size:
        raise FileRefused("empty_file", "the file is empty: it has no header row")
    head = blob.read(0, min(blob.size, SAMPLE_BYTES))
    content_encoding = replace(unwrap(blob, head), sheet=overrides.sheet or "")
    if content_encoding.sheet and EXCEL not in content_encoding.layers:
        raise FileRefused("no_such_sheet", "a sheet is asked for, and the file is no workbook")
    confidence: dict[str, str] = {}
    sample = Sample(head, whole=len(head) == blob.size) if content_encoding.plain else _sample(blob, content_encoding)
    if EXCEL not in content_encoding.layers:
        name, confidence["encoding"] = _encoding(blob, content_encoding, sample.data, overrides)
        content_encoding = replace(content_encoding, encoding=name)
        if not content_encoding.plain:
            sample = _sample(blob, content_encoding)
    _refuse_other_kinds(sample.data)
    body, delimiter = _behind_separator_line(sample)
    if EXCEL in content_encoding.layers:
        delimiter = ","
    elif overrides.delimiter:
        delimiter, confidence["delimiter"] = overrides.delimiter, "given"
    elif delimiter:
        confidence["delimiter"] = "certain"
    candidates = [
        find_header(body, mark, quote, overrides)
        for mark in ([delimiter] if delimiter else DELIMITERS)
        for quote in QUOTES
    ]
    best = max((found for found in candidates if found), key=HeaderCandidate.rank, default=None)
    if best is None or (best.known < 1 and overrides.header_line is None):
        raise _no_header(body.data, best)
    confidence.setdefault("delimiter", "certain" if best.consistent else "likely")
    confidence["header"] = (
        "given" if overrides.header_line else "certain" if best.known > MIN_KNOWN_TITLES else "likely"
    )
    known = content_encoding
    if quoting.escapes_by_backslash(body.data, best.delimiter, best.quote):
        content_encoding = replace(content_encoding, escape_for=best.quote)
    if EXCEL not in content_encoding.layers and quoting.has_blanks_before_quotes(body.data, best.delimiter):
        content_encoding = replace(content_encoding, blank_after=best.delimiter)
    if content_encoding != known:
        # The text is another one then, with plain quotes: where things are in it is found once more.
        body, _ = _behind_separator_line(_sample(blob, content_encoding))
        best = find_header(body, best.delimiter, best.quote, overrides) or best
    refuse_torn_header(body, best)
    refuse_damaged_header(body, best)
    shape = shape_of(body.data[best.end :], best.csv_format, best.header, whole=body.whole)
    return _dialect(body, best, content_encoding, shape, confidence), body.data[best.end :]


def _dialect(
    body: Sample, found: HeaderCandidate, content_encoding: ContentEncoding, shape: Shape, confidence: Mapping[str, str]
) -> Dialect:
    if len(found.header) > _MAX_COLUMNS:
        raise FileRefused(
            "too_many_columns", f"the header row has {len(found.header):,} columns, {_MAX_COLUMNS:,} are read at most"
        )
    return Dialect(
        content_encoding=content_encoding,
        delimiter=found.delimiter,
        quote=found.quote,
        header=found.header,
        data_offset=body.offset + found.end,
        data_line=found.data_line,
        sheet=body.sheet.strip(),
        other_sheets=body.other_sheets,
        has_number_formats=body.has_number_formats,
        lax=shape.lax,
        widths=shape.widths,
        confidence=dict(confidence),
    )


def _encoding(
    blob: Blob, content_encoding: ContentEncoding, sample: bytes, overrides: FormatOverrides
) -> encoding.Encoding:
    if overrides.encoding:
        return encoding.Encoding(overrides.encoding, "given")
    decided = encoding.decide(sample)
    if decided.name == encoding.UTF8 and sample.isascii() and content_encoding.plain and blob.size > len(sample):
        # The first accent may stand far down: look into the rest of the file as well.
        step = max((blob.size - len(sample)) // _WINDOWS, _WINDOW_BYTES)
        for begin in range(len(sample), blob.size, step):
            window = blob.read(begin, min(begin + _WINDOW_BYTES, blob.size)).lstrip(bytes(range(0x80, 0xC0)))
            if not window.isascii():
                return encoding.decide(window)._replace(confidence="likely")
    return decided


def _sample(blob: Blob, content_encoding: ContentEncoding) -> Sample:
    text = Text(blob, content_encoding)
    sample = bytearray()
    with closing(text.blocks()) as blocks:
        for block in blocks:
            sample += block
            if len(sample) > SAMPLE_BYTES:
                return Sample(
                    bytes(sample[:SAMPLE_BYTES]), False, text.sheet, text.other_sheets, text.has_number_formats
                )
    return Sample(bytes(sample), True, text.sheet, text.other_sheets, text.has_number_formats)


def _refuse_other_kinds(sample: bytes) -> None:
    body = sample.removeprefix(_BOM)
    if not body.strip():
        raise FileRefused("empty_file", "the file is empty: it has no header row")
    if body.startswith(_PDF):
        raise FileRefused("not_a_table", "the file is a PDF document: a CSV or Excel file is needed")
    if body[_TAR_AT : _TAR_AT + len(_TAR)] == _TAR:
        raise FileRefused("not_a_table", "the file is a tar archive: upload the table in it by itself")
    begin = body.lstrip()[:64].lower()
    if begin.startswith((b"<!doctype", b"<html", b"<table", b"<head", b"<meta")):
        raise FileRefused("not_a_table", "the file is a web page, perhaps an error page saved in place of the export")
    if begin.startswith(b"<?xml"):
        raise FileRefused("not_a_table", "the file is an XML document: save it as CSV or as an Excel workbook (.xlsx)")


def _behind_separator_line(sample: Sample) -> tuple[Sample, str | None]:
    """What comes after the byte order mark and a line `sep=;`, and the delimiter that this names."""
    start = len(_BOM) if sample.data.startswith(_BOM) else 0
    line = sample.data[start : start + 16].splitlines(keepends=True)[:1]
    bare = line[0].strip(b'"\r\n') if line else b""
    named = bare[4:].decode("latin-1") if bare.lower().startswith(b"sep=") else None
    if named in DELIMITERS and line[0].endswith((b"\n", b"\r")):
        start += len(line[0])
        return sample._replace(data=sample.data[start:], offset=start, line=2), named
    return sample._replace(data=sample.data[start:], offset=start), None


def _no_header(body: bytes, best: HeaderCandidate | None) -> FileRefused:
    if best is None:
        return FileRefused(
            "no_header", f"no row ends within the first {len(body):,} bytes: the file is no table of text"
        )
    if b"\x00" in body[:4096]:
        return FileRefused("not_a_table", "the file is no text: a CSV or Excel file is needed")
    shown = ", ".join(repr(title[:60]) for title in best.header[:40])
    return FileRefused(
        "no_header",
        f"none of the first {HEADER_WITHIN_ROWS} rows has a column title that is known: a header row is needed, or a "
        f"mapping and the line of the header. The first row has {len(best.header)} columns: {shown}",
    )
