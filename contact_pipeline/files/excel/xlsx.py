"""Rows of an `.xlsx` sheet as text, streamed: a full sheet of 1,048,576 rows in bounded memory.

The libraries at hand either hold a whole sheet (calamine: 1.2 GB for 12 columns)
or take ten times as long (openpyxl). Cells come out as a CSV of the sheet would
have them, but typed: dates in ISO 8601, numbers without rounding for display.
"""

from __future__ import annotations

import mmap
import posixpath
import re
import tempfile
import zipfile
from array import array
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from xml.parsers import expat

from contact_pipeline.files.excel import number_formats

WORKBOOK: Final = "xl/workbook.xml"

_BLOCK: Final = 1 << 20
_FREE_BYTES: Final = 256 << 20
_LARGEST_RATIO: Final = 300
_MAX_ROWS: Final = 1_048_576
_MAX_COLUMNS: Final = 16_384
_MAX_CELL_LENGTH: Final = 1 << 20
_ESCAPED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")
_DIMENSION: Final = re.compile(rb'dimension ref="[A-Z]+\d+:[A-Z]+(\d{1,7})"')
_EPOCH_1900: Final = datetime(1899, 12, 30, tzinfo=UTC)
_EPOCH_1904: Final = datetime(1904, 1, 1, tzinfo=UTC)


class WorkbookDamaged(Exception):
    """The workbook cannot be read. The message says why."""


class WorkbookTooLarge(Exception):
    """The workbook unpacks to far more than any sound one of its size."""


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
        self._max_bytes = max(_FREE_BYTES, size * _LARGEST_RATIO)
        self._unpacked = 0
        self._epoch = _EPOCH_1900
        self._part = self._main_part()
        self.sheets = self._read_sheets()
        self._formats = self._read_formats()
        self._strings = _SharedStrings()
        part = self._part_of_type("sharedStrings")
        if part is not None:
            self._read_strings(part)

    def rows(self, sheet: Sheet) -> Iterator[tuple[int, list[str]]]:
        """The sheet's rows that hold anything: their number, from 1, and their cells' texts."""
        reader = _SheetReader(self._strings, self._formats, self._epoch)
        for _ in self._parsed(sheet.part, reader):
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

    def _parsed(self, part: str, handler: _Handler) -> Iterator[None]:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.ordered_attributes = False
        parser.StartElementHandler = handler.start
        parser.EndElementHandler = handler.end
        parser.CharacterDataHandler = handler.text
        parser.EntityDeclHandler = _no_entities
        try:
            for block in self._blocks(part):
                parser.Parse(block)
                yield
            parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise WorkbookDamaged(f"its part {part[:80]} is no sound XML") from error

    def _all(self, part: str) -> _Elements:
        elements = _Elements()
        for _ in self._parsed(part, elements):
            pass
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
        reader = _StringsReader(self._strings)
        for _ in self._parsed(part, reader):
            pass
        self._strings.seal()


def _no_entities(*_: Any) -> None:
    raise WorkbookDamaged("it declares XML entities, as no program that writes workbooks does")


class _Handler:
    def start(self, name: str, attributes: dict[str, str]) -> None: ...
    def end(self, name: str) -> None: ...
    def text(self, data: str) -> None: ...


class _Elements(_Handler):
    """Every element of a small part, without namespace prefixes, and the number formats of `cellXfs`."""

    def __init__(self) -> None:
        self.found: list[tuple[str, dict[str, str]]] = []
        self.cell_formats: list[str] = []
        self._in_formats = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rsplit(":", 1)[-1]
        self.found.append((name, attributes))
        if name == "cellXfs":
            self._in_formats = True
        elif name == "xf" and self._in_formats:
            self.cell_formats.append(attributes.get("numFmtId", "0"))

    def end(self, name: str) -> None:
        if name.rsplit(":", 1)[-1] == "cellXfs":
            self._in_formats = False


class _SharedStrings:
    """The texts that cells refer to by number, in an unnamed file: a full sheet can have millions."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the workbook
        self._ends = array("Q", [0])
        self._map: mmap.mmap | None = None

    def add(self, text: str) -> None:
        data = text.encode("utf-8", "surrogatepass")
        self._file.write(data)
        self._ends.append(self._ends[-1] + len(data))

    def seal(self) -> None:
        self._file.flush()
        if self._ends[-1]:
            self._map = mmap.mmap(self._file.fileno(), 0, prot=mmap.PROT_READ)

    def __getitem__(self, index: int) -> str:
        if not 0 <= index < len(self._ends) - 1:
            raise WorkbookDamaged("a cell refers to a text that is not there")
        if self._map is None:
            return ""
        return self._map[self._ends[index] : self._ends[index + 1]].decode("utf-8", "surrogatepass")


class _StringsReader(_Handler):
    def __init__(self, strings: _SharedStrings) -> None:
        self._strings = strings
        self._pieces: list[str] = []
        self._collecting = False
        self._phonetic = False

    def start(self, name: str, attributes: dict[str, str]) -> None:  # noqa: ARG002 - expat calls it so
        name = name.rsplit(":", 1)[-1]
        if name == "si":
            self._pieces = []
        elif name == "rPh":
            self._phonetic = True
        elif name == "t":
            self._collecting = not self._phonetic

    def end(self, name: str) -> None:
        name = name.rsplit(":", 1)[-1]
        if name == "t":
            self._collecting = False
        elif name == "rPh":
            self._phonetic = False
        elif name == "si":
            self._strings.add(_unescaped("".join(self._pieces)))

    def text(self, data: str) -> None:
        if self._collecting:
            self._pieces.append(data)


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


class _SheetReader(_Handler):
    """Collects rows from the events of a sheet's XML. Runs for every cell: few steps, no lookups that can be kept."""

    def __init__(self, strings: _SharedStrings, formats: dict[str, number_formats.Text], epoch: datetime) -> None:
        self._strings = strings
        self._formats = formats
        self._epoch = epoch
        self._prefix: str | None = None
        self._done: list[tuple[int, list[str]]] = []
        self._row: list[str] = []
        self._number = 0
        self._column = 0
        self._next = 0
        self._type = "n"
        self._style: str | None = None
        self._value = ""
        self._collecting = False
        self._phonetic = False
        self._columns: dict[str, int] = {}

    def take(self) -> list[tuple[int, list[str]]]:
        """The rows that are whole."""
        done, self._done = self._done, []
        return done

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self._prefix is None:
            self._prefix = name[: -len(name.rsplit(":", 1)[-1])]
        if self._prefix:
            name = name.removeprefix(self._prefix)
        if name == "c":
            reference = attributes.get("r")
            # One without a reference stands behind the one before it, whether that is empty or not.
            self._column = self._column_of(reference) if reference else self._next
            self._next = self._column + 1
            self._type = attributes.get("t", "n")
            self._style = attributes.get("s")
            self._value = ""
        elif name == "v":
            self._collecting = self._type != "inlineStr"
        elif name == "t":
            self._collecting = self._type == "inlineStr" and not self._phonetic
        elif name == "row":
            number = attributes.get("r")
            self._number = int(number) if number and number.isdigit() else self._number + 1
            if self._number > _MAX_ROWS:
                raise WorkbookDamaged(f"it has a row {self._number:,}, and a sheet has {_MAX_ROWS:,} at most")
            self._row = []
            self._next = 0
        elif name == "rPh":
            self._phonetic = True

    def text(self, data: str) -> None:
        if self._collecting:
            self._value += data
            if len(self._value) > _MAX_CELL_LENGTH:
                raise WorkbookDamaged("a cell holds more than any cell can")

    def end(self, name: str) -> None:
        if self._prefix:
            name = name.removeprefix(self._prefix)
        if name in ("v", "t"):
            self._collecting = False
        elif name == "c":
            if self._value:
                row, column = self._row, self._column
                missing = column - len(row)
                if missing > 0:
                    row.extend([""] * missing)
                value = self._text_of(self._value)
                if missing >= 0:
                    row.append(value)
                else:
                    row[column] = value
        elif name == "row":
            if self._row:
                self._done.append((self._number, self._row))
        elif name == "rPh":
            self._phonetic = False

    def _column_of(self, reference: str) -> int:
        letters = reference.rstrip("0123456789")
        column = self._columns.get(letters)
        if column is None:
            number = 0
            for letter in letters.replace("$", "").upper():
                number = number * 26 + ord(letter) - 64
            column = number - 1
            if not 0 <= column < _MAX_COLUMNS:
                raise WorkbookDamaged(f"a cell stands in a column that no sheet has ({reference[:20]!r})")
            self._columns[letters] = column
        return column

    def _text_of(self, value: str) -> str:
        kind = self._type
        if kind == "s":
            index = value.strip()
            if not index.isdigit():
                raise WorkbookDamaged("a cell refers to a text by something other than its number")
            return self._strings[int(index)]
        if kind == "n":
            formatted = self._formats.get(self._style or "")
            if formatted is not None:
                return formatted(value, self._epoch)
            return value if value.isdigit() else number_formats.number_text(value)
        if kind == "b":
            return "true" if value == "1" else "false"
        return _unescaped(value)
