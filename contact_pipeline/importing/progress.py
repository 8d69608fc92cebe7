"""How imports go, live, in Redis.

The numbers are absolute and of committed chunks only, so that writing them twice
changes nothing. Redis may be lost at any time: whoever finds nothing there asks
the ledger.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import redis

from contact_pipeline.database.records import ImportState
from contact_pipeline.importing.chunks import ChunkOutcome

_logger = logging.getLogger(__name__)
_KEPT_SECONDS: Final = 7 * 24 * 3600


@dataclass
class Progress:
    """How far an import is.

    Attributes:
        state: the import's state.
        size, done: bytes of the file, and how many of them are committed.
        rows: committed rows.
        counts: what became of them.
        started_at: when the running attempt began.
        started_with: bytes that earlier attempts had committed; the rate leaves them out.
    """

    state: ImportState
    size: int
    done: int
    rows: int
    counts: dict[str, int] = field(default_factory=dict)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_with: int = 0

    def add(self, outcome: ChunkOutcome, end_offset: int) -> None:
        """Count a committed chunk."""
        self.rows += outcome.rows
        self.done = max(self.done, min(end_offset, self.size))
        for count, rows in outcome.counts.items():
            self.counts[count] = self.counts.get(count, 0) + rows

    @property
    def percent(self) -> float:
        """Committed share of the file, 0 to 100."""
        if self.state is ImportState.SUCCEEDED:
            return 100.0
        return round(100.0 * self.done / self.size, 1) if self.size else 0.0

    @property
    def loaded(self) -> int:
        """Committed rows that did not become rejects."""
        return self.rows - self.counts.get("rejected", 0)

    def bytes_per_second(self, now: datetime | None = None) -> float:
        """Rate of the running attempt."""
        elapsed = ((now or datetime.now(UTC)) - self.started_at).total_seconds()
        return max(0.0, (self.done - self.started_with) / elapsed) if elapsed > 0 else 0.0

    def seconds_left(self) -> float | None:
        """Estimate of the time to the end, or None where there is nothing to tell it from."""
        rate = self.bytes_per_second()
        return round((self.size - self.done) / rate, 1) if rate > 0 else None


class ProgressBoard:
    """The live counters of all imports. A Redis that does not answer costs a log line, never an import."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._complained = False

    @classmethod
    def from_url(cls, redis_url: str) -> ProgressBoard:
        """A board on that Redis, with timeouts short enough for the hot path."""
        return cls(redis.Redis.from_url(redis_url, socket_timeout=2, socket_connect_timeout=2, decode_responses=True))

    def put(self, upload_id: str, progress: Progress) -> None:
        """Show an import's progress."""
        value = json.dumps({**asdict(progress), "started_at": progress.started_at.isoformat()})
        try:
            self._redis.set(_key(upload_id), value, ex=_KEPT_SECONDS)
            self._complained = False
        except redis.RedisError as error:
            if not self._complained:
                _logger.warning("progress is not shown: Redis does not answer (%s)", type(error).__name__)
                self._complained = True

    def get(self, upload_id: str) -> Progress | None:
        """An import's progress, or None where Redis has none or does not answer."""
        try:
            value: Any = self._redis.get(_key(upload_id))
        except redis.RedisError:
            return None
        if value is None:
            return None
        found = json.loads(value)
        started_at = datetime.fromisoformat(found["started_at"])
        return Progress(**{**found, "state": ImportState(found["state"]), "started_at": started_at})


def _key(upload_id: str) -> str:
    return f"contact_pipeline:progress:{upload_id}"
