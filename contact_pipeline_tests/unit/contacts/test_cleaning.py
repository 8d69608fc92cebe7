from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest

from contact_pipeline.contacts.calling_codes import NATIONAL_LENGTHS
from contact_pipeline.contacts.cleaning import clean, flag_of
from contact_pipeline.contacts.column_formats import ColumnFormats, date_evidence, infer, number_evidence
from contact_pipeline.contacts.fields import FIELDS
from contact_pipeline.contacts.names import split_full_names
from contact_pipeline.contacts.schema import failing_rows
from contact_pipeline.contacts.texts import CharacterFlags

EVERYTHING = CharacterFlags()


def cleaned(field: str, *values: str, character_flags: CharacterFlags = EVERYTHING) -> list:
    return clean(pl.DataFrame({field: list(values)}), character_flags).frame[field].to_list()


def unread(field: str, *values: str) -> list[bool]:
    frame = clean(pl.DataFrame({field: list(values)}), EVERYTHING).frame
    return frame[flag_of(field)].to_list() if flag_of(field) in frame.columns else [False] * len(values)


def test_every_field_comes_out_typed_whatever_the_file_has():
    frame = clean(pl.DataFrame({"email": ["a@b.example"]}), EVERYTHING).frame
    assert {field.name for field in FIELDS} <= set(frame.columns)
    assert frame["annual_revenue"].dtype == pl.Decimal(18, 2)


def test_blanks_are_null_however_they_are_written():
    assert cleaned("title", "", " ", "\u00a0", "\u200b", "\t", "x") == [None] * 5 + ["x"]


def test_an_apostrophe_is_a_guard_only_before_a_formula():
    written = ("'+1 415", "'-", "'=1", "'@x", "'s-Hertogenbosch", "O'Brien", "'")
    assert cleaned("city", *written) == ["+1 415", None, "=1", "@x", "'s-Hertogenbosch", "O'Brien", "'"]


def test_excel_text_guard_is_taken_off():
    assert cleaned("account_id", '="00123"', "00123") == ["00123", "00123"]


def test_control_characters_go_and_line_ends_stay():
    assert cleaned("seo_description", "a\x07b\nc") == ["ab\nc"]


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("'+1 415-555-0100", "+14155550100"),
        ("+1 415-555-0100 ext 123", "+14155550100 ext 123"),
        ("+44 (0)20 7946 0000", "+442079460000"),
        ("001-307-937-7505x54026", "001-307-937-7505x54026"),
        ("+1 415-555-0100/0101", "+14155550100"),
        ("+49 30 901820/901821", "+4930901820"),
        ("+49 30/901820", "+4930901820"),
        ("+1 415-555-0100/415-555-0101", "+14155550100"),
        ("+1 415 555 0100 - 415 555 0101", "+14155550100"),
        ("tel:+1-415-555-0100;ext=12", "+14155550100 ext 12"),
        ("+\uff14\uff19 30 901820", "+4930901820"),
        ("\u0660\u0663\u0660 1234567", "030 1234567"),
        ("+1 415 555", "+1 415 555"),
        ("+1415555", "+1415555"),
        ("+999 1234567", "+999 1234567"),
        ("+4912345678901234567", "+4912345678901234567"),
        ("(415) 555-0100", "(415) 555-0100"),
        ("+1 CALL ME", "+1 CALL ME"),
    ],
)
def test_phones_are_e164_where_they_say_their_country(written, stored):
    assert cleaned("mobile_phone", written) == [stored]


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("348160000000", Decimal("348160000000.00")),
        ("3.07394E+11", Decimal("307394000000.00")),
        ("$1.2M", Decimal("1200000.00")),
        ("10K", Decimal("10000.00")),
        ("1,234.50", Decimal("1234.50")),
        ("9999999999.9", Decimal("9999999999.90")),
        ("much", None),
        ("1,23", Decimal("1.23")),
        ("12,34,567", Decimal("1234567.00")),
        ("\u20b91,23,45,678.90", Decimal("12345678.90")),
        ("1,00,000", Decimal("100000.00")),
        ("12,3,567", None),
        ("9" * 1_000, None),
        ("1e99", None),
    ],
)
def test_amounts(written, stored):
    assert cleaned("annual_revenue", written) == [stored]
    assert unread("annual_revenue", written) == [stored is None]


def test_whole_numbers():
    assert cleaned("employees", "250", "1,250", "250.0", "11-50", "2.5", "99999999999") == [
        250,
        1250,
        250,
        None,
        None,
        None,
    ]


def test_booleans_in_any_case():
    written = ("TRUE", "false", "False", "yes", "0", "maybe")
    assert cleaned("do_not_call", *written) == [True, False, False, True, False, None]


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("2021-05-01T00:00:00+00:00", date(2021, 5, 1)),
        ("2000-06-01", date(2000, 6, 1)),
        ("3/19/19", date(2019, 3, 19)),
        ("13/5/2020", None),
        ("01 May 2024", date(2024, 5, 1)),
        ("0000-00-00", None),
        ("31/31/2020", None),
    ],
)
def test_dates(written, stored):
    assert cleaned("last_raised_at", written) == [stored]


def test_timestamps_are_utc():
    written = ("2024-11-02T10:11:12+00:00", "2024-11-02T10:11:12-05:00", "2024-11-02", "soon")
    assert cleaned("last_contacted", *written) == [
        datetime(2024, 11, 2, 10, 11, 12, tzinfo=UTC),
        datetime(2024, 11, 2, 15, 11, 12, tzinfo=UTC),
        datetime(2024, 11, 2, tzinfo=UTC),
        None,
    ]


def test_a_failed_parse_is_told_from_an_empty_cell():
    assert unread("email_confidence", "0.6", "", "NaN", "1e400") == [False, False, False, True]


def written_with(field: str, *values: str, **formats: tuple[str, ...]) -> list:
    return clean(pl.DataFrame({field: list(values)}), EVERYTHING, ColumnFormats(**formats)).frame[field].to_list()


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("1.234.567", "1234567"), ("1,234,567", "1234567"), ("1 234 567", "1234567"), ("1'234'567.50", "1234567.50"),
        ("1.234,56", "1234.56"), ("1,234.56", "1234.56"), ("12,5", "12.5"), ("1,234", "1234"), ("1.234", "1.23"),
        ("€1.2bn", "1200000000"), ("USD 5,000", "5000"), ("5 000 kr", "5000"), ("R$ 10", "10"),
        ("1.2 million", "1200000"), ("3 Mio. €", "3000000"), ("10k", "10000"), ("0", "0"), ("5,000.-", "5000"),
        ("\u20ac\u00a01\u202f234", "1234"),
    ],
)  # fmt: skip
def test_amounts_as_people_write_them(written, stored):
    assert cleaned("annual_revenue", written) == [Decimal(stored)]


@pytest.mark.parametrize(
    "written",
    ["$1M - $10M", "1-10", "10,001+", "> 500", "under $1M", "11 to 50", "1K-5K", "50 bis 100"],
)
def test_ranges_are_told_from_what_is_no_number(written):
    frame = clean(pl.DataFrame({"annual_revenue": [written]}), EVERYTHING).frame
    assert frame["range:annual_revenue"].to_list() == [True]
    assert frame["annual_revenue"].to_list() == [None]


@pytest.mark.parametrize("written", ["(123)", "1,23,4", "1.2.3", "12 apples", "e", "1e", "--5", "Nov-50"])
def test_what_is_no_amount_is_not_guessed(written):
    assert cleaned("annual_revenue", written) == [None]
    assert unread("annual_revenue", written) == [True]


def test_a_columns_formats_decide_what_one_value_does_not_tell():
    assert written_with("annual_revenue", "1.234", decimal_comma=("annual_revenue",)) == [Decimal("1234.00")]
    assert written_with("employees", "1.234", decimal_comma=("employees",)) == [1234]
    assert written_with("last_raised_at", "3/4/2024", "3/25/2024", day_first=("last_raised_at",)) == [
        date(2024, 4, 3), None,
    ]  # fmt: skip
    assert written_with("last_raised_at", "3/4/2024") == [date(2024, 3, 4)]
    assert written_with("annual_revenue", "12", in_thousands=("annual_revenue",)) == [Decimal("12000.00")]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"last_raised_at": ["25/12/2023", "3/4/2024"]}, ColumnFormats(day_first=("last_raised_at",))),
        ({"last_raised_at": ["12/25/2023", "3/4/2024"]}, ColumnFormats()),
        ({"last_raised_at": ["3/4/2024"]}, ColumnFormats(undecided=("last_raised_at",))),
        (
            {"last_raised_at": ["3/4/2024"], "last_contacted": ["25/12/23 10:00"]},
            ColumnFormats(("last_raised_at", "last_contacted")),
        ),
        ({"annual_revenue": ["1.234,50", "1.234"]}, ColumnFormats(decimal_comma=("annual_revenue",))),
        ({"annual_revenue": ["1,234.50", "1.234"]}, ColumnFormats()),
    ],
)
def test_column_formats_are_inferred_from_a_sample(columns, expected):
    height = max(map(len, columns.values()))
    frame = pl.DataFrame({name: values + [""] * (height - len(values)) for name, values in columns.items()})
    assert infer(date_evidence(frame), number_evidence(frame)) == expected


def test_what_the_user_says_of_dates_decides():
    for written, day_first, fields in (("12/25/2023", True, ("last_raised_at",)), ("25/12/2023", False, ())):
        frame = pl.DataFrame({"last_raised_at": [written]})
        assert infer(date_evidence(frame), number_evidence(frame), day_first=day_first) == ColumnFormats(fields)


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("2022-02-01 10:00:00", "2022-02-01T10:00:00+00:00"), ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00+00:00"),
        ("May 1, 2024", "2024-05-01T00:00:00+00:00"), ("1-May-24", "2024-05-01T00:00:00+00:00"),
        ("5/1/24 1:05 PM", "2024-05-01T13:05:00+00:00"), ("01.05.2024 13:05", "2024-05-01T13:05:00+00:00"),
        ("44317.5", "2021-05-01T12:00:00+00:00"), ("2024/05/01", "2024-05-01T00:00:00+00:00"),
        ("20240501", "2024-05-01T00:00:00+00:00"), ("2024-05-01 10:00:00 UTC", "2024-05-01T10:00:00+00:00"),
    ],
)  # fmt: skip
def test_times_as_people_write_them(written, stored):
    assert cleaned("last_contacted", written) == [datetime.fromisoformat(stored)]


@pytest.mark.parametrize("blank", ["N/A", "#N/A", "-", "\\N", "NULL", "None", "nan", "#REF!", "0000-00-00"])
def test_what_stands_for_nothing_is_blank(blank):
    for field in ("email", "mobile_phone", "website", "annual_revenue", "last_raised_at", "do_not_call", "contact_id"):
        assert (field, cleaned(field, blank)) == (field, [None])
        assert unread(field, blank) == [False]


def test_a_name_is_a_name():
    assert cleaned("last_name", "Null", "None", "Na") == ["Null", "None", "Na"]


@pytest.mark.parametrize(
    ("written", "first", "last"),
    [
        ("Ada Lovelace", "Ada", "Lovelace"), ("Ada", "Ada", ""), ("Lovelace, Ada", "Ada", "Lovelace"),
        ("Dr. Ada King Lovelace, PhD", "Ada King", "Lovelace"), ("Ludwig van Beethoven", "Ludwig", "van Beethoven"),
        ("Ursula von der Leyen", "Ursula", "von der Leyen"), ("Martin Luther King Jr.", "Martin Luther", "King"),
        ("M. Night Shyamalan", "M. Night", "Shyamalan"), ("Mary-Ann  O'Neil", "Mary-Ann", "O'Neil"), ("", "", ""),
        ("Prof. Dr. Max Planck", "Max", "Planck"),
    ],
)  # fmt: skip
def test_whole_names_are_split(written, first, last):
    found = split_full_names(pl.Series([written], dtype=pl.String))
    assert [column[0] for column in found] == [first, last]


def test_several_emails_and_phones_of_a_cell_spread_over_empty_fields():
    cleaned = clean(
        pl.DataFrame(
            {
                "email": ["A <a@x.example>, b@x.example", "mailto:c@x.example", "d@x.example"],
                "secondary_email": ["s@x.example", "", ""],
                "mobile_phone": [
                    "+1 415 555 0100; +1 415 555 0101",
                    "tel:+1-415-555-0102",
                    "030 1234567 / 030 1234568 / 030 1234569",
                ],
            }
        ),
        EVERYTHING,
    )
    frame = cleaned.frame
    assert frame["email"].to_list() == ["a@x.example", "c@x.example", "d@x.example"]
    assert frame["secondary_email"].to_list() == ["s@x.example", None, None]
    assert frame["tertiary_email"].to_list() == ["b@x.example", None, None]
    assert frame["mobile_phone"].to_list() == ["+14155550100", "+14155550102", "030 1234567"]
    assert frame["other_phone"].to_list() == ["+14155550101", None, "030 1234568"]
    assert cleaned.shortened == {"mobile_phone": [2]}


def test_a_rounded_amount_is_taken_and_told():
    cleaned = clean(pl.DataFrame({"annual_revenue": ["3.07394E+11", "5"]}), EVERYTHING)
    assert cleaned.notices == {"rounded_by_spreadsheet:annual_revenue": [0]}


def test_what_damage_left_around_values_goes():
    assert cleaned("facebook_url", "\u00cahttps://facebook.com/a") == ["https://facebook.com/a"]
    assert cleaned("mobile_phone", "14155550100.0", "\u202a+1 415 555 0100\u202c") == ["14155550100", "+14155550100"]
    assert cleaned("contact_id", "12345.0", "=00123", '="00123"') == ["12345", "00123", "00123"]
    assert cleaned("do_not_call", "WAHR", "Faux", "VERDADERO", "✓") == [True, False, True, True]


@pytest.mark.parametrize(
    ("written", "stored", "whole"),
    [
        ("Maeve O'Testa <maeve.o'testa@x.example>", "maeve.o'testa@x.example", True),
        ("fd'sample@x.example", "fd'sample@x.example", True),
        ("'a@x.example'", "a@x.example", True),
        ("a@x.example.", "a@x.example", True),
        ("Lee, Ann <a@x.example>", "a@x.example", True),
        ('"ada sample"@x.example', '"ada sample"@x.example', True),
        ("info@xn--mnchen-3ya.example", "info@m\u00fcnchen.example", True),
        ("info@M\u00dcNCHEN.example", "info@m\u00fcnchen.example", True),
        ("jose\u0301@x.example", "jos\u00e9@x.example", True),
        ("a@x.example; ben@localhost", "a@x.example", False),
        ("'a@x.example", "a@x.example", True),
        ("a@x.example\u2026", "a@x.example", True),
        ("not-an-address@; ben@x.example", "ben@x.example", False),
    ],
)
def test_an_address_is_cut_out_of_a_cell_whole_or_not_at_all(written, stored, whole):
    found = clean(pl.DataFrame({"email": [written]}), EVERYTHING)
    assert found.frame["email"].to_list() == [stored]
    assert bool(found.shortened.get("email")) is not whole


def test_what_is_cut_out_of_a_cell_is_what_the_schema_accepts():
    for name in ["o'neill", "a.b", "a+b", "_", "{x}", "\u00e9"]:
        for domain in ["x.example", "sub.x.example", "m\u00fcnchen.example", "x-y.example"]:
            frame = clean(pl.DataFrame({"email": [f"N <{name}@{domain}>"]}), EVERYTHING).frame
            assert frame["email"].to_list() == [f"{name}@{domain}"]
            assert not failing_rows(frame).any()


def test_a_number_that_its_country_cannot_have_is_kept_as_written_and_told():
    found = clean(pl.DataFrame({"mobile_phone": ["+1 415 555", "+1415555", "+14155550100"]}), EVERYTHING)
    assert found.notices == {"impossible_phone:mobile_phone": [0, 1]}


def test_how_long_numbers_are_is_what_the_library_says():
    import phonenumbers

    for code, lengths in NATIONAL_LENGTHS.items():
        for length in range(4, 16 - len(code)):
            number = phonenumbers.PhoneNumber(country_code=int(code), national_number=int("2" * length))
            possible = phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE
            assert possible == (length in lengths), (code, length)


def test_an_e_mail_in_the_second_column_identifies_a_row_that_nothing_else_does():
    frame = clean(
        pl.DataFrame(
            {
                "contact_id": ["", "1", "", ""],
                "email": ["", "", "c@x.example", ""],
                "secondary_email": ["a@x.example", "b@x.example", "d@x.example", "nothing"],
                "tertiary_email": ["", "", "", "e@x.example"],
            }
        ),
        EVERYTHING,
    ).frame
    assert frame["email"].to_list() == ["a@x.example", None, "c@x.example", "e@x.example"]
    assert frame["secondary_email"].to_list() == [None, "b@x.example", "d@x.example", "nothing"]


def test_a_refusal_may_be_a_date_or_a_word():
    written = ("2024-05-01", "Unsubscribed", "subscribed", "yes", "", "perhaps")
    assert cleaned("unsubscribed", *written) == [True, True, False, True, None, None]
    assert cleaned("replied", "2024-05-01") == [None]


def test_what_ends_a_line_within_a_cell_parts_words():
    assert cleaned("address", "12 Main St\x0bSuite 4", "12 Main St\x0cSuite 4") == ["12 Main St Suite 4"] * 2


def test_letters_and_their_accents_are_one():
    assert cleaned("first_name", "Jose\u0301", "\u30ab\u3099") == ["Jos\u00e9", "\u30ac"]


def test_two_addresses_of_which_one_stands_in_brackets_are_two():
    frame = clean(pl.DataFrame({"email": ["ada@x.example <ada@y.example>"]}), EVERYTHING).frame
    assert (frame["email"][0], frame["secondary_email"][0]) == ("ada@y.example", "ada@x.example")


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("+31 06 12345678", "+31612345678"),
        ("+49 030 901820", "+4930901820"),
        ("+39 06 698 1234", "+39066981234"),
        ("415\u2013555\u20130100", "415-555-0100"),
    ],
)
def test_a_zero_that_is_dialled_within_a_country_only_is_no_part_of_its_number(written, stored):
    assert cleaned("mobile_phone", written) == [stored]


def test_an_amount_in_thousands_that_is_too_large_is_unread():
    frame = clean(
        pl.DataFrame({"annual_revenue": ["99999999999999", "5"]}),
        EVERYTHING,
        ColumnFormats(in_thousands=("annual_revenue",)),
    ).frame
    assert frame["annual_revenue"].to_list() == [None, Decimal("5000.00")]
    assert frame[flag_of("annual_revenue")].to_list() == [True, False]


def test_whole_names_may_begin_with_the_family_name():
    names = pl.Series(["Dupont Marie", "van der Berg Ada", "Rossi, Mario"])
    first, last = split_full_names(names, family_first=True)
    assert list(zip(first, last, strict=True)) == [("Marie", "Dupont"), ("Ada", "van der Berg"), ("Mario", "Rossi")]
    first, last = split_full_names(pl.Series(["Ada Lee (she/her)"]))
    assert (first[0], last[0]) == ("Ada", "Lee")
