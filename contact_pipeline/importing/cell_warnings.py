"""Which cells the warnings of a prepared chunk are about."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from contact_pipeline.contacts.cleaning import Cleaned
from contact_pipeline.importing.chunks import CellWarning


def cell_warnings(
    row_indexes: pl.Series, found: Cleaned, dropped: Mapping[int, Mapping[str, str]]
) -> tuple[CellWarning, ...]:
    """The cells that warnings are about."""
    told = [(index, field, code) for index, fields in dropped.items() for field, code in fields.items()]
    told += [(index, field, "several_values") for field, indexes in found.shortened.items() for index in indexes]
    for name, indexes in found.notices.items():
        code, _, field = name.partition(":")
        told += [(index, field, code) for index in indexes]
    return tuple(CellWarning(row_indexes[index], field, code) for index, field, code in told)
