"""For whoever watches the service: does it live, is it ready, what does it measure."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import redis
from botocore.exceptions import BotoCoreError, ClientError
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from psycopg_pool import PoolTimeout
from pydantic import Field

from contact_pipeline.database.migration import is_migrated
from contact_pipeline.database.postgres import DatabaseFailed
from contact_pipeline.logs import describe
from contact_pipeline.object_store import client
from contact_pipeline.uploads.errors import ApiError
from contact_pipeline.uploads.kept import Kept
from contact_pipeline.uploads.metrics import OWN, LedgerCollector
from contact_pipeline.uploads.models import Body
from contact_pipeline.uploads.routers.common import CallerOf, Services, new_router

_FRESH_SECONDS: Final = 5.0
_PATIENCE_SECONDS: Final = 2
_logger = logging.getLogger(__name__)


class _NotMigrated(Exception):
    """The tables are not yet those of this version."""


_AWAY: Final = (redis.RedisError, BotoCoreError, ClientError, DatabaseFailed, PoolTimeout, _NotMigrated)


class ReadyAnswer(Body):
    """Whether uploads can be taken, and which servers answer."""

    ready: bool
    servers: dict[str, bool] = Field(examples=[{"postgres": True, "redis": True, "s3": True}])


def router(services: Services) -> APIRouter:
    """`/health`, `/ready` and `/metrics`."""
    api = new_router("watching")
    registry = CollectorRegistry()
    registry.register(LedgerCollector(services.database))

    servers = _servers(services)
    found = Kept(_FRESH_SECONDS, lambda: {name: _answers(name, ask) for name, ask in servers.items()})

    # Not of the threads that calls share: these may all wait for a server that is away.
    @api.get("/health")
    async def health() -> dict[str, str]:
        """The process lives."""
        return {"status": "ok"}

    @api.get("/ready", responses={503: {"model": ReadyAnswer, "description": "A server that is needed is away"}})
    def ready(response: Response) -> ReadyAnswer:
        """Whether uploads can be taken: each server that is needed, by name."""
        answering = found()
        if not all(answering.values()):
            response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return ReadyAnswer(ready=all(answering.values()), servers=answering)

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


def _servers(services: Services) -> dict[str, Callable[[], object]]:
    """How each server that is needed is asked, without patience."""
    settings, seconds = services.settings, _PATIENCE_SECONDS
    s3 = client(settings, patience_seconds=seconds)
    cache = redis.Redis.from_url(settings.redis_url, socket_timeout=seconds, socket_connect_timeout=seconds)

    def postgres() -> None:
        with services.database() as connection:
            if not is_migrated(connection):
                raise _NotMigrated

    return {"postgres": postgres, "redis": cache.ping, "s3": lambda: s3.head_bucket(Bucket=settings.s3_bucket)}


def _answers(name: str, ask: Callable[[], object]) -> bool:
    try:
        ask()
    except _AWAY as error:
        _logger.warning("%s does not answer: %s", name, describe(error))
        return False
    return True
