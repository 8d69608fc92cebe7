"""Column titles: how they are compared, and which ones contact files have."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from contact_pipeline.contacts.fields import (
    FIELDS,
    FULL_NAME_TITLES,
)
from contact_pipeline.contacts.name_titles import LOCAL_FULL_NAMES
from contact_pipeline.contacts.titles import LOCAL_EXTRAS, LOCAL_TITLES

TITLES_A_VALUE: Final = 3


INVISIBLE: Final = re.compile("[\u200b\u200c\u200d\u2060\ufeff]")

_SEPARATORS: Final = re.compile(r"[_\-\u2010-\u2015./#()\[\]:\s]+")

_ASIDE: Final = re.compile(r"\s*\((?:y/n|yes/no|true/false|ja/nein|oui/non|0/1|dnc)\)\s*$", re.IGNORECASE)

_SIGNED_SEPARATORS: Final = re.compile(r"[_\-./#()\[\]:\s]+")

_SALESFORCE: Final = re.compile(r"__c$")

_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_DATA: Final = re.compile(r"\S@\S+\.\S|^\s*https?://\S+\s*$|^\s*\+?\d[\d\s.-]{5,}$")

_MAX_TITLE_LENGTH: Final = 200

DO_NOT_CONTACT: Final = frozenset(
    {"do not contact", "donotcontact", "nicht kontaktieren", "kontaktsperre", "robinsonliste", "no contactar",
     "ne pas contacter", "não contatar", "não contactar", "non contattare", "niet contacteren", "nie kontaktować"}
)  # fmt: skip

# Titles that feed no field but show that a row is a header.
_KNOWN_EXTRAS: Final = frozenset(
    {
        "id", "salutation", "middle name", "suffix", "name prefix", "name suffix", "nickname", "birthday", "notes",
        "fax", "lead source", "description", "zip", "zip code", "postal code", "mailing zip postal code",
        "connected on",
        "department", "create date", "last activity date", "source", "index", "photo", "file as", "company description",
    }
)  # fmt: skip


def _visible(title: str) -> str:
    return INVISIBLE.sub("", unicodedata.normalize("NFKC", title))


def normalise(title: str) -> str:
    """`Person_Linkedin-URL ` to `person linkedin url`: what titles are compared by."""
    visible = _visible(title)
    # `Email*` is a field that must be filled, `Opted Out?` a question; Salesforce ends its custom fields with `__c`.
    plain = _SALESFORCE.sub("", _ASIDE.sub("", visible).replace('"', "").replace("’", "'").strip())
    return _SEPARATORS.sub(" ", plain).strip(" '").rstrip("*?! ").lower()


def _known_titles() -> list[list[str]]:
    """For each field, its normalised titles, best first."""
    return [
        list(
            dict.fromkeys(
                [
                    *known.before,
                    normalise(known.name),
                    *map(normalise, known.headers),
                    *known.aliases,
                    *map(normalise, LOCAL_TITLES.get(known.name, ())),
                ]
            )
        )
        for known in FIELDS
    ]


TITLES_OF_FIELDS: Final = _known_titles()

DEEPEST_TITLE: Final = max(len(titles) for titles in TITLES_OF_FIELDS)

FULL_NAMES: Final = (*FULL_NAME_TITLES, *map(normalise, LOCAL_FULL_NAMES))

ALL_TITLES: Final = frozenset(title for titles in TITLES_OF_FIELDS for title in titles) | frozenset(FULL_NAMES)

KNOWN_TITLES: Final = ALL_TITLES | _KNOWN_EXTRAS | frozenset(map(normalise, LOCAL_EXTRAS))
"""Every normalised title that shows that a row is a header."""

FIELD_BY_TITLE: Final = {
    title: known.name for known, titles in reversed([*zip(FIELDS, TITLES_OF_FIELDS, strict=True)]) for title in titles
}


@lru_cache(maxsize=4096)
def title_key(title: str) -> str:
    """The normalised title; `MailingStreet` is read as two words where it is not known as one."""
    plain = normalise(title)
    if plain in ALL_TITLES:
        return plain
    words = normalise(_CAMEL.sub(" ", title))
    return words if words in ALL_TITLES else plain


def field_of(title: str) -> str | None:
    """The field that a title means by itself, if it means one."""
    return FIELD_BY_TITLE.get(title_key(title))


def is_known(title: str) -> bool:
    """Whether contact files have a title."""
    return title_key(title) in KNOWN_TITLES


def says_who(titles: Sequence[str]) -> bool:
    """Whether a row of titles has one that says who somebody is: an e-mail, a profile, a contact id, a name."""
    return any(
        field_of(title) in WHO_FIELDS or title_key(title) in FULL_NAMES
        for title in titles
        if len(title) <= _MAX_TITLE_LENGTH
    )


def count_known(cells: Sequence[str]) -> int:
    """How many different cells of a row are titles that contact files have: what tells a header row.

    A row with addresses or numbers in it is data, whatever words stand beside; a header may hold one, as the title of a
    column of somebody's own.
    """
    titles = {title_key(cell) for cell in cells if len(cell) <= _MAX_TITLE_LENGTH}
    known = len(titles & KNOWN_TITLES)
    values = sum(_DATA.search(cell) is not None for cell in cells)
    return known if known >= TITLES_A_VALUE * values else 0


def signature(header: Sequence[str]) -> str:
    """What a mapping of one's own is remembered by: the titles and their order, whatever their case."""
    return hashlib.sha256("\n".join(map(_as_signed, header)).encode("utf-8", "surrogatepass")).hexdigest()


def _as_signed(title: str) -> str:
    """A title as signatures have it: it must never change, since they are in the database."""
    plain = _visible(title).replace('"', "").replace("’", "'")
    return _SIGNED_SEPARATORS.sub(" ", plain).strip(" '").lower()


WHO_FIELDS: Final = frozenset({"email", "person_linkedin_url", "contact_id", "first_name", "last_name"})
