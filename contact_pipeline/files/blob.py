"""Where a file's bytes come from: anything with a size that can be read in ranges."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Final, Protocol

from contact_pipeline.errors import FileRefused

_LARGEST_READ: Final = 2 << 20


class Blob(Protocol):
    """A file that does not change while it is read."""

    @property
    def size(self) -> int:
        """Its length in bytes."""
        ...

    @property
    def workbook_seconds(self) -> int:
        """How many seconds of a processor its rows may cost, where it is a workbook."""
        ...

    def read(self, begin: int, end: int) -> bytes:
        """Bytes `begin` to `end` (exclusive)."""
        ...

    def stream(self, begin: int) -> Iterator[bytes]:
        """Its bytes from `begin` on, in blocks."""
        ...


class SeekableBlob(io.RawIOBase):
    """A blob as a binary file, for libraries that seek. Attribute `at`: the offset that it stands at."""

    def __init__(self, blob: Blob) -> None:
        self._blob = blob
        self.at = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self._blob.size}[whence]
        self.at = max(0, base + offset)
        return self.at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed wants every buffer
        """Read into a buffer.

        Raises:
            FileRefused: more is wanted at once than any sound archive needs: its directory is too large.
        """
        if len(buffer) > _LARGEST_READ:
            raise FileRefused("archive_too_large", "the archive has too many entries: put one table into it")
        end = min(self.at + len(buffer), self._blob.size)
        if end <= self.at:
            return 0
        data = self._blob.read(self.at, end)
        buffer[: len(data)] = data
        self.at += len(data)
        return len(data)


class BlockFile(io.RawIOBase):
    """Blocks as a binary file that is read from front to back."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = b""

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed wants every buffer
        """Read into a buffer; 0 at the end."""
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._rest = block
        taken = self._rest[: len(buffer)]
        self._rest = self._rest[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)
