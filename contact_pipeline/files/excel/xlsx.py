"""Rows of an `.xlsx` sheet as text, streamed: a full sheet of 1,048,576 rows in bounded memory.

The libraries at hand either hold a whole sheet (calamine: 1.2 GB for 12 columns)
or take ten times as long (openpyxl). Cells come out as a CSV of the sheet would
have them, but typed: dates in ISO 8601, numbers without rounding for display.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, NamedTuple
from xml.parsers import expat

from contact_pipeline.files.excel import number_formats
from contact_pipeline.files.excel.shared_strings import SharedStrings, StringsReader
from contact_pipeline.files.excel.sheet_reader import SheetReader
from contact_pipeline.files.excel.xml_parsing import (
    FREE_BYTES,
    LARGEST_RATIO,
    Elements,
    WorkbookDamaged,
    WorkbookTooLarge,
    parse,
    parsed_by_the_stretch,
)

WORKBOOK: Final = "xl/workbook.xml"

_BLOCK: Final = 1 << 20

_DIMENSION: Final = re.compile(rb'dimension ref="[A-Z]+\d+:[A-Z]+(\d{1,7})"')

_EPOCH_1900: Final = datetime(1899, 12, 30, tzinfo=UTC)

_EPOCH_1904: Final = datetime(1904, 1, 1, tzinfo=UTC)


class Sheet(NamedTuple):
    """A worksheet: its name, the part of the archive that holds it, and whether people see it."""

    name: str
    part: str
    visible: bool


class Workbook:
    """An `.xlsx` file, opened for reading its sheets one after another."""

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        """Read the workbook's table of sheets, its styles and its shared strings.

        Args:
            archive: the opened file.
            size: its length in bytes; what it unpacks to is held against it.
        """
        self._archive = archive
        # Names of parts are the same in any case (ECMA-376, part 2, 6.2.2.3).
        self._names = {name.lower().replace("\\", "/"): name for name in archive.namelist()}
        self._max_bytes = max(FREE_BYTES, size * LARGEST_RATIO)
        self._unpacked = 0
        self._epoch = _EPOCH_1900
        self._part = self._main_part()
        self.sheets = self._read_sheets()
        self._formats = self._read_formats()
        self._strings = SharedStrings()
        part = self._part_of_type("sharedStrings")
        if part is not None:
            self._read_strings(part)

    def rows(self, sheet: Sheet) -> Iterator[tuple[int, list[str]]]:
        """The sheet's rows that hold anything: their number, from 1, and their cells' texts."""
        reader = SheetReader(self._strings, self._formats, self._epoch)
        with _sound(sheet.part):
            for _ in parsed_by_the_stretch(self._blocks(sheet.part), reader, "row", reader.take_plain_rows):
                yield from reader.take()
        yield from reader.take()

    def height(self, sheet: Sheet) -> int:
        """How many rows the sheet says that it has; 0 where it does not say."""
        for block in self._blocks(sheet.part):
            said = _DIMENSION.search(block)
            return int(said[1]) if said else 0
        return 0

    def _blocks(self, part: str) -> Iterator[bytes]:
        try:
            with self._archive.open(self._names.get(part.lower(), part)) as entry:
                while block := entry.read(_BLOCK):
                    self._unpacked += len(block)
                    if self._unpacked > self._max_bytes:
                        raise WorkbookTooLarge
                    yield block
        except (KeyError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
            raise WorkbookDamaged(f"its part {part[:80]} cannot be unpacked") from error

    def _all(self, part: str) -> Elements:
        elements = Elements()
        with _sound(part):
            parse(self._blocks(part), elements)
        return elements

    def _relations(self) -> dict[str, tuple[str, str]]:
        folder, name = posixpath.split(self._part)
        return self._related(f"{folder}/_rels/{name}.rels", f"/{folder}")

    def _related(self, part: str, folder: str) -> dict[str, tuple[str, str]]:
        return {
            attributes.get("Id", ""): (
                attributes.get("Type", "").rsplit("/", 1)[-1],
                posixpath.normpath(posixpath.join(folder, attributes.get("Target", ""))).lstrip("/"),
            )
            for name, attributes in self._all(part).found
            if name == "Relationship"
        }

    def _main_part(self) -> str:
        if "_rels/.rels" in self._names:
            for kind, part in self._related("_rels/.rels", "/").values():
                if kind == "officeDocument":
                    return part
        return WORKBOOK

    def _part_of_type(self, kind: str) -> str | None:
        return next((part for found, part in self._relations().values() if found == kind), None)

    def _read_sheets(self) -> list[Sheet]:
        relations = self._relations()
        sheets = []
        for name, attributes in self._all(self._part).found:
            if name == "workbookPr" and attributes.get("date1904", "0") in ("1", "true"):
                self._epoch = _EPOCH_1904
            if name == "sheet":
                relation = next((value for key, value in attributes.items() if key.rsplit(":", 1)[-1] == "id"), "")
                kind, part = relations.get(relation, ("", ""))
                if kind == "worksheet":
                    visible = attributes.get("state", "visible") == "visible"
                    sheets.append(Sheet(attributes.get("name", ""), part, visible))
        return sheets

    def _read_formats(self) -> dict[str, number_formats.Text]:
        """By a cell's style, the text of its number where that is more than a number."""
        part = self._part_of_type("styles")
        if part is None:
            return {}
        elements = self._all(part)
        codes = {
            attributes.get("numFmtId"): attributes.get("formatCode", "")
            for name, attributes in elements.found
            if name == "numFmt"
        }
        formats = {}
        for at, number in enumerate(elements.cell_formats):
            code = codes.get(number)
            found = number_formats.custom(code) if code is not None else None
            if code is None and number.isdigit():
                found = number_formats.builtin(int(number))
            if found is not None:
                formats[str(at)] = found
        return formats

    def _read_strings(self, part: str) -> None:
        reader = StringsReader(self._strings)
        with _sound(part):
            for _ in parsed_by_the_stretch(self._blocks(part), reader, "si", reader.take_plain_texts):
                pass
        self._strings.seal()


@contextmanager
def _sound(part: str) -> Iterator[None]:
    try:
        yield
    except expat.ExpatError as error:
        raise WorkbookDamaged(f"its part {part[:80]} is no sound XML") from error
