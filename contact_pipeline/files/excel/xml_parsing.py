"""Reading the XML parts of a workbook: no entities, bounded in memory."""

from __future__ import annotations

from typing import Any, Final

FREE_BYTES: Final = 256 << 20

LARGEST_RATIO: Final = 300


class WorkbookDamaged(Exception):
    """The workbook cannot be read. The message says why."""


class WorkbookTooLarge(Exception):
    """The workbook unpacks to far more than any sound one of its size."""


def refuse_entities(*_: Any) -> None:
    """Refuse a part that declares XML entities, which can unpack to any size."""
    raise WorkbookDamaged("it declares XML entities, as no program that writes workbooks does")


class XmlHandler:
    """Takes the events of an XML parser: elements that begin and end, and text between them."""

    def start(self, name: str, attributes: dict[str, str]) -> None: ...
    def end(self, name: str) -> None: ...
    def text(self, data: str) -> None: ...


class Elements(XmlHandler):
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
