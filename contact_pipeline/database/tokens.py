"""Who may use the upload service: tokens, of which only a hash is kept, and a record of what was done with them."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Final, Literal, cast

from psycopg.rows import DictRow

from contact_pipeline.database.postgres import Connection, fetch_one, scrubbed
from contact_pipeline.errors import InvalidOwner

Role = Literal["uploader", "operator"]

_OWNER: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")


@dataclass(frozen=True)
class Caller:
    """Who calls: a token's id, its owner, and its role."""

    token_id: str
    owner: str
    role: Role

    def may_see(self, owner: str) -> bool:
        """Whether what belongs to an owner is there for this caller."""
        return self.role == "operator" or owner == self.owner


def create_token(connection: Connection, owner: str, role: Role) -> tuple[str, str]:
    """Make a token.

    Returns:
        Its id, and the token itself, which cannot be read again.

    Raises:
        InvalidOwner: the owner's name has other characters than `a-z 0-9 . _ @ -`, or more than 64.
    """
    token = f"cp_{secrets.token_urlsafe(32)}"
    return _keep(connection, token, owner, role), token


def ensure_token(connection: Connection, token: str, owner: str, role: Role) -> None:
    """Have a token that was made elsewhere; one that was revoked stays so."""
    _keep(connection, token, owner, role)


def _keep(connection: Connection, token: str, owner: str, role: Role) -> str:
    if not _OWNER.fullmatch(owner):
        raise InvalidOwner(f"{owner!r} cannot be an owner's name: use up to 64 of a-z, 0-9 and . _ @ -")
    token_id = secrets.token_hex(4)
    with scrubbed(), connection.transaction():
        made = connection.execute(
            """INSERT INTO api_tokens (token_id, hash, owner, role) VALUES (%s, %s, %s, %s)
               ON CONFLICT (hash) DO NOTHING RETURNING token_id""",
            (token_id, _hash(token), owner, role),
        ).fetchone()
        if made is not None:
            audit(connection, owner, "token_created", token_id=token_id)
    return token_id


def tokens(connection: Connection) -> list[DictRow]:
    """All tokens, without their hashes, the newest first."""
    with scrubbed():
        return connection.execute(
            """SELECT token_id, owner, role, created_at, used_at, revoked_at FROM api_tokens
               ORDER BY created_at DESC"""
        ).fetchall()


def revoke_token(connection: Connection, token_id: str) -> bool:
    """Take a token's rights away, from its next call on; False where there is no such token."""
    with scrubbed(), connection.transaction():
        row = connection.execute(
            """UPDATE api_tokens SET revoked_at = COALESCE(revoked_at, now()) WHERE token_id = %s RETURNING owner""",
            (token_id,),
        ).fetchone()
        if row is not None:
            audit(connection, row["owner"], "token_revoked", token_id=token_id)
    return row is not None


def caller_of(connection: Connection, token: str) -> Caller | None:
    """The owner of a token; None if it is unknown or revoked."""
    return _caller(fetch_one(connection, _FIND + "hash = %s", _hash(token)), connection)


def caller_by_id(connection: Connection, token_id: str) -> Caller | None:
    """The owner of the token with this id; None if it is unknown or revoked."""
    return _caller(fetch_one(connection, _FIND + "token_id = %s", token_id), connection)


_FIND: Final = """SELECT token_id, owner, role, COALESCE(used_at < now() - interval '1 hour', true) AS rarely_used
                  FROM api_tokens WHERE revoked_at IS NULL AND """


def _caller(row: DictRow | None, connection: Connection) -> Caller | None:
    if row is None:
        return None
    if row["rarely_used"]:
        with scrubbed():
            connection.execute("UPDATE api_tokens SET used_at = now() WHERE token_id = %s", (row["token_id"],))
    return Caller(row["token_id"], row["owner"], cast("Role", row["role"]))


def audit(
    connection: Connection, actor: str, what: str, *, upload_id: str | None = None, token_id: str | None = None
) -> None:
    """Record what somebody did, or was refused."""
    with scrubbed():
        connection.execute(
            "INSERT INTO audit_events (actor, token_id, what, upload_id) VALUES (%s, %s, %s, %s)",
            (actor, token_id, what, upload_id),
        )


def record(connection: Connection, caller: Caller, what: str, upload_id: str) -> None:
    """Record what a caller did with an upload, or was refused."""
    audit(connection, caller.owner, what, upload_id=upload_id, token_id=caller.token_id)


def _hash(token: str) -> str:
    # A token has 256 random bits: a slow hash would add nothing.
    return hashlib.sha256(token.encode()).hexdigest()
