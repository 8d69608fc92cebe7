"""How a file is written: decided once from its first bytes, and kept with the import.

Every attempt reads by what was decided at first, so that chunks are the same
each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Final

from contact_pipeline.files.compression import EXCEL
from contact_pipeline.files.csv.records import CsvFormat
from contact_pipeline.files.text import ContentEncoding

SAMPLE_BYTES: Final = 1 << 20
"""How much of the text the decision is taken from."""

DELIMITERS: Final = (",", ";", "\t", "|", ":")

QUOTES: Final = ('"', "'")


@dataclass(frozen=True)
class FormatOverrides:
    """What the user says about the file; None where it is to be found out.

    Attributes:
        header_line: physical line of the header, from 1 (of a workbook: its row).
        titles: column titles that the user's own mapping names.
        sheet: name of the worksheet.
    """

    encoding: str | None = None
    delimiter: str | None = None
    header_line: int | None = None
    titles: tuple[str, ...] = ()
    sheet: str | None = None


@dataclass(frozen=True)
class Dialect:
    """How to read a file.

    Attributes:
        content_encoding: compression, workbook and character encoding.
        delimiter, quote: what separates values, and what encloses them.
        header: its column titles, as written.
        data_offset: offset, in the text, of the first record after the header.
        data_line: physical line that this record is on, counted from 1.
        sheet: name of the worksheet, of a workbook.
        has_number_formats: whether numbers are as the workbook shows them.
        other_sheets: names of those that are not read; where none was asked for, of those that hold anything.
        lax, widths: what its rows have as a rule and the CSV grammar has not: see `CsvFormat`.
        confidence: how sure `encoding`, `delimiter` and `header` are: given, certain, likely or guessed.
    """

    content_encoding: ContentEncoding
    delimiter: str
    quote: str
    header: tuple[str, ...]
    data_offset: int
    data_line: int
    sheet: str = ""
    other_sheets: tuple[str, ...] = ()
    has_number_formats: bool = True
    lax: bool = False
    widths: tuple[int, ...] = ()
    confidence: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """`gzip, utf-8 (certain), delimiter ';' (likely), header on line 1 (certain)`."""
        said = [*self.content_encoding.layers]
        if self.sheet:
            said.append(f"sheet {self.sheet!r}")
        if "encoding" in self.confidence:
            said.append(f"{self.content_encoding.encoding} ({self.confidence['encoding']})")
        said.append(f"delimiter {self.delimiter!r} ({self.confidence.get('delimiter', 'certain')})")
        said.append(f"data from line {self.data_line}, header {self.confidence.get('header', 'certain')}")
        return ", ".join(said)

    @property
    def csv_format(self) -> CsvFormat:
        """What tells its records and values apart."""
        return CsvFormat(self.delimiter, self.quote, len(self.header), self.lax, self.widths, self.header)

    @property
    def lines_are_rows(self) -> bool:
        """Whether a line is a row of a sheet, so that line ends within values do not count."""
        return EXCEL in self.content_encoding.layers


def recalled(stored: Mapping[str, object]) -> Dialect:
    """A dialect from what `dataclasses.asdict` made of it."""
    known = {item.name for item in fields(Dialect)}
    values = {name: value for name, value in stored.items() if name in known}
    content_encoding = dict(values.pop("content_encoding"))  # type: ignore[call-overload]  # JSON
    content_encoding["layers"] = tuple(content_encoding["layers"])
    for name in ("header", "widths", "other_sheets"):
        values[name] = tuple(values.get(name, ()))  # type: ignore[arg-type]  # JSON
    return Dialect(content_encoding=ContentEncoding(**content_encoding), **values)  # type: ignore[arg-type]  # JSON
