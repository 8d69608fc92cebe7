"""Where everything in a file went, column by column."""

from __future__ import annotations

from dataclasses import dataclass

from contact_pipeline.database import queries
from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.records import ImportRecord, Totals
from contact_pipeline.importing.planning import ReadingPlan, recalled


@dataclass(frozen=True, kw_only=True)
class ColumnAccount:
    """Where a column of a file went.

    Attributes:
        column: its title.
        field: the field that it feeds; `extra`, its key in `extra`, where it feeds none.
        values: how many it had in the rows that were read for all columns. Rows that are what they were at the last
            import are not.
        told: how many of its values were dropped or changed, by the code of the warning.
        looks_like: the field that it may be meant for, where it feeds none.
    """

    column: str
    field: str | None
    extra: str | None
    values: int
    told: dict[str, int]
    looks_like: str | None = None


def columns_of(connection: Connection, record: ImportRecord) -> list[ColumnAccount]:
    """Every column of an import's file, in order; nothing before the file was looked at."""
    if not record.dialect or not record.mapping:
        return []
    if record.report and "columns" in record.report:
        return [ColumnAccount(**column) for column in record.report["columns"]]
    return accounted(connection, record.upload_id, recalled(record), queries.totals(connection, record.upload_id))


def accounted(connection: Connection, upload_id: str, plan: ReadingPlan, totals: Totals) -> list[ColumnAccount]:
    """The columns of a file that is read by a plan, given the sums over its chunks."""
    values = queries.column_values(connection, upload_id)
    told: dict[str, dict[str, int]] = {}
    for name, count in totals.warnings.items():
        code, _, field = name.partition(":")
        told.setdefault(field, {})[code] = int(count)
    mapping = plan.mapping
    likeness = plan.looks_like or (None,) * len(mapping.fields)
    return [
        ColumnAccount(
            column=title,
            field=field,
            extra=key,
            values=values.get(at, 0),
            told=told.get(field, {}) if field is not None else {},
            looks_like=guess,
        )
        for at, (title, field, key, guess) in enumerate(
            zip(plan.dialect.header, mapping.fields, mapping.extra, likeness, strict=True)
        )
    ]
