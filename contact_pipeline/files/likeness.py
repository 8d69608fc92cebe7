"""Which field a column looks like that feeds none: by its title, or by what its values are."""

from __future__ import annotations

from typing import Final

import polars as pl

from contact_pipeline.contacts.fields import FULL_NAME
from contact_pipeline.files.given_names import GIVEN_NAMES
from contact_pipeline.files.header_mapping import HeaderMapping
from contact_pipeline.files.titles import KNOWN_TITLES, field_of, normalise

_BY_VALUES: Final = (
    ("email", r"^[^\s@]+@[^\s@]+\.[^\s@]+$"),
    ("person_linkedin_url", r"linkedin\.com/(?:in|pub)/"),
    ("website", r"^(?i:(?:https?://)?(?:www\.)?[a-z0-9\-]+(?:\.[a-z0-9\-]+)*\.[a-z]{2,}/?)$"),
    ("mobile_phone", r"^(?:\+|00|\(?0)(?:[0-9][ ().\-/]*){8,}$"),
)
_NAMES: Final = 0.25
"""Share of cells that begin with a frequent given name, from which on a column holds names: no list has all."""

_LEGAL_FORM: Final = (
    r"(?i)\b(?:gmbh|ag|kg|ohg|ug|se|inc|llc|ltd|plc|corp|co|s\.?a\.?|s\.?a\.?s|sarl|s\.?r\.?l|s\.?p\.?a|b\.?v|n\.?v|ab|oy|"
    r"as|aps|sp\. z o\.o|s\.?l|lda|pty|kk)\.?$"
)
_COMPANIES: Final = 0.15
_SHARE: Final = 0.6
_SHORTEST: Final = 4


def looks_like(header: tuple[str, ...], mapping: HeaderMapping, sample: pl.DataFrame) -> tuple[str | None, ...]:
    """For each column that feeds no field, the field that it may be meant for and that no other column feeds.

    Args:
        sample: the file's first rows, by position.
    """
    fed = {name for name in mapping.fields if name is not None}
    found = []
    for at, (title, name) in enumerate(zip(header, mapping.fields, strict=True)):
        guess = None if name is not None else _by_title(title) or _by_values(sample[str(at)])
        found.append(guess if guess not in fed else None)
    return tuple(found)


def _by_title(title: str) -> str | None:
    """`work email (verified)` holds the title `work email`."""
    words = normalise(title).split()
    for length in range(len(words), 0, -1):
        for begin in range(len(words) - length + 1):
            phrase = " ".join(words[begin : begin + length])
            if len(phrase) >= _SHORTEST and phrase in KNOWN_TITLES and field_of(phrase):
                return field_of(phrase)
    return None


def _by_values(column: pl.Series) -> str | None:
    values = column.str.strip_chars()
    values = values.filter(values != "")
    if not len(values):
        return None
    for name, pattern in _BY_VALUES:
        if values.str.contains(pattern).sum() >= _SHARE * len(values):
            return name
    if values.str.contains(_LEGAL_FORM).sum() >= _COMPANIES * len(values):
        return "company"
    words = values.str.to_lowercase().str.extract_all(r"\p{L}+")
    if words.list.first().is_in(list(GIVEN_NAMES)).sum() < _NAMES * len(values):
        return None
    return FULL_NAME if (words.list.len() > 1).sum() >= _SHARE * len(values) else "first_name"
