"""The rejects file: rows that did not load, to be fixed and uploaded again.

Its columns are the original ones, in their order, and four of ours. Every cell
that a spreadsheet could take for a formula is guarded by an apostrophe; a file
with our columns has the guards taken off again, exactly.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from contact_pipeline.errors import FileRefused
from contact_pipeline.files.csv.grammar import values_of
from contact_pipeline.files.csv.records import CsvFormat

ROW: Final = "_row"
ERRORS: Final = "_errors"
RAW: Final = "_raw"
REJECTS_OF: Final = "_rejects_of"
OWN_COLUMNS: Final = (ROW, ERRORS, RAW, REJECTS_OF)
"""Number of the row in its file, `code:column` of each error, the record where it has no columns, and the upload."""

# As OWASP lists them ("CSV Injection"), with their full-width forms. The guard itself is guarded, so that taking one
# off gives back what was there.
_FORMULA: Final = "=+\\-@\t\r\n＝＋－＠'"
_TO_GUARD: Final = re.compile(f"^(?:[=+\\-@\t\r\n＝＋－＠]|'[{_FORMULA}])")
_GUARDED: Final = re.compile(f"^'([{_FORMULA}])")
_WITHOUT_COLUMNS: Final = frozenset(
    {"wrong_number_of_columns", "unclosed_quote", "stray_quote", "row_piece", "other_table", "too_long"}
)
_UNDECODABLE: Final = "nul_byte|invalid_utf8"
_SHEET_ROWS: Final = 1_048_576
_MAX_CELL_LENGTH: Final = 32_767
_UPLOAD: Final = re.compile(r"[0-9a-f]{32}")


def guard(cell: str) -> str:
    """`=1+1` to `'=1+1`: text to every spreadsheet."""
    return "'" + cell if _TO_GUARD.match(cell) else cell


def unguard(cell: str) -> str:
    """The cell that `guard` was given."""
    return _GUARDED.sub(r"\1", cell)


@dataclass(frozen=True)
class RejectColumns:
    """A file of rejects that comes back: which columns are ours, and which upload it belongs to."""

    positions: dict[str, int]
    upload_id: str | None

    def unguarded(self, table: pl.DataFrame) -> pl.DataFrame:
        """A chunk's cells as they were before they were guarded."""
        return table.with_columns(pl.all().str.replace(_GUARDED.pattern, "${1}"))

    def still_broken(self, table: pl.DataFrame) -> dict[int, str]:
        """Rows that nobody has fixed and that would load as something else: position in the chunk, code.

        A row that had no columns is fixed when any of its columns is filled; one
        that did not decode, when no replacement character is left in it.
        """
        ours = {str(at) for at in self.positions.values()}
        others = [pl.col(name) for name in table.columns if name not in ours]
        blank = pl.all_horizontal(column.str.strip_chars() == "" for column in others)
        marked = pl.any_horizontal(column.str.contains("\ufffd", literal=True) for column in others)
        errors = pl.col(str(self.positions[ERRORS]))
        raw = pl.col(str(self.positions[RAW])) if RAW in self.positions else pl.lit("")
        found = table.with_row_index("at").filter((blank & (raw != "")) | (marked & errors.str.contains(_UNDECODABLE)))
        codes = found[str(self.positions[ERRORS])].str.extract("^([a-z_0-9]+)").fill_null("wrong_number_of_columns")
        return dict(zip(found["at"].to_list(), codes.to_list(), strict=True))


def find_reject_columns(header: Sequence[str], sample: pl.DataFrame | None) -> RejectColumns | None:
    """Recognise a rejects file by our columns; None for any other.

    Args:
        sample: its first rows, by position; the first says which upload it belongs to.
    """
    positions = {name: header.index(name) for name in OWN_COLUMNS if name in header}
    if not {ROW, ERRORS, REJECTS_OF} <= positions.keys():
        return None
    upload_id = None
    if sample is not None and sample.height:
        told = {value.strip() for value in sample[str(positions[REJECTS_OF])].to_list()}
        if len(told) == 1 and _UPLOAD.fullmatch(next(iter(told))):
            upload_id = told.pop()
    return RejectColumns(positions, upload_id)


@dataclass(frozen=True, kw_only=True)
class Reject:
    """A rejected row, as the ledger keeps it.

    Attributes:
        codes: what is wrong with it; `columns`: where, title by title; "" where the whole row is meant.
        record: the row as the file has it, where it was asked for.
    """

    row: int
    line: int
    codes: list[str]
    columns: list[str]
    record: bytes = b""


class RejectsWriter:
    """Writes the rejects of one file."""

    def __init__(self, header: Sequence[str], csv_format: CsvFormat, upload_id: str) -> None:
        """Prepare for a file.

        Args:
            header: its titles, as written.
            csv_format: how its records are written.
            upload_id: which upload it is.
        """
        self._csv_format = csv_format
        self._upload_id = upload_id
        self._reject_columns = find_reject_columns(header, None)
        ours = set(self._reject_columns.positions.values()) if self._reject_columns else set()
        self._kept = [at for at in range(len(header)) if at not in ours]
        titles = [header[at] for at in self._kept]
        self.titles = [guard(unguard(title) if self._reject_columns else title) for title in titles] + list(OWN_COLUMNS)

    def cells(self, reject: Reject) -> list[str]:
        """The cells of a rejected row."""
        errors = ", ".join(
            f"{code}:{column}" if column else code for code, column in zip(reject.codes, reject.columns, strict=True)
        )
        text = bytes(reject.record).decode("utf-8", "replace").replace("\x00", "\ufffd")
        whole = zip(reject.codes, reject.columns, strict=True)
        malformed = any(code in _WITHOUT_COLUMNS and not column for code, column in whole)
        values = [] if malformed and not self._reject_columns else values_of(text, self._csv_format)
        if len(values) != self._csv_format.width:
            values, raw = [""] * self._csv_format.width, text
        else:
            raw = (
                values[self._reject_columns.positions[RAW]]
                if self._reject_columns and RAW in self._reject_columns.positions
                else ""
            )
        if self._reject_columns:
            values, raw = [unguard(value) for value in values], unguard(raw)
        own = [str(reject.row), errors, raw, self._upload_id]
        return [guard(cell) for cell in [*(values[at] for at in self._kept), *own]]

    def csv(self, rejects: Iterable[Reject]) -> Iterator[bytes]:
        """The file as CSV: UTF-8 with a byte order mark, for Excel; every cell quoted."""
        out = io.StringIO(newline="")
        writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
        out.write("\ufeff")
        writer.writerow(self.titles)
        for reject in rejects:
            writer.writerow(self.cells(reject))
            if out.tell() > 1 << 16:
                yield out.getvalue().encode()
                out.seek(0)
                out.truncate()
        yield out.getvalue().encode()

    def xlsx(self, rejects: Iterable[Reject], path: Path) -> None:
        """The file as an Excel workbook, every cell a text.

        Raises:
            FileRefused: it has more rows than a sheet, or a cell longer than Excel allows.
        """
        import xlsxwriter

        options = {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        }
        with xlsxwriter.Workbook(str(path), options) as book:
            sheet = book.add_worksheet("rejects")
            sheet.write_row(0, 0, self.titles)
            for at, reject in enumerate(rejects, 1):
                cells = self.cells(reject)
                if at >= _SHEET_ROWS or max(map(len, cells)) > _MAX_CELL_LENGTH:
                    raise FileRefused(
                        "too_large_for_excel", "the rejects do not fit into an Excel sheet: fetch them as CSV"
                    )
                for column, cell in enumerate(cells):
                    if cell:
                        sheet.write_string(at, column, cell)
