"""What somebody does on the page, in steps."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from contact_pipeline.settings import Settings

LONG = 90_000


def sign_in(page: Page, stack: Settings, token: str) -> None:
    page.goto(stack.api_url)
    page.get_by_label("Token").first.fill(token)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Drop contact files here")).to_be_visible()


def card(page: Page, state: str) -> Locator:
    return page.locator(f"#uploads > li[data-state={state}]")


def entry(page: Page, name: str, state: str) -> Locator:
    """An import in the list."""
    return page.locator(f"#history > li[data-state={state}]").filter(has_text=name)


def looking_at(page: Page, name: str) -> None:
    """Wait until a file is being looked at."""
    expect(page.locator("#review h2")).to_have_text(name, timeout=LONG)


def decide(page: Page) -> None:
    """Import what is being looked at."""
    button = page.get_by_role("button", name="Import", exact=True)
    expect(button).to_be_enabled(timeout=LONG)
    button.click()
