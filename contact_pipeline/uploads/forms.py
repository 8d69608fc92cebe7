"""Reading a chunk's multipart form: straight into memory, under a budget for all chunks in flight."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request
from python_multipart import MultipartParser
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import parse_options_header

from contact_pipeline.uploads.parts import LARGEST_PART
from contact_pipeline.uploads.refusals import Refusal

_FORM_BYTES: Final = 1 << 16
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
async def read_chunk_form(request: Request, budget: ByteBudget) -> AsyncIterator[ChunkForm]:
    """Read the form; its bytes are held until the caller is done with them.

    Raises:
        Refusal: it is too large, or not such a form.
    """
    length = request.headers.get("content-length", "")
    if not length.isascii() or not length.isdigit():
        raise Refusal(HTTPStatus.LENGTH_REQUIRED, "length_required", "send a Content-Length with the chunk")
    if int(length) > LARGEST_PART + _FORM_BYTES:
        raise Refusal(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "chunk_too_large", f"a chunk has {LARGEST_PART:,} bytes at most"
        )
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or b"boundary" not in options:
        raise _not_a_form()
    async with budget.hold(int(length)):
        fields = _Fields()
        parser = MultipartParser(options[b"boundary"], fields.callbacks())
        try:
            async for block in request.stream():
                parser.write(block)
            parser.finalize()
        except MultipartParseError:
            raise _not_a_form() from None
        yield fields.form()


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

    def form(self) -> ChunkForm:
        upload_id = self._values.get("uploadId", bytearray()).decode("latin-1")
        index = self._values.get("chunkIndex", bytearray()).decode("latin-1")
        if "chunk" not in self._values or not index.isascii() or not index.isdigit() or len(index) > 6:
            raise _not_a_form()
        if not _UPLOAD_ID.fullmatch(upload_id):
            raise _not_a_form()
        return ChunkForm(upload_id, int(index), self._values["chunk"])


def _not_a_form() -> Refusal:
    return Refusal(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid_request",
        "send a multipart form with uploadId, chunkIndex (a number from 0) and chunk (the bytes)",
    )
