"""Vectorised cleaners, one per kind of value.

A chunk arrives as text columns and leaves as typed ones. A value that its
cleaner cannot read becomes null and is marked in a flag column (`flag_of`), so
that a failed parse is never mistaken for an empty cell.
"""

from __future__ import annotations

from collections.abc import Callable
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

_BOOLEANS: Final = {
    "true": True,
    "yes": True,
    "y": True,
    "t": True,
    "1": True,
    "1.0": True,
    "false": False,
    "no": False,
    "n": False,
    "f": False,
    "0": False,
    "0.0": False,
}
_CONTROLS: Final = r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]"
_ZERO_WIDTH: Final = "[\u200b\u2060\ufeff]"
_GUARDED: Final = "^'([=+\\-@\\t\\r])"
_EXCEL_TEXT: Final = r'^="(.*)"$'
_EXTENSION: Final = r"(?i)\s*(?:ext\.?|extension|x|#)\s*(\d{1,7})$"


@dataclass(frozen=True)
class Oddities:
    """What rare characters a chunk's bytes hold at all; a cleaner for what is not there is skipped."""

    controls: bool = True
    zero_width: bool = True
    no_break_space: bool = True
    excel_text: bool = True


def flag_of(field: str) -> str:
    """Name of the column that is true where `field` held a value that could not be read."""
    return f"unread:{field}"


def clean(raw: pl.DataFrame, oddities: Oddities) -> pl.DataFrame:
    """Clean a chunk.

    Args:
        raw: one String column per mapped field, named by field, as written in the file.
        oddities: what its bytes hold.

    Returns:
        The same rows with every field of `FIELDS` typed (null where the file has no
        such column) and a flag column for each field of `raw` that is parsed.
    """
    columns: list[pl.Series] = []
    for name in raw.columns:
        field = FIELD_BY_NAME[name]
        text = clean_text(raw[name], oddities)
        if text.null_count() == len(text):
            columns.append(pl.Series(name, [], POLARS_TYPES[field.kind]).extend_constant(None, len(text)))
        elif field.kind in TEXT_KINDS:
            columns.append(_TEXT_CLEANERS.get(field.kind, _as_is)(text))
        else:
            value = _PARSERS[field.kind](text)
            columns.append(value)
            if value.null_count() > text.null_count():
                columns.append((value.is_null() & text.is_not_null()).alias(flag_of(name)))
    frame = pl.DataFrame(columns)
    absent = [
        pl.lit(None, POLARS_TYPES[field.kind]).alias(field.name) for field in FIELDS if field.name not in raw.columns
    ]
    return frame.with_columns(absent)


def clean_text(text: pl.Series, oddities: Oddities) -> pl.Series:
    """Strip blanks and invisible characters; `'+1` to `+1`, `="001"` to `001`; empty to null."""
    if oddities.controls:
        text = text.str.replace_all(_CONTROLS, "")
    if oddities.zero_width:
        text = text.str.replace_all(_ZERO_WIDTH, "")
    if oddities.no_break_space:
        text = text.str.replace_all("\u00a0", " ", literal=True)
    text = text.str.strip_chars()
    if text.str.starts_with("'").any():
        # An apostrophe is a spreadsheet's guard only before these; 's-Hertogenbosch keeps its own.
        text = text.str.replace(_GUARDED, "${1}")
    if oddities.excel_text:
        text = text.str.replace(_EXCEL_TEXT, "${1}")
    return text.set(text == "", None)


def _as_is(text: pl.Series) -> pl.Series:
    return text


def _clean_email(text: pl.Series) -> pl.Series:
    return text.str.to_lowercase()


def _clean_phone(text: pl.Series) -> pl.Series:
    """To E.164 where the number says its country (a leading +); else as written."""
    international = text.str.starts_with("+")
    if not international.any():
        return text
    extension = text.str.extract(_EXTENSION)
    digits = text.str.replace(_EXTENSION, "").str.replace_all(r"\(0\)|[^\d]", "")
    e164 = "+" + digits + (" ext " + extension).fill_null("")
    # What holds letters or too few digits is not a number that can be rewritten: the checks judge it as written.
    sound = international & text.str.contains(r"^\+[\d\s().\-/]+(?i:(?:ext\.?|extension|x|#)\s*\d{1,7})?$")
    return e164.zip_with(sound.fill_null(False), text).alias(text.name)


def _parse_boolean(text: pl.Series) -> pl.Series:
    return text.str.to_lowercase().replace_strict(_BOOLEANS, default=None, return_dtype=pl.Boolean())


def _parse_integer(text: pl.Series) -> pl.Series:
    return _parse(text, lambda s: s.cast(pl.Int32(), strict=False), parsing.integer, pl.Int32())


def _parse_amount(text: pl.Series) -> pl.Series:
    return _parse(text, _whole_amount, parsing.amount, AMOUNT_TYPE)


def _whole_amount(text: pl.Series) -> pl.Series:
    return text.cast(pl.Int64(), strict=False).cast(AMOUNT_TYPE, strict=False)


def _parse_score(text: pl.Series) -> pl.Series:
    return _parse(text, None, parsing.score, SCORE_TYPE)


def _parse_date(text: pl.Series) -> pl.Series:
    def iso(column: pl.Series) -> pl.Series:
        plain = column.str.replace(r"^(\d{4}-\d{2}-\d{2})T00:00:00(?:\.0+)?(?:Z|\+00:00)?$", "${1}")
        return plain.str.to_date("%Y-%m-%d", strict=False)

    return _parse(text, iso, parsing.calendar_date, pl.Date())


def _parse_timestamp(text: pl.Series) -> pl.Series:
    def iso(column: pl.Series) -> pl.Series:
        moments = column.str.to_datetime("%Y-%m-%dT%H:%M:%S%z", time_unit="us", strict=False)
        return moments.dt.convert_time_zone("UTC")

    return _parse(text, iso, parsing.timestamp, TIMESTAMP_TYPE)


def _parse(
    text: pl.Series,
    usual: Callable[[pl.Series], pl.Series] | None,
    one: Callable[[str], Any],
    dtype: pl.DataType,
) -> pl.Series:
    """Cast the whole column by its usual spelling, then what is left value by value."""
    value = usual(text) if usual is not None else pl.Series(text.name, [None] * len(text), dtype)
    if value.null_count() > text.null_count():
        left = text.filter(value.is_null()).unique().drop_nulls()
        read = {written: one(written) for written in left}
        known = {written: result for written, result in read.items() if result is not None}
        if known:
            rest = text.replace_strict(
                pl.Series(list(known), dtype=pl.String()),
                pl.Series(list(known.values()), dtype=dtype),
                default=None,
                return_dtype=dtype,
            )
            value = value.zip_with(value.is_not_null(), rest)
    return value


def is_parsed(field: Field) -> bool:
    """Whether the field's values are parsed into another type than text."""
    return field.kind not in TEXT_KINDS


_TEXT_CLEANERS: Final[dict[Kind, Callable[[pl.Series], pl.Series]]] = {
    Kind.EMAIL: _clean_email,
    Kind.PHONE: _clean_phone,
}
_PARSERS: Final[dict[Kind, Callable[[pl.Series], pl.Series]]] = {
    Kind.BOOLEAN: _parse_boolean,
    Kind.INTEGER: _parse_integer,
    Kind.AMOUNT: _parse_amount,
    Kind.SCORE: _parse_score,
    Kind.DATE: _parse_date,
    Kind.TIMESTAMP: _parse_timestamp,
}
