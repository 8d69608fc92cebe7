"""The checks of every field, and the pandera schema built from them.

Each rule is one Polars expression that is true where a value is sound. The
combined check (one pass over a chunk, inside the pandera schema) and the
diagnosis (cell by cell, on failing rows only) are both made from `rules`, so
they cannot disagree.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache, lru_cache, reduce
from operator import or_
from typing import Final

# Both would only talk to the network or print: neither belongs in a worker.
os.environ.setdefault("DISABLE_PANDERA_IMPORT_WARNING", "True")

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData
from pandera.errors import SchemaError, SchemaErrors

from contact_pipeline.contacts.cleaning import POLARS_TYPES, flag_of, is_parsed, range_flag_of
from contact_pipeline.contacts.emails import ADDRESS
from contact_pipeline.contacts.field import Field, Kind
from contact_pipeline.contacts.fields import FIELDS, MAXIMUM_BYTES
from contact_pipeline.errors import SchemaMismatch

_EMAIL: Final = f"^{ADDRESS}$"
_PHONE: Final = r"(?i)^[+(]?[\d\s().\-/+]*\d[\d\s().\-/+]*(?:[,;]?\s*(?:ext\.?|extension|x|#)\s*\d{1,7})?$"
_PHONE_DIGITS: Final = r"^(?:\D*\d){5}"
_URL: Final = r"^(?:[A-Za-z][A-Za-z0-9+.\-]*://)?[^\s/.]+(?:\.[^\s/.]+)+(?:[/?#:]\S*)?$"
_IDENTIFIER: Final = r"^[^\s\p{C}]+$"
_SCIENTIFIC: Final = r"^\d(?:[.,]\d+)?[eE][+]?\d+$"
_EARLIEST: Final = pl.date(1900, 1, 1)
_LATEST: Final = pl.date(2100, 1, 1)

_UNREAD_CODES: Final = {
    Kind.AMOUNT: "invalid_amount",
    Kind.INTEGER: "invalid_number",
    Kind.SCORE: "invalid_number",
    Kind.BOOLEAN: "invalid_boolean",
    Kind.DATE: "invalid_date",
    Kind.TIMESTAMP: "invalid_timestamp",
}


@dataclass(frozen=True)
class Rule:
    """One check of one field: `sound` is true where the value passes; its name is that of field and code."""

    field: str
    code: str
    sound: pl.Expr


def rules(field: Field, columns: Collection[str]) -> list[Rule]:
    """The field's checks, given which columns the cleaned chunk has (flag columns are optional)."""
    return _rules(field, flag_of(field.name) in columns, range_flag_of(field.name) in columns)


@cache
def _rules(field: Field, flagged: bool, range_flagged: bool) -> list[Rule]:
    found: list[Rule] = []
    value = pl.col(field.name)

    def rule(code: str, sound: pl.Expr) -> None:
        found.append(Rule(field.name, code, sound.fill_null(True).alias(f"{field.name}:{code}")))

    if is_parsed(field):
        if range_flagged:
            rule("range", ~pl.col(range_flag_of(field.name)))
        if flagged:
            rule(_UNREAD_CODES[field.kind], ~pl.col(flag_of(field.name)))
    else:
        rule("too_long", value.str.len_bytes() <= MAXIMUM_BYTES[field.kind])
    match field.kind:
        case Kind.EMAIL:
            rule("invalid_email", value.str.contains(_EMAIL))
        case Kind.PHONE:
            rule("scientific_notation", ~value.str.contains(_SCIENTIFIC))
            sound = value.str.contains(_PHONE) & value.str.contains(_PHONE_DIGITS)
            rule("invalid_phone", sound)
        case Kind.URL:
            rule("invalid_url", value.str.contains(_URL))
        case Kind.IDENTIFIER:
            rule("scientific_notation", ~value.str.contains(_SCIENTIFIC))
            rule("invalid_identifier", value.str.contains(_IDENTIFIER))
        case Kind.AMOUNT | Kind.INTEGER | Kind.SCORE:
            rule("out_of_range", (value >= 0) & (value <= field.maximum))
        case Kind.DATE | Kind.TIMESTAMP:
            day = value.cast(pl.Date())
            rule("out_of_range", (day >= _EARLIEST) & (day < _LATEST))
    return found


def filled_fields(frame: pl.DataFrame) -> list[Field]:
    """The fields that hold any value, or a flag, in this chunk: checks of the others have nothing to see."""
    columns = frozenset(frame.columns)
    blanks = frame.null_count().row(0, named=True)
    return [
        field
        for field in FIELDS
        if blanks[field.name] < frame.height or flag_of(field.name) in columns or range_flag_of(field.name) in columns
    ]


def combined_check(frame: pl.DataFrame) -> pl.Expr:
    """One expression that is true for each row whose every value passes every rule."""
    fields = filled_fields(frame)
    columns = frozenset(frame.columns)
    # A column whose longest value fits has no long one: one aggregate instead of a mask a column.
    lengths = frame.select(
        pl.col(field.name).str.len_bytes().max().fill_null(0) for field in fields if not is_parsed(field)
    ).to_dict(as_series=False)
    sound = [
        rule.sound
        for field in fields
        for rule in rules(field, columns)
        if rule.code != "too_long" or lengths[field.name][0] > MAXIMUM_BYTES[field.kind]
    ]
    return pl.all_horizontal(sound) if sound else pl.lit(True)


@cache
def contact_schema() -> pa.DataFrameSchema:
    """The pandera schema over all fields: their types, and the combined check of their values."""

    def every_value_sound(data: PolarsData) -> pl.LazyFrame:
        frame = data.lazyframe.collect()
        return frame.lazy().select(combined_check(frame))

    return pa.DataFrameSchema(
        {field.name: pa.Column(POLARS_TYPES[field.kind], nullable=True) for field in FIELDS},
        # The mask is what counts; a table of the failing rows would be made for nothing.
        checks=[pa.Check(every_value_sound, name="every_value_sound", n_failure_cases=1)],
        name="contact",
    )


@cache
def _value_schema() -> pa.DataFrameSchema:
    """The contact schema's checks of values, without the types."""
    return pa.DataFrameSchema(checks=contact_schema().checks, name="contact")


def failing_rows(frame: pl.DataFrame) -> pl.Series:
    """Validate a cleaned chunk.

    Returns:
        A Boolean series, true for each row with a value that fails a check.

    Raises:
        SchemaMismatch: for anything that is not about the values of single rows.
    """
    _check_types(tuple(frame.schema.items()))
    errors = _errors(_value_schema(), frame)
    if not errors:
        return pl.repeat(False, frame.height, dtype=pl.Boolean(), eager=True)
    masks = []
    for error in errors:
        output = error.check_output
        if not isinstance(output, pl.DataFrame) or output.height != frame.height:
            raise SchemaMismatch(f"the chunk does not fit the contact schema: {error.reason_code}")
        masks.append(~output.to_series(0))
    return reduce(or_, masks)


@lru_cache(maxsize=64)
def _check_types(types: tuple[tuple[str, pl.DataType], ...]) -> None:
    """Check names and types of columns, once for each set: pandera takes 10 ms for this, however few the rows."""
    errors = _errors(contact_schema(), pl.DataFrame(schema=dict(types)))
    if errors:
        raise SchemaMismatch(f"the chunk does not fit the contact schema: {errors[0].reason_code}")


def _errors(schema: pa.DataFrameSchema, frame: pl.DataFrame) -> list[SchemaError]:
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as errors:
        return list(errors.schema_errors)
    return []


def diagnose(frame: pl.DataFrame) -> pl.DataFrame:
    """Say which cells of failing rows are wrong.

    Args:
        frame: cleaned rows that fail, with an `index` column.

    Returns:
        Columns `index`, `field`, `code`: one row for each cell, its first failing rule only.
    """
    columns = frozenset(frame.columns)
    checks = [rule for field in filled_fields(frame) for rule in rules(field, columns)]
    nothing = pl.DataFrame(schema={"index": frame.schema["index"], "field": pl.String(), "code": pl.String()})
    if not checks:
        return nothing
    # One query for all rules: some milliseconds, where a query for each took a hundred times its work.
    passed = frame.select(rule.sound for rule in checks)
    all_passed = passed.select(pl.all().all()).row(0)
    found = [
        frame["index"]
        .filter(~passed.to_series(at))
        .to_frame()
        .with_columns(pl.lit(rule.field).alias("field"), pl.lit(rule.code).alias("code"))
        for at, rule in enumerate(checks)
        if not all_passed[at]
    ]
    if not found:
        return nothing
    return pl.concat(found).unique(["index", "field"], keep="first", maintain_order=True).sort("index")
