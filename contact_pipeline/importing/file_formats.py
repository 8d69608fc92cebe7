"""How the columns of a file write dates and numbers: by its first rows, or by all of them."""

from __future__ import annotations

from contextlib import closing

import polars as pl

from contact_pipeline.contacts.column_formats import ColumnFormats, date_evidence, infer, number_evidence
from contact_pipeline.contacts.fields import FULL_NAME
from contact_pipeline.files.blob import Blob
from contact_pipeline.files.csv.reader import read_chunks, start_of
from contact_pipeline.files.dialect import Dialect
from contact_pipeline.files.header_mapping import HeaderMapping
from contact_pipeline.files.text import Text
from contact_pipeline.importing.options import ImportOptions


def undecided(formats: ColumnFormats) -> tuple[str, ...]:
    """The warnings about columns that could be read in two ways."""
    return (
        *(f"dates_undecided:{name}" for name in formats.undecided),
        *(f"numbers_undecided:{name}" for name in formats.undecided_numbers),
    )


def named_columns(mapping: HeaderMapping, table: pl.DataFrame) -> pl.DataFrame:
    """The columns of a table that feed a field, by the field's name."""
    return table.select(
        pl.col(str(at)).alias(name) for at, name in enumerate(mapping.fields) if name is not None and name != FULL_NAME
    )


def column_formats(
    blob: Blob | None, dialect: Dialect, mapping: HeaderMapping, table: pl.DataFrame, options: ImportOptions
) -> ColumnFormats:
    """How columns write dates and numbers.

    Args:
        blob: the file, of which columns that the first rows leave open are read through; None to leave them open.
        table: its first rows, by position.
    """
    sample = named_columns(mapping, table)
    dates, numbers = date_evidence(sample), number_evidence(sample)
    still_open = [name for name, evidence in dates.items() if evidence.is_open and options.day_first is None]
    still_open += [name for name, evidence in numbers.items() if evidence.is_open]
    if still_open and blob is not None:
        # Whichever row decides, it does so for all of them: the columns are looked through before any is loaded.
        positions = {name: mapping.fields.index(name) for name in still_open}
        start = start_of(dialect)
        text = Text(blob, dialect.content_encoding, start.offset)
        with closing(text.blocks()) as blocks:
            for chunk in read_chunks(blocks, dialect, start, text.bytes_read, lambda: sorted(positions.values())):
                rows = chunk.table.select(pl.col(str(at)).alias(name) for name, at in positions.items())
                dates |= {name: dates[name] + evidence for name, evidence in date_evidence(rows).items()}
                numbers |= {name: numbers[name] + evidence for name, evidence in number_evidence(rows).items()}
                if not any((dates.get(name) or numbers[name]).is_open for name in still_open):
                    break
    return infer(dates, numbers, options.day_first, mapping.thousands)
