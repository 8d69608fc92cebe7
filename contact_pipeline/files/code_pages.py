"""Which code page a text is in: by charset-normalizer where it is no Western one, by our own evidence where it is.

The detector knows scripts, and the languages of long texts. Of lists of names in
Latin letters it says little: there the letters decide that each reading gives.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from itertools import pairwise
from typing import Final

import charset_normalizer

_NOT_WESTERN: Final = frozenset(
    {
        "cp932", "shift_jis", "shift_jis_2004", "shift_jisx0213", "euc_jp", "euc_jis_2004", "euc_jisx0213", "big5",
        "big5hkscs", "cp950", "gb2312", "gbk", "gb18030", "euc_kr", "cp949", "cp1251", "koi8_r", "koi8_u", "cp1253",
        "iso8859_7", "cp1255", "cp1256", "cp874",
    }
)  # fmt: skip
_LATIN: Final = ("cp1252", "cp1250", "cp1254", "iso8859_2")
_HIGH_RUN: Final = re.compile(rb"[\x80-\xff]+")
_LOOKED_AT: Final = 1 << 16
_MIN_HIGH_BYTES: Final = 6
_MIN_HIGH_BYTES_FOR_SURE: Final = 30
# Accents of Western names stand alone, or two together.
_WESTERN_RUN: Final = 2
_MAX_CHAOS: Final = 0.1
_CLOSE: Final = 0.03
_LATIN_SCRIPT: Final = "LATIN"
_MAX_FLAGGED: Final = 0.2
_FEW_ODD: Final = 2
_WORD: Final = re.compile(r"[^\W\d_](?:[^\s,;\t|\"@<>()]*[^\W\d_])?")
_IN_WORDS: Final = frozenset("0123456789'\u2019-.&/\u00b7")
_RARE: Final = frozenset("\u00fe\u00de\u00f0\u00d0\u00aa\u00ba\u00b5\u0192")


class Unsure(Exception):
    """A text makes as much sense in one script as in another."""


def other_than_western(sample: bytes) -> str | None:
    """The encoding of a text in another script; None where it is none, or says too little.

    Raises:
        Unsure: it may be in one of several scripts.
    """
    text = _foreign_lines(sample)
    runs = _HIGH_RUN.findall(text)
    high = sum(map(len, runs))
    if high < _MIN_HIGH_BYTES:
        return None
    if high < _MIN_HIGH_BYTES_FOR_SURE and high > _WESTERN_RUN * len(runs):
        raise Unsure
    matches = [
        match
        for match in charset_normalizer.from_bytes(text, threshold=_MAX_CHAOS)
        if match.encoding in _NOT_WESTERN or match.encoding in _LATIN
    ]
    best = next(iter(matches), None)
    if best is None or best.encoding not in _NOT_WESTERN:
        return None
    scripts = {
        _script(text.decode(match.encoding, "ignore")) for match in matches if match.chaos <= best.chaos + _CLOSE
    }
    if _LATIN_SCRIPT in scripts:
        # Western accents that by chance make up letters of another script.
        return None
    if len(scripts) > 1:
        raise Unsure
    return best.encoding


def _script(text: str) -> str:
    """The script that most of the letters beyond ASCII are of."""
    names = Counter(
        unicodedata.name(letter, "?").split(" ", 1)[0] for letter in text if letter > "\x7f" and letter.isalpha()
    )
    script = names.most_common(1)[0][0] if names else _LATIN_SCRIPT
    return "CJK" if script in ("HIRAGANA", "KATAKANA") else script


def latin(sample: bytes) -> tuple[str | None, bool]:
    """The code page of a text in Latin letters.

    Returns:
        Its name, None where it makes sense in none; and whether every other one gives the same text, or none that makes
        sense.
    """
    text = _foreign_lines(sample)
    readings = {name: text.decode(name, "replace") for name in _LATIN}
    odd = {name: _odd_letters(reading) for name, reading in readings.items()}
    least = min(odd.values())
    best = next(name for name in _LATIN if odd[name] == least)
    if least > _FEW_ODD and least > _MAX_FLAGGED * len(_HIGH_RUN.findall(text)):
        return None, False
    rivals = {readings[name] for name in _LATIN if odd[name] <= 2 * least + 1}
    return best, len(rivals) == 1


def odd_letters(sample: bytes, encoding: str) -> int:
    """How little sense a sample makes in an encoding."""
    return _odd_letters(_foreign_lines(sample).decode(encoding, "replace"))


def _foreign_lines(sample: bytes) -> bytes:
    return b"\n".join(line for line in sample.splitlines() if _HIGH_RUN.search(line))[:_LOOKED_AT]


def _odd_letters(text: str) -> int:
    """How many signs stand within words that no language puts there, or letters that few do."""
    odd = text.count("\ufffd")
    for word in _WORD.findall(text):
        if word.isascii():
            continue
        odd += sum(not (letter.isalpha() or letter in _IN_WORDS) or letter in _RARE for letter in word)
        # A name begins with a capital.
        odd += word[0] > "\x7f" and word[0].islower() and len(word) > 1
        odd += sum(before.islower() and after.isupper() and after > "\x7f" for before, after in pairwise(word))
    return odd
