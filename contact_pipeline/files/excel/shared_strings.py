"""A workbook's table of texts that cells share, held compactly."""

from __future__ import annotations

import mmap
import re
import tempfile
from array import array
from typing import Final

from contact_pipeline.files.excel.xml_parsing import CHARACTERS, NotPlain, WorkbookDamaged, XmlHandler, resolved

_PLAIN: Final = re.compile(rf'(<si><t(?: xml:space="preserve")?>({CHARACTERS})</t></si>\s*)')
_HELD_BYTES: Final = 64 << 20
_TEXT_BYTES: Final = 64
_ESCAPED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")


class SharedStrings:
    """The texts that cells refer to by number: in memory, or where they are many in an unnamed file."""

    def __init__(self) -> None:
        self.held: list[str] = []
        """The first of them."""
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the workbook
        self._ends = array("Q", [0])
        self._map: mmap.mmap | None = None

    def add(self, text: str) -> None:
        """Keep the next text."""
        data = text.encode("utf-8", "surrogatepass")
        self._file.write(data)
        self._ends.append(self._ends[-1] + len(data))
        if self._ends[-1] + _TEXT_BYTES * len(self._ends) <= _HELD_BYTES:
            self.held.append(text)

    def seal(self) -> None:
        """All texts are there: they can be read from here."""
        self._file.flush()
        if self._ends[-1]:
            self._map = mmap.mmap(self._file.fileno(), 0, prot=mmap.PROT_READ)

    def __getitem__(self, index: int) -> str:
        if 0 <= index < len(self.held):
            return self.held[index]
        if not 0 <= index < len(self._ends) - 1:
            raise WorkbookDamaged("a cell refers to a text that is not there")
        if self._map is None:
            return ""
        return self._map[self._ends[index] : self._ends[index + 1]].decode("utf-8", "surrogatepass")


class StringsReader(XmlHandler):
    """Collects the texts, without the phonetic guides beside them."""

    def __init__(self, strings: SharedStrings) -> None:
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
            self._strings.add(unescaped("".join(self._pieces)))

    def text(self, data: str) -> None:
        if self._collecting:
            self._pieces.append(data)

    def take_plain_texts(self, stretch: str) -> None:
        """Take texts of one piece each.

        Raises:
            NotPlain: some are written otherwise; none is taken.
        """
        found = _PLAIN.findall(stretch)
        if sum(len(whole) for whole, _ in found) != len(stretch):
            raise NotPlain
        for text in [unescaped(resolved(text)) for _, text in found]:
            self._strings.add(text)


def unescaped(text: str) -> str:
    """A text with `_x000D_` and the like as the characters that they stand for."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text
