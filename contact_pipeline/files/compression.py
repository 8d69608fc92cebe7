"""Compressed files: what is inside, unpacked as a stream in bounded memory.

Declared sizes are never trusted: what counts is what really comes out.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import pyarrow

from contact_pipeline.errors import FileRefused
from contact_pipeline.files.blob import Blob, BlockFile, SeekableBlob

GZIP: Final = "gzip"
ZSTD: Final = "zstd"
ZIP: Final = "zip"
EXCEL: Final = "excel"

_BLOCK: Final = 1 << 20
_FREE_BYTES: Final = 256 << 20
_LARGEST_RATIO: Final = 500
_MAX_LISTED: Final = 20
_WORKBOOK_PARTS: Final = (b"[content_types].xml", b"_rels/", b"docprops/", b"xl/", b"mimetypeapplication/vnd.oasis")
_NAME_IN_HEADER: Final = 30
_TABLES: Final = (".csv", ".tsv", ".tab", ".txt", ".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
_OLE: Final = b"\xd0\xcf\x11\xe0"


def recognise(head: bytes) -> str | None:
    """What a file is by its first bytes: `gzip`, `zstd`, `zip` (a workbook perhaps), `excel` (an old one), or None."""
    for magic, what in ((b"\x1f\x8b", GZIP), (b"\x28\xb5\x2f\xfd", ZSTD), (b"PK\x03\x04", ZIP), (b"PK\x05\x06", ZIP)):
        if head.startswith(magic):
            return what
    return EXCEL if head.startswith(_OLE) else None


def open_zip(blob: Blob) -> tuple[zipfile.ZipFile, SeekableBlob]:
    """Open a ZIP archive.

    Raises:
        FileRefused: it is damaged, or its directory is larger than any sound one.
    """
    raw = SeekableBlob(blob)
    try:
        return zipfile.ZipFile(io.BufferedReader(raw, _BLOCK)), raw
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError):
        raise FileRefused("damaged_archive", "the ZIP archive is damaged or incomplete: upload it again") from None


def begins_as_workbook(head: bytes) -> bool:
    """Whether a ZIP archive is an Excel or OpenDocument workbook, by the name of its first entry."""
    return head[_NAME_IN_HEADER:].lower().startswith(_WORKBOOK_PARTS)


def only_table(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """The one table in an archive.

    Raises:
        FileRefused: there is none, or there are several, or it is encrypted.
    """
    entries = [
        entry
        for entry in archive.infolist()
        if not entry.is_dir() and not entry.filename.startswith("__MACOSX/") and _base(entry).strip(".") == _base(entry)
    ]
    tables = [entry for entry in entries if _base(entry).lower().endswith(_TABLES)] or entries
    if len(tables) != 1:
        listed = ", ".join(repr(entry.filename[:80]) for entry in tables[:_MAX_LISTED])
        more = ", …" if len(tables) > _MAX_LISTED else ""
        found = f"holds {len(tables)} files ({listed}{more})" if tables else "is empty"
        raise FileRefused("not_one_table", f"the ZIP archive {found}: put exactly one table into it")
    if tables[0].flag_bits & 1:
        raise FileRefused("encrypted", "the ZIP archive is encrypted: upload it without a password")
    return tables[0]


def _base(entry: zipfile.ZipInfo) -> str:
    return entry.filename.rsplit("/", 1)[-1]


def unzipped(archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    """The bytes of one entry."""
    try:
        with archive.open(name) as entry:
            while block := entry.read(_BLOCK):
                yield block
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError):
        raise FileRefused(
            "damaged_archive", "the ZIP archive is damaged, or packed in a way that is not read: pack it again"
        ) from None


def gunzipped(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes of a gzip file of any number of members."""
    inflater = zlib.decompressobj(wbits=31)
    begun = False
    try:
        for block in blocks:
            data = block
            while data:
                if inflater.eof:
                    if not begun and not data.strip(b"\x00"):
                        break  # padding after the last member
                    inflater = zlib.decompressobj(wbits=31)
                begun = True
                out = inflater.decompress(data, _BLOCK)
                data = inflater.unconsumed_tail
                if inflater.eof:
                    data, begun = inflater.unused_data, False
                if out:
                    yield out
    except zlib.error:
        raise FileRefused("damaged_archive", "the gzip file is damaged: upload it again") from None
    if not inflater.eof:
        raise FileRefused("damaged_archive", "the gzip file ends in the middle: upload it again") from None


def unzstd(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes of a Zstandard file."""
    source = pyarrow.PythonFile(io.BufferedReader(BlockFile(iter(blocks)), _BLOCK), mode="r")
    try:
        with pyarrow.CompressedInputStream(source, ZSTD) as stream:
            while block := stream.read(_BLOCK):
                yield block
    except (OSError, pyarrow.ArrowException):
        raise FileRefused(
            "damaged_archive", "the Zstandard file is damaged or ends in the middle: upload it again"
        ) from None


def bounded(blocks: Iterable[bytes], consumed: Callable[[], int]) -> Iterator[bytes]:
    """Pass blocks on as long as they are in proportion to what they were packed into.

    Args:
        consumed: how many packed bytes have been read so far.

    Raises:
        FileRefused: it unpacks to more than 500 times its size: no table does, a decompression bomb does.
    """
    total = 0
    for block in blocks:
        total += len(block)
        if total > _FREE_BYTES and total > _LARGEST_RATIO * max(consumed(), 1):
            raise FileRefused(
                "decompression_bomb",
                f"the file unpacks to more than {_LARGEST_RATIO} times its size, as no table does: a bomb",
            )
        yield block
