from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest

from contact_pipeline.contacts.cleaning import Oddities, clean, flag_of
from contact_pipeline.contacts.fields import FIELDS

EVERYTHING = Oddities()


def cleaned(field: str, *values: str, oddities: Oddities = EVERYTHING) -> list:
    return clean(pl.DataFrame({field: list(values)}), oddities).frame[field].to_list()


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
        ("13/5/2020", date(2020, 5, 13)),
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
