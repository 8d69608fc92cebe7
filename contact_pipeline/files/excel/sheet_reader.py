"""The cells of a sheet as rows of text."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from contact_pipeline.files.excel import number_formats
from contact_pipeline.files.excel.shared_strings import SharedStrings, unescaped
from contact_pipeline.files.excel.xml_parsing import CHARACTERS, NotPlain, WorkbookDamaged, XmlHandler, resolved

MAX_ROWS: Final = 1_048_576

MAX_COLUMNS: Final = 16_384

MAX_CELL_LENGTH: Final = 1 << 20

# As Excel, LibreOffice, Google Sheets and the common libraries write them, but for formulas and texts in pieces.
_ATTRIBUTES: Final = r'(?: (?!r=)[A-Za-z0-9:]+="[^"<>&]*")*'
_PLAIN_ROW: Final = re.compile(rf'\s*(?:<row(?: r="[0-9]+")?{_ATTRIBUTES}/>\s*)*+<row r="([0-9]{{1,7}})"{_ATTRIBUTES}>')
_PLAIN_CELL: Final = re.compile(
    r'(<c r="([A-Z]{1,3})[0-9]+"(?: s="([0-9]+)")?(?: t="([a-zA-Z]+)")?'
    rf'(?:/>|>(?:<v>({CHARACTERS})</v>|<is><t(?: xml:space="preserve")?>({CHARACTERS})</t></is>)</c>))'
)


class SheetReader(XmlHandler):
    """Collects rows from the events of a sheet's XML. Runs for every cell: few steps, no lookups that can be kept."""

    def __init__(self, strings: SharedStrings, formats: dict[str, number_formats.Text], epoch: datetime) -> None:
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
            if self._number > MAX_ROWS:
                raise WorkbookDamaged(f"it has a row {self._number:,}, and a sheet has {MAX_ROWS:,} at most")
            self._row = []
            self._next = 0
        elif name == "rPh":
            self._phonetic = True

    def text(self, data: str) -> None:
        if self._collecting:
            self._value += data
            if len(self._value) > MAX_CELL_LENGTH:
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

    def take_plain_rows(self, stretch: str) -> None:
        """Take rows that are written as most are: without a call for each tag.

        Raises:
            NotPlain: some are written otherwise; none is taken.
            WorkbookDamaged: as for others.
        """
        taken: list[tuple[int, list[str]]] = []
        number = self._number
        *rows, rest = stretch.split("</row>")
        if rest:
            raise NotPlain
        for row in rows:
            # Before it is matched, which takes memory for each empty row in front.
            opening = _PLAIN_ROW.match(row) if len(row) <= MAX_CELL_LENGTH else None
            if opening is None:
                raise NotPlain
            number = int(opening[1])
            if number > MAX_ROWS:
                raise WorkbookDamaged(f"it has a row {number:,}, and a sheet has {MAX_ROWS:,} at most")
            cells = self._plain_cells(row, opening.end())
            if cells:
                taken.append((number, cells))
        self._number = number
        self._done += taken

    def _plain_cells(self, row: str, begin: int) -> list[str]:
        cells: list[str] = []
        has_references = "&" in row
        texts, columns = self._strings.held, self._columns
        for whole, letters, style, kind, number, text in _PLAIN_CELL.findall(row, begin):
            begin += len(whole)
            if (text and kind != "inlineStr") or (number and kind == "inlineStr"):
                raise NotPlain
            if text:
                value = unescaped(resolved(text) if has_references else text)
            elif not number:
                continue
            elif kind == "s" and number.isdigit() and (index := int(number)) < len(texts):
                value = texts[index]
            else:
                self._type, self._style = kind or "n", style
                value = self._text_of(resolved(number) if has_references else number)
            column = columns[letters] if letters in columns else self._column_of(letters)
            if column > len(cells):
                cells.extend([""] * (column - len(cells)))
            if column == len(cells):
                cells.append(value)
            else:
                cells[column] = value
        if begin != len(row):
            raise NotPlain
        return cells

    def _column_of(self, reference: str) -> int:
        letters = reference.rstrip("0123456789")
        column = self._columns.get(letters)
        if column is None:
            number = 0
            for letter in letters.replace("$", "").upper():
                number = number * 26 + ord(letter) - 64
            column = number - 1
            if not 0 <= column < MAX_COLUMNS:
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
        return unescaped(value)
