"""Reading the XML parts of a workbook: no entities, bounded in memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, Final
from xml.parsers import expat

FREE_BYTES: Final = 256 << 20

LARGEST_RATIO: Final = 300


class WorkbookDamaged(Exception):
    """The workbook cannot be read. The message says why."""


class WorkbookTooLarge(Exception):
    """The workbook unpacks to far more than any sound one of its size."""


class XmlHandler:
    """Takes the events of an XML parser: elements that begin and end, and text between them."""

    def start(self, name: str, attributes: dict[str, str]) -> None: ...
    def end(self, name: str) -> None: ...
    def text(self, data: str) -> None: ...


CHARACTERS: Final = "[^<\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]*"
"""A pattern of text between two tags, as XML allows it."""

_OTHER_ENCODING: Final = re.compile(rb"""<\?xml[^>]*encoding\s*=\s*["'](?!utf-?8["'])""", re.IGNORECASE)
_OPENED: Final = re.compile(rb"<(?:sheetData|sst)(?: [^<>]*)?>\s*\Z")
_ENTITIES: Final = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_REFERENCE: Final = re.compile(r"&(?:(amp|lt|gt|quot|apos)|#([0-9]{1,6})|#x([0-9A-Fa-f]{1,5}));")
_LARGEST_STRETCH: Final = 16 << 20


class NotPlain(Exception):
    """A stretch of XML is written otherwise than the programs do that write workbooks: the parser is to read it."""


def parse(blocks: Iterable[bytes], handler: XmlHandler) -> None:
    """Have a part's elements and texts handled.

    Raises:
        expat.ExpatError: it is no sound XML.
        WorkbookDamaged: it declares entities, or what the handler raises.
    """
    for _ in _parsed_to_the_end(_parser(handler), blocks):
        pass


def parsed_by_the_stretch(
    blocks: Iterable[bytes], handler: XmlHandler, unit: str, plain: Callable[[str], None]
) -> Iterator[None]:
    """The same, of a part that is nearly all elements of one name, one behind the other; yields now and then.

    Calls from the parser for each tag take most of the time of reading a workbook, so `plain` takes stretches of such
    elements. The parser gets all that stands around them, and those that `plain` does not take.

    Args:
        unit: the elements' name.
        plain: takes a stretch of whole elements, or raises `NotPlain` and takes nothing of it.
    """
    parser = _parser(handler)
    opening, closing = f"<{unit}".encode(), f"</{unit}>".encode()
    held = b""
    is_inside = False
    blocks = iter(blocks)
    for block in blocks:
        held += block
        if not is_inside:
            begin = held.find(opening)
            if begin < 0 and len(held) < _LARGEST_STRETCH:
                continue
            # Not one in a comment.
            if begin < 0 or _OTHER_ENCODING.match(held) or not _OPENED.search(held[:begin]):
                break
            parser.Parse(held[:begin])
            held, is_inside = held[begin:], True
        end = held.rfind(closing) + len(closing)
        if end < len(closing):
            if len(held) < _LARGEST_STRETCH:
                continue
            break
        try:
            plain(_text(held[:end]))
        except NotPlain:
            parser.Parse(held[:end])
            if b"<!" in held[:end]:
                # What a comment holds, however far it reaches, is no element.
                held = held[end:]
                break
        held = held[end:]
        yield
    yield from _parsed_to_the_end(parser, chain([held], blocks))


def _parsed_to_the_end(parser: expat.XMLParserType, blocks: Iterable[bytes]) -> Iterator[None]:
    for block in blocks:
        parser.Parse(block)
        yield
    parser.Parse(b"", True)


def _text(stretch: bytes) -> str:
    try:
        text = stretch.decode()
    except UnicodeDecodeError:
        raise NotPlain from None
    if "]]>" in text or "<!" in text:
        raise NotPlain
    # A line end is one character, however it is written (XML 1.0, 2.11).
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def resolved(text: str) -> str:
    """A text with the characters that its references stand for.

    Raises:
        NotPlain: one of them is not known, or stands for what XML does not allow.
    """
    if "&" not in text:
        return text
    if text.count("&") != len(_REFERENCE.findall(text)):
        raise NotPlain
    return _REFERENCE.sub(_referred, text)


def _referred(found: re.Match[str]) -> str:
    if found[1]:
        return _ENTITIES[found[1]]
    number = int(found[2]) if found[2] else int(found[3], 16)
    if not (number in (0x9, 0xA, 0xD) or 0x20 <= number < 0xD800 or 0xE000 <= number < 0xFFFE):
        raise NotPlain
    return chr(number)


def _refuse_entities(*_: Any) -> None:
    """They can unpack to any size."""
    raise WorkbookDamaged("it declares XML entities, as no program that writes workbooks does")


def _parser(handler: XmlHandler) -> expat.XMLParserType:
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.ordered_attributes = False
    parser.StartElementHandler = handler.start
    parser.EndElementHandler = handler.end
    parser.CharacterDataHandler = handler.text
    parser.EntityDeclHandler = _refuse_entities
    return parser


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
