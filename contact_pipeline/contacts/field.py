"""What a contact field is: its kind, its bounds and the titles that it goes by."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """The kind of value that a field holds; it decides cleaner, checks and column type."""

    TEXT = "text"
    LONG_TEXT = "long text"
    IDENTIFIER = "identifier"
    EMAIL = "email"
    PHONE = "phone"
    URL = "url"
    AMOUNT = "amount"
    INTEGER = "integer"
    SCORE = "score"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"


@dataclass(frozen=True)
class Field:
    """One canonical contact field.

    Attributes:
        name: snake_case name, also the column in Postgres.
        kind: what sort of value it holds.
        headers: its titles in Apollo exports, newest last.
        aliases: titles that other systems use, already normalised, best first.
        before: such titles that are better than the field's own: beside `Job Title`, a `Title` is Mr or Dr.
        personal: whether a value says something about a person.
        maximum: largest number accepted, for numeric kinds.
        says_no: whether true says what must not be done; no file turns it back, unless its import says so.
    """

    name: str
    kind: Kind
    headers: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    personal: bool = False
    maximum: int | None = None
    says_no: bool = False


def _aliases(text: str) -> tuple[str, ...]:
    return tuple(alias.strip() for alias in text.split(",") if alias.strip())


def field(
    name: str,
    kind: Kind,
    headers: str,
    aliases: str = "",
    *,
    before: str = "",
    personal: bool = False,
    maximum: int | None = None,
    says_no: bool = False,
) -> Field:
    """A row of the table of fields, its titles written with `|` between them, its aliases with commas."""
    titles = tuple(headers.split("|"))
    return Field(name, kind, titles, _aliases(aliases), _aliases(before), personal, maximum, says_no)
