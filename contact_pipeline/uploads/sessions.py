"""Upload sessions in Redis. Their state changes only by compare-and-set."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from time import time
from typing import Any, Final

import redis

UPLOADING: Final = "uploading"
COMPLETING: Final = "completing"
COMPLETED: Final = "completed"
CANCELLED: Final = "cancelled"

_LEASE_SECONDS: Final = 60

# KEYS: session. ARGV: wanted state, now, lease, allowed states…
# A `completing` whose holder died may be taken over when its lease is over.
_MOVE: Final = """
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return '' end
for i = 4, #ARGV do
  local free = state ~= 'completing' or ARGV[1] ~= 'completing'
      or tonumber(ARGV[2]) - tonumber(redis.call('HGET', KEYS[1], 'moved_at')) > tonumber(ARGV[3])
  if state == ARGV[i] and free then
    redis.call('HSET', KEYS[1], 'state', ARGV[1], 'moved_at', ARGV[2])
    return ARGV[1] .. '!'
  end
end
return state
"""
# KEYS: session, parts. ARGV: index, value, seconds. A part counts only while its upload goes on.
_ADD_PART: Final = """
local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'uploading' then return state or '' end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[3])
return state
"""


@dataclass(frozen=True)
class Session:
    """An upload on its way into the bucket."""

    upload_id: str
    owner: str
    key: str
    s3_upload_id: str
    file_name: str
    size: int
    part_size: int
    total: int
    created_at: float


class Sessions:
    """All upload sessions. Each lives for a number of seconds from the last call that concerns it."""

    def __init__(self, client: redis.Redis, seconds: int) -> None:
        self._redis = client
        self._seconds = seconds
        self._move = client.register_script(_MOVE)
        self._add_part = client.register_script(_ADD_PART)

    def create(self, session: Session) -> None:
        """Keep a new session."""
        values: dict[str, Any] = {"session": json.dumps(asdict(session)), "state": UPLOADING, "moved_at": time()}
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(_key(session.upload_id), mapping=values)  # type: ignore[arg-type]  # its stubs want keys of every type
            pipe.expire(_key(session.upload_id), self._seconds)
            pipe.execute()

    def get(self, upload_id: str) -> tuple[Session, str] | None:
        """A session and its state, or None where there is none (any more)."""
        values: Any = self._redis.hgetall(_key(upload_id))
        if not values:
            return None
        self._redis.expire(_key(upload_id), self._seconds)
        self._redis.expire(_parts_key(upload_id), self._seconds)
        return Session(**json.loads(values["session"])), values["state"]

    def move(self, upload_id: str, to: str, *allowed: str) -> tuple[bool, str]:
        """Change the state if it is one of those allowed.

        Returns:
            Whether it was changed, and the state now ("" where there is no session).
        """
        answer: Any = self._move(keys=[_key(upload_id)], args=[to, time(), _LEASE_SECONDS, *allowed])
        return answer.endswith("!"), answer.removesuffix("!")

    def add_part(self, upload_id: str, index: int, size: int) -> str:
        """Note a part that S3 has taken; returns the state, and notes nothing unless it is `uploading`."""
        keys = [_key(upload_id), _parts_key(upload_id)]
        state: Any = self._add_part(keys=keys, args=[index, size, self._seconds])
        return state

    def parts(self, upload_id: str) -> dict[int, int]:
        """Sizes of the parts that have arrived, by index."""
        values: Any = self._redis.hgetall(_parts_key(upload_id))
        return {int(index): int(size) for index, size in values.items()}

    def forget_parts(self, upload_id: str) -> None:
        """Drop the notes of single parts; the session itself stays, to answer later calls."""
        self._redis.delete(_parts_key(upload_id))


def _key(upload_id: str) -> str:
    return f"contact_pipeline:upload:{upload_id}"


def _parts_key(upload_id: str) -> str:
    return f"contact_pipeline:upload:{upload_id}:parts"
