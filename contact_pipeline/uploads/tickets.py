"""Short-lived addresses that speak for a caller: what a browser is sent to that cannot send a token along."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass
from typing import Any, Final

import redis

_SECONDS: Final = 900


@dataclass(frozen=True)
class Ticket:
    """One operation on one upload, allowed to the bearer."""

    operation: str
    upload_id: str
    token_id: str


class Tickets:
    """Tickets in Redis, under a hash of what the browser holds."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

    def give(self, ticket: Ticket) -> str:
        """Keep a ticket; returns its random name."""
        value = secrets.token_urlsafe(32)
        self._redis.set(_key(value), json.dumps(asdict(ticket)), ex=_SECONDS)
        return value

    def read(self, value: str) -> Ticket | None:
        """The ticket, or None where there is none, or it is too old."""
        found: Any = self._redis.get(_key(value))
        return Ticket(**json.loads(found)) if found else None


def _key(value: str) -> str:
    return f"contact_pipeline:ticket:{hashlib.sha256(value.encode()).hexdigest()}"
