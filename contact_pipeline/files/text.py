"""A file as a stream of UTF-8 text, whatever it was packed into and however it is encoded."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from contact_pipeline.errors import FileRefused
from contact_pipeline.files import compression, encoding, quoting
from contact_pipeline.files.blob import Blob
from contact_pipeline.files.compression import EXCEL, ZIP
from contact_pipeline.files.excel.workbook import read_sheet

_HEAD: Final = 4096


@dataclass(frozen=True)
class ContentEncoding:
    """Compression, workbook and character encoding of a file.

    Attributes:
        layers: from outside: `gzip`, `zstd`, `zip`, `excel`.
        member: name of the entry in a ZIP archive.
        encoding: of the text.
        escape_for: the quote that backslashes escape; "" where quotes are doubled.
        blank_after: the delimiter that blanks stand behind, before quotes; "" where none do.
        sheet: name of the worksheet that is asked for, of a workbook; "" for the one that says who people are.
    """

    layers: tuple[str, ...] = ()
    member: str = ""
    encoding: str = encoding.UTF8
    escape_for: str = ""
    blank_after: str = ""
    sheet: str = ""

    @property
    def plain(self) -> bool:
        """Whether the text is the file itself, so that their offsets are the same."""
        return not (self.layers or self.encoding != encoding.UTF8 or self.escape_for or self.blank_after)


class Text:
    """The text of a file from an offset on.

    Attributes:
        sheet: name of the worksheet, where the file is a workbook and its first block has been taken.
        other_sheets: names of the others; where none was asked for, of those that hold anything.
        has_number_formats: whether numbers are as the workbook shows them: of `.xls`, `.xlsb` and `.ods` only their
            values are read.
    """

    def __init__(self, blob: Blob, content_encoding: ContentEncoding, begin: int = 0) -> None:
        """Open it.

        Args:
            begin: offset in the text, in bytes of UTF-8. Where the file is wrapped, what comes before is read again.
        """
        self._blob = blob
        self._content_encoding = content_encoding
        self._begin = begin
        self._read = begin if content_encoding.plain else 0
        self.sheet = ""
        self.other_sheets: tuple[str, ...] = ()
        self.has_number_formats = True

    def bytes_read(self) -> int:
        """How much of the file, packed as it is, has been read."""
        return min(self._read, self._blob.size)

    def blocks(self) -> Generator[bytes]:
        """The text as UTF-8, block by block.

        Raises:
            FileRefused: it cannot be unpacked.
        """
        if self._content_encoding.plain:
            yield from self._counted(self._begin)
            return
        blocks = encoding.to_utf8(self.unpacked(), self._content_encoding.encoding)
        if self._content_encoding.escape_for:
            blocks = quoting.without_backslashes(blocks, self._content_encoding.escape_for)
        if self._content_encoding.blank_after:
            blocks = quoting.without_blanks_before_quotes(blocks, self._content_encoding.blank_after)
        left = self._begin
        for block in blocks:
            if left >= len(block):
                left -= len(block)
                continue
            yield block[left:]
            left = 0

    def unpacked(self) -> Iterator[bytes]:
        """The bytes inside all layers, not decoded."""
        blocks = self._counted(0)
        for layer in self._content_encoding.layers:
            match layer:
                case compression.GZIP:
                    blocks = compression.bounded(compression.gunzipped(blocks), self.bytes_read)
                case compression.ZSTD:
                    blocks = compression.bounded(compression.unzstd(blocks), self.bytes_read)
                case compression.ZIP:
                    blocks = self._zip_entry()
                case compression.EXCEL:
                    blocks = self._sheet(blocks)
        return blocks

    def _counted(self, begin: int) -> Iterator[bytes]:
        for block in self._blob.stream(begin):
            self._read += len(block)
            yield block

    def _zip_entry(self) -> Iterator[bytes]:
        archive, raw = compression.open_zip(self._blob)
        entry = archive.getinfo(self._content_encoding.member)

        def consumed() -> int:
            self._read = raw.at - entry.header_offset
            return self._read

        yield from compression.bounded(compression.unzipped(archive, entry.filename), consumed)

    def _sheet(self, workbook: Iterator[bytes]) -> Iterator[bytes]:
        """The sheet as CSV, after the child's line about it."""
        with closing(read_sheet(workbook, self._content_encoding.sheet, self._blob.workbook_seconds)) as blocks:
            head = b""
            rows = height = 0
            for block in blocks:
                rest = block
                if not self.sheet:
                    head += block
                    first, line_end, rest = head.partition(b"\n")
                    if not line_end:
                        continue
                    about = json.loads(first)
                    self.sheet, height = about["sheet"] or " ", about["rows"]
                    self.other_sheets = tuple(about["others"])
                    self.has_number_formats = bool(about["formats"])
                rows += rest.count(b"\n")
                # The child has read the workbook as a whole: what counts is how much of the sheet has come.
                self._read = int(self._blob.size * min(1.0, rows / height)) if height else self._blob.size
                if rest:
                    yield rest


def unwrap(blob: Blob, head: bytes) -> ContentEncoding:
    """Find out what a file is packed into, by its bytes, never by its name. `head` are the first of them.

    Raises:
        FileRefused: it is an archive with other than one table in it, encrypted, or packed more than twice.
    """
    layers: list[str] = []
    member = ""
    while len(layers) <= 2:
        content_encoding = ContentEncoding(tuple(layers), member)
        inside = _first_bytes(blob, content_encoding) if layers else head
        found = compression.recognise(inside)
        if found is None:
            return content_encoding
        if found == ZIP and compression.begins_as_workbook(inside):
            found = EXCEL
        if found == ZIP:
            if layers:
                raise FileRefused(
                    "packed_twice",
                    "the file is an archive or workbook within an archive: unpack it and upload what is inside",
                )
            archive, _ = compression.open_zip(blob)
            member = compression.only_table(archive).filename
        layers.append(found)
        if found == EXCEL:
            return ContentEncoding(tuple(layers), member)
    raise FileRefused("packed_twice", "the file is packed several times over: unpack it and upload what is inside")


def _first_bytes(blob: Blob, content_encoding: ContentEncoding) -> bytes:
    head = b""
    for block in Text(blob, content_encoding).unpacked():
        head += block
        if len(head) >= _HEAD:
            break
    return head[:_HEAD]
