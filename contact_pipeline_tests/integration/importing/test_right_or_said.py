"""Values that were once wrong without a word: each is right now, or it is said."""

from __future__ import annotations

import tarfile
from decimal import Decimal
from pathlib import Path

import pytest

from contact_pipeline.database import queries
from contact_pipeline.errors import FileRefused
from contact_pipeline.importing.rejects_export import rejects_csv


def warnings(importer, summary) -> dict[str, int]:
    record = queries.find(importer.connection, summary["upload_id"])
    assert record is not None
    return record.warnings


def only(importer, *fields: str) -> list[tuple]:
    return [tuple(row[field] for field in fields) for row in importer.contacts()]


@pytest.mark.parametrize(
    ("first", "second", "below"),
    [
        ("First Name,Last Name,Email,Company", "Last Name,First Name,Email,Company", "Smith,Ben,b@x.example,Beta"),
        ("First Name,Email,Company,City", "First Name,Email,Job Title,City", "Ben,b@x.example,CEO,Rome"),
        ("Email,Name,Do Not Call,Unsubscribed", "Email,Name,Unsubscribed,Do Not Call", "b@x.example,Ben,yes,no"),
    ],
)
def test_rows_below_other_titles_are_rejects(importer, write_csv, first, second, below):
    summary = importer.run(write_csv(f"{first}\nAda,L,a@x.example,c\n{second}\n{below}\n"))
    assert "b@x.example" not in {row["email"] for row in importer.contacts()}
    assert summary["rejected"] >= 2


def test_an_id_that_meets_another_name_is_told(importer, write_csv):
    titles = "Customer ID,Email,First Name,Last Name\n"
    importer.run(write_csv(titles + "1,a@x.example,Ada,Lee\n2,c@x.example,Cleo,Ray\n"))
    summary = importer.run(write_csv(titles + "1,b@x.example,Bob,Kay\n2,c@x.example,Cleo,Ray-Moss\n"))
    assert warnings(importer, summary) == {"merged_names_differ": 1}
    assert queries.noted_rows(importer.connection, summary["upload_id"]) == {"merged_names_differ": [1]}


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("4 mld", 4_000_000_000), ("3 mln", 3_000_000), ("10 Tsd", 10_000), ("50 tys", 50_000), ("50 Lac", 5_000_000),
        ("10 TEUR", 10_000), ("10 T€", 10_000), ("2 mil", None), ("5 Bio", None), ("Nov 10", None), ("11 50", None),
        ("1 234 567", 1_234_567), ("EUR 5", 5), ("5 yrs", None),
    ],
)  # fmt: skip
def test_only_currencies_and_scales_stand_beside_a_number(importer, write_csv, written, stored):
    importer.run(write_csv(f'Email,Annual Revenue\na@x.example,"{written}"\n'))
    assert only(importer, "annual_revenue") == [(Decimal(stored) if stored is not None else None,)]


def test_three_digits_behind_a_point_are_thousands_where_nothing_says_otherwise(importer, write_csv):
    rows = "".join(f"p{n}@x.example;{n}.000;{n}.500\n" for n in range(1, 9))
    summary = importer.run(write_csv("Email;Employees;Annual Revenue\n" + rows))
    assert only(importer, "employees", "annual_revenue")[0] == (1_000, Decimal("1500.00"))
    assert warnings(importer, summary) == {"numbers_undecided:annual_revenue": 1}


def test_a_number_far_down_decides_for_its_column(importer, write_csv):
    rows = "".join(f"p{n}@x.example;1.500\n" for n in range(60_000)) + "z@x.example;1.5\n"
    summary = importer.run(write_csv("Email;Annual Revenue\n" + rows))
    assert only(importer, "annual_revenue")[0] == (Decimal("1.50"),)
    assert warnings(importer, summary) == {}


@pytest.mark.parametrize(
    ("written", "stored", "is_told"),
    [
        ("ada@acme.co,uk", "ada@acme.co", True),
        ("tom,jones@y.example", "jones@y.example", True),
        ("o&#39;brien@x.example", "o'brien@x.example", False),
        ("au&amp;b@x.example", "au&b@x.example", False),
        ("Ada Lovelace <ada@x.example>", "ada@x.example", False),
        ("ada@x.example (work)", "ada@x.example", False),
    ],
)
def test_what_is_left_of_a_cell_beside_an_address_is_told(importer, write_csv, written, stored, is_told):
    summary = importer.run(write_csv(f'Email,First Name\n"{written}",Ada\n'))
    assert only(importer, "email") == [(stored,)]
    assert ("several_values:email" in warnings(importer, summary)) is is_told
    assert bool(importer.contacts()[0]["extra"]) is is_told


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("John,Smith,Acme,https://www.facebook.com/acme", "John,Smith,Beta,https://www.facebook.com/beta"),
        ("Marco,Rossi,Acme,https://linktr.ee/a", "Marco,Rossi,Beta,https://linktr.ee/b"),
    ],
)
def test_a_page_on_a_platform_is_no_company(importer, write_csv, first, second):
    importer.run(write_csv(f"First Name,Last Name,Company,Website\n{first}\n{second}\n"))
    assert len(importer.contacts()) == 2


@pytest.mark.parametrize("company", ["#NV", "NULL", "unknown", "Self-employed"])
def test_no_company_is_nobodys_company(importer, write_csv, company):
    rows = f"John,Smith,{company},CEO\nJohn,Smith,{company},Baker\n"
    summary = importer.run(write_csv("First Name,Last Name,Company,Title\n" + rows))
    assert (summary["inserted"], summary["rejected"]) == (0, 2)


def test_urls_of_linkedin_profiles_are_profiles_whatever_the_language(importer, write_csv):
    titles = "Nome,Cognome,URL,Indirizzo email,Azienda\n"
    rows = "".join(f"Marco,Rossi,https://www.linkedin.com/in/marco-{n},,Acme\n" for n in range(3))
    importer.run(write_csv(titles + rows))
    assert len(importer.contacts()) == 3


def test_one_address_of_people_of_other_last_names_is_told(importer, write_csv):
    rows = "info@x.example,John,Smith\ninfo@x.example,John,Miller\n"
    summary = importer.run(write_csv("Email,First Name,Last Name\n" + rows))
    assert warnings(importer, summary) == {"merged_names_differ": 1}


def test_titles_that_look_like_made_up_keys_take_no_value(importer, write_csv):
    importer.run(write_csv("Email,Foo,Foo,Foo__2\na@x.example,1,2,3\n"))
    assert importer.contacts()[0]["extra"] == {"Foo": "1", "Foo__3": "2", "Foo__2": "3"}


def test_capitals_of_central_europe_are_no_utf8(importer, tmp_path):
    path = tmp_path / "ro.csv"
    rows = "".join(f"p{n}@x.example,Ştefan,Ţepeş,Călăraşi\n" for n in range(6)) + "m@x.example,Ion,Pop,MĂRĂŞEŞTI\n"
    path.write_bytes(("Email,First Name,Last Name,City\n" + rows).encode("cp1250"))
    importer.run(path)
    assert only(importer, "city")[-1] == ("MĂRĂŞEŞTI",)


def test_iso_2022_jp_is_read(importer, tmp_path):
    path = tmp_path / "jp.csv"
    path.write_bytes("Email,First Name\na@x.example,太郎\n".encode("iso2022_jp"))
    importer.run(path)
    assert only(importer, "first_name") == [("太郎",)]


def test_a_scale_of_its_own_is_not_multiplied(importer, write_csv):
    rows = "1,a@x.example,$1.2M\n2,b@x.example,1200\n"
    importer.run(write_csv("ZoomInfo Contact ID,Email,Revenue (in 000s USD)\n" + rows))
    assert only(importer, "annual_revenue") == [(Decimal("1200000.00"),), (Decimal("1200000.00"),)]


def test_dates_that_may_begin_with_a_year_of_two_digits_are_told(importer, write_csv):
    rows = "a@x.example,24-05-01\nb@x.example,23-12-31\nc@x.example,22-11-15\n"
    summary = importer.run(write_csv("Email,Last Contacted\n" + rows))
    assert warnings(importer, summary) == {"dates_undecided:last_contacted": 1}


def test_a_date_with_a_year_of_two_digits_is_not_in_the_first_century(importer, write_csv):
    importer.run(write_csv("Email,Last Raised At\na@x.example,23-04-24\nb@x.example,03-04-24\n"))
    assert [str(row["last_raised_at"]) for row in importer.contacts()] == ["2024-04-23", "2024-04-03"]


def test_a_first_name_stays_whole_beside_two_family_names(importer, write_csv):
    importer.run(write_csv("Nombre,Apellido 1,Apellido 2,Email\nMaría José,García,López,a@x.example\n"))
    assert only(importer, "first_name", "last_name") == [("María José", "García")]


def test_a_footer_below_a_blank_line_is_counted(importer, write_csv):
    text = "LinkedIn,First Name,Company\nlinkedin.com/in/a,Ada,X\nlinkedin.com/in/b,,\n\nTotal,2,\n"
    summary = importer.run(write_csv(text))
    assert warnings(importer, summary) == {"footer": 1}


@pytest.mark.parametrize(
    "title",
    ["Opted Out?", "Unsubscribed (Y/N)", "Do_Not_Contact", "Marketing Opt Out", "Désabonnement", "Kontaktsperre"],
)
def test_titles_that_say_no_are_understood(importer, write_csv, title):
    importer.run(write_csv(f"Email*,{title}\na@x.example,yes\n"))
    assert only(importer, "unsubscribed") == [(True,)]


def test_a_ctrl_z_at_the_end_costs_no_row(importer, write_csv):
    summary = importer.run(write_csv("Email,First Name\na@x.example,Ada\nb@x.example,Bea\n\x1a"))
    assert (summary["inserted"], summary["rejected"]) == (2, 0)


def test_utf_16_without_a_mark_is_read_where_it_is_asked_for(importer, tmp_path):
    path = tmp_path / "wide.csv"
    path.write_bytes("Email,First Name\na@x.example,Zoë\n".encode("utf-16-le"))
    importer.run(path, encoding="utf-16")
    assert only(importer, "first_name") == [("Zoë",)]


def test_identifiers_have_no_decimals_and_no_guards(importer, write_csv):
    importer.run(write_csv("Apollo Contact Id,Email\n7.0,a@x.example\n'00123,b@x.example\n"))
    assert sorted(only(importer, "contact_id")) == [("00123",), ("7",)]


@pytest.mark.parametrize(
    ("whole", "split", "is_kept"),
    [
        ("Dr. Ada Lovelace, PhD", ("Ada", "Lovelace"), True),
        ("Ada Lovelace (she/her)", ("Ada", "Lovelace"), True),
        ("Lovelace, Ada", ("Ada", "Lovelace"), False),
    ],
)
def test_what_is_taken_off_a_whole_name_is_kept(importer, write_csv, whole, split, is_kept):
    importer.run(write_csv(f'Name,Email\n"{whole}",a@x.example\n'))
    assert only(importer, "first_name", "last_name") == [split]
    assert importer.contacts()[0]["extra"] == ({"Name": whole} if is_kept else None)


def test_a_tar_archive_is_no_table(importer, tmp_path):
    inner = tmp_path / "leads.csv"
    inner.write_text("First Name,Email\nAda,a@x.example\n")
    path = tmp_path / "leads.csv.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(inner, "leads.csv")
    with pytest.raises(FileRefused) as refused:
        importer.run(path)
    assert refused.value.code == "not_a_table"


@pytest.mark.parametrize(
    ("values", "stored"),
    [
        (("0.500", "1.500", "2.250"), ("0.50", "1.50", "2.25")),
        (("$1.125B", "$2.500B"), ("1125000000.00", "2500000000.00")),
        (("1,5 Mio", "2,5 Mio", "0.125"), ("1500000.00", "2500000.00", "0.12")),
        (("1000 KES", "QAR 500"), ("1000.00", "500.00")),
    ],
)
def test_decimals_of_three_digits_stay_decimals_where_anything_says_so(importer, write_csv, values, stored):
    rows = "".join(f"p{at}@x.example;{value}\n" for at, value in enumerate(values))
    importer.run(write_csv("Email;Annual Revenue\n" + rows))
    assert [str(value) for (value,) in only(importer, "annual_revenue")] == list(stored)


def test_whole_numbers_go_by_their_columns_decimal_mark(importer, write_csv):
    rows = 'a@x.example,"1,250.000"\nb@x.example,250.000\nc@x.example,12.000\n'
    importer.run(write_csv("Email,# Employees\n" + rows))
    assert only(importer, "employees") == [(1250,), (250,), (12,)]


@pytest.mark.parametrize("title", ["Company Notes", "Email Source", "Website Description", "Company Id"])
def test_titles_of_two_words_are_no_damaged_header(importer, write_csv, title):
    importer.run(write_csv(f"First Name,Company,Email,{title}\n" + "Ada,Acme,a@x.example,note,\n" * 3))
    assert only(importer, "email") == [("a@x.example",)]


def test_rejects_of_a_file_whose_urls_are_profiles_are_read_as_they_were(importer, write_csv, tmp_path):
    rows = "".join(f"Marco,Rossi,https://www.linkedin.com/in/marco-{n},x\n" for n in range(3))
    first = importer.run(write_csv("Nome,Cognome,URL,Annual Revenue\n" + rows), strictness="strict")
    assert first["rejected"] == 3
    record = queries.find(importer.connection, first["upload_id"])
    assert record is not None
    path = tmp_path / "rejects.csv"
    path.write_bytes(b"".join(rejects_csv(importer.connection, record)).replace(b",x,", b",7,"))
    assert importer.run(path)["inserted"] == 3
    assert {row["website"] for row in importer.contacts()} == {None}


def test_number_formats_that_are_not_read_are_told(importer):
    summary = importer.run(Path(__file__).parents[2] / "unit" / "files" / "contacts.xls")
    assert warnings(importer, summary)["number_formats_not_read"] == 1
