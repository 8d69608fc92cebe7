"""Where everything in a file went: each column, what it feeds, how many values it had, what was told of them."""

from __future__ import annotations

from typing import Any

from psycopg.rows import DictRow

from contact_pipeline.database import queries
from contact_pipeline.database.postgres import Connection
from contact_pipeline.importing.planning import ReadingPlan, recalled


def columns_of(connection: Connection, record: DictRow) -> list[dict[str, Any]]:
    """Every column of an import's file, in order; nothing before the file was looked at.

    Each has its title as `column`, its `field` or its key in `extra`; `values`, how many it had in the rows that were
    read for all columns (rows that are what they were at the last import are not); `told`, by code, how many values
    were dropped or changed; `looks_like`, the field that it may be meant for, where it feeds none.
    """
    if not record["dialect"] or not record["mapping"]:
        return []
    if record["report"]:
        columns: list[dict[str, Any]] = record["report"]["columns"]
        return columns
    return accounted(connection, record["upload_id"], recalled(record), queries.totals(connection, record["upload_id"]))


def accounted(connection: Connection, upload_id: str, plan: ReadingPlan, totals: DictRow) -> list[dict[str, Any]]:
    """The columns of a file that is read by a plan, given the sums over its chunks."""
    values = queries.column_values(connection, upload_id)
    told: dict[str, dict[str, int]] = {}
    for name, count in totals["warnings"].items():
        code, _, field = name.partition(":")
        told.setdefault(field, {})[code] = int(count)
    mapping = plan.mapping
    likeness = plan.looks_like or (None,) * len(mapping.fields)
    return [
        {
            "column": title,
            "field": field,
            "extra": key,
            "values": values.get(at, 0),
            "told": told.get(field or "", {}) if field is not None else {},
            "looks_like": guess,
        }
        for at, (title, field, key, guess) in enumerate(
            zip(plan.dialect.header, mapping.fields, mapping.extra, likeness, strict=True)
        )
    ]
