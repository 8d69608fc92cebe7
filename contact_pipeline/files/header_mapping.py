"""From a file's column titles to contact fields."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count
from typing import Final

from contact_pipeline.contacts.fields import CONSENT_FIELDS, FIELD_BY_NAME, FIELDS, FULL_NAME, THOUSANDS_TITLES
from contact_pipeline.errors import FileRefused
from contact_pipeline.files.titles import (
    ALL_TITLES,
    DEEPEST_TITLE,
    DO_NOT_CONTACT,
    FIELD_BY_TITLE,
    FULL_NAMES,
    INVISIBLE,
    TITLES_OF_FIELDS,
    normalise,
    signature,
    title_key,
)
from contact_pipeline.files.vendors import UNKNOWN_SOURCE, recognise_source, retitle

EXTRA: Final = "extra"
"""In a mapping of one's own: keep the column under its own title."""

_SHOWN: Final = 40

IDS_OF_SYSTEMS: Final = frozenset({"apollo contact id", "zoominfo contact id", "record id contact", "vmid"})
"""Titles of ids that tell people apart by themselves, whatever stands beside."""


@dataclass(frozen=True)
class HeaderMapping:
    """Which column of the file feeds which field.

    Attributes:
        fields: for each column of the file, the field that it feeds, or None. `full_name` feeds two.
        extra: for each column, its key in `contacts.extra`, or None where it feeds a field.
        refusals: columns that say no as well, beside the one that feeds the field: position and field.
        keys: for each column, the key that a value of it is kept under where its field does not take it.
        source: the system whose contact ids the file carries.
        thousands: fields whose column counts in thousands.
    """

    fields: tuple[str | None, ...]
    extra: tuple[str | None, ...]
    source: str
    thousands: tuple[str, ...] = field(default=())
    keys: tuple[str, ...] = field(default=())
    refusals: tuple[tuple[int, str], ...] = field(default=())

    def without(self, name: str) -> HeaderMapping:
        """The same where a column is kept under its title, and feeds its field no more."""
        at = self.fields.index(name)
        fields = (*self.fields[:at], None, *self.fields[at + 1 :])
        extra = (*self.extra[:at], self.keys[at], *self.extra[at + 1 :])
        return replace(self, fields=fields, extra=extra)

    def is_of_a_system(self, name: str, header: Sequence[str]) -> bool:
        """Whether a field's column has the title of the ids that a system gives to its contacts."""
        return name in self.fields and title_key(header[self.fields.index(name)]) in IDS_OF_SYSTEMS


def map_header(header: Sequence[str], own: Mapping[str, str] | None = None, source: str | None = None) -> HeaderMapping:
    """Match a file's titles to fields: whole titles, exactly, each column claimed once.

    Where several columns could feed one field, the better title wins, then the
    one that comes first. A column that feeds no field goes to `extra`.

    Args:
        header: the titles, as written.
        own: title to field, `full_name` or `extra`, for columns that are to be mapped otherwise than by their titles.
        source: the system whose contact ids the file carries, where that is known.

    Raises:
        FileRefused: no column, or no pair of columns, can say who a row is; or `own` does not fit the file.
    """
    titles = retitle([title_key(title) for title in header], ALL_TITLES)
    found_source = recognise_source(titles)
    fields: list[str | None] = [None] * len(header)
    settled = _apply_own(header, own or {}, fields)
    if found_source == "salesforce":
        # In files of no known system an `Id` is the number of a row, more often than of a person.
        titles = ["salesforce id" if title == "id" else title for title in titles]
    positions: dict[str, list[int]] = {}
    for position, title in enumerate(titles):
        if position not in settled:
            positions.setdefault(title, []).append(position)
    _claim(positions, fields)
    _claim_full_name(positions, fields)
    if "company_phone" not in fields and "corporate_phone" in fields:
        at = fields.index("corporate_phone")
        if titles[at] == "hq phone":
            fields[at] = "company_phone"
    _require_people(header, titles, fields, settled)
    keys = _keys(header)
    return HeaderMapping(
        tuple(fields),
        tuple(None if name is not None else key for key, name in zip(keys, fields, strict=True)),
        source or _source(found_source, header, fields),
        tuple(
            name for name, title in zip(fields, titles, strict=True) if name is not None and title in THOUSANDS_TITLES
        ),
        keys,
        _further_refusals(titles, fields, settled),
    )


def map_known_titles(header: Sequence[str]) -> tuple[str | None, ...]:
    """For each column the field that its title names; whether that says who a row is, is not asked."""
    titles = retitle([title_key(title) for title in header], ALL_TITLES)
    fields: list[str | None] = [None] * len(header)
    positions: dict[str, list[int]] = {}
    for position, title in enumerate(titles):
        positions.setdefault(title, []).append(position)
    _claim(positions, fields)
    _claim_full_name(positions, fields)
    return tuple(fields)


def _apply_own(header: Sequence[str], own: Mapping[str, str], fields: list[str | None]) -> set[int]:
    """Map the columns that the user named; returns their positions."""
    settled: set[int] = set()
    normalised = [normalise(title) for title in header]
    for title, target in own.items():
        if target not in {EXTRA, FULL_NAME, *FIELD_BY_NAME}:
            raise FileRefused(
                "unknown_field",
                f"the mapping sends the column {title[:60]!r} to {target[:60]!r}, which is no field: "
                "the data dictionary (docs/reference/fields.md) lists them",
            )
        if target != EXTRA and target in fields:
            raise FileRefused("field_mapped_twice", f"the mapping sends two columns to the field {target!r}")
        exact = [at for at, known in enumerate(header) if known == title and at not in settled]
        alike = [at for at, known in enumerate(normalised) if known == normalise(title) and at not in settled]
        found = exact or alike
        if not found:
            raise FileRefused(
                "unknown_column",
                f"the mapping names a column {title[:60]!r}, and the file has none. Columns found: {_shown(header)}",
            )
        settled.add(found[0])
        fields[found[0]] = None if target == EXTRA else target
    return settled


def _claim(positions: Mapping[str, list[int]], fields: list[str | None]) -> None:
    fed = {name for name in fields if name is not None}
    for rank in range(DEEPEST_TITLE):
        for known, titles in zip(FIELDS, TITLES_OF_FIELDS, strict=True):
            if known.name in fed or rank >= len(titles):
                continue
            free = [at for at in positions.get(titles[rank], ()) if fields[at] is None]
            if free:
                fields[free[0]] = known.name
                fed.add(known.name)


def _claim_full_name(positions: Mapping[str, list[int]], fields: list[str | None]) -> None:
    """A column of whole names is split where no column has the first or the last name."""
    if {"first_name", "last_name", FULL_NAME} & set(fields):
        return
    for title in FULL_NAMES:
        free = [at for at in positions.get(title, ()) if fields[at] is None]
        if free:
            fields[free[0]] = FULL_NAME
            return


def _further_refusals(
    titles: Sequence[str], fields: Sequence[str | None], settled: Collection[int]
) -> tuple[tuple[int, str], ...]:
    """`Unsubscribed` and `Opt Out Date` beside each other: a no in either is one. `Do Not Contact` is two."""
    found = []
    for at, (title, fed) in enumerate(zip(titles, fields, strict=True)):
        if at in settled:
            continue
        meant = CONSENT_FIELDS[:2] if title in DO_NOT_CONTACT else (FIELD_BY_TITLE.get(title),)
        found += [(at, name) for name in meant if name in CONSENT_FIELDS and name != fed]
    return tuple(found)


def _keys(header: Sequence[str]) -> tuple[str, ...]:
    """A key of its own for each column: its title; a second column of the same title gets `__2`."""
    plain = [
        INVISIBLE.sub("", title).replace("\x00", "").strip() or f"column_{position + 1}"
        for position, title in enumerate(header)
    ]
    taken: set[str] = set()
    keys = []
    for title in plain:
        # `Foo__2` may be a title as well.
        spellings = chain([title], (key for n in count(2) if (key := f"{title}__{n}") not in plain))
        keys.append(next(key for key in spellings if key not in taken))
        taken.add(keys[-1])
    return tuple(keys)


def _source(found: str, header: Sequence[str], fields: Sequence[str | None]) -> str:
    """The system that gave the contact ids. For an unknown one, a name made of the file's titles."""
    if found != UNKNOWN_SOURCE or "contact_id" not in fields:
        return found
    return f"{UNKNOWN_SOURCE}-{signature(header)[:8]}"


_OF_A_PERSON: Final = frozenset(
    {
        "first_name",
        "last_name",
        "email",
        "secondary_email",
        "person_linkedin_url",
        "title",
        "mobile_phone",
        "home_phone",
    }
)

_ID_OF_A_PERSON: Final = frozenset(
    {"apollo contact id", "contact id", "record id contact", "zoominfo contact id", "vmid", "lead id"}
)


def _require_people(
    header: Sequence[str], titles: Sequence[str], fields: Sequence[str | None], settled: Collection[int]
) -> None:
    """Refuse a file that cannot say who its rows are, such as an export of companies."""
    fed = {name for name in fields if name is not None}
    if fed & {"email", "secondary_email", "person_linkedin_url"}:
        return
    # An id, or a lone `Name`, beside nothing but a company's data is the company's.
    of_people = bool(fed & _OF_A_PERSON) or (FULL_NAME in fed and "company" in fed)
    if "contact_id" in fed:
        at = fields.index("contact_id")
        if of_people or at in settled or titles[at] in _ID_OF_A_PERSON:
            return
    if of_people and fed & {"first_name", "last_name", FULL_NAME} and fed & {"company", "website"}:
        return
    if len(header) == 1:
        raise FileRefused(
            "no_columns",
            f"the file has one column only ({_shown(header)}): it is no table of contacts, or its delimiter was not "
            "recognised",
        )
    raise FileRefused(
        "no_identity_column",
        "no column says who a contact is: a contact id, an e-mail, a LinkedIn address, or a name with a "
        f"company is needed; an export of companies cannot be imported as contacts. Columns found: {_shown(header)}",
    )


def _shown(header: Sequence[str]) -> str:
    return ", ".join(repr(title[:60]) for title in header[:_SHOWN]) + (", …" if len(header) > _SHOWN else "")
