"""The first rows of a file as an import would store them, with what is wrong in their cells."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from contact_pipeline.contacts.fields import FIELD_BY_NAME, FULL_NAME
from contact_pipeline.database.batch_columns import EXTRA, ROW_INDEX
from contact_pipeline.files.chunks import Chunk
from contact_pipeline.importing.chunks import CellWarning, PreparedChunk
from contact_pipeline.importing.options import ImportOptions
from contact_pipeline.importing.planning import ReadingPlan
from contact_pipeline.importing.prepare import Preparer

ROWS: Final = 100
"""As many are shown."""

_MAX_SHOWN: Final = 500


@dataclass(frozen=True, kw_only=True)
class SeenMark:
    """What is wrong with a cell: `column` is its place among the cells, or None where the row is meant."""

    column: int | None
    code: str


@dataclass(frozen=True, kw_only=True)
class SeenRow:
    """A row as it would be stored: a cell for each column of the file, then for each of `further`.

    Of a row that would be rejected the cells are as they are in the file.
    """

    row: int
    line: int
    rejected: bool
    cells: list[str | None]
    marks: list[SeenMark]


def seen_rows(plan: ReadingPlan, chunk: Chunk, options: ImportOptions) -> tuple[list[str], list[SeenRow]]:
    """The fields that get values though no column feeds them, and the first rows of a chunk."""
    chunk = chunk.first(ROWS)
    strict = options.strictness == "strict"
    prepared = Preparer(plan, strict=strict, may_opt_in=options.may_opt_in, noting_cells=True).prepare(chunk)
    assert isinstance(prepared, PreparedChunk)
    places = {field: at for at, field in enumerate(plan.mapping.fields) if field is not None}
    stored = {row[ROW_INDEX]: row for row in prepared.contacts.rows(named=True)}
    further = _further(prepared, places)
    written = dict(zip(chunk.row_indexes, chunk.table.rows(), strict=True))
    rejects = {reject.row - chunk.start.row: reject for reject in prepared.rejects}
    titles = {title: at for at, title in enumerate(plan.dialect.header)}
    marks = _marks(prepared.cells, places, further, len(plan.dialect.header))
    rows = []
    for index in sorted(stored.keys() | rejects.keys()):
        reject = rejects.get(index)
        if reject is None:
            cells = _stored_cells(plan, stored[index], written[index]) + [
                _text(stored[index][name]) for name in further
            ]
            found = marks.get(index, [])
        else:
            cells = [shown(cell) or None for cell in written.get(index, ())] or [None] * len(titles)
            cells += [None] * (len(titles) + len(further) - len(cells))
            found = [
                SeenMark(column=titles.get(column), code=code)
                for code, column in zip(reject.codes, reject.columns, strict=True)
            ]
        rows.append(
            SeenRow(
                row=chunk.start.row + index,
                line=chunk.line_of(index),
                rejected=reject is not None,
                cells=cells,
                marks=found,
            )
        )
    return further, rows


def _marks(
    warned: Sequence[CellWarning], places: dict[str, int], further: Sequence[str], width: int
) -> dict[int, list[SeenMark]]:
    marks: dict[int, list[SeenMark]] = {}
    for one in warned:
        at = places.get(one.field)
        if at is None and one.field in ("first_name", "last_name"):
            at = places.get(FULL_NAME)
        if at is None and one.field in further:
            at = width + further.index(one.field)
        marks.setdefault(one.row_index, []).append(SeenMark(column=at, code=one.code))
    return marks


def _stored_cells(plan: ReadingPlan, contact: dict[str, Any], written: Sequence[str]) -> list[str | None]:
    extra = json.loads(contact[EXTRA]) if contact[EXTRA] else {}
    cells: list[str | None] = []
    for at, (field, key) in enumerate(zip(plan.mapping.fields, plan.mapping.extra, strict=True)):
        if field == FULL_NAME:
            names = (contact.get("first_name"), contact.get("last_name"))
            cells.append(_text(" ".join(name for name in names if name) or None))
        elif field is not None:
            cells.append(_text(contact.get(field)))
        else:
            cells.append(_text(extra.get(key)) if key is not None else shown(written[at]) or None)
    return cells


def _further(prepared: PreparedChunk, places: dict[str, int]) -> list[str]:
    """Fields that have values here and no column of their own."""
    named = set(places) | ({"first_name", "last_name"} if FULL_NAME in places else set())
    return [
        name
        for name in prepared.contacts.columns
        if name in FIELD_BY_NAME and name not in named and prepared.contacts[name].count()
    ]


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    return shown(str(value))


def shown(text: str) -> str:
    """A value as a page takes it: not longer than anybody looks at."""
    text = text.strip()
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…"
