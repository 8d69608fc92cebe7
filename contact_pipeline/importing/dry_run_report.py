"""What an import would do: the report of one that was only tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from contact_pipeline.contacts.messages import MESSAGES
from contact_pipeline.database import queries
from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.records import ImportRecord
from contact_pipeline.importing.column_accounts import ColumnAccount, accounted
from contact_pipeline.importing.planning import ReadingPlan

_EACH: Final = 5


def report(connection: Connection, upload_id: str, plan: ReadingPlan, stopped: str | None) -> dict[str, Any]:
    """What the dry run found, without any value of a contact.

    Args:
        connection: the one that the import was tried on.
        stopped: why the import would stop early, if it would.
    """
    return {
        "stopped": stopped,
        "rejects_by_column": [asdict(one) for one in queries.rejects_by_code_and_column(connection, upload_id)],
        "rejects_by_code": queries.rejects_by_code(connection, upload_id),
        "first_errors": [asdict(reject) for reject in queries.first_rejects(connection, upload_id, _EACH)],
        "noted_rows": queries.noted_rows(connection, upload_id),
        **decisions(plan),
        "columns": [
            asdict(column) for column in accounted(connection, upload_id, plan, queries.totals(connection, upload_id))
        ],
    }


def decisions(plan: ReadingPlan) -> dict[str, Any]:
    """How the file is read, and how sure that is."""
    dialect, mapping = plan.dialect, plan.mapping
    return {
        "source": mapping.source,
        "reading": {
            "packed": list(dialect.content_encoding.layers),
            "sheet": dialect.sheet,
            "other_sheets": list(dialect.other_sheets),
            "encoding": dialect.content_encoding.encoding,
            "delimiter": dialect.delimiter,
            "quote": dialect.quote,
            "backslash_escapes": bool(dialect.content_encoding.escape_for),
            "first_data_line": dialect.data_line,
            "day_first": list(plan.column_formats.day_first),
            "dates_undecided": list(plan.column_formats.undecided),
            "numbers_undecided": list(plan.column_formats.undecided_numbers),
            "decimal_comma": list(plan.column_formats.decimal_comma),
            "in_thousands": list(plan.column_formats.in_thousands),
        },
        "confidence": dict(dialect.confidence),
    }


def as_markdown(record: ImportRecord) -> str:
    """The report of a dry run as a page: counts, errors, mapping."""
    found = record.report or {}
    lines = [f"**Nothing was written.** {record.total_rows or 0:,} rows were read. An import would make of them:", ""]
    lines += _table(("rows", ""), [(count.replace("_", " "), f"{number:,}") for count, number in record.counts.items()])
    if found["stopped"]:
        lines += ["", f"It would **stop early**: {found['stopped']}."]
    if found["first_errors"]:
        errors = [
            (str(error["row"]), str(error["line"]), error["code"], error["column"], MESSAGES[error["code"]])
            for error in found["first_errors"]
        ]
        lines += [
            "",
            "### First errors of each code",
            "",
            *_table(("row", "line", "code", "column", "meaning"), errors),
        ]
    if record.warnings:
        warnings = [
            (name, f"{count:,}", MESSAGES[name.split(":")[0]]) for name, count in sorted(record.warnings.items())
        ]
        lines += ["", "### Warnings", "", *_table(("code:field", "values", "meaning"), warnings)]
    lines += [
        "",
        f"### Columns (source: {found['source']})",
        "",
        *columns_table([ColumnAccount(**one) for one in found["columns"]]),
    ]
    reading = [(name.replace("_", " "), str(value)) for name, value in found["reading"].items() if value]
    reading += [(f"confidence: {name}", value) for name, value in found["confidence"].items()]
    lines += ["", "### How the file is read", "", *_table(("what", ""), reading)]
    return "\n".join(lines)


def columns_table(columns: Sequence[ColumnAccount]) -> list[str]:
    """Lines of a Markdown table: each column, where it goes, how many values it had, what was told of them."""
    rows = []
    for column in columns:
        goes_to = column.field or (f"extra: {column.extra}" if column.extra else "ours")
        if column.looks_like:
            goes_to += f" (looks like {column.looks_like})"
        told = ", ".join(f"{count:,} {code}" for code, count in sorted(column.told.items()))
        rows.append((column.column, goes_to, f"{column.values:,}", told))
    return _table(("column", "goes to", "values", "told"), rows)


def _table(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    return [
        "| " + " | ".join(titles) + " |",
        "|" + "---|" * len(titles),
        *("| " + " | ".join(_inert(cell) for cell in row) + " |" for row in rows),
    ]


def _inert(text: str) -> str:
    """Text of a user's file as Markdown that shows it and does nothing."""
    shown = "".join(character if character.isprintable() else " " for character in text)[:200]
    for special in "\\`*_{}[]<>|#":
        shown = shown.replace(special, "\\" + special)
    return shown
