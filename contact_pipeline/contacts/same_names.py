"""Whether rows that became one contact have different names, and ids that stand beside different people."""

from __future__ import annotations

from typing import Final

import polars as pl

Name = tuple[str, str]
"""A first and a last name, in lower case; "" for a blank one."""


def name_of(first: str | None, last: str | None) -> Name | None:
    """A name to be compared; None where there is none."""
    name = ((first or "").strip().lower(), (last or "").strip().lower())
    return name if any(name) else None


def names_of(rows: pl.DataFrame) -> list[Name | None]:
    """The names of rows."""
    blank: list[str | None] = [None] * rows.height
    columns = [rows[name].to_list() if name in rows.columns else blank for name in ("first_name", "last_name")]
    return [name_of(*names) for names in zip(*columns, strict=True)]


def names_differ(one: Name | None, other: Name | None) -> bool:
    """Whether two names may be of different people: the first names differ, or the last ones.

    `Rob` is short for `Robert`, `A.` for `Ada`. Who marries changes the last name: that is told too.
    """
    if one is None or other is None:
        return False
    for mine, theirs in zip(one, other, strict=True):
        short, long = sorted((mine.rstrip("."), theirs.rstrip(".")), key=len)
        if short and not long.startswith(short):
            return True
    return False


def differing_names(rows: pl.DataFrame) -> pl.Series:
    """`names_differ` of whole columns: `first_name` and `last_name` against `known_first` and `known_last`."""
    differ = pl.lit(False)
    for mine, known in (("first_name", "known_first"), ("last_name", "known_last")):
        if mine in rows.columns:
            one, other = (
                pl.col(name).fill_null("").str.strip_chars().str.to_lowercase().str.strip_chars_end(".")
                for name in (mine, known)
            )
            differ |= ~(one.str.starts_with(other) | other.str.starts_with(one))
    return rows.with_columns(differ.alias("differ"))["differ"]


_MIN_SHARED: Final = 2

_SHARE_SHARED: Final = 0.02


def is_shared_id(sample: pl.DataFrame) -> bool:
    """Whether a column of ids tells no people apart: its values repeat beside different people.

    Args:
        sample: a file's first rows: String columns named by field, as written.
    """
    if "contact_id" not in sample.columns:
        return False
    rows = sample.with_columns(pl.all().str.strip_chars()).filter(pl.col("contact_id") != "")
    repeated = rows.filter(pl.col("contact_id").is_duplicated())
    if not repeated.height:
        return False
    seen: dict[str, tuple[str, Name | None]] = {}
    emails = repeated["email"].str.to_lowercase().to_list() if "email" in repeated.columns else [""] * repeated.height
    shared = 0
    for contact_id, email, name in zip(repeated["contact_id"], emails, names_of(repeated), strict=True):
        known = seen.setdefault(contact_id, (email, name))
        # A person may have two addresses, and another spelling of the name: not both at once.
        other_email = email != known[0] if email and known[0] else "email" not in repeated.columns
        shared += other_email and names_differ(known[1], name)
    return shared >= _MIN_SHARED and shared >= _SHARE_SHARED * rows.height
