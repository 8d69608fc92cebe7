"""Files in memory, and how they read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from contact_pipeline.files.chunks import Chunk
from contact_pipeline.files.csv.parser import Columns
from contact_pipeline.files.csv.reader import read_chunks, start_of
from contact_pipeline.files.detection import detect
from contact_pipeline.files.dialect import Dialect, FormatOverrides
from contact_pipeline.files.text import Text


@dataclass(frozen=True)
class MemoryBlob:
    """A file in memory, read in blocks of any size."""

    data: bytes
    block: int = 1 << 20
    workbook_seconds: int = 60

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self, begin: int, end: int) -> bytes:
        return self.data[begin:end]

    def stream(self, begin: int) -> Iterator[bytes]:
        for at in range(begin, len(self.data), self.block):
            yield self.data[at : at + self.block]


def dialect_of(data: bytes, **overrides: Any) -> Dialect:
    return detect(MemoryBlob(data), FormatOverrides(**overrides))[0]


def read(
    data: bytes,
    block: int = 1 << 20,
    dialect: Dialect | None = None,
    columns: Callable[[], Columns] = lambda: None,
    **overrides: Any,
) -> list[Chunk]:
    """Every chunk of a file."""
    blob = MemoryBlob(data, block)
    dialect = dialect or detect(blob, FormatOverrides(**overrides))[0]
    start = start_of(dialect)
    text = Text(blob, dialect.content_encoding, start.offset)
    with closing(text.blocks()) as blocks:
        bytes_read = None if dialect.content_encoding.plain else text.bytes_read
        return list(read_chunks(blocks, dialect, start, bytes_read, columns))


def rows(chunks: list[Chunk]) -> list[tuple[str, ...]]:
    return [row for chunk in chunks for row in chunk.table.rows()]


def malformed(chunks: list[Chunk]) -> list[tuple[int, int, str, str | None]]:
    return [
        (chunk.start.row + item.row_index, chunk.line_of(item.row_index), item.code, item.column)
        for chunk in chunks
        for item in chunk.malformed
    ]


def skipped(chunks: list[Chunk]) -> dict[str, int]:
    total: dict[str, int] = {}
    for chunk in chunks:
        for why, count in chunk.skipped.items():
            total[why] = total.get(why, 0) + count
    return total
