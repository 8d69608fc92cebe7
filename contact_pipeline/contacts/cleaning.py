"""Vectorised cleaners, one per kind of value.

A chunk arrives as text columns and leaves as typed ones. A value that its
cleaner cannot read becomes null and is marked in a flag column (`flag_of`), so
that a failed parse is never mistaken for an empty cell.

Each query costs some hundred microseconds before it looks at a value, so all
columns are cleaned in one, as they are usually written; values that are written
otherwise are then read one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final

import polars as pl

from contact_pipeline.contacts import emails, parsing, phones
from contact_pipeline.contacts.column_formats import ColumnFormats
from contact_pipeline.contacts.field import Field, Kind
from contact_pipeline.contacts.fields import FIELD_BY_NAME, FIELDS, TEXT_KINDS
from contact_pipeline.contacts.several_values import SEVERAL, Moved, promote, spread, with_values
from contact_pipeline.contacts.texts import CharacterFlags, clean_texts

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
    "true", "yes", "y", "t", "1", "1.0", "on", "x", "✓", "wahr", "ja", "j", "vrai", "oui", "verdadero", "sí", "si",
    "vero", "sì", "sim", "verdadeiro", "waar", "tak", "prawda",
)  # fmt: skip

_FALSE: Final = (
    "false", "no", "n", "f", "0", "0.0", "off", "falsch", "nein", "faux", "non", "falso", "onwaar", "nee", "não", "nao",
    "nie", "fałsz",
)  # fmt: skip

_BOOLEANS: Final = dict.fromkeys(_TRUE, True) | dict.fromkeys(_FALSE, False)

_PLAIN_SCORE: Final = r"^\d{1,6}(?:\.\d{1,3})?$"

_JUNK_BEFORE_URL: Final = r"^[^\x00-\x7f]+\s*(https?://)"

_LISTED: Final = " ::: "


def flag_of(field: str) -> str:
    """Name of the column that is true where `field` held a value that could not be read."""
    return f"unread:{field}"


def range_flag_of(field: str) -> str:
    """Name of the column that is true where `field` held a range instead of a number."""
    return f"range:{field}"


_PLAIN: Final = ColumnFormats()


@dataclass(frozen=True)
class Cleaned:
    """A cleaned chunk.

    Attributes:
        frame: its rows, every field of `FIELDS` typed.
        shortened: for a field, the rows where more stood in the cell than the row has place for.
        notices: rows whose value was changed and may not be exact, by `code:field`.
        values: how many values each field had as written.
        moved: for a field, the rows whose value stood in the cell of another, with that.
    """

    frame: pl.DataFrame
    shortened: dict[str, list[int]]
    notices: dict[str, list[int]]
    values: dict[str, int]
    moved: Moved


def clean(raw: pl.DataFrame, character_flags: CharacterFlags, formats: ColumnFormats = _PLAIN) -> Cleaned:
    """Clean a chunk.

    Args:
        raw: one String column per mapped field, named by field, as written in the file.
        character_flags: what its bytes hold.
        formats: how its columns write dates and numbers.

    Returns:
        The same rows with every field of `FIELDS` typed (null where the file has no
        such column), and flag columns for the fields of `raw` that are parsed.
    """
    texts = clean_texts(raw, character_flags)
    had = {text.name: len(text) - text.null_count() for text in texts}
    filled = [FIELD_BY_NAME[name] for name, count in had.items() if count]
    values = texts.select(_usual(field.name, character_flags) for field in filled)
    columns = {value.name: value for value in values}
    further: dict[str, dict[int, list[str]]] = {}
    incomplete: dict[str, list[int]] = {}
    notices: dict[str, list[int]] = {}
    for field, unusual in _unusual(texts, columns, filled):
        if field.kind in SEVERAL:
            cells = {row: SEVERAL[field.kind](spelling) for row, spelling in unusual.items()}
            columns[field.name] = with_values(columns[field.name], {row: cell.values[0] for row, cell in cells.items()})
            further[field.name] = {row: cell.values[1:] for row, cell in cells.items() if len(cell.values) > 1}
            incomplete[field.name] = [row for row, cell in cells.items() if not cell.whole]
            impossible = [row for row, cell in cells.items() if not cell.possible]
            if impossible:
                notices[f"impossible_phone:{field.name}"] = impossible
        else:
            columns |= _read(field, columns[field.name], unusual, formats, notices)
    for name in formats.in_thousands:
        if name in columns:
            column = columns[name]
            # `$1.2M` says by itself what it counts.
            lettered = texts[name].str.contains("[A-Za-z]").fill_null(False).arg_true().to_list()
            scaled = [row for row in lettered if parsing.has_scale(texts[name][row])]
            multiplied = (column * 1000).cast(column.dtype, strict=False)
            columns[name] = with_values(multiplied, {row: column[row] for row in scaled})
            too_large = (columns[name].is_null() & column.is_not_null()).arg_true().to_list()
            if too_large:
                unread = columns.get(flag_of(name), _flags(len(column), []))
                columns[flag_of(name)] = unread.scatter(too_large, True)
    shortened, moved = spread(columns, further, raw.height)
    for name, rows in incomplete.items():
        if rows:
            shortened[name] = sorted({*shortened.get(name, ()), *rows})
    promote(columns, moved)
    absent = [_absent(field) for field in FIELDS if field.name not in columns]
    frame = raw.with_columns(*(column.alias(name) for name, column in columns.items()), *absent)
    return Cleaned(frame, shortened, notices, had, moved)


@cache
def _absent(field: Field) -> pl.Expr:
    return pl.lit(None, POLARS_TYPES[field.kind]).alias(field.name)


@lru_cache(maxsize=1024)
def _usual(field: str, character_flags: CharacterFlags) -> pl.Expr:
    """The value of a field's text in its kind's usual spelling; null, or the text as it is, in another."""
    return _usual_of_kind(FIELD_BY_NAME[field].kind, pl.col(field), character_flags).alias(field)


def _usual_of_kind(kind: Kind, text: pl.Expr, character_flags: CharacterFlags) -> pl.Expr:  # noqa: PLR0911 - one for each kind
    match kind:
        case Kind.TEXT | Kind.LONG_TEXT if character_flags.lists:
            # `* Friends ::: Family`, as Google writes lists, to `Friends, Family`.
            listed = text.str.contains(_LISTED, literal=True) | text.str.starts_with("* ")
            spread = text.str.replace_all(_LISTED, ", ", literal=True).str.replace_all(r"(^|, )\* ", "${1}")
            return pl.when(listed).then(spread).otherwise(text)
        case Kind.URL if character_flags.non_ascii:
            return text.str.replace(_JUNK_BEFORE_URL, "${1}")
        case Kind.EMAIL:
            return text.str.to_lowercase()
        case Kind.PHONE:
            # To E.164 where the number says its country (a leading +); else as written.
            e164 = "+" + text.str.replace_all(r"[^0-9]", "")
            plain = text.str.contains(phones.PLAIN) & e164.str.contains(phones.possible_pattern())
            return pl.when(plain).then(e164).when(~text.str.starts_with("+")).then(text)
        case Kind.BOOLEAN:
            return text.str.to_lowercase().replace_strict(_BOOLEANS, default=None, return_dtype=pl.Boolean())
        case Kind.INTEGER:
            return text.cast(pl.Int32(), strict=False)
        case Kind.AMOUNT:
            return text.cast(pl.Int64(), strict=False).cast(AMOUNT_TYPE, strict=False)
        case Kind.SCORE:
            return pl.when(text.str.contains(_PLAIN_SCORE)).then(text).cast(SCORE_TYPE, strict=False)
        case Kind.DATE:
            plain = text.str.replace(r"^(\d{4}-\d{2}-\d{2})T00:00:00(?:\.0+)?(?:Z|\+00:00)?$", "${1}")
            return _in_python(plain.str.to_date("%Y-%m-%d", strict=False))
        case Kind.TIMESTAMP:
            moments = text.str.to_datetime("%Y-%m-%dT%H:%M:%S%z", time_unit="us", strict=False)
            return _in_python(moments.dt.convert_time_zone("UTC"))
        case _:
            return text


def _in_python(moments: pl.Expr) -> pl.Expr:
    """Without the years that Python's dates do not have, and those of two digits: `03-04-24` is not in year 3."""
    return pl.when(moments.dt.year().is_between(100, 9999)).then(moments)


def _unusual(
    texts: pl.DataFrame, values: Mapping[str, pl.Series], fields: Sequence[Field]
) -> Iterator[tuple[Field, dict[int, str]]]:
    """The fields that hold values in no usual spelling, with these texts by row."""
    masks: dict[str, pl.Expr] = {}
    for field in fields:
        text, value = pl.col(field.name), values[field.name]
        if field.kind is Kind.EMAIL:
            masks[field.name] = pl.lit(value).str.contains(emails.UNUSUAL)
        elif field.kind is Kind.PHONE:
            masks[field.name] = text.str.contains(phones.UNUSUAL) | (text.is_not_null() & pl.lit(value).is_null())
        elif is_parsed(field) and value.null_count() > texts[field.name].null_count():
            masks[field.name] = text.is_not_null() & pl.lit(value).is_null()
    if not masks:
        return
    rows = texts.select(pl.arg_where(mask).implode().alias(name) for name, mask in masks.items()).row(0)
    spellings = texts.select(pl.col(name).filter(mask).implode() for name, mask in masks.items()).row(0)
    for name, at, written in zip(masks, rows, spellings, strict=True):
        if at:
            yield FIELD_BY_NAME[name], dict(zip(at, written, strict=True))


def _read(
    field: Field, column: pl.Series, unusual: Mapping[int, str], formats: ColumnFormats, notices: dict[str, list[int]]
) -> dict[str, pl.Series]:
    """Read the values that are written unusually.

    Returns:
        The field's column, and a flag column for values that could not be read and for ranges, if there are any.
    """
    name, kind = field.name, field.kind
    options = {}
    if kind in _DATED:
        options = {"day_first": name in formats.day_first}
    elif kind in _NUMERIC:
        options = {"decimal_comma": name in formats.decimal_comma}
    parser = parsing.refusal if field.says_no else _PARSERS.get(kind)
    read = {spelling: parser(spelling, **options) if parser else None for spelling in {*unusual.values()}}
    known = {row: read[spelling] for row, spelling in unusual.items() if read[spelling] is not None}
    ranges = [row for row, text in unusual.items() if row not in known and kind in _RANGED and parsing.is_range(text)]
    unread = [row for row in unusual if row not in known and row not in {*ranges}]
    if kind is Kind.AMOUNT:
        rounded = [row for row in known if parsing.is_rounded(unusual[row])]
        if rounded:
            notices[f"rounded_by_spreadsheet:{name}"] = rounded
    found = {name: with_values(column, known)}
    if ranges:
        found[range_flag_of(name)] = _flags(len(column), ranges)
    if ranges or unread:
        found[flag_of(name)] = _flags(len(column), unread)
    return found


def _flags(height: int, rows: Sequence[int]) -> pl.Series:
    flags = [False] * height
    for row in rows:
        flags[row] = True
    return pl.Series(flags, dtype=pl.Boolean())


def is_parsed(field: Field) -> bool:
    """Whether the field's values are parsed into another type than text."""
    return field.kind not in TEXT_KINDS


_RANGED: Final = (Kind.AMOUNT, Kind.INTEGER)

_NUMERIC: Final = (*_RANGED, Kind.SCORE)

_DATED: Final = (Kind.DATE, Kind.TIMESTAMP)

_PARSERS: Final[dict[Kind, Callable[..., Any]]] = {
    Kind.INTEGER: parsing.integer,
    Kind.AMOUNT: parsing.amount,
    Kind.SCORE: parsing.score,
    Kind.DATE: parsing.calendar_date,
    Kind.TIMESTAMP: parsing.timestamp,
}
