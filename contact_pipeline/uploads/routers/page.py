"""The page, and signing in to it."""

from importlib.resources import files
from typing import Annotated, Final

from fastapi import APIRouter, Cookie, Request, Response
from fastapi.staticfiles import StaticFiles
from pydantic import Field

from contact_pipeline.database.tokens import Caller
from contact_pipeline.object_store import SUFFIXES
from contact_pipeline.uploads.auth import COOKIE, SIGNED_IN_SECONDS
from contact_pipeline.uploads.models import Body, SignedIn
from contact_pipeline.uploads.routers.common import CallerOf, Services, new_router

_PAGE: Final = files("contact_pipeline.uploads") / "page"


class SignInBody(Body):
    """A token, to be exchanged for a cookie."""

    token: str = Field(min_length=1, max_length=256, examples=["cp_…"])


def router(services: Services) -> APIRouter:
    """The calls under `/api/session/`."""
    api = new_router("page")

    @api.post("/api/session/")
    def sign_in(body: SignInBody, request: Request, response: Response) -> SignedIn:
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

    @api.get("/api/session/")
    def who(caller: CallerOf) -> SignedIn:
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


def _signed_in(services: Services, caller: Caller) -> SignedIn:
    return SignedIn(
        owner=caller.owner,
        role=caller.role,
        max_upload_bytes=services.settings.max_upload_bytes,
        suffixes=list(SUFFIXES),
    )
