"""From the encodings that contact files come in to UTF-8.

What does not decode becomes bytes that are not UTF-8 either, so that the reader
of records rejects that record and no other.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import numpy as np

from contact_pipeline.errors import FileRefused
from contact_pipeline.files import code_pages

UTF8: Final = "utf-8"
_SINGLE_BYTE: Final = frozenset({"cp1250", "cp1252", "cp1254", "iso8859_2", "mac_roman"})
_HIGH: Final = re.compile(rb"[\x80-\xff]+")
_FIRST_LEAD: Final = 0xC2
_LAST_LEAD: Final = 0xF4
_UTF8_SEQUENCE: Final = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}"
)
# Alone, only these are UTF-8 for sure: read as a code page they make no sense (Â and Ã with a sign, â€, ð with signs).
_SURE_ALONE: Final = (b"\xc2", b"\xc3", b"\xe2\x80", b"\xe2\x82", b"\xef\xbb\xbf", b"\xef\xbf\xbd", b"\xf0\x9f")
_UNDEFINED_IN_CP1252: Final = frozenset(b"\x81\x8d\x8f\x90\x9d")
_MAC_PUNCTUATION: Final = re.compile(
    rb"[A-Za-z]\xd5[A-Za-z]|\xd2[A-Za-z]|[A-Za-z.!?]\xd3|[\s,;]\xca|\xca[\s,;]|\s\xd0\s"
)
# Letters and punctuation tell only where they stand alone: several such bytes together may be damaged UTF-8.
_ALONE: Final = rb"(?<![\x80-\xff])(?:%s)(?![\x80-\xff])"
_CP1252_PUNCTUATION: Final = re.compile(_ALONE % rb"(?<=[A-Za-z])\x92(?=[A-Za-z])|[\x93\x94\x96\x97\x85]")
_CP1252_LETTER: Final = re.compile(
    _ALONE % rb"(?<=[a-z])[\xdf-\xf6\xf8-\xfd\x9a\x9c\x9e]|[\xe0-\xf6\xf8-\xfd\x9a\x9c\x9e](?=[a-z])"
    rb"|[\x8a\x8c\x8e](?=[A-Za-z])|(?<=[A-Z])[\x8a\x8c\x8e]"
    rb"|(?<=[A-Z])[\xc0-\xd6\xd8-\xde]|[\xc0-\xd6\xd8-\xde](?=[A-Za-z])"
)
_MAC_LETTER: Final = re.compile(
    _ALONE % rb"(?<=[a-z])[\x87-\x9f]|[\x87-\x9f](?=[a-z])|(?<=[A-Z])[\x80-\x86]|[\x80-\x86](?=[A-Za-z])"
)
_UTF16_SHARE: Final = 0.4
_MOSTLY: Final = 2
_MANY_RUNS: Final = 3
_WESTERN: Final = 0.8
_ALONE_ON_AVERAGE: Final = 1.2
_NO_TEXT_WITHIN: Final = 4096


_ISO_2022_JP: Final = re.compile(rb"\x1b\$[@B][!-~]+\x1b\([BJ]")


class Encoding(NamedTuple):
    """An encoding, and how sure it is: `certain`, `likely` or `guessed`."""

    name: str
    confidence: str


def decide(sample: bytes) -> Encoding:
    """Decide a text's encoding from its first bytes.

    A byte order mark decides; then zero bytes in every other place; then UTF-8,
    also where a few records are damaged; then a statistical detector, for what is
    no Western text; then Windows-1252 against Mac Roman and the code pages of
    Central Europe and Turkey, by which letters and punctuation each reading gives.
    Never Latin-1, in which any bytes make some text.

    Raises:
        FileRefused: the text makes no sense in any of them.
    """
    for mark, name in ((codecs.BOM_UTF8, UTF8), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if sample.startswith(mark):
            return Encoding(name, "certain")
    if _ISO_2022_JP.search(sample):
        return Encoding("iso2022_jp", "likely")
    zeros = _utf16_by_zeros(sample)
    if zeros is not None:
        return Encoding(zeros, "likely")
    # A sequence that the sample's end cuts is no damage.
    runs = _HIGH.findall(_without_cut_tail(sample))
    good = sum(map(_is_sequences, runs))
    bad = len(runs) - good
    if bad * _MOSTLY < good or not bad or b"\x00" in sample[:_NO_TEXT_WITHIN]:
        return Encoding(UTF8, "certain" if good and not bad else "likely")
    return _code_page(sample)


def _utf16_by_zeros(sample: bytes) -> str | None:
    half = len(sample) // 2
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if odd > _UTF16_SHARE * half and even < odd / 4:
        return "utf-16-le"
    if even > _UTF16_SHARE * half and odd < even / 4:
        return "utf-16-be"
    return None


def _without_cut_tail(sample: bytes) -> bytes:
    tail = re.search(rb"[\xc2-\xf4][\x80-\xbf]{0,2}\Z", sample)
    return sample[: tail.start()] if tail else sample


def _is_sequences(run: bytes) -> bool:
    return not _UTF8_SEQUENCE.sub(b"", run)


def _code_page(sample: bytes) -> Encoding:
    text = _HIGH.sub(lambda run: b"" if _is_island(run[0]) else run[0], sample)
    near = _high_bytes_and_what_stands_beside(text)
    mac = 2 * len(_MAC_PUNCTUATION.findall(near)) + len(_MAC_LETTER.findall(near))
    windows = 2 * len(_CP1252_PUNCTUATION.findall(near)) + len(_CP1252_LETTER.findall(near))
    runs = _HIGH.findall(text)
    # Accents that stand alone, within words: what is in another script has several letters in a row.
    is_western = max(mac, windows) >= _WESTERN * len(runs) and len(b"".join(runs)) <= _ALONE_ON_AVERAGE * len(runs)
    try:
        other = None if is_western else code_pages.other_than_western(text)
    except code_pages.Unsure:
        raise _unknown() from None
    if other is not None:
        return Encoding(other, "guessed")
    if not mac and not windows and len(runs) < _MANY_RUNS:
        # Nothing that reads as a word in either: a few damaged bytes in a file that is UTF-8.
        return Encoding(UTF8, "guessed")
    if mac:
        mac += 2 * sum(byte in _UNDEFINED_IN_CP1252 for byte in near)
    name, only_one = code_pages.latin(text)
    odd = code_pages.odd_letters(text, "mac_roman") - (code_pages.odd_letters(text, name) if name else 0)
    if odd < 0 or (odd == 0 and mac > windows):
        return Encoding("mac_roman", "likely" if odd < 0 and mac >= 2 * windows + 2 else "guessed")
    if name is None:
        raise _unknown()
    return Encoding(name, "likely" if only_one and windows >= 2 * mac + 2 else "guessed")


def _high_bytes_and_what_stands_beside(text: bytes) -> bytes:
    """A text without what no pattern of letters and punctuation looks at: a tenth of the time to look it through."""
    pieces: list[bytes] = []
    at = 0
    for run in _HIGH.finditer(text):
        begin, end = max(run.start() - 1, at), run.end() + 1
        # A digit is no neighbour that any pattern asks for.
        pieces += [b"0" if begin > at else b"", text[begin:end]]
        at = end
    return b"".join(pieces)


def _unknown() -> FileRefused:
    return FileRefused(
        "unknown_encoding",
        "the encoding of the text cannot be told: say which it is (--encoding), such as cp1251 or cp932, or save the "
        "file as UTF-8",
    )


def _is_island(run: bytes) -> bool:
    """Whether a run of high bytes in a code page's text was written as UTF-8."""
    if not _is_sequences(run):
        return False
    return run.startswith(_SURE_ALONE) or len(_UTF8_SEQUENCE.findall(run)) > 1


def is_known(name: str) -> bool:
    """Whether Python has this text encoding."""
    try:
        codecs.getincrementaldecoder(name)
        "".encode(name)
    except (LookupError, ValueError):
        return False
    # These encode names of hosts, not texts.
    return codecs.lookup(name).name not in ("idna", "punycode")


def to_utf8(blocks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Decode a stream and encode it as UTF-8, block by block."""
    if encoding == UTF8:
        yield from blocks
        return
    if encoding in _SINGLE_BYTE:
        yield from _with_islands(blocks, encoding)
        return
    errors = "surrogatepass" if encoding.startswith("utf-16") else "surrogateescape"
    if codecs.lookup(encoding).name in ("utf-16", "utf-32"):
        blocks = _with_mark(blocks, encoding)
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    for block in blocks:
        yield decoder.decode(block).encode(UTF8, "surrogatepass")
    try:
        yield decoder.decode(b"", final=True).encode(UTF8, "surrogatepass")
    except UnicodeDecodeError:
        # Half a character at the file's very end: a byte that is no UTF-8 has that record rejected.
        yield b"\xff"


def _with_mark(blocks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """A stream of UTF-16 or UTF-32 that begins with a byte order mark, also where it came without."""
    for number, block in enumerate(blocks):
        if number == 0 and not block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)):
            is_big = _utf16_by_zeros(block[:_NO_TEXT_WITHIN]) == "utf-16-be"
            is_wide = codecs.lookup(encoding).name == "utf-32"
            yield (codecs.BOM_UTF32_LE if is_wide else codecs.BOM_UTF16_BE if is_big else codecs.BOM_UTF16_LE) + block
        else:
            yield block


def _with_islands(blocks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Decode a code page, but leave what is UTF-8 inside it as it is."""

    def converted(piece: bytes) -> bytes:
        return piece.decode(encoding, "surrogateescape").encode(UTF8, "surrogatepass")

    def is_island(data: bytes, begin: int, end: int) -> bool:
        run = data[begin:end]
        if not _is_island(run):
            return False
        # `MĂRĂŞEŞTI`: two capitals of Central Europe can make a sequence of UTF-8.
        beside = data[max(begin - 1, 0) : begin] + data[end : end + 1]
        text = run.decode(encoding, "surrogateescape")
        return not (beside.isalpha() and beside.isupper() and text.isalpha() and text.isupper())

    def decoded(data: bytes) -> bytes:
        # Block-wise: a call for each accent took three times as long as all the rest of reading.
        pieces, at = [], 0
        for begin, end in _runs_with_a_sequence(data):
            if is_island(data, begin, end):
                pieces += [converted(data[at:begin]), data[begin:end]]
                at = end
        return b"".join([*pieces, converted(data[at:])])

    held = b""
    for block in blocks:
        data = held + block
        # A run that reaches the block's end may go on in the next one.
        end = len(data)
        while end > 0 and len(data) - end < 64 and data[end - 1] >= 0x80:
            end -= 1
        held = data[end:]
        yield decoded(data[:end])
    yield decoded(held)


def _runs_with_a_sequence(data: bytes) -> Iterator[tuple[int, int]]:
    """The runs of high bytes in which a byte that leads a sequence of UTF-8 stands before one that continues it."""
    values = np.frombuffer(data, np.uint8)
    # Below the first lead byte the difference is a large number.
    leads = np.flatnonzero(values[:-1] - np.uint8(_FIRST_LEAD) <= _LAST_LEAD - _FIRST_LEAD)
    end = 0
    for at in leads[values[leads + 1] & 0xC0 == 0x80].tolist():
        if at < end:
            continue
        begin, end = at, at + 2
        while begin > 0 and data[begin - 1] >= 0x80:
            begin -= 1
        while end < len(data) and data[end] >= 0x80:
            end += 1
        yield begin, end
