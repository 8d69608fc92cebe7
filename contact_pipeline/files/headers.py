"""From a file's column titles to contact fields."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from contact_pipeline.contacts.fields import FIELDS
from contact_pipeline.files.errors import FileRefused

_INVISIBLE: Final = re.compile("[\u200b\u200c\u200d\u2060\ufeff]")
_SEPARATORS: Final = re.compile(r"[_\-./#\s]+")

# Contact ids of different systems must never share a key, so each title says whose ids they are.
_SOURCE_OF_ID: Final = {
    "apollo contact id": "apollo",
    "record id": "hubspot",
    "record id contact": "hubspot",
    "zoominfo contact id": "zoominfo",
    "vmid": "phantombuster",
}
_ONLY_APOLLO: Final = "company name for emails"
UNKNOWN_SOURCE: Final = "other"


@dataclass(frozen=True)
class Mapping:
    """Which column of the file feeds which field.

    Attributes:
        fields: for each column of the file, the field that it feeds, or None.
        extra: for each column, its key in `contacts.extra`, or None where it feeds a field.
        source: the system whose contact ids the file carries.
    """

    fields: tuple[str | None, ...]
    extra: tuple[str | None, ...]
    source: str


def normalise(title: str) -> str:
    """`Person_Linkedin-URL ` to `person linkedin url`: what titles are compared by."""
    visible = _INVISIBLE.sub("", unicodedata.normalize("NFKC", title))
    return _SEPARATORS.sub(" ", visible).strip().lower()


def _known_titles() -> list[list[str]]:
    """For each field, its normalised titles, best first: its name, Apollo's headers, then the aliases."""
    known = []
    for field in FIELDS:
        titles = [normalise(field.name), *map(normalise, field.headers), *field.aliases]
        known.append(list(dict.fromkeys(titles)))
    return known


_TITLES: Final = _known_titles()
_DEEPEST: Final = max(len(titles) for titles in _TITLES)


def map_header(header: Sequence[str]) -> Mapping:
    """Match a file's titles to fields: whole titles, exactly, each column claimed once.

    Where several columns could feed one field, the better title wins, then the
    one that comes first. A column that feeds no field goes to `extra`.

    Raises:
        FileRefused: no column, or no pair of columns, can say who a row is.
    """
    normalised = [normalise(title) for title in header]
    positions: dict[str, list[int]] = {}
    for position, title in enumerate(normalised):
        positions.setdefault(title, []).append(position)

    fields: list[str | None] = [None] * len(header)
    fed: set[str] = set()
    for rank in range(_DEEPEST):
        for field, titles in zip(FIELDS, _TITLES, strict=True):
            if field.name in fed or rank >= len(titles):
                continue
            free = [at for at in positions.get(titles[rank], ()) if fields[at] is None]
            if free:
                fields[free[0]] = field.name
                fed.add(field.name)

    _require_identity(header, fed)
    return Mapping(tuple(fields), _extra_keys(header, fields), _source(normalised, fields))


def _extra_keys(header: Sequence[str], fields: Sequence[str | None]) -> tuple[str | None, ...]:
    """Keys under which unmapped columns are kept; a second column of the same title gets `__2`."""
    taken: dict[str, int] = {}
    keys: list[str | None] = []
    for position, (title, field) in enumerate(zip(header, fields, strict=True)):
        if field is not None:
            keys.append(None)
            continue
        key = _INVISIBLE.sub("", title).replace("\x00", "").strip() or f"column_{position + 1}"
        taken[key] = taken.get(key, 0) + 1
        keys.append(key if taken[key] == 1 else f"{key}__{taken[key]}")
    return tuple(keys)


def _source(normalised: Sequence[str], fields: Sequence[str | None]) -> str:
    if "contact_id" in fields:
        title = normalised[fields.index("contact_id")]
        if title in _SOURCE_OF_ID:
            return _SOURCE_OF_ID[title]
    return "apollo" if _ONLY_APOLLO in normalised else UNKNOWN_SOURCE


def _require_identity(header: Sequence[str], fed: set[str]) -> None:
    if fed & {"contact_id", "email", "person_linkedin_url"}:
        return
    if fed & {"first_name", "last_name"} and fed & {"company", "website"}:
        return
    shown = ", ".join(repr(title[:60]) for title in header[:40]) + (", …" if len(header) > 40 else "")
    if len(header) == 1:
        raise FileRefused(
            "no_columns",
            f"the file has one column only ({shown}): it is not a comma-separated table with a header row",
        )
    raise FileRefused(
        "no_identity_column",
        "no column says who a contact is: a contact id, an e-mail, a LinkedIn address, or a name with a "
        f"company is needed; an export of companies cannot be imported as contacts. Columns found: {shown}",
    )
