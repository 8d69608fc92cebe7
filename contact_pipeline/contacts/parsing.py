"""Parsers for one written value, for the spellings that a vectorised cast does not take.

`cleaning` tries the common spelling of a whole column at once and brings only
what is left here. Each parser returns None for text that it does not understand.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final

_SCALES: Final = {
    "": 1, "k": 10**3, "thousand": 10**3, "tsd": 10**3, "tys": 10**3, "lakh": 10**5, "lakhs": 10**5, "lac": 10**5,
    "lacs": 10**5, "m": 10**6, "mm": 10**6, "mn": 10**6, "mln": 10**6, "mio": 10**6, "million": 10**6,
    "millions": 10**6, "crore": 10**7, "crores": 10**7, "b": 10**9, "bn": 10**9, "mrd": 10**9, "mld": 10**9,
    "billion": 10**9, "billions": 10**9, "t": 10**12, "tn": 10**12, "trillion": 10**12,
}  # fmt: skip
_SCALE: Final = "|".join(sorted((scale for scale in _SCALES if scale), key=len, reverse=True))
# ISO 4217. Any three letters would make a currency of `mil`, which is a million or a thousand, and of `Nov`.
_CODES: Final = (
    "AED|AFN|ALL|AMD|ANG|AOA|ARS|AUD|AWG|AZN|BAM|BBD|BDT|BGN|BHD|BIF|BMD|BND|BOB|BRL|BSD|BTN|BWP|BYN|BZD|CAD"
    "|CDF|CHF|CLP|CNY|COP|CRC|CUP|CVE|CZK|DJF|DKK|DOP|DZD|EGP|ERN|ETB|EUR|FJD|FKP|GBP|GEL|GHS|GIP|GMD|GNF|GTQ"
    "|GYD|HKD|HNL|HRK|HTG|HUF|IDR|ILS|INR|IQD|IRR|ISK|JMD|JOD|JPY|KES|KGS|KHR|KMF|KPW|KRW|KWD|KYD|KZT|LAK|LBP"
    "|LKR|LRD|LSL|LYD|MAD|MDL|MGA|MKD|MMK|MNT|MOP|MRU|MUR|MVR|MWK|MXN|MYR|MZN|NAD|NGN|NIO|NOK|NPR|NZD|OMR|PAB"
    "|PEN|PGK|PHP|PKR|PLN|PYG|QAR|RMB|RON|RSD|RUB|RWF|SAR|SBD|SCR|SDG|SEK|SGD|SHP|SLE|SOS|SRD|SSP|STN|SVC|SYP"
    "|SZL|THB|TJS|TMT|TND|TOP|TRY|TTD|TWD|TZS|UAH|UGX|USD|UYU|UZS|VES|VND|VUV|WST|XAF|XCD|XOF|XPF|YER|ZAR|ZMW"
    "|ZWL"
)
_CURRENCY: Final = rf"(?:(?:US|CA|AU|NZ|HK|S|R|A|C)?\$|[€£¥₹₽₩₺₪]|(?:{_CODES})|kr\.?|zł|Fr\.?|Rs\.?)"
_THOUSANDS_OF: Final = re.compile(r"T(?=€|EUR\b|CHF\b|USD\b)")
"""`TEUR` and `T€` are thousands in German; `t` by itself is a trillion in English."""
_AMOUNT: Final = re.compile(
    rf"{_CURRENCY}?\s*(\d[\d.,'’\s]*(?:[eE][+]?\d{{1,2}})?)\s*({_SCALE})?\.?\s*{_CURRENCY}?(?:,?[-–]{{1,2}})?",
    re.IGNORECASE,
)
_RANGE: Final = re.compile(
    rf"(?:[<>~≈≤≥]|over\b|under\b|up to\b|more than\b|less than\b).*\d.*"
    rf"|{_CURRENCY}?\s*\d[\d.,'\s]*(?:{_SCALE})?\s*{_CURRENCY}?\s*(?:\+|(?:-|–|—|\bto\b|\bbis\b|\band\b|\bor\b)\s*\S.*).*",
    re.IGNORECASE,
)
_LAKHS: Final = re.compile(r"\d{1,2}(?:,\d{2})+,\d{3}")
_GROUPED: Final = {mark: re.compile(rf"[1-9]\d{{0,2}}(?:{re.escape(mark)}\d{{3}})+") for mark in (",", ".", "'")}
_SCIENTIFIC: Final = re.compile(r"\d(?:[.,]\d+)?[eE][+]?\d{1,2}")
_SPACES: Final = re.compile("[\\s\u00a0\u202f\u2009]")
_SPACED: Final = re.compile(r"\d{1,3}(?:\s{1,2}\d{3})+(?:[.,]\d*)?|\d{1,2}(?:\s\d{2})*\s\d{3}(?:[.,]\d*)?")
_SLASHED_DATE: Final = re.compile(
    r"(\d{1,2})([/.\-])(\d{1,2})\2(\d{4}|\d{2})(?:,?\s+(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\.\d+)?\s*([AaPp])?\.?(?:[Mm]\.?)?)?"
)
_NAMED_DATE_FORMATS: Final = (
    "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y", "%d-%b-%Y", "%d-%b-%y", "%d-%B-%Y",
    "%Y/%m/%d", "%Y.%m.%d", "%b %Y", "%B %Y", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%d %b %Y %H:%M:%S",
    "%d %b %Y %H:%M", "%b %d, %Y %I:%M %p", "%a %b %d %Y", "%a, %d %b %Y %H:%M:%S",
)  # fmt: skip
_REFUSED: Final = frozenset(
    {
        "unsubscribed", "opted out", "opted-out", "opt out", "opt-out", "optout", "bounced", "bounce", "hard",
        "hard bounce", "hard bounced", "invalid", "cleaned", "blocked", "blacklisted", "suppressed", "do not call",
        "do not contact", "do not allow", "abgemeldet", "désabonné", "désinscrit", "uitgeschreven", "afgemeld",
        "disiscritto", "dado de baja",
    }
)  # fmt: skip
_NOT_REFUSED: Final = frozenset(
    {
        "subscribed",
        "opted in",
        "opted-in",
        "opt in",
        "opt-in",
        "active",
        "valid",
        "none",
        "ok",
        "soft",
        "soft bounce",
        "allow",
    }
)  # fmt: skip
_ZONE_WORDS: Final = re.compile(r"\s*(?:UTC|GMT|Z)(?:\+00:?00)?$", re.IGNORECASE)
_SERIAL: Final = re.compile(r"(\d{5})(?:\.(\d+))?")
# Days since 1899-12-30, as Excel counts: 1954-10-04 to 2064-04-08.
_SERIALS: Final = range(20_000, 60_000)
_EXCEL_EPOCH: Final = datetime(1899, 12, 30, tzinfo=UTC)
_MAX_NUMBER_LENGTH: Final = 64
_MAX_DATE_LENGTH: Final = 64
_AMOUNT_LIMIT: Final = Decimal(10) ** 16
_INTEGER_LIMIT: Final = 2**31
_SCORE_LIMIT: Final = Decimal(10) ** 6
_CENTURY_PIVOT: Final = 69


def amount(text: str, *, decimal_comma: bool = False) -> Decimal | None:
    """`1234`, `1,234.50`, `1.234,50 €`, `$1.2M`, `3.07394E+11`, `10K` to a number below 10**16.

    Ranges and negatives are None.

    Args:
        decimal_comma: how a lone `1.234` or `1,234` is meant in this column.
    """
    if len(text) > _MAX_NUMBER_LENGTH:
        return None
    match = _AMOUNT.fullmatch(_THOUSANDS_OF.sub("tsd ", text))
    if match is None:
        return None
    digits = plain_digits(match[1].rstrip(".,' "), decimal_comma=decimal_comma)
    if digits is None:
        return None
    try:
        value = Decimal(digits) * _SCALES[(match[2] or "").lower()]
        return value.quantize(Decimal("0.01")) if value < _AMOUNT_LIMIT else None
    except InvalidOperation:
        return None


def plain_digits(  # noqa: PLR0911 - one for each way to write a number
    written: str, *, decimal_comma: bool = False
) -> str | None:
    """Digits with a decimal point and nothing else, of a number with any separators; None if it makes none."""
    text = unicodedata.normalize("NFKC", written).replace("’", "'").strip()
    if _SPACES.search(text) and not _SPACED.fullmatch(text):
        # Not by threes: two numbers, or what was a range.
        return None
    text = _SPACES.sub("", text)
    if _SCIENTIFIC.fullmatch(text):
        return text.replace(",", ".")
    if "'" in text:
        whole, point, fraction = text.partition("." if "." in text else ",")
        if not _GROUPED["'"].fullmatch(whole):
            return None
        return whole.replace("'", "") + ("." + fraction if point and fraction else "")
    lakhs, point, fraction = text.partition(".")
    if _LAKHS.fullmatch(lakhs) and not (point and not fraction):
        # As in India: 12,34,567.
        return lakhs.replace(",", "") + point + fraction
    if "," in text and "." in text:
        # The last of the two is the decimal mark; the other one groups by three.
        group, point = (",", ".") if text.rfind(".") > text.rfind(",") else (".", ",")
        whole, _, fraction = text.rpartition(point)
        return whole.replace(group, "") + "." + fraction if _GROUPED[group].fullmatch(whole) and fraction else None
    mark = "," if "," in text else "." if "." in text else None
    if mark is None:
        return text
    if text.count(mark) > 1:
        return text.replace(mark, "") if _GROUPED[mark].fullmatch(text) else None
    decimal = "," if decimal_comma else "."
    if _GROUPED[mark].fullmatch(text) and mark != decimal:
        return text.replace(mark, "")
    whole, _, fraction = text.partition(mark)
    return f"{whole}.{fraction}" if fraction else whole


def is_range(text: str) -> bool:
    """Whether a number is given as a range or a bound: `11-50`, `$1M - $10M`, `10,001+`, `> 500`."""
    return len(text) <= _MAX_NUMBER_LENGTH and _RANGE.fullmatch(text) is not None


def has_scale(text: str) -> bool:
    """Whether a number says by itself what it counts: `1.2M`, `3 Mio`."""
    match = _AMOUNT.fullmatch(_THOUSANDS_OF.sub("tsd ", text)) if len(text) <= _MAX_NUMBER_LENGTH else None
    return match is not None and bool(match[2])


def is_rounded(text: str) -> bool:
    """Whether a spreadsheet has rounded a number to scientific notation."""
    return _SCIENTIFIC.fullmatch(text) is not None


def integer(text: str, *, decimal_comma: bool = False) -> int | None:
    """`250`, `1,250`, `250.0`, `1.2K` to a whole number below 2**31; anything with a fraction to None."""
    value = amount(text, decimal_comma=decimal_comma)
    if value is None or value >= _INTEGER_LIMIT or value != value.to_integral_value():
        return None
    return int(value)


def score(text: str, *, decimal_comma: bool = False) -> Decimal | None:
    """`0.6`, `0,6`, `87.5`, `60%` to a number of three decimals below a million."""
    del decimal_comma  # no score has thousands
    if len(text) > _MAX_NUMBER_LENGTH:
        return None
    percent = text.endswith("%")
    try:
        value = Decimal(text.removesuffix("%").strip().replace(",", "."))
    except InvalidOperation:
        return None
    if not value.is_finite() or abs(value) >= _SCORE_LIMIT:
        return None
    return (value / 100 if percent else value).quantize(Decimal("0.001"))


def calendar_date(text: str, *, day_first: bool = False) -> date | None:
    """ISO dates, `01 May 2024`, Excel's `44317`, `3/19/19` (by `day_first`: None where it makes no sense so)."""
    moment = timestamp(text, day_first=day_first)
    return moment.date() if moment is not None else None


def timestamp(text: str, *, day_first: bool = False) -> datetime | None:
    """The spellings of `calendar_date`, and ISO 8601 with a time; without a zone it is UTC."""
    if len(text) > _MAX_DATE_LENGTH:
        return None
    moment: datetime | None
    serial = _SERIAL.fullmatch(text)
    try:
        if serial and int(serial[1]) in _SERIALS:
            moment = _EXCEL_EPOCH + timedelta(seconds=round(float(text) * 86_400))
        else:
            moment = datetime.fromisoformat(text)
    except ValueError:
        bare = _ZONE_WORDS.sub("", text)
        moment = timestamp(bare, day_first=day_first) if bare != text else _unusual_date(text, day_first=day_first)
    if moment is None:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def slashed(text: str) -> tuple[int, int, str] | None:
    """The first two numbers of a date such as `3/19/19`, and what separates them; None for any other text."""
    match = _SLASHED_DATE.fullmatch(text)
    return (int(match[1]), int(match[3]), match[2]) if match else None


def _unusual_date(text: str, *, day_first: bool) -> datetime | None:
    match = _SLASHED_DATE.fullmatch(text)
    if match:
        return _slashed_date(match, day_first=day_first)
    for pattern in _NAMED_DATE_FORMATS:
        try:
            return datetime.strptime(text, pattern).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


def _slashed_date(match: re.Match[str], *, day_first: bool) -> datetime | None:
    first, second, year = int(match[1]), int(match[3]), int(match[4])
    if len(match[4]) == 2:
        # The pivot of POSIX strptime: 69 to 99 are the last century.
        year += 1900 if year >= _CENTURY_PIVOT else 2000
    # With dots the day comes first everywhere.
    month, day = (second, first) if day_first or match[2] == "." else (first, second)
    hour, minute, second_ = int(match[5] or 0), int(match[6] or 0), int(match[7] or 0)
    if match[8]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if match[8] in "pP" else 0)
    try:
        return datetime(year, month, day, hour, minute, second_, tzinfo=UTC)
    except ValueError:
        return None


def refusal(text: str) -> bool | None:
    """What a column of refusals says: `yes` is read elsewhere; a date, or a word for it, is one too."""
    word = text.strip().lower()
    if word in _REFUSED:
        return True
    if word in _NOT_REFUSED:
        return False
    return True if timestamp(text) is not None else None
