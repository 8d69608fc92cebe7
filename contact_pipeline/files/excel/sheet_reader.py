"""The cells of a sheet as rows of text."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from contact_pipeline.files.excel import number_formats
from contact_pipeline.files.excel.shared_strings import SharedStrings, unescaped
from contact_pipeline.files.excel.xml_parsing import WorkbookDamaged, XmlHandler

MAX_ROWS: Final = 1_048_576

MAX_COLUMNS: Final = 16_384

MAX_CELL_LENGTH: Final = 1 << 20


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
