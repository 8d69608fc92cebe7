"""Making contacts again from what the imports that still stand contributed to them. Pure.

The outcome is that of importing these again, in order, into an empty table: rows
are matched anew, since a row of an import that is undone may have been what made
two others one contact, or kept them apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from contact_pipeline.contacts.fields import CONSENT_FIELDS
from contact_pipeline.contacts.identity import LINKEDIN_SLUG, NAME_COMPANY, Identity
from contact_pipeline.contacts.resolution import ContactCandidate, Effect, MergePolicy, resolve

Values = dict[str, Any]

_EXTRA: Final = "extra"
_ONCE_ONLY: Final = ("contact_id", NAME_COMPANY)
"""What a contact keeps from the first row that says it."""

_HASHES: Final = ("row_hash", "record_hash")

BEFORE_ALL: Final = (-1, -1)
"""The order of a contact as settled imports have left it."""


@dataclass(frozen=True)
class Import:
    """An import that contributed.

    Attributes:
        ordered_at: its place among all uploads.
        on_existing: what its rows do to contacts that were there before it.
        may_opt_in: whether its rows take back what a contact does not want.
        stands: whether it is neither undone, nor being undone.
    """

    upload_id: str
    ordered_at: datetime
    on_existing: MergePolicy
    stands: bool
    may_opt_in: bool = False


@dataclass(eq=False)
class Contribution:
    """A row of an import, of a contact.

    Attributes:
        key: the contact's key.
        order: chunk, and place within it.
        source: the system whose contact ids the row's file carries.
        values: columns of `contacts`; what is missing is blank.
        is_image: whether the row made the contact.
        made: whether it is kept although it made the contact.
        number: of the stored contributions that it is among; an image is among none.
        base_of: where it is no row but what settled imports have come to: the one that made the contact. A row of an
            older upload only fills its blanks then, as one that comes late does.
        updated_at: when that was changed last.
    """

    key: int
    made_by: Import
    order: tuple[int, int]
    source: str
    values: Values
    is_image: bool = False
    made: bool = False
    number: int | None = None
    base_of: str | None = None
    updated_at: datetime | None = None

    @property
    def identity(self) -> Identity:
        """What identifies it."""
        found = self.values.get
        return Identity(found("contact_id"), found("email"), found(LINKEDIN_SLUG), found(NAME_COMPANY))

    @property
    def place(self) -> tuple[bool, datetime, int, int, int]:
        """Its place in the order of all rows."""
        return (self.base_of is None, self.made_by.ordered_at, *self.order, self.key)


@dataclass(eq=False)
class Contact:
    """A contact, made again.

    Attributes:
        key: None where it is split from another one: it needs a key of its own.
        contributions: the rows that it consists of, in order.
        values: columns of `contacts`.
    """

    key: int | None
    contributions: list[Contribution] = field(default_factory=list)
    values: Values = field(default_factory=dict)

    @property
    def created_by(self) -> str:
        """The import that makes it."""
        first = self.contributions[0]
        return first.base_of or first.made_by.upload_id

    @property
    def updated_by(self) -> str | None:
        """The last import that has a row of it; None where it is as its import made it."""
        alone = len(self.contributions) == 1 and self.contributions[0].is_image
        return None if alone else self._last.made_by.upload_id

    @property
    def updated_at(self) -> datetime | None:
        """When settled imports have changed it, where none that came later has."""
        return self._last.updated_at if self._last.base_of is not None else None

    @property
    def _last(self) -> Contribution:
        return max(self.contributions, key=_when)

    @property
    def ordered_at(self) -> datetime:
        """The place, among all uploads, of the newest one that has a row of it."""
        return max(contribution.made_by.ordered_at for contribution in self.contributions)


def one_by_one(contributions: Iterable[Contribution]) -> list[Contact]:
    """Contacts, each of the rows that it has: for rows that are told apart by their contact ids alone."""
    by_key: defaultdict[int, list[Contribution]] = defaultdict(list)
    for contribution in contributions:
        if contribution.made_by.stands:
            by_key[contribution.key].append(contribution)
    return [_made(Contact(key, sorted(rows, key=_place))) for key, rows in by_key.items()]


def matched_anew(contributions: Iterable[Contribution]) -> list[Contact]:
    """Contacts, of rows that are matched with each other again, from the first one on."""
    rows = sorted((one for one in contributions if one.made_by.stands), key=_place)
    # What settled imports have left are contacts that were there, however alike.
    bases = sorted((one for one in rows if one.base_of is not None), key=lambda one: one.key)
    contacts = {number: Contact(None, [one]) for number, one in enumerate(bases, 1)}
    people = [ContactCandidate(one.identity, number, one.source) for number, one in enumerate(bases, 1)]
    rows = rows[len(bases) :]
    for (made_by, _, source), group in groupby(rows, key=lambda one: (one.made_by, one.order[0], one.source)):
        chunk = list(group)
        for person in people:
            person.rows = []
            person.effect = _effect(made_by, contacts[_number(person)])
        for person in resolve([one.identity for one in chunk], source, people).people:
            if person.key is None:
                # In the order of creation: the resolver reads it from the keys.
                person.key = len(contacts) + 1
                contacts[person.key] = Contact(None)
                people.append(person)
            contacts[person.key].contributions += [chunk[row] for row in person.rows]
    taken: set[int] = set()
    for contact in contacts.values():
        key = next((one.key for one in contact.contributions if one.key not in taken), None)
        if key is not None:
            taken.add(key)
            contact.key = key
    return [_made(contact) for contact in contacts.values()]


def _number(person: ContactCandidate) -> int:
    assert person.key is not None
    return person.key


def _place(contribution: Contribution) -> tuple[bool, datetime, int, int, int]:
    return contribution.place


def _when(contribution: Contribution) -> tuple[datetime, int, int]:
    return (contribution.made_by.ordered_at, *contribution.order)


def _effect(made_by: Import, contact: Contact) -> Effect:
    """What a row of an import does to a contact."""
    first = contact.contributions[0]
    if contact.created_by != made_by.upload_id:
        if made_by.on_existing is MergePolicy.SKIP:
            return Effect.NONE
        if made_by.on_existing is MergePolicy.FILL_BLANKS:
            return Effect.FILL_BLANKS
    is_late = first.base_of is not None and made_by.ordered_at < first.made_by.ordered_at
    return Effect.FILL_BLANKS if is_late else Effect.OVERWRITE


def _made(contact: Contact) -> Contact:
    """Fill in the values that a contact's rows, one after another, come to."""
    first = contact.contributions[0]
    values = dict(first.values)
    source = first.source
    for row in contact.contributions[1:]:
        effect = _effect(row.made_by, contact)
        if effect is Effect.NONE:
            continue
        if values.get("contact_id") is None and row.values.get("contact_id") is not None:
            source = row.source
        for name, value in row.values.items():
            if name in _HASHES or value is None:
                continue
            if name in CONSENT_FIELDS and not row.made_by.may_opt_in:
                values[name] = bool(values.get(name)) or value
            elif name == _EXTRA:
                before = values.get(_EXTRA) or {}
                values[_EXTRA] = before | value if effect is Effect.OVERWRITE else value | before
            elif values.get(name) is None or (effect is Effect.OVERWRITE and name not in _ONCE_ONLY):
                values[name] = value
        if effect is Effect.OVERWRITE:
            values |= {name: row.values.get(name) for name in _HASHES}
    contact.values = values | {"source": source}
    return contact


def shared_identities(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The values, by column, by which rows can be one contact beside their contact ids."""
    return {
        name: sorted({row[name] for row in rows if row.get(name) is not None})
        for name in ("email", LINKEDIN_SLUG, NAME_COMPANY)
    }
