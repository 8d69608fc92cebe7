"""Why a launch ended without its import: outside the file, in it, or unexpectedly; and how long to wait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_SHORTEST_PAUSE_SECONDS: Final = 5

_MAX_PAUSE_SECONDS: Final = 86_400


@dataclass(frozen=True)
class Cause:
    """Why a run ended before its import was over.

    Attributes:
        code: for programs; the import's `error_code` where it is given up.
        reason: for people, without any value.
        patience: launches that failed by this code, in a row without a committed chunk, after which the import is
            given up.
    """

    code: str
    reason: str
    patience: int


MAX_LAUNCHES: Final = 20
"""With pauses that double from 5 s up to a day: a week."""

_UNKNOWN: Final = 3


def outside(code: str, reason: str) -> Cause:
    """Something else than the file is to blame, and it may pass: a database, a store, a worker that is away."""
    return Cause(code, reason, MAX_LAUNCHES)


def unexpected(reason: str) -> Cause:
    """Nobody foresaw it: the code is to blame, or what it runs on."""
    return Cause("unexpected", reason, _UNKNOWN)


def pause_seconds(fruitless: int) -> int:
    """How long to wait before the next launch, after so many without a committed chunk."""
    doublings = min(max(fruitless - 1, 0), 20)
    return min(_MAX_PAUSE_SECONDS, _SHORTEST_PAUSE_SECONDS << doublings)
