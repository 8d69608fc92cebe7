"""Cleaning and validating a chunk with Polars, as imports do, against pandas and pandera's pandas backend.

    python -m benchmarks.frames [rows]

Both get the same text columns and apply the same kinds of rules; the pandas side
does less: no ranges, no booleans in other languages, no several values in a cell.
Medians of seven rounds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter

import pandas as pd
import pandera.pandas as pap
import polars as pl

from benchmarks.environment import table
from contact_pipeline.contacts import schema
from contact_pipeline.contacts.cleaning import clean
from contact_pipeline.contacts.field import Kind
from contact_pipeline.contacts.fields import FIELD_BY_NAME, MAXIMUM_BYTES
from contact_pipeline.files.csv.characters import find_character_flags
from contact_pipeline.files.csv.records import CsvFormat
from contact_pipeline.files.header_mapping import map_header
from contact_pipeline.samples import files as sample_files
from contact_pipeline.samples.generations import HEADERS

_ROUNDS = 7
_PATTERNS = {
    Kind.EMAIL: r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
    Kind.PHONE: r"^[+(]?[\d\s().\-/+]*\d[\d\s().\-/+]*(?:\s*ext \d{1,7})?$",
    Kind.URL: r"^(?:[A-Za-z][A-Za-z0-9+.\-]*://)?[^\s/.]+(?:\.[^\s/.]+)+(?:[/?#:]\S*)?$",
    Kind.IDENTIFIER: r"^\S+$",
}
_NUMBERS = (Kind.AMOUNT, Kind.INTEGER, Kind.SCORE)
_MOMENTS = (Kind.DATE, Kind.TIMESTAMP)


def measure(rows: int = 10_000) -> str:
    """Measure one chunk; returns a Markdown section."""
    fields = map_header(HEADERS["A9"]).fields
    columns = list(zip(*sample_files.rows(rows, "A9", 42), strict=True))
    texts = {field: list(column) for field, column in zip(fields, columns, strict=True) if field in FIELD_BY_NAME}
    raw, frame = pl.DataFrame(texts), pd.DataFrame(texts)
    character_flags = find_character_flags("\n".join(map(",".join, zip(*columns, strict=True))).encode(), CsvFormat())
    checks = _pandas_schema(list(texts))
    cleaned, cleaned_pandas = clean(raw, character_flags).frame, _clean_in_pandas(frame)
    lines = [
        ["clean, Polars", _took(lambda: clean(raw, character_flags))],
        ["clean, pandas", _took(lambda: _clean_in_pandas(frame))],
        ["validate, pandera on Polars: one combined check", _took(lambda: schema.failing_rows(cleaned))],
        ["validate, pandera on pandas: a check a column", _took(lambda: _validate_in_pandas(checks, cleaned_pandas))],
    ]
    return f"### Frames: one chunk of {rows:,} rows x {len(texts)} mapped columns\n\n" + table(["part", "ms"], lines)


def _took(work: Callable[[], object]) -> str:
    taken = []
    for _ in range(_ROUNDS):
        started = perf_counter()
        work()
        taken.append(perf_counter() - started)
    return f"{median(taken) * 1000:.0f}"


def _clean_in_pandas(frame: pd.DataFrame) -> pd.DataFrame:
    found = {}
    for name in frame:
        kind = FIELD_BY_NAME[str(name)].kind
        text = frame[name].str.strip().str.replace(r"^'([=+\-@])", r"\1", regex=True)
        text = text.mask(text.isin(["", "-", "N/A", "#N/A"]))
        if kind is Kind.EMAIL:
            text = text.str.lower()
        elif kind is Kind.PHONE:
            international = text.str.match(r"^\+[\d\s.\-/()]+$").fillna(value=False).astype(bool)
            text = text.mask(international, "+" + text.str.replace(r"\D", "", regex=True))
        elif kind in _NUMBERS:
            text = pd.to_numeric(text, errors="coerce")
        elif kind is Kind.BOOLEAN:
            text = text.str.lower().map({"true": True, "yes": True, "false": False, "no": False})
        elif kind in _MOMENTS:
            text = pd.to_datetime(text, errors="coerce", utc=True, format="ISO8601")  # type: ignore[assignment]  # stubs
        found[name] = text
    return pd.DataFrame(found)


def _pandas_schema(names: list[str]) -> pap.DataFrameSchema:
    columns = {}
    for name in names:
        kind = FIELD_BY_NAME[name].kind
        checks = []
        if kind in MAXIMUM_BYTES:
            checks.append(pap.Check.str_length(max_value=MAXIMUM_BYTES[kind]))
        if kind in _PATTERNS:
            checks.append(pap.Check.str_matches(_PATTERNS[kind]))
        if kind in _NUMBERS:
            checks.append(pap.Check.in_range(0, float(FIELD_BY_NAME[name].maximum or 0)))
        columns[name] = pap.Column(checks=checks, nullable=True)
    return pap.DataFrameSchema(columns)


def _validate_in_pandas(checks: pap.DataFrameSchema, frame: pd.DataFrame) -> None:
    try:
        checks.validate(frame, lazy=True)
    except pap.errors.SchemaErrors:
        return


if __name__ == "__main__":
    print(measure(*map(int, sys.argv[1:])))
