"""Which rare characters a stretch of text holds at all, so that cleaners for what is not there are skipped."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from contact_pipeline.contacts.texts import CharacterFlags
from contact_pipeline.files.csv.records import Bytes, CsvFormat, Offsets, positions, slices

_NO_CONTROLS: Final = (0x00, 0x09, 0x0A, 0x0D)
_SPACE: Final = 0x20
_DELETE: Final = b"\x7f"
_LOWEST_LEAD: Final = 0xC2
_LINE_FEED: Final = 0x0A
_EQUALS: Final = 0x3D
_COLON: Final = 0x3A


def find_character_flags(data: bytes, csv_format: CsvFormat) -> CharacterFlags:
    """Look a chunk's text through, once for each kind of byte that an oddity begins with.

    Searching the text for each oddity in turn took most of the time of reading it.
    """
    ascii_only = data.isascii()
    reject_columns = (False, False, False, False) if ascii_only else _invisible(data)
    equals = _behind(data, positions(data, lambda piece: piece == _EQUALS), 1)
    return CharacterFlags(
        controls=_DELETE in data or any(_has_control(np.frombuffer(piece, np.uint8)) for piece in slices(data)),
        zero_width=reject_columns[0],
        direction_marks=reject_columns[1],
        no_break_space=reject_columns[2],
        excel_text=bool(np.isin(equals, np.frombuffer(csv_format.quote.encode() + b"0", np.uint8)).any()),
        non_ascii=not ascii_only,
        lists=_has_three_in_a_row(data, _COLON),
        combining=reject_columns[3],
    )


def _has_control(piece: Bytes) -> bool:
    low = piece < _SPACE
    low &= piece != _LINE_FEED
    return bool(low.any()) and not bool(np.isin(piece[low], _NO_CONTROLS).all())


def _has_three_in_a_row(data: bytes, byte: int) -> bool:
    before: npt.NDArray[np.bool_] = np.zeros(2, np.bool_)
    for piece in slices(data):
        here = np.concatenate([before, np.frombuffer(piece, np.uint8) == byte])
        if (here[2:] & here[1:-1] & here[:-2]).any():
            return True
        before = here[-2:]
    return False


def _behind(data: bytes, offsets: Offsets, distance: int) -> Bytes:
    """The bytes some way behind these offsets; at the end the last byte: at worst a cleaner runs for nothing."""
    return np.frombuffer(data, np.uint8)[np.minimum(offsets + distance, len(data) - 1)]


def _invisible(data: bytes) -> tuple[bool, bool, bool, bool]:
    """Whether there are zero-width characters, direction marks, no-break spaces, and marks that combine."""
    leads = positions(data, lambda piece: piece >= _LOWEST_LEAD)
    first, second, third = (_behind(data, leads, distance) for distance in range(3))
    general = (first == 0xE2) & (second == 0x80)
    isolates = (first == 0xE2) & (second == 0x81)
    mark = (first == 0xEF) & (second == 0xBB) & (third == 0xBF)
    zero_width = (general & (third == 0x8B)) | (isolates & (third == 0xA0)) | mark
    directions = (general & (((third >= 0x8C) & (third <= 0x8F)) | ((third >= 0xAA) & (third <= 0xAE)))) | (
        isolates & (third >= 0xA6) & (third <= 0xA9)
    )
    no_break = (first == 0xC2) & (second == 0xA0)
    # U+0300 to U+036F, the sound marks of kana, and the letters that Hangul is made of.
    combining = (first == 0xCC) | ((first == 0xCD) & (second <= 0xAF))
    combining |= (first == 0xE3) & (second == 0x82) & ((third == 0x99) | (third == 0x9A))
    combining |= (first == 0xE1) & (second >= 0x84) & (second <= 0x87)
    return bool(zero_width.any()), bool(directions.any()), bool(no_break.any()), bool(combining.any())
