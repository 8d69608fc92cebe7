"""Parsers for one written value, for the spellings that a vectorised cast does not take.

`cleaning` tries the common spelling of a whole column at once and brings only
what is left here. Each parser returns None for text that it does not understand.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation

_SCALES = {"": 1, "k": 10**3, "m": 10**6, "mm": 10**6, "mn": 10**6, "b": 10**9, "bn": 10**9, "t": 10**12}
_AMOUNT = re.compile(
    r"(?:[$€£¥₹]|USD|EUR|GBP)?\s*(\d[\d.,\s]*(?:[eE][+]?\d{1,2})?)\s*(k|mm|mn|m|bn|b|t)?\s*(?:[$€£¥₹]|USD|EUR|GBP)?",
    re.IGNORECASE,
)
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_SLASHED_DATE = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4}|\d{2})(?:\s+\d{1,2}:\d{2}(?::\d{2})?)?")
_NAMED_DATE_FORMATS = ("%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%Y/%m/%d")
_LONGEST_NUMBER = 64
_AMOUNT_LIMIT = Decimal(10) ** 16
_INTEGER_LIMIT = 2**31
_SCORE_LIMIT = Decimal(10) ** 6


def amount(text: str) -> Decimal | None:
    """`1234`, `1,234.50`, `$1.2M`, `3.07394E+11`, `10K` to a number below 10**16; ranges and negatives to None."""
    if len(text) > _LONGEST_NUMBER:
        return None
    match = _AMOUNT.fullmatch(text)
    if match is None:
        return None
    digits = match[1].strip().replace("\u00a0", "").replace(" ", "")
    if "," in digits:
        if not _THOUSANDS.fullmatch(digits):
            return None
        digits = digits.replace(",", "")
    try:
        value = Decimal(digits) * _SCALES[(match[2] or "").lower()]
        return value.quantize(Decimal("0.01")) if value < _AMOUNT_LIMIT else None
    except InvalidOperation:
        return None


def integer(text: str) -> int | None:
    """`250`, `1,250`, `250.0`, `1.2K` to a whole number below 2**31; anything with a fraction to None."""
    value = amount(text)
    if value is None or value >= _INTEGER_LIMIT or value != value.to_integral_value():
        return None
    return int(value)


def score(text: str) -> Decimal | None:
    """`0.6`, `87.5`, `60%` to a number of three decimals below a million."""
    if len(text) > _LONGEST_NUMBER:
        return None
    percent = text.endswith("%")
    try:
        value = Decimal(text.removesuffix("%").strip())
    except InvalidOperation:
        return None
    if not value.is_finite() or abs(value) >= _SCORE_LIMIT:
        return None
    return (value / 100 if percent else value).quantize(Decimal("0.001"))


def calendar_date(text: str) -> date | None:
    """ISO dates, `3/19/19` (month first unless only day first makes sense), `01 May 2024`."""
    moment = timestamp(text)
    return moment.date() if moment is not None else None


def timestamp(text: str) -> datetime | None:
    """The spellings of `calendar_date`, and ISO 8601 with a time; without a zone it is UTC."""
    moment: datetime | None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = _unusual_date(text)
    if moment is None:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _unusual_date(text: str) -> datetime | None:
    slashed = _SLASHED_DATE.fullmatch(text)
    if slashed:
        first, second, year = int(slashed[1]), int(slashed[2]), int(slashed[3])
        if year < 100:
            # The pivot of POSIX strptime: 69 to 99 are the last century.
            year += 1900 if year >= 69 else 2000
        month, day = (second, first) if first > 12 else (first, second)
        try:
            return datetime(year, month, day, tzinfo=UTC)
        except ValueError:
            return None
    for pattern in _NAMED_DATE_FORMATS:
        try:
            return datetime.strptime(text, pattern).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None
