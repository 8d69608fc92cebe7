"""The HTTP application: middleware, error handling and the routers."""

import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final

import redis
from botocore.exceptions import BotoCoreError, ClientError
from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contact_pipeline.database.postgres import DatabaseFailed
from contact_pipeline.importing.memory import give_memory_back
from contact_pipeline.importing.progress import ProgressBoard
from contact_pipeline.logs import configure, describe
from contact_pipeline.object_store import ObjectStore
from contact_pipeline.settings import Settings, SettingsMissing, get_settings
from contact_pipeline.uploads import problem_documents
from contact_pipeline.uploads.auth import Authenticator, Pool
from contact_pipeline.uploads.begin_service import BeginService
from contact_pipeline.uploads.forms import ByteBudget
from contact_pipeline.uploads.import_service import ImportService
from contact_pipeline.uploads.request_log import RequestLog
from contact_pipeline.uploads.review_service import ReviewService
from contact_pipeline.uploads.routers import api, imports, page, reviews, uppy, watching
from contact_pipeline.uploads.routers.common import Services
from contact_pipeline.uploads.service import UploadService
from contact_pipeline.uploads.status import StatusService
from contact_pipeline.uploads.tickets import Tickets

_logger = logging.getLogger(__name__)

BYTES_IN_FLIGHT: Final = 96 << 20
"""Of chunks that are being received and passed on: with what the process takes anyway, 300 MB."""

_SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the application; uvicorn calls it without arguments, and then it logs as the settings say."""
    if settings is None:
        try:
            settings = get_settings()
        except ValidationError as error:
            sys.exit(f"contact-pipeline: {SettingsMissing(error)}")
        configure(settings.log_format)
    give_memory_back()
    pool = Pool(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        pool.open()
        yield
        pool.close()

    app = FastAPI(
        title="Contact Pipeline uploads",
        version="1",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        description="Uploads of contact files, and their imports. Errors are RFC 9457 problem documents.",
    )
    services = _services(settings, pool)
    app.state.services = services
    problem_documents.install(app)
    _tell_outages(app)
    _protect(app, settings)

    for module in (api, uppy, imports, reviews, page, watching):
        app.include_router(module.router(services))
    app.mount("/", page.static_files(), name="page")
    return app


def _services(settings: Settings, pool: Pool) -> Services:
    store = ObjectStore.from_settings(settings)
    client = redis.Redis.from_url(
        settings.redis_url, decode_responses=True, socket_timeout=10, socket_connect_timeout=5
    )
    uploads = UploadService(settings, store, client, pool)
    status_service = StatusService(settings, uploads, ProgressBoard.from_url(settings.redis_url), pool)
    return Services(
        settings=settings,
        uploads=uploads,
        begin=BeginService(settings, store, client, pool),
        imports=ImportService(pool),
        reviews=ReviewService(store, pool),
        status_service=status_service,
        authenticator=Authenticator(settings, client, pool),
        tickets=Tickets(client),
        budget=ByteBudget(BYTES_IN_FLIGHT),
        database=pool,
    )


class _SecurityHeaders:
    """Adds to each answer what keeps browsers from doing more with it than is meant."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                # Answers are somebody's own; the page's files are asked for again each time, and rarely sent again.
                headers.setdefault("Cache-Control", "no-cache" if _is_page(scope.get("path", "")) else "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _is_page(path: str) -> bool:
    return not path.startswith(("/api/", "/s3/"))


def _protect(app: FastAPI, settings: Settings) -> None:
    app.add_middleware(_SecurityHeaders)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Retry-After"],
            max_age=3600,
        )
    app.add_middleware(RequestLog)


def _tell_outages(app: FastAPI) -> None:
    """A server behind the service that does not answer gives a 503."""

    def unavailable(what: str) -> Any:
        def tell(_request: Request, error: Exception) -> JSONResponse:
            _logger.warning("%s does not answer: %s", what, describe(error))
            if isinstance(error, DatabaseFailed) and error.is_of_another_version:
                return problem_documents.problem(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", str(error))
            return problem_documents.problem(
                HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", f"{what} does not answer: try again in a moment"
            )

        return tell

    app.add_exception_handler(redis.RedisError, unavailable("the session store"))
    app.add_exception_handler(ClientError, unavailable("the object store"))
    app.add_exception_handler(BotoCoreError, unavailable("the object store"))
    app.add_exception_handler(DatabaseFailed, unavailable("the database"))
