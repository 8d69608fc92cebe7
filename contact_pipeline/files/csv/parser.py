"""Records as a table, parsed by Arrow."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow
import pyarrow.csv

from contact_pipeline.files.csv.grammar import values_of
from contact_pipeline.files.csv.records import CsvFormat, Records

Columns = Sequence[int] | None
"""Positions of the columns that a table is to have; None for all. A column that is left out costs little."""


class Parsed(NamedTuple):
    """Records as a table.

    Attributes:
        table: String columns `0`, `1`, … by position, empty cells as "".
        row_indexes: for each row of `table`, its place among the records.
        malformed: places of the records that the parser does not see as one row of the file's width.
    """

    table: pl.DataFrame
    row_indexes: pl.Series
    malformed: list[int]

    def without(self, row_indexes: Sequence[int]) -> Parsed:
        """The same without some of its rows."""
        kept = ~self.row_indexes.is_in(list(row_indexes))
        return Parsed(self.table.filter(kept), self.row_indexes.filter(kept), self.malformed)


def are_of_one_width(data: bytes, records: Records, csv_format: CsvFormat) -> bool:
    """Whether the parser sees every record as one row of the file's width."""
    table, malformed = _read(data, records, csv_format, [0], None)
    return not malformed and table.num_rows == len(records)


def parse(data: bytes, records: Records, csv_format: CsvFormat, columns: Columns = None) -> Parsed | None:
    """Parse consecutive records; None where the parser does not see as many records as were cut."""
    table, malformed = _read(data, records, csv_format, columns, None if columns is None else _kept_for_reuse())
    if table.num_rows + len(malformed) != len(records):
        return None
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    if not malformed:
        return Parsed(frame, pl.int_range(len(records), dtype=pl.Int64, eager=True), [])
    kept = sorted(set(range(len(records))) - set(malformed))
    return Parsed(frame, pl.Series(kept, dtype=pl.Int64), malformed)


def _read(
    data: bytes, records: Records, csv_format: CsvFormat, columns: Columns, pool: pyarrow.MemoryPool | None
) -> tuple[pyarrow.Table, list[int]]:
    """The table that Arrow makes of the records, and those that it skips."""
    malformed: list[int] = []

    def skip(row: pyarrow.csv.InvalidRow) -> str:
        malformed.append(row.number - 1)
        return "skip"

    names = _names(csv_format, None)
    wanted = _names(csv_format, columns)
    end = int(records.ends[-1])
    try:
        table = pyarrow.csv.read_csv(
            pyarrow.BufferReader(memoryview(data)[:end]),
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False, column_names=names, block_size=max(end + 1, 1 << 16)
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=csv_format.delimiter,
                quote_char=csv_format.quote,
                newlines_in_values=True,
                invalid_row_handler=skip,
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={name: pyarrow.utf8() for name in wanted},
                include_columns=wanted,
                strings_can_be_null=False,
                check_utf8=False,
            ),
            memory_pool=pool,
        )
    except pyarrow.ArrowInvalid:
        # It says so as well where it skips every row.
        table = pyarrow.table({name: pyarrow.array([], pyarrow.utf8()) for name in wanted})
    return table, malformed


def parse_some(
    data: bytes,
    records: Records,
    csv_format: CsvFormat,
    row_indexes: Sequence[int],
    replaced: Mapping[int, bytes],
    columns: Columns = None,
) -> Parsed:
    """Parse some of the records; a record that the parser sees otherwise is a misfit.

    Args:
        row_indexes: which ones, in order.
        replaced: bytes to use in place of a record's own, by its row index.
    """
    spans = [
        replaced.get(row_index) or data[records.starts[row_index] : records.ends[row_index]].rstrip(b"\r\n") + b"\n"
        for row_index in row_indexes
    ]
    if not spans:
        return _no_rows(csv_format, columns, [])
    parsed = _parse_spans(spans, csv_format, columns)
    return Parsed(
        parsed.table,
        pl.Series(row_indexes, dtype=pl.Int64).gather(parsed.row_indexes),
        [row_indexes[row_index] for row_index in parsed.malformed],
    )


def _parse_spans(spans: list[bytes], csv_format: CsvFormat, columns: Columns) -> Parsed:
    cut = np.cumsum([len(span) for span in spans], dtype=np.int64)
    records = Records(np.concatenate([np.zeros(1, np.int64), cut[:-1]]), cut)
    parsed = parse(b"".join(spans), records, csv_format, columns)
    if parsed is not None:
        return parsed
    if len(spans) == 1:
        return _no_rows(csv_format, columns, [0])
    middle = len(spans) // 2
    left, right = _parse_spans(spans[:middle], csv_format, columns), _parse_spans(spans[middle:], csv_format, columns)
    return Parsed(
        pl.concat([left.table, right.table]),
        pl.concat([left.row_indexes, right.row_indexes + middle]),
        left.malformed + [row_index + middle for row_index in right.malformed],
    )


def of_usual_width(data: bytes, records: Records, csv_format: CsvFormat, malformed: Iterable[int]) -> dict[int, bytes]:
    """Records that are wider or shorter by blank values only, as the file's rows are as a rule, with all its values."""
    fitted: dict[int, bytes] = {}
    if not csv_format.widths:
        return fitted
    cells = {
        row_index: values_of(
            data[records.starts[row_index] : records.ends[row_index]].decode("utf-8", "surrogateescape"), csv_format
        )
        for row_index in malformed
    }
    for row_index, values in cells.items():
        # One that is shorter by itself is damaged: those of a rule follow on each other.
        beside = [len(cells[at]) for at in (row_index - 1, row_index + 1) if at in cells]
        is_alone = len(values) < csv_format.width and 0 < row_index < len(records) - 1 and len(values) not in beside
        if len(values) in csv_format.widths and not is_alone and not any(map(str.strip, values[csv_format.width :])):
            blanks = [""] * (csv_format.width - len(values))
            out = io.StringIO(newline="")
            csv.writer(out, delimiter=csv_format.delimiter, quotechar=csv_format.quote, lineterminator="\n").writerow(
                [*values[: csv_format.width], *blanks]
            )
            fitted[row_index] = out.getvalue().encode("utf-8", "surrogateescape")
    return fitted


def _kept_for_reuse() -> pyarrow.MemoryPool:
    """A pool that keeps what is freed, where Arrow has one: a parse that leaves most columns out takes half the time.

    With all columns it would keep more than a run has room for.
    """
    if "mimalloc" in pyarrow.supported_memory_backends():
        return pyarrow.mimalloc_memory_pool()
    return pyarrow.default_memory_pool()


def _names(csv_format: CsvFormat, columns: Columns) -> list[str]:
    return [str(position) for position in (range(csv_format.width) if columns is None else columns)]


def _no_rows(csv_format: CsvFormat, columns: Columns, malformed: list[int]) -> Parsed:
    empty = pl.DataFrame(schema={name: pl.String() for name in _names(csv_format, columns)})
    return Parsed(empty, pl.Series([], dtype=pl.Int64), malformed)
