"""What decides that two rows are the same contact.

The ladder, first rung that finds somebody decides:

1. (source, contact_id)
2. e-mail, in lower case
3. LinkedIn slug
4. name and company (its domain, else its name), only where one of the two is
known by nothing else

Different contact ids never meet on a lower rung: real files have people who
share an inbox. So rungs 2 to 4 join only where the row or the contact has no id.

A contact keeps the name and company that it was first known by for rung 4: rows
that say less, or say it otherwise, then never make it flip between two keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from unicodedata import normalize
from urllib.parse import unquote

import polars as pl

from contact_pipeline.contacts.emails import unicode_domain

LINKEDIN_SLUG: Final = "linkedin_slug"

NAME_COMPANY: Final = "name_company"

IDENTIFYING: Final = ("contact_id", "email", LINKEDIN_SLUG, NAME_COMPANY)
"""What identifies a row, rung by rung."""

_SLUG: Final = r"(?i)linkedin\.com/(?:mwlite/)?in/([^/?#\s]+)"

_OTHER_PROFILE: Final = r"(?i)linkedin\.com/(?:pub|sales/(?:lead|people)|mwlite/profile)/([^?#\s]+)"

_DOMAIN: Final = r"^(?:[a-z][a-z0-9+.\-]*://)?(?:www\.)?([^/?#:\s]+)"

# Where anybody has a page: its domain is nobody's company.
_PLATFORMS: Final = (
    "about.me", "bit.ly", "facebook.com", "m.facebook.com", "github.com", "goo.gl", "instagram.com", "linkedin.com",
    "linktr.ee", "medium.com", "sites.google.com", "t.me", "threads.net", "tiktok.com", "twitter.com", "wa.me", "x.com",
    "xing.com", "youtube.com", "crunchbase.com", "angel.co", "wellfound.com", "calendly.com",
)  # fmt: skip
# What people write who have no company, or do not say which.
_NO_COMPANIES: Final = (
    "self-employed", "self employed", "selfemployed", "freelance", "freelancer", "unemployed", "none", "null", "nil",
    "nan", "na", "n/a", "unknown", "not available", "confidential", "selbständig", "selbstständig", "freiberuflich",
    "freiberufler", "indépendant", "autónomo", "autônomo", "libero professionista", "zzp", "zelfstandig",
)  # fmt: skip

# Postgres cannot index a value of more than 2,704 bytes; the longest UTF-8 character takes 4.
_MAX_KEY_LENGTH: Final = 400

_NUMBERS_OF_PUBLIC: Final = 3


def with_identity(frame: pl.DataFrame) -> pl.DataFrame:
    """Add `linkedin_slug` and `name_company` to cleaned rows."""
    slug = _slugs(frame["person_linkedin_url"]).str.slice(0, _MAX_KEY_LENGTH)
    name = (
        pl.concat_str([pl.col("first_name").fill_null(""), pl.col("last_name").fill_null("")], separator=" ")
        .str.to_lowercase()
        .str.strip_chars()
    )
    domain = _domains(frame["website"])
    own = ~domain.is_in(_PLATFORMS)
    name_of_company = pl.col("company").str.to_lowercase()
    named = pl.when(~name_of_company.is_in(_NO_COMPANIES)).then(name_of_company)
    company = pl.coalesce(pl.when(pl.lit(own)).then(pl.lit(domain)), named)
    key = pl.when(name != "").then(name + "|" + company).str.slice(0, _MAX_KEY_LENGTH)
    return frame.with_columns(slug.alias(LINKEDIN_SLUG), key.alias(NAME_COMPANY))


def _domains(websites: pl.Series) -> pl.Series:
    domains = websites.str.to_lowercase().str.extract(_DOMAIN)
    encoded = domains.str.contains("xn--", literal=True).fill_null(False).arg_true().to_list()
    return domains.scatter(encoded, [unicode_domain(domains[at]) for at in encoded]) if encoded else domains


def _slugs(urls: pl.Series) -> pl.Series:
    """The part of LinkedIn addresses that is one person's, in one form whatever the address is."""
    slugs = urls.str.extract(_SLUG).str.to_lowercase()
    others = urls.str.extract(_OTHER_PROFILE)
    odd = (slugs.str.contains("%", literal=True).fill_null(False) | others.is_not_null()).arg_true().to_list()
    if not odd:
        return slugs
    written = [slugs[at] if slugs[at] is not None else _public_slug(urls[at], others[at]) for at in odd]
    return slugs.scatter(odd, [_unescaped(slug) if slug is not None else None for slug in written])


def _unescaped(slug: str) -> str:
    try:
        return normalize("NFC", unquote(slug, errors="strict")).lower()
    except UnicodeDecodeError:
        return slug.lower()


def _public_slug(url: str, path: str) -> str | None:
    """`sales:` and the member of Sales Navigator's addresses; `name-b50576a7` of `/pub/name/a7/576/b50`.

    LinkedIn sends the old public addresses on to these: their three numbers in reverse, without leading zeros at first.
    """
    if "/sales/" in url.lower():
        return "sales:" + path.split(",", 1)[0].strip("/")
    name, *numbers = path.strip("/").split("/")
    if name.lower() == "dir":
        # The people of a name.
        return None
    if len(numbers) < _NUMBERS_OF_PUBLIC:
        return "/".join((name, *numbers))
    first, second, third = numbers[:_NUMBERS_OF_PUBLIC]
    return f"{name}-{third.zfill(3)}{second.zfill(3)}{first}"


def has_identity() -> pl.Expr:
    """True for rows that stand on any rung."""
    return pl.any_horizontal(pl.col(column).is_not_null() for column in IDENTIFYING)


def has_only_name() -> pl.Expr:
    """True for rows that are known by nothing but a name, if by that."""
    return pl.all_horizontal(pl.col("contact_id", "email", LINKEDIN_SLUG).is_null())


@dataclass(frozen=True, slots=True)
class Identity:
    """The values of one row, or one contact, that identify it."""

    contact_id: str | None
    email: str | None
    linkedin_slug: str | None
    name_company: str | None

    @property
    def only_name(self) -> bool:
        """Known by name and company, and by nothing else."""
        return self.contact_id is None and self.email is None and self.linkedin_slug is None


def all_told_apart_by_id(contact_ids: pl.Series) -> bool:
    """Whether every row has a contact id of its own, so that no two rows of the chunk can be one contact."""
    return contact_ids.null_count() == 0 and contact_ids.n_unique() == len(contact_ids)


def may_be_one_person(rows: pl.DataFrame) -> pl.Series:
    """Which rows of a chunk have no contact id of their own, or could be one person with such a row.

    Returns:
        A mask of the rows.
    """
    ids = rows["contact_id"]
    own = ids.is_first_distinct() & ids.is_last_distinct() & ids.is_not_null()
    return ~own | _share(rows, rows.filter(ids.is_null()))


def could_meet(rows: pl.DataFrame, others: pl.DataFrame) -> bool:
    """Whether any row could be one person with any of the others."""
    return (
        bool(rows["contact_id"].is_in(others["contact_id"].drop_nulls().implode()).any())
        or bool(_share(others, rows.filter(rows["contact_id"].is_null())).any())
        or bool(_share(rows, others.filter(others["contact_id"].is_null())).any())
    )


def _share(rows: pl.DataFrame, without_id: pl.DataFrame) -> pl.Series:
    """Which rows share an e-mail or LinkedIn slug with any that has no id, or the name of one that has no more."""
    if not without_id.height:
        return pl.repeat(False, rows.height, dtype=pl.Boolean(), eager=True)
    rungs = {
        "email": without_id["email"],
        LINKEDIN_SLUG: without_id[LINKEDIN_SLUG],
        NAME_COMPANY: without_id.filter(has_only_name())[NAME_COMPANY],
    }
    shared = [pl.col(name).is_in(values.drop_nulls().implode()).fill_null(False) for name, values in rungs.items()]
    return rows.select(pl.any_horizontal(shared)).to_series()


def as_rows(found: Sequence[Identity]) -> pl.DataFrame:
    """The columns `IDENTIFYING` of these identities, in order."""
    return pl.DataFrame(
        {name: [getattr(identity, name) for identity in found] for name in IDENTIFYING},
        schema=dict.fromkeys(IDENTIFYING, pl.String()),
    )


def identities(frame: pl.DataFrame) -> list[Identity]:
    """The identities of a chunk's rows, in order."""
    columns = [frame[name].to_list() for name in IDENTIFYING]
    return [Identity(*values) for values in zip(*columns, strict=True)]
