"""What every value goes through before its kind matters: blanks, invisible characters, spreadsheet guards."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import polars as pl

from contact_pipeline.contacts.field import Kind
from contact_pipeline.contacts.fields import FIELD_BY_NAME

_BLANK: Final = (
    "-", "--", "---", "–", "—", "N/A", "n/a", "N/a", "#N/A", "\\N", "(null)", "(blank)",
    "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!", "#CALC!", "#SPILL!", "#GETTING_DATA", "#FIELD!",
    "#BLOCKED!", "#CONNECT!", "#UNKNOWN!", "#BUSY!", "#EXTERNAL!",
    # In German, French, Spanish, Portuguese, Italian, Dutch and Polish.
    "#NV", "#N/V", "#BEZUG!", "#WERT!", "#ZAHL!", "#ÜBERLAUF!", "#KALK!", "#VALEUR!", "#NOM?", "#NOMBRE!", "#NUL!",
    "#¡REF!", "#¡VALOR!", "#¿NOMBRE?", "#¡DIV/0!", "#¡NUM!", "#¡NULO!", "#VALOR!", "#NOME?", "#NÚM!", "#NULO!", "#N/D",
    "#N/DISP", "#RIF!", "#VALORE!", "#NULLO!", "#VERW!", "#WAARDE!", "#NAAM?", "#DEEL/0!", "#LEEG!", "#GETAL!", "#NB",
    "#N/B", "#ADR!", "#ARG!", "#NAZWA?", "#DZIEL/0!", "#LICZBA!", "#ZERO!",
)  # fmt: skip
# As a name these can be somebody's; as an e-mail, a number or a date they are nothing.
_BLANK_UNLESS_TEXT: Final = (
    *_BLANK, "NULL", "null", "Null", "None", "none", "NONE", "nan", "NaN", "NA", "na", "nil", "?", "unknown", "Unknown",
    "0000-00-00", "0000-00-00 00:00:00",
)  # fmt: skip
_DIGITS: Final = frozenset({Kind.IDENTIFIER, Kind.PHONE})
_PLAIN: Final = frozenset({Kind.TEXT, Kind.LONG_TEXT})
_CONTROLS: Final = r"[\x01-\x08\x0e-\x1f\x7f]"
# Within a cell they end a line, as in old exports of FileMaker and Word.
_BREAKS: Final = r"[\x0b\x0c]"
_ZERO_WIDTH: Final = "[\u200b\u2060\ufeff]"
_DIRECTION_MARKS: Final = "[\u200c-\u200f\u202a-\u202e\u2066-\u2069]"
_GUARDED: Final = r"^'[=+\-@\t\r]"
_GUARDED_NUMBER: Final = r"^'\+?\d"
_EXCEL_TEXT: Final = r'^=(?:"((?:[^"]|"")*)"|(0\d+))$'


@dataclass(frozen=True)
class CharacterFlags:
    """What rare characters a chunk's bytes hold at all; a cleaner for what is not there is skipped."""

    controls: bool = True
    zero_width: bool = True
    no_break_space: bool = True
    excel_text: bool = True
    direction_marks: bool = True
    non_ascii: bool = True
    lists: bool = True
    combining: bool = True


def clean_texts(raw: pl.DataFrame, character_flags: CharacterFlags) -> pl.DataFrame:
    """Strip blanks and invisible characters; `'+1` to `+1`, `="001"` to `001`; placeholders to null.

    All columns go through the same few queries, and only those that need more through another.

    Args:
        raw: String columns, named by field.
        character_flags: what the chunk's bytes hold.
    """
    kinds = {column: FIELD_BY_NAME[column].kind for column in raw.columns}
    queries = _queries(tuple(raw.columns), character_flags)
    frame = raw.select(queries.stripped).select(queries.filled)
    seen = frame.select(queries.seen).row(0, named=True)
    mended = []
    for column, kind in kinds.items():
        text = pl.col(column)
        if seen[f"guarded:{column}"]:
            # An apostrophe is a spreadsheet's guard only before these; 's-Hertogenbosch keeps its own.
            guarded = text.str.contains(_GUARDED)
            if kind in _DIGITS:
                guarded |= text.str.contains(_GUARDED_NUMBER)
            text = pl.when(guarded).then(text.str.slice(1)).otherwise(text)
        if character_flags.excel_text and (seen[f"formula:{column}"] or seen[f"guarded:{column}"]):
            text = text.str.replace(_EXCEL_TEXT, "${1}${2}")
        if seen.get(f"zero:{column}"):
            # As a number column with blanks is written by pandas.
            text = text.str.replace(r"^(\+?\d+)\.0$", "${1}")
        if text.meta.is_column() and not seen[f"blank:{column}"]:
            continue
        mended.append(pl.when(~text.is_in(_blanks(kind))).then(text).alias(column))
    return frame.with_columns(mended) if mended else frame


@dataclass(frozen=True)
class _Queries:
    """What every chunk of a file is asked; built once, since building takes longer than some of the answers."""

    stripped: list[pl.Expr]
    filled: list[pl.Expr]
    seen: list[pl.Expr]


@lru_cache(maxsize=32)
def _queries(columns: tuple[str, ...], character_flags: CharacterFlags) -> _Queries:
    kinds = {column: FIELD_BY_NAME[column].kind for column in columns}
    seen = [pl.col(column).str.starts_with("'").any().alias(f"guarded:{column}") for column in kinds]
    seen += [pl.col(column).is_in(_blanks(kind)).any().alias(f"blank:{column}") for column, kind in kinds.items()]
    seen += [
        pl.col(column).str.ends_with(".0").any().alias(f"zero:{column}")
        for column, kind in kinds.items()
        if kind in _DIGITS
    ]
    if character_flags.excel_text:
        seen += [pl.col(column).str.starts_with("=").any().alias(f"formula:{column}") for column in kinds]
    return _Queries(
        stripped=[_stripped(column, kind, character_flags) for column, kind in kinds.items()],
        filled=[pl.when(pl.col(column) != "").then(pl.col(column)).alias(column) for column in kinds],
        seen=seen,
    )


def _stripped(column: str, kind: Kind, character_flags: CharacterFlags) -> pl.Expr:
    text = pl.col(column)
    if character_flags.controls:
        text = text.str.replace_all(_BREAKS, " ").str.replace_all(_CONTROLS, "")
    if character_flags.zero_width:
        text = text.str.replace_all(_ZERO_WIDTH, "")
    if character_flags.direction_marks and kind not in _PLAIN:
        text = text.str.replace_all(_DIRECTION_MARKS, "")
    if character_flags.no_break_space:
        text = text.str.replace_all("\u00a0", " ", literal=True)
    if character_flags.combining:
        text = text.str.normalize("NFC")
    return text.str.strip_chars()


def _blanks(kind: Kind) -> tuple[str, ...]:
    return _BLANK if kind in _PLAIN else _BLANK_UNLESS_TEXT
