"""How a file is divided into parts. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from contact_pipeline.uploads.errors import ApiError

MIB: Final = 1 << 20
SMALLEST_PART: Final = 5 * MIB
"""S3's limit for every part but the last (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html)."""
MAX_PART_BYTES: Final = 64 * MIB

_USUAL_PART: Final = 8 * MIB
_AIMED_PARTS: Final = 1_000


@dataclass(frozen=True)
class Plan:
    """A division into parts: all of `part_size` bytes, but the last."""

    size: int
    part_size: int

    @property
    def total(self) -> int:
        """Number of parts."""
        return -(-self.size // self.part_size)

    def length(self, index: int) -> int:
        """Bytes of the part with that index, from 0."""
        return min(self.part_size, self.size - index * self.part_size)


def recommended(size: int) -> Plan:
    """The division for a file that nobody has divided yet."""
    aimed = -(-size // _AIMED_PARTS)
    whole_mib = -(-aimed // MIB) * MIB
    return Plan(size, min(max(whole_mib, _USUAL_PART), MAX_PART_BYTES))


def plan(size: int, total: int | None) -> Plan:
    """The division that a client asks for by its number of parts, or the recommended one.

    Raises:
        ApiError: no part size that S3 takes gives that number.
    """
    best = recommended(size)
    if total is None or total == best.total:
        return best
    even = -(-size // total)
    whole_mib = -(-even // MIB) * MIB
    for part_size in (whole_mib, even):
        asked = Plan(size, part_size)
        if asked.total == total and part_size <= MAX_PART_BYTES and (total == 1 or part_size >= SMALLEST_PART):
            return asked
    raise ApiError(
        HTTPStatus.BAD_REQUEST,
        "wrong_total_chunks",
        f"a file of {size:,} bytes cannot be sent in {total:,} chunks: each but the last must have between "
        f"{SMALLEST_PART:,} and {MAX_PART_BYTES:,} bytes; send {best.total:,} chunks of {best.part_size:,} bytes",
        recommendedChunkSize=best.part_size,
        recommendedTotalChunks=best.total,
    )


def wrong_chunk_size(index: int, size: int, expected: int) -> ApiError:
    """A chunk has not the length that it must have."""
    return ApiError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "wrong_chunk_size",
        f"chunk {index} has {size:,} bytes, it must have {expected:,}",
        expectedBytes=expected,
    )
