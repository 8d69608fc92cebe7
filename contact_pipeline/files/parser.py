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

from contact_pipeline.files.grammar import values_of
from contact_pipeline.files.records import Layout, Records

Columns = Sequence[int] | None
"""Positions of the columns that a table is to have; None for all. A column that is left out costs little."""


class Parsed(NamedTuple):
    """Records as a table.

    Attributes:
        table: String columns `0`, `1`, … by position, empty cells as "".
        places: for each row of `table`, its place among the records.
        misfits: places of the records that the parser does not see as one row of the file's width.
    """

    table: pl.DataFrame
    places: pl.Series
    misfits: list[int]

    def without(self, places: Sequence[int]) -> Parsed:
        """The same without some of its rows."""
        kept = ~self.places.is_in(list(places))
        return Parsed(self.table.filter(kept), self.places.filter(kept), self.misfits)


def are_of_one_width(data: bytes, records: Records, layout: Layout) -> bool:
    """Whether the parser sees every record as one row of the file's width."""
    table, misfits = _read(data, records, layout, [0], None)
    return not misfits and table.num_rows == len(records)


def parse(data: bytes, records: Records, layout: Layout, columns: Columns = None) -> Parsed | None:
    """Parse consecutive records; None where the parser does not see as many records as were cut."""
    table, misfits = _read(data, records, layout, columns, None if columns is None else _kept_for_reuse())
    if table.num_rows + len(misfits) != len(records):
        return None
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    if not misfits:
        return Parsed(frame, pl.int_range(len(records), dtype=pl.Int64, eager=True), [])
    kept = sorted(set(range(len(records))) - set(misfits))
    return Parsed(frame, pl.Series(kept, dtype=pl.Int64), misfits)


def _read(
    data: bytes, records: Records, layout: Layout, columns: Columns, pool: pyarrow.MemoryPool | None
) -> tuple[pyarrow.Table, list[int]]:
    """The table that Arrow makes of the records, and those that it skips."""
    misfits: list[int] = []

    def skip(row: pyarrow.csv.InvalidRow) -> str:
        misfits.append(row.number - 1)
        return "skip"

    names = _names(layout, None)
    wanted = _names(layout, columns)
    end = int(records.ends[-1])
    try:
        table = pyarrow.csv.read_csv(
            pyarrow.BufferReader(memoryview(data)[:end]),
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False, column_names=names, block_size=max(end + 1, 1 << 16)
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=layout.delimiter, quote_char=layout.quote, newlines_in_values=True, invalid_row_handler=skip
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
    return table, misfits


def parse_some(
    data: bytes,
    records: Records,
    layout: Layout,
    places: Sequence[int],
    replaced: Mapping[int, bytes],
    columns: Columns = None,
) -> Parsed:
    """Parse some of the records; a record that the parser sees otherwise is a misfit.

    Args:
        places: which ones, in order.
        replaced: what stands for a record, by its place, instead of its bytes.
    """
    spans = [
        replaced.get(place) or data[records.starts[place] : records.ends[place]].rstrip(b"\r\n") + b"\n"
        for place in places
    ]
    if not spans:
        return _no_rows(layout, columns, [])
    parsed = _parse_spans(spans, layout, columns)
    return Parsed(
        parsed.table,
        pl.Series(places, dtype=pl.Int64).gather(parsed.places),
        [places[place] for place in parsed.misfits],
    )


def _parse_spans(spans: list[bytes], layout: Layout, columns: Columns) -> Parsed:
    cut = np.cumsum([len(span) for span in spans], dtype=np.int64)
    records = Records(np.concatenate([np.zeros(1, np.int64), cut[:-1]]), cut)
    parsed = parse(b"".join(spans), records, layout, columns)
    if parsed is not None:
        return parsed
    if len(spans) == 1:
        return _no_rows(layout, columns, [0])
    middle = len(spans) // 2
    left, right = _parse_spans(spans[:middle], layout, columns), _parse_spans(spans[middle:], layout, columns)
    return Parsed(
        pl.concat([left.table, right.table]),
        pl.concat([left.places, right.places + middle]),
        left.misfits + [place + middle for place in right.misfits],
    )


def of_usual_width(data: bytes, records: Records, layout: Layout, misfits: Iterable[int]) -> dict[int, bytes]:
    """Records that are wider or shorter by blank values only, as the file's rows are as a rule, with all its values."""
    fitted: dict[int, bytes] = {}
    if not layout.widths:
        return fitted
    cells = {
        place: values_of(data[records.starts[place] : records.ends[place]].decode("utf-8", "surrogateescape"), layout)
        for place in misfits
    }
    for place, values in cells.items():
        # One that is shorter by itself is damaged: those of a rule follow on each other.
        beside = [len(cells[at]) for at in (place - 1, place + 1) if at in cells]
        is_alone = len(values) < layout.width and 0 < place < len(records) - 1 and len(values) not in beside
        if len(values) in layout.widths and not is_alone and not any(map(str.strip, values[layout.width :])):
            blanks = [""] * (layout.width - len(values))
            out = io.StringIO(newline="")
            csv.writer(out, delimiter=layout.delimiter, quotechar=layout.quote, lineterminator="\n").writerow(
                [*values[: layout.width], *blanks]
            )
            fitted[place] = out.getvalue().encode("utf-8", "surrogateescape")
    return fitted


def _kept_for_reuse() -> pyarrow.MemoryPool:
    """A pool that keeps what is freed, where Arrow has one: a parse that leaves most columns out takes half the time.

    With all columns it would keep more than a run has room for.
    """
    if "mimalloc" in pyarrow.supported_memory_backends():
        return pyarrow.mimalloc_memory_pool()
    return pyarrow.default_memory_pool()


def _names(layout: Layout, columns: Columns) -> list[str]:
    return [str(position) for position in (range(layout.width) if columns is None else columns)]


def _no_rows(layout: Layout, columns: Columns, misfits: list[int]) -> Parsed:
    empty = pl.DataFrame(schema={name: pl.String() for name in _names(layout, columns)})
    return Parsed(empty, pl.Series([], dtype=pl.Int64), misfits)
