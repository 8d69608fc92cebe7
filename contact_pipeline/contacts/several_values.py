"""Cells that hold several e-mails or phones: the first stays, the others go where there is room."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import polars as pl

from contact_pipeline.contacts import emails, phones
from contact_pipeline.contacts.field import Kind
from contact_pipeline.contacts.fields import FIELD_BY_NAME


def with_values(column: pl.Series, values: Mapping[int, Any]) -> pl.Series:
    """The column with some values put in."""
    if not values:
        return column
    sparse: list[Any] = [None] * len(column)
    for row, value in values.items():
        sparse[row] = value
    put = pl.Series(column.name, sparse, dtype=column.dtype)
    return put.zip_with(put.is_not_null(), column)


Moved = dict[str, dict[int, str]]


def spread(
    columns: dict[str, pl.Series], further: Mapping[str, dict[int, list[str]]], height: int
) -> tuple[dict[str, list[int]], Moved]:
    """Put the second and third e-mail of a cell, and its second phone, into fields of the row that are empty.

    Returns:
        For each field, the rows where something was left that found no place; and which values were moved where.
    """
    shortened = {}
    moved: Moved = {}
    for name, others in further.items():
        rest = dict(others)
        places = ("secondary_email", "tertiary_email") if FIELD_BY_NAME[name].kind is Kind.EMAIL else ("other_phone",)
        for place in places:
            if not rest or place == name:
                continue
            held = columns.get(place)
            if held is None:
                held = pl.repeat(None, height, dtype=pl.String(), eager=True)
            free = [row for row in rest if held[row] is None]
            columns[place] = with_values(held, {row: rest[row][0] for row in free})
            moved.setdefault(place, {}).update(dict.fromkeys(free, name))
            rest |= {row: rest[row][1:] for row in free}
            rest = {row: values for row, values in rest.items() if values}
        if rest:
            shortened[name] = sorted(rest)
    return shortened, moved


def promote(columns: dict[str, pl.Series], moved_before: Moved) -> None:
    """Make the second or third e-mail the first one of a row that nothing above an e-mail identifies."""
    for other in ("secondary_email", "tertiary_email"):
        if other not in columns:
            continue
        found = columns[other]
        first = columns.get("email", pl.repeat(None, len(found), dtype=pl.String(), eager=True))
        moved = found.is_not_null() & first.is_null()
        if "contact_id" in columns:
            moved &= columns["contact_id"].is_null()
        # Asked of these few only: the expression that asks a whole column takes tens of MB for its automaton.
        rows = [row for row in moved.arg_true().to_list() if emails.is_address(found[row])]
        if rows:
            columns["email"] = with_values(first.alias("email"), {row: found[row] for row in rows})
            columns[other] = found.scatter(rows, None)
            moved_before.setdefault("email", {}).update(dict.fromkeys(rows, other))


class Cell(NamedTuple):
    """What a cell holds: its values, whether that is all of it, and whether each can be one."""

    values: list[str]
    whole: bool
    possible: bool


def _emails_of(text: str) -> Cell:
    return Cell(*emails.addresses(text), possible=True)


def _phones_of(text: str) -> Cell:
    return Cell(*phones.phones(text))


SEVERAL: Final[dict[Kind, Callable[[str], Cell]]] = {Kind.EMAIL: _emails_of, Kind.PHONE: _phones_of}
