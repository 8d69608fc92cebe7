"""Vectorised cleaners, one per kind of value.

A chunk arrives as text columns and leaves as typed ones. A value that its
cleaner cannot read becomes null and is marked in a flag column (`flag_of`), so
that a failed parse is never mistaken for an empty cell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from contact_pipeline.contacts import parsing
from contact_pipeline.contacts.fields import FIELD_BY_NAME, FIELDS, TEXT_KINDS, Field, Kind

AMOUNT_TYPE: Final = pl.Decimal(18, 2)
SCORE_TYPE: Final = pl.Decimal(9, 3)
TIMESTAMP_TYPE: Final = pl.Datetime("us", "UTC")

POLARS_TYPES: Final[dict[Kind, pl.DataType]] = {
    **{kind: pl.String() for kind in TEXT_KINDS},
    Kind.AMOUNT: AMOUNT_TYPE,
    Kind.INTEGER: pl.Int32(),
    Kind.SCORE: SCORE_TYPE,
    Kind.BOOLEAN: pl.Boolean(),
    Kind.DATE: pl.Date(),
    Kind.TIMESTAMP: TIMESTAMP_TYPE,
}

# In English, and as spreadsheets of other languages write TRUE and FALSE.
_TRUE: Final = (
    "true",
    "yes",
    "y",
    "t",
    "1",
    "1.0",
    "on",
    "x",
    "✓",
    "wahr",
    "ja",
    "vrai",
    "oui",
    "verdadero",
    "sí",
    "vero",
)
_FALSE: Final = ("false", "no", "n", "f", "0", "0.0", "off", "falsch", "nein", "faux", "non", "falso", "onwaar")
_BOOLEANS: Final = dict.fromkeys(_TRUE, True) | dict.fromkeys(_FALSE, False)
_BLANK: Final = (
    "-", "--", "---", "–", "—", "N/A", "n/a", "N/a", "#N/A", "\\N", "(null)", "(blank)",
    "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!",
)  # fmt: skip
# As a name these can be somebody's; as an e-mail, a number or a date they are nothing.
_BLANK_UNLESS_TEXT: Final = (
    *_BLANK, "NULL", "null", "Null", "None", "none", "NONE", "nan", "NaN", "NA", "na", "nil", "?", "unknown", "Unknown",
    "0000-00-00", "0000-00-00 00:00:00",
)  # fmt: skip
_DIGITS: Final = frozenset({Kind.IDENTIFIER, Kind.PHONE})
_PLAIN: Final = frozenset({Kind.TEXT, Kind.LONG_TEXT})
_CONTROLS: Final = r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]"
_ZERO_WIDTH: Final = "[\u200b\u2060\ufeff]"
_DIRECTION_MARKS: Final = "[\u200c-\u200f\u202a-\u202e\u2066-\u2069]"
_GUARDED: Final = "^'([=+\\-@\\t\\r])"
_EXCEL_TEXT: Final = r'^=(?:"(.*)"|(0\d+))$'
_PLAIN_INTERNATIONAL: Final = r"^\+[\d\s.\-/]*(?:\([1-9]\d*\))?[\d\s.\-/]+$"
_EXTENSION: Final = r"(?i)\s*(?:ext\.?|extension|x|#)\s*(\d{1,7})$"
_ONE_EMAIL: Final = r"[^\s<>;,:\"'()|\[\]]+@[^\s<>;,:\"'()|\[\]]+"
_SEVERAL_EMAILS: Final = r"(?i)[\s;,<>|()]|mailto:"
_FIRST_PHONE: Final = r"^(?i:tel:)?\s*([^;]*?)\s*(?:(?:;|:::|\s/\s|\n).*)?$"
_SEVERAL_PHONES: Final = r"(?i);|:::|\s/\s|\n|^tel:"
_JUNK_BEFORE_URL: Final = r"^[^\x00-\x7f]+\s*(https?://)"
_LISTED: Final = " ::: "


@dataclass(frozen=True)
class Oddities:
    """What rare characters a chunk's bytes hold at all; a cleaner for what is not there is skipped."""

    controls: bool = True
    zero_width: bool = True
    no_break_space: bool = True
    excel_text: bool = True
    direction_marks: bool = True
    non_ascii: bool = True
    lists: bool = True


def flag_of(field: str) -> str:
    """Name of the column that is true where `field` held a value that could not be read."""
    return f"unread:{field}"


def range_flag_of(field: str) -> str:
    """Name of the column that is true where `field` held a range instead of a number."""
    return f"range:{field}"


@dataclass(frozen=True)
class Written:
    """How the file's columns are written, where one value alone does not tell.

    Attributes:
        day_first: fields whose dates put the day before the month.
        decimal_comma: fields whose numbers have a decimal comma.
        thousands: fields whose numbers count thousands.
    """

    day_first: Collection[str] = ()
    decimal_comma: Collection[str] = ()
    thousands: Collection[str] = ()


@dataclass(frozen=True)
class Cleaned:
    """A cleaned chunk.

    Attributes:
        frame: its rows, every field of `FIELDS` typed.
        shortened: for a field, true where more stood in the cell than the row has place for.
        notices: values that were changed and may not be exact, by `code:field`.
    """

    frame: pl.DataFrame
    shortened: dict[str, pl.Series]
    notices: Counter[str]


def clean(raw: pl.DataFrame, oddities: Oddities, written: Written = Written()) -> Cleaned:
    """Clean a chunk.

    Args:
        raw: one String column per mapped field, named by field, as written in the file.
        oddities: what its bytes hold.
        written: how its columns are written.

    Returns:
        The same rows with every field of `FIELDS` typed (null where the file has no
        such column), and flag columns for the fields of `raw` that are parsed.
    """
    columns: dict[str, pl.Series] = {}
    further: dict[str, pl.Series] = {}
    notices: Counter[str] = Counter()
    texts = clean_texts(raw, oddities)
    blank = texts.null_count().row(0, named=True)
    for name in raw.columns:
        field = FIELD_BY_NAME[name]
        text = texts[name]
        if blank[name] == len(text):
            columns[name] = pl.Series(name, [], POLARS_TYPES[field.kind]).extend_constant(None, len(text))
        elif field.kind in _PARSERS:
            columns |= _parse(field, text, written, notices)
        else:
            columns[name], rest = _CLEANERS[field.kind](text, oddities)
            if rest is not None:
                further[name] = rest
    shortened = _spread(columns, further)
    frame = pl.DataFrame([column.alias(name) for name, column in columns.items()])
    absent = [pl.lit(None, POLARS_TYPES[field.kind]).alias(field.name) for field in FIELDS if field.name not in columns]
    return Cleaned(frame.with_columns(absent), shortened, notices)


def _spread(columns: dict[str, pl.Series], further: dict[str, pl.Series]) -> dict[str, pl.Series]:
    """Put the second and third e-mail of a cell, and its second phone, into fields of the row that are empty.

    Returns:
        For each field, where something was left that found no place.
    """
    shortened = {}
    for name, rest in further.items():
        places = ("secondary_email", "tertiary_email") if FIELD_BY_NAME[name].kind is Kind.EMAIL else ("other_phone",)
        for place in places:
            if not (rest.list.len() > 0).any() or place == name:
                continue
            first = rest.list.first()
            held = columns.get(place)
            if held is None:
                held = pl.repeat(None, len(rest), dtype=pl.String(), eager=True)
            free = held.is_null() & first.is_not_null()
            columns[place] = held.zip_with(~free, first)
            rest = rest.list.slice(1).zip_with(free, rest)  # noqa: PLW2901 - what is left of it
        left = rest.list.len() > 0
        if left.any():
            shortened[name] = left.fill_null(False)
    return shortened


def clean_texts(raw: pl.DataFrame, oddities: Oddities) -> pl.DataFrame:
    """Strip blanks and invisible characters; `'+1` to `+1`, `="001"` to `001`; what stands for nothing to null.

    All columns go through one query, and only those that need more through a second.

    Args:
        raw: String columns, named by field.
        oddities: what the chunk's bytes hold.
    """
    kinds = {column: FIELD_BY_NAME[column].kind for column in raw.columns}
    frame = raw.select(_bare(column, kind, oddities) for column, kind in kinds.items())
    guarded = [pl.col(column).str.starts_with("'").any().alias(f"guarded:{column}") for column in kinds]
    blank = [pl.col(column).is_in(_blanks(kind)).any().alias(f"blank:{column}") for column, kind in kinds.items()]
    zeros = [
        pl.col(column).str.ends_with(".0").any().alias(f"zero:{column}")
        for column, kind in kinds.items()
        if kind in _DIGITS
    ]
    seen = frame.select(*guarded, *blank, *zeros).row(0, named=True)
    mended = []
    for column, kind in kinds.items():
        text = pl.col(column)
        if seen[f"guarded:{column}"]:
            # An apostrophe is a spreadsheet's guard only before these; 's-Hertogenbosch keeps its own.
            text = text.str.replace(_GUARDED, "${1}")
        if oddities.excel_text:
            text = text.str.replace(_EXCEL_TEXT, "${1}${2}")
        if seen.get(f"zero:{column}"):
            # As a number column with blanks is written by pandas.
            text = text.str.replace(r"^(\+?\d{4,})\.0$", "${1}")
        if text.meta.is_column() and not seen[f"blank:{column}"]:
            continue
        mended.append(pl.when(~text.is_in(_blanks(kind))).then(text).alias(column))
    return frame.with_columns(mended) if mended else frame


def _bare(column: str, kind: Kind, oddities: Oddities) -> pl.Expr:
    text = pl.col(column)
    if oddities.controls:
        text = text.str.replace_all(_CONTROLS, "")
    if oddities.zero_width:
        text = text.str.replace_all(_ZERO_WIDTH, "")
    if oddities.direction_marks and kind not in _PLAIN:
        text = text.str.replace_all(_DIRECTION_MARKS, "")
    if oddities.no_break_space:
        text = text.str.replace_all("\u00a0", " ", literal=True)
    text = text.str.strip_chars()
    return pl.when(text != "").then(text).alias(column)


def _blanks(kind: Kind) -> tuple[str, ...]:
    return _BLANK if kind in _PLAIN else _BLANK_UNLESS_TEXT


def _clean_plain(text: pl.Series, oddities: Oddities) -> tuple[pl.Series, None]:
    """`* Friends ::: Family`, as Google writes lists, to `Friends, Family`."""
    if oddities.lists:
        listed = text.str.contains(_LISTED, literal=True) | text.str.starts_with("* ")
        spread = text.str.replace_all(_LISTED, ", ", literal=True).str.replace_all(r"(^|, )\* ", "${1}")
        text = text.zip_with(~listed.fill_null(False), spread)
    return text, None


def _as_it_is(text: pl.Series, _oddities: Oddities) -> tuple[pl.Series, None]:
    return text, None


def _clean_url(text: pl.Series, oddities: Oddities) -> tuple[pl.Series, None]:
    return (text.str.replace(_JUNK_BEFORE_URL, "${1}") if oddities.non_ascii else text), None


def _clean_email(text: pl.Series, _oddities: Oddities) -> tuple[pl.Series, pl.Series | None]:
    """In lower case; of a cell with several, or with a name around it, the first, and the others."""
    lower = text.str.to_lowercase()
    several = lower.str.contains(_SEVERAL_EMAILS).fill_null(False)
    if not several.any():
        return lower, None
    found = lower.str.extract_all(_ONE_EMAIL)
    usable = several & (found.list.len() > 0).fill_null(False)
    first = found.list.first().str.strip_chars(".")
    return lower.zip_with(~usable, first), found.list.slice(1).zip_with(usable, _none_further(len(text)))


def _none_further(rows: int) -> pl.Series:
    return pl.repeat([], rows, dtype=pl.List(pl.String()), eager=True)


def _clean_phone(text: pl.Series, _oddities: Oddities) -> tuple[pl.Series, pl.Series | None]:
    """To E.164 where the number says its country (a leading +); else as written. And the other numbers of the cell."""
    several = text.str.contains(_SEVERAL_PHONES).fill_null(False)
    if not several.any():
        return _e164(text), None
    first = text.str.extract(r"(?s)" + _FIRST_PHONE)
    others = text.str.replace(r"(?i)^tel:", "").str.replace_all(r"\s*(?:;|:::|\s/\s|\n)\s*", ";").str.split(";")
    others = others.list.eval(pl.element().filter(pl.element() != "")).list.slice(1)
    return _e164(text.zip_with(~several, first)), others.zip_with(several, _none_further(len(text)))


def _e164(text: pl.Series) -> pl.Series:
    plain = text.str.contains(_PLAIN_INTERNATIONAL).fill_null(False)
    other = ~plain & text.str.starts_with("+").fill_null(False)
    if plain.any():
        text = ("+" + text.str.replace_all(r"\D", "")).zip_with(plain, text).alias(text.name)
    if other.any():
        text = text.scatter(other.arg_true(), _e164_of_others(text.filter(other)))
    return text


def _e164_of_others(text: pl.Series) -> pl.Series:
    """Numbers with an extension, or a trunk zero in brackets."""
    extension = text.str.extract(_EXTENSION)
    digits = text.str.replace(_EXTENSION, "").str.replace_all(r"\(0\)|[^\d]", "")
    e164 = "+" + digits + (" ext " + extension).fill_null("")
    # What holds letters or too few digits is not a number that can be rewritten: the checks judge it as written.
    sound = text.str.contains(r"^\+[\d\s().\-/]+(?i:(?:ext\.?|extension|x|#)\s*\d{1,7})?$")
    return e164.zip_with(sound, text)


def _booleans(text: pl.Series) -> pl.Series:
    return text.str.to_lowercase().replace_strict(_BOOLEANS, default=None, return_dtype=pl.Boolean())


def _whole_amounts(text: pl.Series) -> pl.Series:
    return text.cast(pl.Int64(), strict=False).cast(AMOUNT_TYPE, strict=False)


def _iso_dates(text: pl.Series) -> pl.Series:
    plain = text.str.replace(r"^(\d{4}-\d{2}-\d{2})T00:00:00(?:\.0+)?(?:Z|\+00:00)?$", "${1}")
    return _in_python(plain.str.to_date("%Y-%m-%d", strict=False))


def _iso_timestamps(text: pl.Series) -> pl.Series:
    moments = text.str.to_datetime("%Y-%m-%dT%H:%M:%S%z", time_unit="us", strict=False)
    return _in_python(moments.dt.convert_time_zone("UTC"))


def _in_python(moments: pl.Series) -> pl.Series:
    """Without the years that Polars knows and Python's dates do not."""
    return moments.set(~moments.dt.year().is_between(1, 9999), None)


def _parse(field: Field, text: pl.Series, written: Written, notices: Counter[str]) -> dict[str, pl.Series]:
    """Cast the whole column by its usual spelling, then what is left value by value.

    Returns:
        The field's column, and a flag column for values that could not be read and for ranges, if there are any.
    """
    name, dtype = field.name, POLARS_TYPES[field.kind]
    usual, one = _PARSERS[field.kind]
    value = usual(text) if usual is not None else pl.repeat(None, len(text), dtype=dtype, eager=True)
    found: dict[str, pl.Series] = {}
    if value.null_count() > text.null_count():
        left = text.filter(value.is_null()).unique().drop_nulls()
        options = {"day_first": name in written.day_first} if field.kind in _DATED else {}
        if field.kind in _NUMERIC:
            options = {"decimal_comma": name in written.decimal_comma}
        read = {spelling: one(spelling, **options) for spelling in left} if one is not None else {}
        known = {spelling: result for spelling, result in read.items() if result is not None}
        if known:
            rest = text.replace_strict(
                pl.Series(list(known), dtype=pl.String()),
                pl.Series(list(known.values()), dtype=dtype),
                default=None,
                return_dtype=dtype,
            )
            value = value.zip_with(value.is_not_null(), rest)
            rounded = [spelling for spelling in known if field.kind is Kind.AMOUNT and parsing.is_rounded(spelling)]
            if rounded:
                notices[f"rounded_by_spreadsheet:{name}"] += int(text.is_in(rounded).sum())
        if value.null_count() > text.null_count():
            unread = value.is_null() & text.is_not_null()
            ranges = [s for s in read if s not in known and field.kind in _RANGED and parsing.is_range(s)]
            if ranges:
                found[range_flag_of(name)] = text.is_in(ranges).fill_null(False)
                unread &= ~found[range_flag_of(name)]
            found[flag_of(name)] = unread
    if name in written.thousands:
        value = (value * 1000).cast(dtype)
    return {name: value, **found}


def is_parsed(field: Field) -> bool:
    """Whether the field's values are parsed into another type than text."""
    return field.kind not in TEXT_KINDS


_RANGED: Final = (Kind.AMOUNT, Kind.INTEGER)
_NUMERIC: Final = (*_RANGED, Kind.SCORE)
_DATED: Final = (Kind.DATE, Kind.TIMESTAMP)
_CLEANERS: Final[dict[Kind, Callable[[pl.Series, Oddities], tuple[pl.Series, pl.Series | None]]]] = {
    Kind.TEXT: _clean_plain,
    Kind.LONG_TEXT: _clean_plain,
    Kind.IDENTIFIER: _as_it_is,
    Kind.EMAIL: _clean_email,
    Kind.PHONE: _clean_phone,
    Kind.URL: _clean_url,
}
_PARSERS: Final[dict[Kind, tuple[Callable[[pl.Series], pl.Series] | None, Callable[..., Any] | None]]] = {
    Kind.BOOLEAN: (_booleans, None),
    Kind.INTEGER: (lambda text: text.cast(pl.Int32(), strict=False), parsing.integer),
    Kind.AMOUNT: (_whole_amounts, parsing.amount),
    Kind.SCORE: (None, parsing.score),
    Kind.DATE: (_iso_dates, parsing.calendar_date),
    Kind.TIMESTAMP: (_iso_timestamps, parsing.timestamp),
}
