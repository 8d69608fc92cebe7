"""What the routers share: the services that they call, the caller, and the models of bodies."""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from contact_pipeline.database.tokens import Caller
from contact_pipeline.settings import Settings
from contact_pipeline.uploads.auth import COOKIE, Authenticator, Database
from contact_pipeline.uploads.begin_service import BeginService
from contact_pipeline.uploads.forms import ByteBudget
from contact_pipeline.uploads.import_service import ImportService
from contact_pipeline.uploads.models import EXAMPLE_ID
from contact_pipeline.uploads.review_service import ReviewService
from contact_pipeline.uploads.service import UploadService
from contact_pipeline.uploads.status import StatusService
from contact_pipeline.uploads.tickets import Tickets

PRINTABLE: Final = r"^[^\x00]*$"
"""What Postgres stores."""

UPLOAD_ID: Final = r"^[0-9a-f]{32}$"


@dataclass(frozen=True)
class Services:
    """What the routers call."""

    settings: Settings
    uploads: UploadService
    begin: BeginService
    imports: ImportService
    reviews: ReviewService
    status_service: StatusService
    authenticator: Authenticator
    tickets: Tickets
    budget: ByteBudget
    database: Database


class Problem(BaseModel):
    """What is wrong, by RFC 9457, with a stable `code` for programs."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    code: str = Field(examples=["unknown_upload"])
    detail: str = Field(examples=["no such upload: it never began, or nothing was heard of it for hours"])


PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {
        "description": "Not done: the document says why",
        "content": {"application/problem+json": {"schema": Problem.model_json_schema()}},
    }
    for status in ("4XX", "5XX")
}

_bearer = HTTPBearer(auto_error=False, description="A token made by `contact-pipeline token create`")
_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="Set by signing in on the page")


def _caller(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    cookie: Annotated[str | None, Depends(_cookie)],
) -> Caller:
    services: Services = request.app.state.services
    return services.authenticator.of(request, bearer.credentials if bearer else None, cookie)


CallerOf = Annotated[Caller, Depends(_caller)]
UploadIdInPath = Annotated[str, Path(pattern=UPLOAD_ID, examples=[EXAMPLE_ID])]


def new_router(tag: str) -> APIRouter:
    """A router whose calls tell their failures as problem documents."""
    return APIRouter(tags=[tag], responses=PROBLEMS)
