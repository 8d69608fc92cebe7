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
_ZEROS: Final = re.compile(r"[0\- ()/]*")
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
    template = _BRACKETS.sub("", re.sub(r"\\(.)|\"([^\"]*)\"", r"\1\2", first))
    if template.count("0") >= _MIN_ZEROS and _ZEROS.fullmatch(template):
        return lambda value, _: _padded(value, template)
    return None


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
    for mark in reversed(template):
        if mark != "0":
            out = mark + out
        elif rest:
            out, rest = rest[-1] + out, rest[:-1]
    return rest + out
