"""Every request has an id, and every failure of the service is logged by its kind."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from time import perf_counter
from typing import Final
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contact_pipeline.logs import describe, log_ids
from contact_pipeline.uploads.metrics import ANSWERS
from contact_pipeline.uploads.problem_documents import problem

HEADER: Final = "x-request-id"
_GIVEN: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_logger = logging.getLogger(__name__)


class RequestLog:
    """The outermost layer of the application.

    It takes a request's id from the proxy before it, or makes one, and answers with it. An answer with a status of 500
    or above is logged; what nobody foresaw becomes a problem document here, and its text, which may quote a value,
    stays unsaid.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        request_id = given if _GIVEN.fullmatch(given) else uuid4().hex
        began, status = perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                ANSWERS.labels(str(status)).inc()
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        with log_ids(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            except Exception as error:  # noqa: BLE001 - the server would log its text
                _logger.error("%s failed: %s", _what(scope), describe(error))
                if not status:
                    answer = problem(
                        HTTPStatus.INTERNAL_SERVER_ERROR,
                        "internal_error",
                        f"something went wrong here; the service's log has it as request {request_id}",
                    )
                    await answer(scope, receive, send_with_id)
                return
            if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                _logger.warning("%s answered %d after %.3f s", _what(scope), status, perf_counter() - began)


def _what(scope: Scope) -> str:
    """The method, and the pattern of the path: the path itself may have the name of a file in it."""
    return f"{scope['method']} {getattr(scope.get('route'), 'path', 'of an unknown path')}"
