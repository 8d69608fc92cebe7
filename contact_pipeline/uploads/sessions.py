"""Upload sessions in Redis. Their state changes only by compare-and-set."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from time import time
from typing import Any, Final

import redis

from contact_pipeline.settings import Settings


class UploadState(StrEnum):
    """Where an upload is on its way into the bucket."""

    UPLOADING = "uploading"
    COMPLETING = "completing"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


UNDER_WAY: Final = (UploadState.UPLOADING, UploadState.COMPLETING)
"""Neither complete nor cancelled."""

_LEASE_SECONDS: Final = 60

# A session lives from call to call, but not beyond its end, which is absolute.
_TOUCH: Final = """
local function touch(session, parts, seconds)
  local now = tonumber(redis.call('TIME')[1])
  local ends = math.min(now + tonumber(seconds), tonumber(redis.call('HGET', session, 'ends_at')))
  redis.call('EXPIREAT', session, ends)
  redis.call('EXPIREAT', parts, ends)
end
"""
# KEYS: session, parts, the owner's open uploads. ARGV: session, state, now, end, seconds, id, most open uploads.
_CREATE: Final = (
    _TOUCH
    + """
for _, id in ipairs(redis.call('SMEMBERS', KEYS[3])) do
  if redis.call('EXISTS', (string.gsub(KEYS[1], ARGV[6], id))) == 0 then redis.call('SREM', KEYS[3], id) end
end
if redis.call('SCARD', KEYS[3]) >= tonumber(ARGV[7]) then return 0 end
redis.call('SADD', KEYS[3], ARGV[6])
redis.call('HSET', KEYS[1], 'session', ARGV[1], 'state', ARGV[2], 'moved_at', ARGV[3], 'ends_at', ARGV[4])
touch(KEYS[1], KEYS[2], ARGV[5])
return 1
"""
)
# KEYS: session, parts. ARGV: seconds.
_GET: Final = (
    _TOUCH
    + """
local found = redis.call('HMGET', KEYS[1], 'session', 'state')
if found[1] then touch(KEYS[1], KEYS[2], ARGV[1]) end
return found
"""
)
# KEYS: session, the owner's open uploads. ARGV: wanted state, now, lease, id, allowed states…
# A `completing` whose holder died may be taken over when its lease is over.
_MOVE: Final = """
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return '' end
for i = 5, #ARGV do
  local free = state ~= 'completing' or ARGV[1] ~= 'completing'
      or tonumber(ARGV[2]) - tonumber(redis.call('HGET', KEYS[1], 'moved_at')) > tonumber(ARGV[3])
  if state == ARGV[i] and free then
    redis.call('HSET', KEYS[1], 'state', ARGV[1], 'moved_at', ARGV[2])
    if ARGV[1] == 'completed' or ARGV[1] == 'cancelled' then redis.call('SREM', KEYS[2], ARGV[4]) end
    return ARGV[1] .. '!'
  end
end
return state
"""
# KEYS: session, parts. ARGV: index, value, seconds. A part counts only while its upload goes on.
_ADD_PART: Final = (
    _TOUCH
    + """
local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'uploading' then return state or '' end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
touch(KEYS[1], KEYS[2], ARGV[3])
return state
"""
)


@dataclass(frozen=True)
class Session:
    """An upload on its way into the bucket.

    Attributes:
        size: bytes that were declared; None where the client says nothing of it before it is done.
        part_size, total: how the file is divided; None where the client divides it.
        s3_upload_id: S3's id of the multipart upload; empty where the file comes in one piece.
    """

    upload_id: str
    owner: str
    key: str
    s3_upload_id: str
    file_name: str
    size: int | None
    part_size: int | None
    total: int | None
    created_at: float


class Sessions:
    """All upload sessions. Each lives for a number of seconds from the last call that concerns it."""

    def __init__(self, client: redis.Redis, seconds: int, max_seconds: int, max_open: int) -> None:
        """Keep sessions in Redis.

        Args:
            seconds: life without a call.
            max_seconds: life in all.
            max_open: uploads that an owner may have under way.
        """
        self._redis = client
        self._seconds = seconds
        self._max_seconds = max_seconds
        self._max_open = max_open
        self._create, self._get, self._move, self._add_part = (
            client.register_script(script) for script in (_CREATE, _GET, _MOVE, _ADD_PART)
        )

    @classmethod
    def from_settings(cls, client: redis.Redis, settings: Settings) -> Sessions:
        """Sessions that live, and are counted, as the settings say."""
        return cls(client, settings.session_seconds, settings.session_max_seconds, settings.max_open_uploads)

    def create(self, session: Session) -> bool:
        """Keep a new session; False where its owner has too many under way."""
        now = time()
        keys = [_key(session.upload_id), _parts_key(session.upload_id), _open_key(session.owner)]
        values: list[str | int | float] = [
            json.dumps(asdict(session)), UploadState.UPLOADING, now, int(now) + self._max_seconds, self._seconds,
            session.upload_id, self._max_open,
        ]  # fmt: skip
        return bool(self._create(keys=keys, args=values))

    def get(self, upload_id: str) -> tuple[Session, UploadState] | None:
        """A session and its state, or None where there is none (any more)."""
        found: Any = self._get(keys=[_key(upload_id), _parts_key(upload_id)], args=[self._seconds])
        return (Session(**json.loads(found[0])), UploadState(found[1])) if found[0] else None

    def alive(self, upload_id: str) -> bool:
        """Whether an upload is under way, without prolonging it."""
        return self._redis.hget(_key(upload_id), "state") in UNDER_WAY

    def move(self, session: Session, to: UploadState, *allowed: UploadState) -> tuple[bool, str]:
        """Change the state if it is one of those allowed.

        Returns:
            Whether it was changed, and the state now ("" where there is no session).
        """
        keys = [_key(session.upload_id), _open_key(session.owner)]
        answer: Any = self._move(keys=keys, args=[to, time(), _LEASE_SECONDS, session.upload_id, *allowed])
        return answer.endswith("!"), answer.removesuffix("!")

    def add_part(self, upload_id: str, index: int, size: int) -> str:
        """Note a part that S3 has taken; returns the state, and notes nothing unless it is `uploading`."""
        keys = [_key(upload_id), _parts_key(upload_id)]
        state: str = self._add_part(keys=keys, args=[index, size, self._seconds])
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


def _open_key(owner: str) -> str:
    return f"contact_pipeline:open_uploads:{owner}"
