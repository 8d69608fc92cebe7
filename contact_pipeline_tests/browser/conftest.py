"""A real Chromium. Where there is none these tests are skipped, and say so; in CI that is a failure."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from contact_pipeline.database import postgres, tokens
from contact_pipeline.database.tokens import Role
from contact_pipeline.settings import Settings

_NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        missing = f"no browser: none of {', '.join(_NAMES)} is installed"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        # Chromium's own sandbox needs rights that root in a container has not. A page that a test makes comes from no
        # address, and would have to ask before it may send anything to this machine.
        flags = ["--no-sandbox", "--disable-quic", "--disable-features=LocalNetworkAccessChecks"]
        started = playwright.chromium.launch(executable_path=program, args=flags)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page with nothing remembered; its scripts must not fail."""
    context = browser.new_context(viewport={"width": 900, "height": 900}, accept_downloads=True)
    context.set_default_timeout(60_000)
    page = context.new_page()
    broken: list[str] = []
    page.on("pageerror", lambda error: broken.append(str(error)))
    yield page
    context.close()
    assert broken == []


@pytest.fixture
def token(stack: Settings) -> Callable[..., str]:
    """Makes tokens of the running stack."""

    def make(owner: str, role: Role = "uploader") -> str:
        with closing(postgres.connect(stack.database_url)) as connection:
            return tokens.create_token(connection, owner, role)[1]

    return make
