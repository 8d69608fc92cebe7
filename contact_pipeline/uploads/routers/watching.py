"""For whoever watches the service: does it live, is it ready, what does it measure."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus
from threading import Lock
from time import monotonic
from typing import Final

import redis
from botocore.exceptions import BotoCoreError, ClientError
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from psycopg_pool import PoolTimeout
from pydantic import Field

from contact_pipeline.database.postgres import DatabaseFailed, fetch_one
from contact_pipeline.logs import describe
from contact_pipeline.object_store import client
from contact_pipeline.uploads.errors import ApiError
from contact_pipeline.uploads.metrics import OWN, LedgerCollector
from contact_pipeline.uploads.models import Body
from contact_pipeline.uploads.routers.common import CallerOf, Services, new_router

_FRESH_SECONDS: Final = 5.0
_PATIENCE_SECONDS: Final = 2
_AWAY: Final = (redis.RedisError, BotoCoreError, ClientError, DatabaseFailed, PoolTimeout)
_logger = logging.getLogger(__name__)


class ReadyAnswer(Body):
    """Whether uploads can be taken, and which servers answer."""

    ready: bool
    servers: dict[str, bool] = Field(examples=[{"postgres": True, "redis": True, "s3": True}])


def router(services: Services) -> APIRouter:
    """`/health`, `/ready` and `/metrics`."""
    api = new_router("watching")
    registry = CollectorRegistry()
    registry.register(LedgerCollector(services.database))

    readiness = _Readiness(services)

    # Not of the threads that calls share: these may all wait for a server that is away.
    @api.get("/health")
    async def health() -> dict[str, str]:
        """The process lives."""
        return {"status": "ok"}

    @api.get("/ready", responses={503: {"model": ReadyAnswer, "description": "A server that is needed is away"}})
    def ready(response: Response) -> ReadyAnswer:
        """Whether uploads can be taken: each server that is needed, by name."""
        found = readiness.servers()
        if not all(found.values()):
            response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return ReadyAnswer(ready=all(found.values()), servers=found)

    @api.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}, "description": "Metrics, in the text format of Prometheus"}},
    )
    def metrics(caller: CallerOf) -> Response:
        """What is measured, for Prometheus; with an operator's token. Numbers only."""
        if caller.role != "operator":
            raise ApiError(HTTPStatus.FORBIDDEN, "operator_only", "metrics are for operators: use a token of theirs")
        return Response(generate_latest(registry) + generate_latest(OWN), media_type=CONTENT_TYPE_LATEST)

    return api


class _Readiness:
    """Which servers answer, asked one at a time and not again for some seconds, whoever asks."""

    def __init__(self, services: Services) -> None:
        settings = services.settings
        s3 = client(settings, patience_seconds=_PATIENCE_SECONDS)
        seconds = _PATIENCE_SECONDS
        cache = redis.Redis.from_url(settings.redis_url, socket_timeout=seconds, socket_connect_timeout=seconds)
        self._asked: dict[str, Callable[[], object]] = {
            "postgres": lambda: self._ask_postgres(services),
            "redis": cache.ping,
            "s3": lambda: s3.head_bucket(Bucket=settings.s3_bucket),
        }
        self._lock = Lock()
        self._found: dict[str, bool] = {}
        self._until = 0.0

    @staticmethod
    def _ask_postgres(services: Services) -> None:
        with services.database() as connection:
            fetch_one(connection, "SELECT 1 AS one")

    def servers(self) -> dict[str, bool]:
        """Each server by name, and whether it answers."""
        with self._lock:
            if monotonic() > self._until:
                self._found = {name: _answers(name, ask) for name, ask in self._asked.items()}
                self._until = monotonic() + _FRESH_SECONDS
            return self._found


def _answers(name: str, ask: Callable[[], object]) -> bool:
    try:
        ask()
    except _AWAY as error:
        _logger.warning("%s does not answer: %s", name, describe(error))
        return False
    return True
