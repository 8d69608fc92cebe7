"""Which rows of a chunk are one person, and which contact each person is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum

from contact_pipeline.contacts.identity import Identity


class MergePolicy(StrEnum):
    """What the rows of an import do to contacts that were there before it."""

    UPDATE = "update"
    FILL_BLANKS = "fill_blanks"
    SKIP = "skip"


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
    """Orders contacts by age: those in the table, then those that earlier rows create."""
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
