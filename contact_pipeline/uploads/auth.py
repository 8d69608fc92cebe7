"""Who calls: by a bearer token, or by the cookie of somebody who signed in with one."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http import HTTPStatus
from time import time
from typing import Any, Final
from urllib.parse import urlsplit

import redis
from fastapi import Request
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from contact_pipeline.database import tokens
from contact_pipeline.database.postgres import PREPARE_THRESHOLD, Connection, scrubbed
from contact_pipeline.database.tokens import Caller
from contact_pipeline.settings import Settings
from contact_pipeline.uploads.errors import ApiError

Database = Callable[[], AbstractContextManager[Connection]]
"""Gives a connection for a moment."""

COOKIE: Final = "contact_pipeline_session"
SIGNED_IN_SECONDS: Final = 12 * 3600

_MAX_CONNECTIONS: Final = 16
_MINUTE: Final = 60
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Pool:
    """Connections to Postgres that calls share; opened and closed with the service."""

    def __init__(self, settings: Settings) -> None:
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            settings.database_url,
            min_size=0,
            max_size=_MAX_CONNECTIONS,
            open=False,
            timeout=5,
            kwargs={
                "autocommit": True,
                "row_factory": dict_row,
                "prepare_threshold": PREPARE_THRESHOLD,
                "connect_timeout": 5,
                "application_name": "contact-pipeline uploads",
            },
            check=ConnectionPool.check_connection,
        )

    def open(self) -> None:
        """Begin to give connections."""
        self._pool.open()

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    @contextmanager
    def __call__(self) -> Iterator[Connection]:
        """A connection for a moment.

        Raises:
            DatabaseFailed: Postgres does not answer.
        """
        with scrubbed(), self._pool.connection() as connection:
            yield connection


class Authenticator:
    """Tells who calls, and whether they call too often."""

    def __init__(self, settings: Settings, client: redis.Redis, database: Database) -> None:
        self._max_calls = settings.calls_per_minute
        self._redis = client
        self._database = database

    def of(self, request: Request, token: str | None, cookie: str | None) -> Caller:
        """Who sent a request.

        Raises:
            ApiError: the caller is unknown, calls too often, or sent it from another site's page.
        """
        caller = None
        if token:
            with self._database() as connection:
                caller = tokens.caller_of(connection, token)
        elif cookie:
            _refuse_other_sites(request)
            caller = self._signed_in(cookie)
        if caller is None:
            raise _unauthorized()
        self._count(caller)
        return caller

    def sign_in(self, token: str) -> tuple[Caller, str]:
        """Exchange a token for a cookie's value, which lives for twelve hours, and no longer than the token.

        Raises:
            ApiError: the token is unknown.
        """
        with self._database() as connection:
            caller = tokens.caller_of(connection, token)
        if caller is None:
            raise _unauthorized()
        value = secrets.token_urlsafe(32)
        self._redis.set(_key(value), caller.token_id, ex=SIGNED_IN_SECONDS)
        return caller, value

    def sign_out(self, cookie: str) -> None:
        """End the session of a cookie."""
        self._redis.delete(_key(cookie))

    def by_id(self, token_id: str) -> Caller:
        """The caller that a ticket was given to.

        Raises:
            ApiError: the token was revoked meanwhile.
        """
        with self._database() as connection:
            caller = tokens.caller_by_id(connection, token_id)
        if caller is None:
            raise _unauthorized()
        return caller

    def _signed_in(self, cookie: str) -> Caller | None:
        token_id: Any = self._redis.get(_key(cookie))
        if token_id is None:
            return None
        with self._database() as connection:
            return tokens.caller_by_id(connection, token_id)

    def _count(self, caller: Caller) -> None:
        now = time()
        key = f"contact_pipeline:calls:{caller.token_id}:{int(now // _MINUTE)}"
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                pipe.incr(key)
                pipe.expire(key, 2 * _MINUTE)
                calls = pipe.execute()[0]
        except redis.RedisError:
            # Imports can be looked at, and cancelled, without Redis; what needs it says so itself.
            return
        if calls > self._max_calls:
            wait = int(_MINUTE - now % _MINUTE) + 1
            raise ApiError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too_many_calls",
                f"{self._max_calls:,} calls a minute are answered: go on in {wait} s",
                retryAfter=wait,
            )


def _refuse_other_sites(request: Request) -> None:
    """Browsers send the cookie with requests of any page: calls that change something must come from our own."""
    if request.method in _SAFE:
        return
    origin = urlsplit(request.headers.get("origin", "")).netloc
    if origin != request.headers.get("host", ""):
        raise ApiError(HTTPStatus.FORBIDDEN, "foreign_page", "this call must come from the service's own page")


def _unauthorized() -> ApiError:
    return ApiError(
        HTTPStatus.UNAUTHORIZED,
        "unauthorized",
        "send `Authorization: Bearer <token>` with a token that is valid, or sign in",
    )


def _key(cookie: str) -> str:
    return f"contact_pipeline:signed_in:{hashlib.sha256(cookie.encode()).hexdigest()}"
