"""What a cell's number format says that its number is: a moment, a duration, digits with zeros in front.

Format codes are those of ECMA-376, part 1, 18.8.30 and 18.8.31.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

Text = Callable[[str, datetime], str]
"""Makes a text of a cell's number, given the workbook's first day."""

_BUILTIN_DATES: Final = frozenset([*range(14, 18), 22, *range(27, 32), 36, *range(50, 59)])
_BUILTIN_TIMES: Final = frozenset([*range(18, 22), *range(32, 36), 45, 47])
_BUILTIN_DURATION: Final = 46
_LITERAL: Final = re.compile(r'"[^"]*"|\\.|_.|\*.')
_ELAPSED: Final = re.compile(r"\[(?:h+|m+|s+)\]", re.IGNORECASE)
_BRACKETS: Final = re.compile(r"\[[^\]]*\]")
_ZEROS: Final = re.compile(r"[0#+\- ()/1-9]*")
_QUOTED: Final = re.compile(r"\\(.)|\"([^\"]*)\"")
_LITERAL_DIGITS: Final[dict[str, str]] = {str(digit): chr(0xE000 + digit) for digit in range(10)}
_MARKED: Final = str.maketrans({**_LITERAL_DIGITS})
_UNDO: Final = str.maketrans({mark: digit for digit, mark in _LITERAL_DIGITS.items()})
_MIN_ZEROS: Final = 2
_EXACT: Final = 10**15
_LAST_SERIAL: Final = 2_958_466
_SECONDS_A_DAY: Final = 86_400


def builtin(number: int) -> Text | None:
    """The text of numbers of a built-in format; None where they are plain numbers."""
    if number in _BUILTIN_DATES:
        return _date
    if number in _BUILTIN_TIMES:
        return _time
    return _duration if number == _BUILTIN_DURATION else None


@lru_cache(maxsize=512)
def custom(code: str) -> Text | None:
    """The text of numbers of a format code; None where they are plain numbers."""
    if "general" in code.lower():
        return None
    first = code.split(";", 1)[0]
    bare = _LITERAL.sub("", first)
    if _ELAPSED.search(bare):
        return _duration
    letters = _BRACKETS.sub("", bare).lower()
    if re.search(r"[dy]", letters) or ("m" in letters and not re.search(r"[hs]", letters)):
        return _date
    if re.search(r"[hs]", letters):
        return _time
    # `00000`, and `00000\-0000` with what stands between its digits.
    template = _BRACKETS.sub("", _QUOTED.sub(_literal, first))
    shows = template.count("0") >= _MIN_ZEROS or any(mark in template for mark in ("+", *_LITERAL_DIGITS.values()))
    if shows and _ZEROS.fullmatch(template.translate(_UNDO)) and re.search("[0#]", template):
        return lambda value, _: _padded(value, template)
    return None


def _literal(found: re.Match[str]) -> str:
    """A text that a format puts beside the digits; its own digits are marked, as they take no place of a number's."""
    return (found[1] or found[2] or "").translate(_MARKED)


def number_text(value: str) -> str:
    """A cell's number as people write it: `4155550100` for `4.1555501E9`. Beyond 15 digits it is rounded: it stays."""
    try:
        number = float(value)
    except ValueError:
        return value
    if number.is_integer() and abs(number) < _EXACT:
        return str(int(number))
    return value if abs(number) >= _EXACT else repr(number)


def moment_text(moment: datetime) -> str:
    """A date, with the time where there is one, in ISO 8601."""
    if moment.hour == moment.minute == moment.second == 0:
        return moment.strftime("%Y-%m-%d")
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def duration_text(seconds: float) -> str:
    """`26:30:00`: hours beyond a day stay hours."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}"


def _serial(value: str) -> float | None:
    try:
        serial = float(value)
    except ValueError:
        return None
    return serial if 0 <= serial < _LAST_SERIAL else None


def _date(value: str, epoch: datetime) -> str:
    serial = _serial(value)
    if serial is None:
        return number_text(value)
    return moment_text(epoch + timedelta(seconds=round(serial * _SECONDS_A_DAY)))


def _time(value: str, epoch: datetime) -> str:
    serial = _serial(value)
    if serial is None or serial >= 1:
        return _date(value, epoch)
    return (epoch + timedelta(seconds=round(serial * _SECONDS_A_DAY))).strftime("%H:%M:%S")


def _duration(value: str, _: datetime) -> str:
    serial = _serial(value)
    return number_text(value) if serial is None else duration_text(serial * _SECONDS_A_DAY)


def _padded(value: str, template: str) -> str:
    plain = number_text(value)
    if not plain.isdigit():
        return plain
    digits = plain.zfill(template.count("0"))
    # The last digits fill the places from the right; what is left over stands before the first.
    out, rest = "", digits
    first = min(template.find(mark) if mark in template else len(template) for mark in "0#")
    for at in range(len(template) - 1, -1, -1):
        mark = template[at]
        if at == first:
            out, rest = rest + out, ""
        elif mark not in "0#":
            # What stands between digits of which there are none is not shown; what stands before all of them is.
            out = mark + out if rest or at < first else out
        elif rest:
            out, rest = rest[-1] + out, rest[:-1]
    return (rest + out).translate(_UNDO)
