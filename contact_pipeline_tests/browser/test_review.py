"""Looking at a file before it is imported, in a real browser."""

from __future__ import annotations

import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from playwright.sync_api import Page, expect

from contact_pipeline.database import postgres
from contact_pipeline_tests.browser.using import LONG, decide, entry, looking_at, sign_in

AXE = Path(__file__).with_name("axe") / "axe.min.js"
IMAGE = "<img src=x onerror=document.title='hacked'>"


def findings(page: Page) -> list[str]:
    """What the accessibility checker finds serious or critical."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:120]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


@pytest.fixture
def german(tmp_path: Path) -> Path:
    """A list whose titles nobody knows, of people that no other test has; two of its rows are damaged."""
    seed = uuid.uuid4().hex[:6]
    rows = [
        f"{name} Beispiel;{name.lower()}.{seed}{n}@firma.de;{IMAGE if n == 0 else 'Beispiel'} GmbH;+49 30 9018{n:04};"
        for n, name in enumerate(["Anna", "Peter", "Ulrike", "Jonas", "Stefan"] * 4)
    ]
    path = tmp_path / "liste.csv"
    path.write_text(
        "Kontaktperson;Mailanschrift;Betrieb;Rufnr.;Bemerkung\n" + "\n".join(rows) + "\n"
        + "Bert Beispiel;keine Adresse;Beispiel AG;;\nzu;wenig\n"
    )  # fmt: skip
    return path


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1000), ("dark", 1000), ("light", 360)], ids=["light", "dark", "narrow"]
)
def test_a_german_list_with_unknown_titles_is_mapped_by_suggestion_and_loaded_right(
    page, stack, token, german, scheme, width
):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    sign_in(page, stack, token("hanna"))
    assert findings(page) == []
    page.locator("#files").set_input_files(german)
    expect(page.get_by_label("Mailanschrift goes to")).to_have_value("email", timeout=LONG)
    expect(page.get_by_label("Betrieb goes to")).to_have_value("company")
    expect(page.get_by_label("Rufnr. goes to")).to_have_value("mobile_phone")
    expect(page.get_by_label("Kontaktperson goes to")).to_have_value("full_name")
    expect(page.get_by_label("Bemerkung goes to")).to_have_value("extra")
    # A value that looks like HTML stays a text, wherever it is shown.
    expect(page.locator(".scroll").get_by_text(IMAGE).first).to_be_visible()
    assert page.locator("img").count() == 0
    assert page.title() == "Contact Pipeline"
    # Above the first rows: the file's titles, and what they go to.
    expect(page.get_by_role("columnheader", name="Mailanschrift → Email")).to_be_visible()
    damaged = page.locator("tr.rejected")
    expect(damaged).to_have_count(2)
    expect(damaged.first.locator(".mark.bad")).to_contain_text("keine Adresse")
    expect(damaged.first.locator(".why")).to_contain_text("not an e-mail address")
    expect(damaged.last).to_contain_text("more or fewer columns")
    expect(page.get_by_text("All was read: 22 rows.")).to_be_visible(timeout=LONG)
    assert findings(page) == []
    if width == 360:
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    counted = page.locator("#review dl.counts").inner_text()
    assert [int(word) for word in counted.split() if word.isdigit()] == [20, 0, 0, 0, 2]
    decide(page)
    done = entry(page, "liste.csv", "succeeded").first
    expect(done.locator("dl")).to_contain_text("20", timeout=LONG)
    assert page.title() == "Contact Pipeline"
    with closing(postgres.connect(stack.database_url)) as connection:
        email = german.read_text().splitlines()[2].split(";")[1]
        stored = connection.execute("SELECT * FROM contacts WHERE email = %s", (email,)).fetchone()
    assert (stored["first_name"], stored["last_name"], stored["company"]) == ("Peter", "Beispiel", "Beispiel GmbH")


def test_a_column_is_mapped_by_hand_and_the_choice_is_remembered(page, stack, token, tmp_path):
    seed = uuid.uuid4().hex[:6]
    sign_in(page, stack, token("ivan"))
    for times in range(2):
        path = tmp_path / f"crm{times}.csv"
        path.write_text(f"Email,First Name,Wer zahlt\na{times}{seed}@x.example,Ada,Kunde Nord\n")
        page.locator("#files").set_input_files(path)
        target = page.get_by_label("Wer zahlt goes to")
        if times == 0:
            expect(target).to_have_value("extra", timeout=LONG)
            target.select_option("company")
            expect(page.get_by_text("your choice").first).to_be_visible()
            dates = page.get_by_label("Dates like 3/4/2024")
            dates.select_option("false")
            page.get_by_label("Leave them as they are").check()
            # What was chosen is shown as chosen when everything is drawn again.
            expect(page.get_by_text("All was read")).to_be_visible(timeout=LONG)
            expect(dates).to_have_value("false")
            expect(target).to_have_value("company")
        else:
            expect(target).to_have_value("company", timeout=LONG)
        decide(page)
        expect(entry(page, f"crm{times}.csv", "succeeded").locator("dl")).to_be_visible(timeout=LONG)
    with closing(postgres.connect(stack.database_url)) as connection:
        rows = connection.execute(
            "SELECT company FROM contacts WHERE email LIKE %s", (f"%{seed}@x.example",)
        ).fetchall()
    assert [row["company"] for row in rows] == ["Kunde Nord"] * 2


def test_a_first_line_that_nobody_knows_holds_titles_when_somebody_says_so(page, stack, token, tmp_path):
    """It may be a contact: nothing of it is taken for a title before."""
    path = tmp_path / "wer.csv"
    path.write_text("Wer;Wo\nzz yy;qq\n")
    sign_in(page, stack, token("nele"))
    page.locator("#files").set_input_files(path)
    looking_at(page, "wer.csv")
    expect(page.get_by_role("button", name="Import", exact=True)).to_be_disabled()
    page.get_by_role("button", name="Line 1 holds the titles").click(timeout=LONG)
    for title, field in (("Wer", "full_name"), ("Wo", "company")):
        page.get_by_label(f"{title} goes to").select_option(field)
        expect(page.get_by_label(f"{title} goes to")).to_have_value(field)
    decide(page)
    expect(entry(page, "wer.csv", "succeeded").locator("dl")).to_be_visible(timeout=LONG)


def test_a_rejected_cell_is_fixed_in_the_page_and_the_import_undone(page, stack, token, tmp_path):
    seed = uuid.uuid4().hex[:6]
    path = tmp_path / "fixme.csv"
    path.write_text(f"First Name,Email\nAda,a{seed}@x.example\nBen,no address\n")
    sign_in(page, stack, token("jana"))
    page.locator("#files").set_input_files(path)
    decide(page)
    done = entry(page, "fixme.csv", "succeeded")
    done.get_by_role("button", name="Fix rejects here: fixme.csv").click(timeout=LONG)
    cell = page.get_by_label("Email, row 2")
    expect(cell).to_have_value("no address")
    expect(cell).to_be_focused()
    expect(done.get_by_text("Email: not an e-mail address")).to_be_visible()
    assert findings(page) == []
    cell.fill(f"b{seed}@x.example")
    page.get_by_role("button", name="Import the fixed rows").click()
    fixed = entry(page, "fixed rows of fixme.csv", "succeeded")
    expect(fixed.locator("dl")).to_be_visible(timeout=LONG)
    with closing(postgres.connect(stack.database_url)) as connection:
        found = connection.execute(
            "SELECT first_name FROM contacts WHERE email LIKE %s ORDER BY 1", (f"%{seed}@x.example",)
        ).fetchall()
        assert [row["first_name"] for row in found] == ["Ada", "Ben"]
        page.once("dialog", lambda dialog: dialog.accept())
        fixed.get_by_role("button", name="Undo: fixed rows of fixme.csv").click()
        expect(entry(page, "fixed rows of fixme.csv", "undone")).to_be_visible(timeout=LONG)
        found = connection.execute(
            "SELECT first_name FROM contacts WHERE email LIKE %s", (f"%{seed}@x.example",)
        ).fetchall()
        assert [row["first_name"] for row in found] == ["Ada"]


def test_a_session_that_ends_in_the_middle_costs_nothing(page, stack, token, tmp_path):
    path = tmp_path / "late.csv"
    path.write_text(f"First Name,Email\nAda,late{uuid.uuid4().hex[:6]}@x.example\n")
    mine = token("kim")
    sign_in(page, stack, mine)
    page.locator("#files").set_input_files(path)
    looking_at(page, "late.csv")
    page.context.clear_cookies()
    decide(page)
    dialog = page.get_by_role("dialog", name="Sign in again")
    expect(dialog).to_be_visible(timeout=LONG)
    assert findings(page) == []
    dialog.get_by_label("Token").fill(mine)
    page.keyboard.press("Enter")
    expect(entry(page, "late.csv", "succeeded").locator("dl")).to_be_visible(timeout=LONG)


def test_the_history_of_two_hundred_imports_is_searched(page, stack, token):
    with closing(postgres.connect(stack.database_url)) as connection:
        connection.execute(
            """INSERT INTO imports (upload_id, state, bucket, object_key, etag, size, uploaded_at, ordered_at,
                                    file_name, owner, finished_at, total_rows)
               SELECT md5('lea' || n), CASE WHEN n % 10 = 0 THEN 'failed' ELSE 'succeeded' END, 'b',
                      'uploads/lea' || n, '', 1, day, day, 'list ' || n || '.csv', 'lea', now(), 1
               FROM (SELECT n, '2024-01-01'::timestamptz + n * interval '1 day' AS day
                     FROM generate_series(1, 200) n) numbered"""
        )
    sign_in(page, stack, token("lea"))
    entries = page.locator("#history > li")
    expect(entries).to_have_count(20)
    page.get_by_role("button", name="Older").click()
    expect(entries).to_have_count(40)
    page.get_by_label("Name").fill("LIST 11")
    expect(entries).to_have_count(11)
    page.get_by_label("State").select_option("failed")
    expect(entries).to_have_count(1)
    expect(entries).to_contain_text("list 110.csv")
    page.get_by_label("Name").fill("")
    page.get_by_label("State").select_option("")
    page.get_by_label("Day").fill("2024-01-31")
    expect(entries).to_have_count(1)
    expect(entries).to_contain_text("list 30.csv")
    assert findings(page) == []


def test_an_import_has_an_address_and_its_contacts_are_downloaded(page, stack, token, tmp_path):
    path = tmp_path / "sent.csv"
    path.write_text(f"First Name,Email\nAda,sent{uuid.uuid4().hex[:6]}@x.example\n")
    mine = token("mona")
    sign_in(page, stack, mine)
    page.locator("#files").set_input_files(path)
    decide(page)
    done = entry(page, "sent.csv", "succeeded")
    done.get_by_role("link", name="Link to this import: sent.csv").click(timeout=LONG)
    with closing(postgres.connect(stack.database_url)) as connection:
        # Older than all that the list shows at first.
        connection.execute("UPDATE imports SET created_at = '2020-01-01' WHERE owner = 'mona'")
    page.reload()
    expect(done.locator("dl")).to_be_visible(timeout=LONG)
    with page.expect_download() as downloaded:
        done.get_by_role("link", name="Download contacts: sent.csv").click()
    assert downloaded.value.suggested_filename == "contacts of sent.csv"
    assert path.read_text().split(",")[-1].strip() in Path(downloaded.value.path()).read_text("utf-8-sig")
    page.goto(f"{stack.api_url}/#import/{'0' * 32}")
    expect(page.get_by_text("no such upload")).to_be_visible()


def test_what_another_window_chose_is_not_shown_as_what_this_one_did(page, stack, token, tmp_path):
    path = tmp_path / "both.csv"
    path.write_text(f"First Name,Email,# Employees\nAda,both{uuid.uuid4().hex[:6]}@x.example,many\n")
    sign_in(page, stack, token("nora"))
    page.locator("#files").set_input_files(path)
    expect(page.get_by_text("All was read: 1 row.")).to_be_visible(timeout=LONG)
    other = page.context.new_page()
    other.goto(page.url)
    # Each window asks for a count of its own; the last one to ask is the one whose counts there are.
    other.get_by_label("A wrong value rejects its whole row").check()
    rejected = other.locator("#review dl.counts div").filter(has_text="rejected")
    expect(rejected).to_contain_text("1", timeout=LONG)
    page.get_by_label("Leave them as they are").check()
    rejected = page.locator("#review dl.counts div").filter(has_text="rejected")
    expect(rejected).to_contain_text("0", timeout=LONG)


def test_choices_come_back_with_their_columns_and_sheets_can_be_chosen_again(page, stack, token, tmp_path):
    book = openpyxl.Workbook()
    for name in ("North", "South"):
        sheet = book.create_sheet(name)
        sheet.append(["Email", "Wer zahlt"])
        sheet.append([f"{name.lower()}{uuid.uuid4().hex[:6]}@x.example", "Kunde"])
    del book["Sheet"]
    path = tmp_path / "fair.xlsx"
    book.save(path)
    sign_in(page, stack, token("olga"))
    page.locator("#files").set_input_files(path)
    target = page.get_by_label("Wer zahlt goes to")
    expect(target).to_have_value("extra", timeout=LONG)
    target.select_option("company")
    expect(page.get_by_text("your choice")).to_be_visible()
    page.get_by_label("Sheet").select_option("South")
    expect(page.locator("#review")).to_contain_text("south")
    expect(target).to_have_value("company")
    expect(page.get_by_text("All was read: 1 row.")).to_be_visible(timeout=LONG)
    page.reload()
    expect(page.get_by_label("Sheet")).to_have_value("South", timeout=LONG)
    page.get_by_label("Sheet").select_option("North")
    expect(page.locator("#review")).to_contain_text("north")
    expect(target).to_have_value("company")


def test_who_comes_back_sees_what_was_decided(page, stack, token, tmp_path):
    path = tmp_path / "decided.csv"
    path.write_text(f"Email,Elektropost\nd{uuid.uuid4().hex[:6]}@x.example,e{uuid.uuid4().hex[:6]}@x.example\n")
    sign_in(page, stack, token("pia"))
    page.locator("#files").set_input_files(path)
    looking_at(page, "decided.csv")
    address = page.url
    page.get_by_role("button", name="Cancel this upload").click()
    expect(entry(page, "decided.csv", "cancelled")).to_be_visible(timeout=LONG)
    page.goto(address)
    expect(page.get_by_text("This upload was cancelled. Import takes it up again.")).to_be_visible(timeout=LONG)
    decide(page)
    expect(entry(page, "decided.csv", "succeeded").locator("dl")).to_be_visible(timeout=LONG)
    page.goto(address)
    expect(entry(page, "decided.csv", "succeeded").locator("dl")).to_be_visible(timeout=LONG)
    assert page.url.endswith(address[-32:])
    assert "#import/" in page.url
    page.goto(f"{stack.api_url}/#review/cut")
    expect(page.get_by_text("There is nothing at this address")).to_be_visible()
