"""Whole names, split into first and last."""

from __future__ import annotations

from typing import Final

import polars as pl

_HONORIFIC: Final = (
    r"(?i)^(?:(?:mr|mrs|ms|miss|mx|dr|prof|sir|herr|frau|mme|ing|dipl)\.\s*|(?:mr|mrs|ms|miss|dr|prof)\s+)+"
)
_SUFFIX: Final = r"(?i)(?:,?\s+(?:jr|sr|ii|iii|iv|ph\.?d|m\.?d|mba|cpa|esq|cfa|pmp|rn|dds)\.?)+$"
_PRONOUNS: Final = r"(?i)\s*[(\[](?:she|her|he|him|they|them|ze|sie|er|elle|il|ella|él)\b[^)\]]*[)\]]"
_PARTICLES: Final = (
    "van|von|vom|zu|zum|zur|der|den|de|del|della|des|di|da|das|dos|do|du|la|le|el|al|bin|ibn|ben|abu|ter|ten|te"
    r"|st\.?|mac|mc"
)
_FIRST_IS_LAST: Final = rf"(?i)^((?:(?:{_PARTICLES})\s+)*[^\s,]+)\s+([^,]+)$"
_LAST: Final = rf"(?i)\s((?:(?:{_PARTICLES})\s+)*\S+)$"


def split_full_names(names: pl.Series, *, family_first: bool = False) -> list[pl.Series]:
    """`Dr. Ada van der Berg, PhD` to `Ada` and `van der Berg`; `Lovelace, Ada` to `Ada` and `Lovelace`.

    Args:
        names: cleaned texts, null where blank.
        family_first: whether the family name stands first, without a comma behind it.

    Returns:
        `first_name` and `last_name`; "" where there is none. A single word is a first name.
    """
    bare = names.str.replace(_PRONOUNS, "").str.replace(_HONORIFIC, "").str.replace(_SUFFIX, "").str.strip_chars(" ,")
    bare = bare.str.replace_all(r"\s+", " ")
    if family_first:
        # `van der Berg Ada` to `van der Berg, Ada`.
        bare = bare.str.replace(_FIRST_IS_LAST, "${1}, ${2}")
    reversed_last = bare.str.extract(r"^([^,]+),\s*[^,]+$")
    reversed_first = bare.str.extract(r"^[^,]+,\s*([^,]+)$")
    last = pl.select(pl.coalesce(reversed_last, bare.str.extract(_LAST))).to_series()
    rest = pl.select(pl.coalesce(reversed_first, bare.str.replace(_LAST, ""))).to_series()
    return [rest.fill_null("").alias("first_name"), last.fill_null("").alias("last_name")]
