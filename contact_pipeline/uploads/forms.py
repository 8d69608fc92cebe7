"""Reading a chunk's multipart form: straight into memory, under a budget for all chunks in flight."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, SupportsIndex

from fastapi import Request
from python_multipart import MultipartParser
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect

from contact_pipeline.uploads.errors import ApiError
from contact_pipeline.uploads.parts import MAX_PART_BYTES, wrong_chunk_size

_FORM_BYTES: Final = 1 << 16
# Bytes in flight are bounded, so a slow sender would keep others out: below this rate the call ends with 408.
_SLOWEST_BYTES_A_SECOND: Final = 16 << 10
_PATIENCE_SECONDS: Final = 60.0
_UPLOAD_ID: Final = re.compile(r"[0-9a-f]{32}")


class ByteBudget:
    """Bytes that all requests together may hold; who does not fit waits."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def hold(self, count: int) -> AsyncIterator[None]:
        """Hold that many bytes."""
        async with self._freed:
            await self._freed.wait_for(lambda: self._free >= count)
            self._free -= count
        try:
            yield
        finally:
            async with self._freed:
                self._free += count
                self._freed.notify_all()


@dataclass(frozen=True)
class ChunkForm:
    """A chunk as it was sent."""

    upload_id: str
    index: int
    body: bytearray


@asynccontextmanager
async def read_chunk_form(
    request: Request, budget: ByteBudget, expected: Callable[[str, int], Awaitable[int]]
) -> AsyncIterator[ChunkForm]:
    """Read the form; its bytes are held until the caller is done with them.

    Args:
        expected: tells how many bytes a chunk must have, given its upload and number; asked before they are read.

    Raises:
        ApiError: it is too large, too slow, not wanted, or not such a form.
    """
    length = request.headers.get("content-length", "")
    if not length.isascii() or not length.isdigit():
        raise ApiError(HTTPStatus.LENGTH_REQUIRED, "length_required", "send a Content-Length with the chunk")
    if int(length) > MAX_PART_BYTES + _FORM_BYTES:
        raise ApiError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "chunk_too_large", f"a chunk has {MAX_PART_BYTES:,} bytes at most"
        )
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or b"boundary" not in options:
        raise _not_a_form()
    async with budget.hold(int(length)):
        patience = _PATIENCE_SECONDS + int(length) / _SLOWEST_BYTES_A_SECOND
        try:
            async with asyncio.timeout(patience):
                form = await _read(request, _Fields(), options[b"boundary"], expected)
        except TimeoutError:
            raise ApiError(
                HTTPStatus.REQUEST_TIMEOUT,
                "too_slow",
                f"the chunk did not arrive within {patience:.0f} s: send it again",
            ) from None
        yield form


async def _read(
    request: Request, fields: _Fields, boundary: bytes, expected: Callable[[str, int], Awaitable[int]]
) -> ChunkForm:
    parser = MultipartParser(boundary, fields.callbacks())
    asked = False
    try:
        async for block in request.stream():
            parser.write(block)
            if fields.has_chunk and not asked:
                asked = True
                upload_id, index = fields.target()
                fields.expect(await expected(upload_id, index))
        parser.finalize()
    except MultipartParseError:
        await _drain(request)
        raise _not_a_form() from None
    except ApiError:
        await _drain(request)
        raise
    return fields.form()


async def _drain(request: Request) -> None:
    """Take the rest in and drop it: who is cut off while sending sees a broken line, not the answer."""
    with suppress(ClientDisconnect, RuntimeError):
        async for _ in request.stream():
            pass


class _Chunk(bytearray):
    """Bytes of which it is known how many there must be: what grows is copied again and again."""

    def __init__(self, expected: int) -> None:
        super().__init__(expected)
        self.expected = expected
        self.received = 0

    def extend(self, data: Iterable[SupportsIndex]) -> None:
        """Take the next bytes; what is too much is only counted."""
        view = memoryview(bytes(data)) if not isinstance(data, memoryview) else data
        end = self.received + len(view)
        if end <= self.expected:
            self[self.received : end] = view
        self.received = end


class _Fields:
    """Collects the form's fields as the parser meets them."""

    def __init__(self) -> None:
        self._values: dict[str, bytearray] = {}
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._into: bytearray = bytearray()

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, begin, end: self._header_name.extend(data[begin:end]),
            "on_header_value": lambda data, begin, end: self._header_value.extend(data[begin:end]),
            "on_header_end": self._end_header,
            "on_part_data": lambda data, begin, end: self._into.extend(memoryview(data)[begin:end]),
        }

    def _begin(self) -> None:
        self._into = bytearray()

    def _end_header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._header_value))
            self._values[options.get(b"name", b"").decode("latin-1")] = self._into
        self._header_name.clear()
        self._header_value.clear()

    @property
    def has_chunk(self) -> bool:
        """Whether the chunk's own bytes have begun."""
        return "chunk" in self._values

    def target(self) -> tuple[str, int]:
        """The upload and the number that the chunk is for; they must stand before it.

        Raises:
            ApiError: they do not, or are none.
        """
        upload_id = self._values.get("uploadId", bytearray()).decode("latin-1")
        index = self._values.get("chunkIndex", bytearray()).decode("latin-1")
        if not index.isascii() or not index.isdigit() or len(index) > 6 or not _UPLOAD_ID.fullmatch(upload_id):
            raise _not_a_form()
        return upload_id, int(index)

    def expect(self, length: int) -> None:
        """Make place for the chunk, now that its length is known."""
        chunk = _Chunk(length)
        chunk.extend(memoryview(self._values["chunk"]))
        if self._into is self._values["chunk"]:
            self._into = chunk
        self._values["chunk"] = chunk

    def form(self) -> ChunkForm:
        chunk = self._values.get("chunk")
        if not isinstance(chunk, _Chunk):
            raise _not_a_form()
        upload_id, index = self.target()
        if chunk.received != chunk.expected:
            raise wrong_chunk_size(index, chunk.received, chunk.expected)
        return ChunkForm(upload_id, index, chunk)


def _not_a_form() -> ApiError:
    return ApiError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid_request",
        "send a multipart form with uploadId, chunkIndex (a number from 0) and, after these, chunk (the bytes)",
    )
