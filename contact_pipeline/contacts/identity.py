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

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final
from unicodedata import normalize
from urllib.parse import unquote

import polars as pl

from contact_pipeline.contacts.emails import unicode_domain

LINKEDIN_SLUG: Final = "linkedin_slug"
NAME_COMPANY: Final = "name_company"
_SLUG: Final = r"(?i)linkedin\.com/(?:mwlite/)?in/([^/?#\s]+)"
_OTHER_PROFILE: Final = r"(?i)linkedin\.com/(?:pub|sales/(?:lead|people)|mwlite/profile)/([^?#\s]+)"
_DOMAIN: Final = r"^(?:[a-z][a-z0-9+.\-]*://)?(?:www\.)?([^/?#:\s]+)"
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
    company = pl.coalesce(pl.lit(domain), pl.col("company").str.to_lowercase())
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
    return pl.any_horizontal(
        pl.col(column).is_not_null() for column in ("contact_id", "email", LINKEDIN_SLUG, NAME_COMPANY)
    )


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


class Effect(Enum):
    """What a row does to the contact that it is: overwrite its values, fill its blanks, or nothing."""

    OVERWRITE = "overwrite"
    FILL_BLANKS = "fill"
    NONE = "none"


@dataclass(slots=True)
class ContactCandidate:
    """A contact as the resolver sees it: one that is in the table, or one that the chunk creates.

    Attributes:
        key: its key in `contacts`, or None while it is new.
        source: the source that its contact id belongs to.
        effect: what a row of this import does to it.
        rows: positions in the chunk of the rows that are this contact, in file order.
    """

    identity: Identity
    key: int | None
    source: str
    effect: Effect = Effect.OVERWRITE
    rows: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Resolution:
    """Who each row of a chunk is, and what was noticed: (position, warning code)."""

    people: list[ContactCandidate]
    warnings: list[tuple[int, str]]


class _Index:
    """The people known so far, by each of their identities."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.by_id: dict[str, ContactCandidate] = {}
        self.lower: tuple[dict[str, list[ContactCandidate]], ...] = ({}, {}, {})

    def add(self, person: ContactCandidate) -> None:
        identity = person.identity
        if identity.contact_id is not None and person.source == self.source:
            self.by_id[identity.contact_id] = person
        for known, value in zip(self.lower, _lower_rungs(identity), strict=True):
            if value is not None:
                known.setdefault(value, []).append(person)

    def moved(self, person: ContactCandidate, before: Identity) -> None:
        """Index a person again whose identity changed."""
        for known, value in zip(self.lower, _lower_rungs(before), strict=True):
            if value is not None:
                known[value] = [other for other in known[value] if other is not person]
        self.add(person)


def _lower_rungs(identity: Identity) -> tuple[str | None, str | None, str | None]:
    return identity.email, identity.linkedin_slug, identity.name_company


def resolve(rows: Sequence[Identity], source: str, contacts: Iterable[ContactCandidate]) -> Resolution:
    """Decide for each row of a chunk whether it is a known contact, an earlier row's, or new.

    The outcome is that of applying the rows one by one, in order.

    Args:
        rows: the identities of the chunk's rows.
        source: the system whose contact ids the file carries.
        contacts: every contact in the table that shares an identity with any row.
    """
    index = _Index(source)
    for person in contacts:
        index.add(person)
    touched: dict[int, ContactCandidate] = {}
    warnings: list[tuple[int, str]] = []
    for position, row in enumerate(rows):
        found, warning = _find(index, row)
        if warning is not None:
            warnings.append((position, warning))
        if found is None:
            person = ContactCandidate(row, None, source)
            index.add(person)
        else:
            person = found
            before = person.identity
            after = _merged(before, row, person.effect)
            if after != before:
                if before.contact_id is None and after.contact_id is not None:
                    person.source = source
                person.identity = after
                index.moved(person, before)
        person.rows.append(position)
        touched[id(person)] = person
    return Resolution(list(touched.values()), warnings)


def _find(index: _Index, row: Identity) -> tuple[ContactCandidate | None, str | None]:
    by_email, by_slug, by_name = index.lower
    if row.contact_id is not None:
        known = index.by_id.get(row.contact_id)
        if known is not None:
            stranger = row.email is not None and any(
                other is not known and other.identity.contact_id is None for other in by_email.get(row.email, ())
            )
            return known, "identity_conflict" if stranger else None
    warning = None
    if row.email is not None:
        person, ambiguous = _choose(by_email.get(row.email, ()), row)
        if person is not None:
            return person, None
        warning = "ambiguous_email" if ambiguous else None
    if row.linkedin_slug is not None:
        person, _ = _choose(by_slug.get(row.linkedin_slug, ()), row)
        if person is not None:
            return person, warning
    if row.name_company is not None:
        namesakes = by_name.get(row.name_company, ())
        if not row.only_name:
            namesakes = [person for person in namesakes if person.identity.only_name]
        person, _ = _choose(namesakes, row)
        if person is not None:
            return person, warning
    return None, warning


def _choose(candidates: Sequence[ContactCandidate], row: Identity) -> tuple[ContactCandidate | None, bool]:
    """The one candidate that the row can be, and whether there were several with ids to choose from."""
    without_id = [person for person in candidates if person.identity.contact_id is None]
    if without_id:
        return min(without_id, key=_age), False
    if row.contact_id is not None or not candidates:
        return None, False
    return (candidates[0], False) if len(candidates) == 1 else (None, True)


def _age(person: ContactCandidate) -> tuple[bool, int]:
    """Orders contacts by when they came to be: those in the table, then those that earlier rows create."""
    return (False, person.key) if person.key is not None else (True, person.rows[0])


def _merged(contact: Identity, row: Identity, effect: Effect) -> Identity:
    if effect is Effect.NONE:
        return contact
    first, second = (contact, row) if effect is Effect.FILL_BLANKS else (row, contact)
    return replace(
        contact,
        contact_id=contact.contact_id or row.contact_id,
        email=first.email or second.email,
        linkedin_slug=first.linkedin_slug or second.linkedin_slug,
        name_company=contact.name_company or row.name_company,
    )


def all_told_apart_by_id(contact_ids: pl.Series) -> bool:
    """Whether every row has a contact id of its own, so that no two rows of the chunk can be one contact."""
    return contact_ids.null_count() == 0 and contact_ids.n_unique() == len(contact_ids)


def identities(frame: pl.DataFrame) -> list[Identity]:
    """The identities of a chunk's rows, in order."""
    columns = [frame[name].to_list() for name in ("contact_id", "email", LINKEDIN_SLUG, NAME_COMPANY)]
    return [Identity(*values) for values in zip(*columns, strict=True)]


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
    """Whether two names are of different people: the first names differ, or the last ones where those are blank.

    Who marries changes the last name, and `Rob` is short for `Robert`, `A.` for `Ada`.
    """
    if one is None or other is None:
        return False
    for mine, theirs in zip(one, other, strict=True):
        if mine and theirs:
            short, long = sorted((mine.rstrip("."), theirs.rstrip(".")), key=len)
            return not long.startswith(short)
    return False


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
