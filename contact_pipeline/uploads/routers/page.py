"""The page, and signing in to it."""

from importlib.resources import files
from typing import Annotated, Any, Final

from fastapi import APIRouter, Cookie, Request, Response
from fastapi.staticfiles import StaticFiles
from pydantic import Field

from contact_pipeline.database.tokens import Caller
from contact_pipeline.object_store import SUFFIXES
from contact_pipeline.uploads.auth import COOKIE, SIGNED_IN_SECONDS
from contact_pipeline.uploads.routers.common import Body, CallerOf, Services, new_router

_PAGE: Final = files("contact_pipeline.uploads") / "page"


class SignInBody(Body):
    """A token, to be exchanged for a cookie."""

    token: str = Field(min_length=1, max_length=256, examples=["cp_…"])


class SignedIn(Body):
    """Who is signed in, and what the page must know."""

    owner: str = Field(examples=["sales"])
    role: str = Field(examples=["uploader"])
    max_upload_bytes: int
    suffixes: list[str] = Field(examples=[[".csv", ".xlsx"]])


def router(services: Services) -> APIRouter:
    """The calls under `/api/session/`."""
    api = new_router("page")

    @api.post("/api/session/", response_model=SignedIn)
    def sign_in(body: SignInBody, request: Request, response: Response) -> dict[str, Any]:
        """Sign in: sets a cookie that the page's scripts cannot read."""
        caller, value = services.authenticator.sign_in(body.token)
        response.set_cookie(
            COOKIE,
            value,
            max_age=SIGNED_IN_SECONDS,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return _signed_in(services, caller)

    @api.get("/api/session/", response_model=SignedIn)
    def who(caller: CallerOf) -> dict[str, Any]:
        """Who is signed in."""
        return _signed_in(services, caller)

    @api.delete("/api/session/", status_code=204)
    def sign_out(response: Response, cookie: Annotated[str | None, Cookie(alias=COOKIE)] = None) -> None:
        """Sign out."""
        if cookie:
            services.authenticator.sign_out(cookie)
        response.delete_cookie(COOKIE)

    return api


def static_files() -> StaticFiles:
    """The page's own files: HTML, style, modules; made by hand, served as they are."""
    return StaticFiles(directory=str(_PAGE), html=True)


def _signed_in(services: Services, caller: Caller) -> dict[str, Any]:
    return {
        "owner": caller.owner,
        "role": caller.role,
        "maxUploadBytes": services.settings.max_upload_bytes,
        "suffixes": list(SUFFIXES),
    }
