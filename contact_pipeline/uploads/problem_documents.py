"""Errors as the API sends them: RFC 9457 problem documents with a stable code and a sentence."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from contact_pipeline.errors import ContactPipelineError
from contact_pipeline.logs import describe
from contact_pipeline.uploads.errors import ApiError

_logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


def problem(status: HTTPStatus, code: str, detail: str, **more: Any) -> JSONResponse:
    """The response for an error."""
    content = {"type": "about:blank", "title": status.phrase, "status": status.value, "code": code, "detail": detail}
    headers = {"WWW-Authenticate": "Bearer"} if status is HTTPStatus.UNAUTHORIZED else {}
    if "retryAfter" in more:
        headers["Retry-After"] = str(more["retryAfter"])
    return JSONResponse({**content, **more}, status.value, headers=headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Have the application answer every error with a problem document."""

    @app.exception_handler(ApiError)
    def refused(_request: Request, error: ApiError) -> JSONResponse:
        return problem(error.status, error.code, error.detail, **error.more)

    @app.exception_handler(ContactPipelineError)
    def foreseen(_request: Request, error: ContactPipelineError) -> JSONResponse:
        if not error.retryable:
            return problem(HTTPStatus.CONFLICT, error.code, str(error))
        _logger.warning(describe(error))
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", f"{error}: try again in a moment")

    @app.exception_handler(RequestValidationError)
    def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        # Pydantic's own text would send the input back.
        wrong = sorted({".".join(str(part) for part in entry["loc"][1:]) or "body" for entry in error.errors()})
        return problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", f"missing or not as described: {', '.join(wrong)}"
        )

    @app.exception_handler(HTTPException)
    def unknown(_request: Request, error: HTTPException) -> JSONResponse:
        status = HTTPStatus(error.status_code)
        return problem(status, status.name.lower(), f"{status.phrase}: see /openapi.json for what can be asked")
