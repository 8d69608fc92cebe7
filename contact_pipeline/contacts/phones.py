"""Phone numbers: which a cell holds, in E.164 where they say their country.

Numbers that are written plainly never come here: one expression rewrites a whole
column of them. The others are read by the library phonenumbers.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Final, NamedTuple

from contact_pipeline.contacts.calling_codes import NATIONAL_LENGTHS

PLAIN: Final = r"^\+[1-9][0-9]{0,3}(?:[ .\-]?\([1-9][0-9]{0,4}\))?(?:[ .\-]?[0-9]){4,14}$"
"""A number with its country, written plainly: its digits alone are E.164."""

UNUSUAL: Final = r"(?i)[;,|/\n]|:::|\s[-–]\s|^tel:|[^\x00-\x7f]|\d\s*(?:or|oder|ou|und|and)\s"
"""What a cell holds that is no single number in plain digits."""

_BETWEEN: Final = re.compile(
    r"\s*(?:;(?!\s*(?:ext|isub)=)|,|\||:::|\n|\s[-–]\s|\b(?:or|oder|ou|und|and)\b)\s*", re.IGNORECASE
)
_SLASH: Final = re.compile(r"\s*/\s*")
_TEL: Final = re.compile(r"^tel\s*[:.]\s*", re.IGNORECASE)
_EXTENSION: Final = re.compile(r"[,;]?\s*(?:ext(?:ension|n)?\.?|x|int)\s*[=:.]?\s*\d+$", re.IGNORECASE)
_WORDS: Final = re.compile(r"[^\W\d_]")
_DASHES: Final = dict.fromkeys(range(0x2010, 0x2016), "-") | {0x2212: "-"}
_NOT_DIGITS: Final = re.compile(r"\D")
_MIN_DIGITS: Final = 7
_MAX_DIGITS: Final = 15


class Phones(NamedTuple):
    """The numbers of a cell.

    Attributes:
        numbers: in E.164, with ` ext 12`, where they say their country; else as written.
        whole: whether the cell holds nothing else.
        possible: whether every number that says its country has as many digits as that country's have.
    """

    numbers: list[str]
    whole: bool
    possible: bool


def phones(text: str) -> Phones:
    """Read a cell."""
    plain = _TEL.sub("", _ascii_digits(text).strip())
    written = [part.strip() for part in _split(plain) if part.strip()]
    numbers: list[str] = []
    whole = possible = True
    for part in written:
        number, is_possible = _number(_TEL.sub("", part))
        if number is None:
            whole = False
        elif number not in numbers:
            numbers.append(number)
            possible = possible and is_possible
    if not numbers:
        return Phones([plain], whole=True, possible=True)
    return Phones(numbers, whole, possible)


@cache
def possible_pattern() -> str:
    """E.164 numbers with as many digits as their country's have, as one regular expression.

    Those whose national number begins with a zero are left to the library: it belongs there in Italy, and nowhere else.
    """
    codes = []
    for code, lengths in sorted(NATIONAL_LENGTHS.items()):
        fitting = [length for length in lengths if len(code) + length <= _MAX_DIGITS]
        codes.append(f"{code}(?:{'|'.join(f'[1-9][0-9]{{{length - 1}}}' for length in fitting)})")
    return rf"^\+(?:{'|'.join(codes)})$"


def _split(text: str) -> list[str]:
    parts = []
    for part in _BETWEEN.split(text):
        halves = _SLASH.split(part)
        # `030/901820` is one number, `030 901820/901821` are two.
        parts += halves if len(_NOT_DIGITS.sub("", halves[0])) >= _MIN_DIGITS else [part]
    return parts


def _number(text: str) -> tuple[str | None, bool]:
    """A number, and whether its country can have it; None for what is no number by itself."""
    if len(_NOT_DIGITS.sub("", text)) < _MIN_DIGITS or _WORDS.search(_EXTENSION.sub("", text)):
        return None, True
    if not text.startswith("+"):
        return text, True
    import phonenumbers  # a tenth of a second, that most files need not pay

    try:
        found = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        return text, False
    e164 = phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164)
    reason = phonenumbers.is_possible_number_with_reason(found)
    if reason != phonenumbers.ValidationResult.IS_POSSIBLE or len(e164) > _MAX_DIGITS + 1:
        return text, False
    return f"{e164} ext {found.extension}" if found.extension else e164, True


def _ascii_digits(text: str) -> str:
    """Digits of any script as 0 to 9, full-width signs as plain ones."""
    if text.isascii():
        return text
    plain = unicodedata.normalize("NFKC", text).translate(_DASHES)
    return "".join(str(unicodedata.digit(letter)) if letter.isdigit() else letter for letter in plain)
