"""The page, as somebody uses it who is not a data engineer."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import FileChooser, Page, Request, expect

from contact_pipeline_tests.browser.using import LONG, card, decide, entry, looking_at, sign_in
from contact_pipeline_tests.running import eventually

MB = 1_000_000


@pytest.fixture
def people(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file of so many bytes; its first row but one is a reject."""

    def write(size: int, name: str = "people.csv") -> Path:
        path, seed = tmp_path / name, uuid.uuid4().hex[:8]
        with path.open("w") as target:
            written = target.write("Email,Notes\n") + target.write("nobody,\n")
            number = 0
            while written < size:
                number += 1
                written += target.write(f"{number}.{seed}@page.example,{'x' * 3000}\n")
        return path

    return write


def bar(page: Page) -> float:
    answer: float = page.locator("#uploads progress").first.evaluate("bar => bar.value")
    return answer


def test_300_mb_with_a_reload_in_the_middle_are_uploaded_once_and_imported(page, stack, token, people):
    sign_in(page, stack, token("ada"))
    path = people(300 * MB)
    arrived: list[str] = []

    def count(request: Request) -> None:
        if request.url.endswith("/api/upload/chunk/"):
            arrived.append(request.url)

    page.on("requestfinished", count)
    page.locator("#files").set_input_files(path)
    expect(card(page, "uploading")).to_be_visible()
    eventually(lambda: bar(page) > 10)
    first = bar(page)
    eventually(lambda: bar(page) > first)
    expect(card(page, "uploading")).to_contain_text("/s")
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    expect(card(page, "waiting")).to_contain_text("Choose the file again to go on")
    assert bar(page) > 5
    before = len(arrived)
    page.locator("#files").set_input_files(path)
    looking_at(page, "people.csv")
    total = -(-path.stat().st_size // (8 << 20))
    # Three chunks were in flight at the reload: S3 may have what the page never heard of.
    assert total - 3 <= len(arrived) <= total
    assert len(arrived) - before < total
    # Rows are shown while the whole file is still being counted.
    expect(page.locator(".scroll td").first).to_be_visible(timeout=LONG)
    decide(page)
    eventually(lambda: bar(page) > 50)
    done = entry(page, "people.csv", "succeeded")
    expect(done.get_by_text("not an e-mail address")).to_be_visible(timeout=LONG)
    rows = path.read_text().count("\n") - 1
    expect(done.locator("dl")).to_contain_text(f"{rows:,}")
    with page.expect_download() as download:
        done.get_by_role("link", name="Download rejects: people.csv").click()
    assert "invalid_email:Email" in Path(download.value.path()).read_text()
    assert download.value.suggested_filename == "rejects of people.csv"
    expect(done.get_by_role("link", name="Run in Dagster")).to_have_count(0)
    expect(page.locator("#history > li")).to_have_count(1)
    expect(page.locator("#uploads > li")).to_have_count(0)


def test_pause_resume_and_cancel_while_it_uploads(page, stack, token, people):
    sign_in(page, stack, token("bob"))
    page.locator("#files").set_input_files(people(200 * MB, "paused.csv"))
    page.get_by_role("button", name="Pause paused.csv").click()
    expect(card(page, "paused")).to_be_visible()
    page.get_by_role("button", name="Resume paused.csv").click()
    expect(card(page, "uploading")).to_be_visible()
    page.get_by_role("button", name="Cancel paused.csv").click()
    expect(card(page, "cancelled")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel paused.csv")).to_be_hidden()
    page.reload()
    expect(page.get_by_text("None so far.")).to_be_visible()
    expect(page.locator("#uploads > li")).to_have_count(0)


def test_cancel_while_it_imports(page, stack, token, people):
    sign_in(page, stack, token("cleo"))
    page.locator("#files").set_input_files(people(60 * MB, "imported.csv"))
    decide(page)
    page.wait_for_selector("#uploads > li[data-state=queued], #uploads > li[data-state=loading]", timeout=LONG)
    page.get_by_role("button", name="Cancel imported.csv").click()
    expect(entry(page, "imported.csv", "cancelled")).to_contain_text("Cancelled", timeout=LONG)


def test_a_line_that_is_down_for_a_while_costs_nothing(page, stack, token, people):
    sign_in(page, stack, token("dora"))
    down = {"left": 4}

    def flaky(route):
        if down["left"]:
            down["left"] -= 1
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/api/upload/chunk/", flaky)
    page.locator("#files").set_input_files(people(9 * MB, "flaky.csv"))
    expect(card(page, "uploading")).to_contain_text("Trying again")
    decide(page)
    expect(entry(page, "flaky.csv", "succeeded").locator("dl")).to_be_visible(timeout=LONG)
    assert down["left"] == 0


def test_what_is_not_taken_is_said_at_once_and_shown_as_text(page, stack, token, tmp_path):
    sign_in(page, stack, token("eve"))
    program, empty = tmp_path / "<img src=x onerror=alert(1)>.exe", tmp_path / "empty.csv"
    program.write_text("x")
    empty.write_text("")
    page.locator("#files").set_input_files([program, empty])
    failed = card(page, "failed")
    expect(failed).to_have_count(2)
    expect(failed.filter(has_text="<img src=x onerror=alert(1)>.exe")).to_contain_text("save the table as CSV or Excel")
    expect(failed.filter(has_text="empty.csv")).to_contain_text("The file is empty")
    page.get_by_role("button", name="Dismiss empty.csv").click()
    expect(failed).to_have_count(1)


def test_signing_in_and_out(page, stack, token):
    page.goto(stack.api_url)
    page.get_by_label("Token").first.fill("nobody's")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#sign-in-error")).to_contain_text("Nobody has this token")
    sign_in(page, stack, token("fay"))
    page.reload()
    expect(page.get_by_text("Signed in as fay")).to_be_visible()
    assert "cp_" not in page.evaluate("document.cookie + JSON.stringify(localStorage)")
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#token")).to_be_visible()


def test_everything_can_be_done_by_keyboard_and_nothing_is_asked_of_others(page, stack, token, people):
    foreign: list[str] = []
    choosers: list[FileChooser] = []

    def note(chooser: FileChooser) -> None:
        choosers.append(chooser)

    page.on("filechooser", note)
    page.on("request", lambda request: None if request.url.startswith(stack.api_url) else foreign.append(request.url))
    sign_in(page, stack, token("gus"))
    expect(page.locator("#files")).to_be_focused()

    def opened() -> bool:
        # Without a window, a key that comes right after the page has changed opens nothing now and then.
        page.keyboard.press("Enter")
        return bool(choosers)

    eventually(opened, step=0.5)
    choosers[0].set_files(people(1 * MB, "keyboard.csv"))
    looking_at(page, "keyboard.csv")
    expect(page.locator("#review h2")).to_be_focused()
    button = page.get_by_role("button", name="Import", exact=True)
    expect(button).to_be_enabled(timeout=LONG)
    for _ in range(60):
        page.keyboard.press("Tab")
        if button.evaluate("button => button === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(entry(page, "keyboard.csv", "succeeded").locator("dl")).to_be_visible(timeout=LONG)
    expect(page.locator("#said")).to_contain_text("keyboard.csv")
    assert [url for url in foreign if not url.startswith("data:")] == []
