"""The data dictionary: a page about every field, made of the table of fields.

`docs/reference/fields.md` is this page; `docs/generate.py` writes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from contact_pipeline.contacts.field import Field, Kind
from contact_pipeline.contacts.fields import FIELDS, FULL_NAME, FULL_NAME_TITLES, MAXIMUM_BYTES, THOUSANDS_TITLES
from contact_pipeline.contacts.messages import MESSAGES
from contact_pipeline.contacts.titles import LOCAL_TITLES


class _About(NamedTuple):
    column: str
    cleaning: str
    checks: tuple[str, ...]
    examples: tuple[tuple[str, str], ...]


_EVERY: Final = (
    "Of every value: blanks and invisible characters around it go, a no-break space is a blank, control characters go; "
    "an apostrophe before `= + - @` goes, and so does Excel's `=\"…\"`; `-`, `N/A`, `#N/A`, `\\N` and Excel's other "
    "error values are blank; in all kinds but text `NULL`, `None`, `NaN` and `unknown` are blank as well."
)

ABOUT: Final[dict[Kind, _About]] = {
    Kind.TEXT: _About(
        "text",
        "`A ::: B`, as Google writes lists, to `A, B`.",
        ("too_long",),
        (
            (" C suite ", "C suite"),
            ("'s-Hertogenbosch", "'s-Hertogenbosch"),
            ("* Friends ::: Family", "Friends, Family"),
        ),
    ),
    Kind.LONG_TEXT: _About("text", "As text.", ("too_long",), (("saas, b2b", "saas, b2b"),)),
    Kind.IDENTIFIER: _About(
        "text",
        "`12345.0` to `12345`. A number that a spreadsheet has rounded is not guessed.",
        ("too_long", "scientific_notation", "invalid_identifier"),
        (('="00123"', "00123"), ("12345.0", "12345"), ("4.91764E+11", "")),
    ),
    Kind.EMAIL: _About(
        "text",
        "Lower case. Of several in one cell, or with a name around it, the first; the second and third go to "
        "`secondary_email` and `tertiary_email` where these are empty.",
        ("too_long", "invalid_email"),
        (
            ("Ada@Example.com", "ada@example.com"),
            ("Ada Lovelace <ada@example.com>", "ada@example.com"),
            ("a@example.com; b@example.com", "a@example.com"),
        ),
    ),
    Kind.PHONE: _About(
        "text",
        "E.164 where the number says its country by a `+`, else as written. Of several in one cell the first; the "
        "second goes to `other_phone` where that is empty. A number that its country cannot have is kept as written, "
        "and told. A rounded number is not guessed.",
        ("too_long", "scientific_notation", "invalid_phone"),
        (
            ("'+1 415-555-0100", "+14155550100"),
            ("+44 (0)20 7946 0000 ext 12", "+442079460000 ext 12"),
            ("(415) 555-0100", "(415) 555-0100"),
            ("9.19E+11", ""),
        ),
    ),
    Kind.URL: _About(
        "text",
        "What a wrong encoding left before `http` goes.",
        ("too_long", "invalid_url"),
        (("http://www.acme.example", "http://www.acme.example"), ("acme.example", "acme.example")),
    ),
    Kind.AMOUNT: _About(
        "numeric(18,2)",
        "Currency signs, separators of thousands and `K`, `M`, `B` are read; whether a comma is decimal is decided by "
        "the column. Ranges and negatives are no amounts.",
        ("range", "invalid_amount", "out_of_range"),
        (
            ("348160000000", "348160000000.00"),
            ("$1.2M", "1200000.00"),
            ("1.234,50 €", "1234.50"),
            ("3.07394E+11", "307394000000.00"),
            ("$1M - $10M", ""),
        ),
    ),
    Kind.INTEGER: _About(
        "integer",
        "As an amount; a fraction is no whole number.",
        ("range", "invalid_number", "out_of_range"),
        (("1,250", "1250"), ("250.0", "250"), ("11-50", ""), ("10,001+", "")),
    ),
    Kind.SCORE: _About(
        "numeric(9,3)", "A per cent sign divides by 100.", ("invalid_number", "out_of_range"), (("0.6", "0.600"),)
    ),
    Kind.BOOLEAN: _About(
        "boolean",
        "In any case, in English and as spreadsheets of other languages write it.",
        ("invalid_boolean",),
        (("FALSE", "false"), ("Yes", "true"), ("WAHR", "true")),
    ),
    Kind.DATE: _About(
        "date",
        "ISO 8601, `01 May 2024`, `3/19/19`, Excel's day numbers. Whether the day or the month comes first is decided "
        "by the column as a whole, else by the file's other dates, else it is the month, and told; it can be said.",
        ("invalid_date", "out_of_range"),
        (
            ("2021-05-01T00:00:00+00:00", "2021-05-01"),
            ("3/19/19", "2019-03-19"),
            ("19.3.2019", "2019-03-19"),
            ("01 May 2024", "2024-05-01"),
            ("44317", "2021-05-01"),
        ),
    ),
    Kind.TIMESTAMP: _About(
        "timestamptz",
        "As a date, with a time; without a zone it is UTC.",
        ("invalid_timestamp", "out_of_range"),
        (("2024-11-02T10:11:12+01:00", "2024-11-02 09:11:12+00:00"), ("3/19/19 1:30 PM", "2019-03-19 13:30:00+00:00")),
    ),
}
"""For each kind of value: column type, cleaning, codes of its checks, and written values with what is stored."""


_OTHER_LANGUAGES: Final = (
    "German, French, Spanish, Portuguese, Italian, Dutch and Polish. `Name`, `Nom` or `Naam` beside a first name is "
    "the family name, `Nome` or `Nombre` beside a family name the first."
)


def page() -> str:
    """The page as Markdown."""
    made_of = (
        f"The {len(FIELDS)} fields of a contact. This page is made of `contact_pipeline/contacts/fields.py` by "
        "`make docs`: do not edit it."
    )
    how = (
        "A column feeds a field when its whole title is one of the field's titles, whatever its case, and with blanks "
        "for `_ - . / # ( ) :`. The first title that a file has wins; a column that feeds no field is kept in `extra` "
        "under its own title. A value that fails a check is dropped, counted as a warning, and kept in `extra`; where "
        "it says who the row is, or with `strictness: strict`, the row is rejected."
    )
    special = (
        f"A column `{'`, `'.join(FULL_NAME_TITLES)}` ({FULL_NAME}) is split into `first_name` and `last_name` where "
        f"the file has neither. Columns `{'`, `'.join(sorted(THOUSANDS_TITLES))}` count in thousands. "
        "A column `id` is the contact's id in Salesforce's exports, and kept in `extra` in others."
    )
    lines = ["# Data dictionary", "", made_of, "", how, "", "## Fields", ""]
    lines += ["| field | kind | of a person | titles |", "|---|---|---|---|", *(_row(field) for field in FIELDS)]
    lines += ["", special, "", "## Titles in other languages", "", _OTHER_LANGUAGES, ""]
    lines += [f"* `{name}`: {_listed(titles)}" for name, titles in LOCAL_TITLES.items()]
    lines += ["", "## Kinds of values", "", _EVERY]
    for kind, about in ABOUT.items():
        lines += ["", f"### {kind.value}", "", f"Column `{about.column}`. {about.cleaning}", ""]
        if kind in MAXIMUM_BYTES:
            lines += [f"At most {MAXIMUM_BYTES[kind]:,} bytes.", ""]
        lines += ["| written | stored |", "|---|---|"]
        lines += [f"| `{written}` | {f'`{stored}`' if stored else 'dropped'} |" for written, stored in about.examples]
        lines += ["", "| check | what is wrong |", "|---|---|"]
        lines += [f"| `{code}` | {MESSAGES[code]} |" for code in about.checks]
    return "\n".join(lines) + "\n"


def _row(field: Field) -> str:
    titles = _listed([*field.before, *field.headers, *field.aliases])
    maximum = f", at most {field.maximum:,}" if field.maximum else ""
    return f"| `{field.name}` | {field.kind.value}{maximum} | {'yes' if field.personal else ''} | {titles} |"


def _listed(titles: Sequence[str]) -> str:
    return ", ".join(title.replace("|", "\\|") for title in titles)
