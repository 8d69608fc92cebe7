"""Why the service refuses a call. Raising one needs no web framework."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from contact_pipeline.errors import ContactPipelineError


class ApiError(ContactPipelineError):
    """A call that the service refuses.

    Attributes:
        status: the HTTP status.
        code: a stable name of the reason, for programs.
        detail: what is wrong and what to do, for people.
        more: further members of the answer.
    """

    def __init__(self, status: HTTPStatus, code: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.more = more
