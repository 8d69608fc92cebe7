"""Checks of an import that is over: is everything accounted for, and is the file like those before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from contact_pipeline.database import import_history, queries, retention
from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.records import ImportRecord

_USUAL_OF: Final = 20
"""Earlier imports that say what is usual."""

_TIMES_THE_USUAL: Final = 3.0
_MORE_THAN_USUAL: Final = 0.02
"""A share of rejects is told where it is three times the usual, and two of a hundred rows above it."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a check found: whether it passed, in words, with the numbers behind it."""

    passed: bool
    words: str
    numbers: dict[str, Any]


def ledger_gaps(connection: Connection, record: ImportRecord) -> list[str]:
    """Where the ledger does not cover the file, every row once; nothing where it does."""
    sums = queries.totals(connection, record.upload_id)
    gaps = queries.gaps(connection, record.upload_id, (record.dialect or {})["data_offset"])
    removed = retention.removed_rejects(connection, record) if record.finished_at else None
    rejected = queries.rejected_rows(connection, record.upload_id) if removed is None else sums.rejected
    problems = []
    if record.total_rows is None:
        problems.append("the file was not read to its end")
    elif record.total_rows != sums.rows:
        problems.append(f"{sums.rows} rows are committed of {record.total_rows}")
    if sums.rows != sum(sums.counts.values()):
        problems.append(f"{sum(sums.counts.values())} rows are counted of {sums.rows}")
    if gaps:
        problems.append(f"{gaps} chunks do not begin where the one before them ends")
    if rejected != sums.rejected:
        problems.append(f"{rejected} rejected rows are kept of {sums.rejected}")
    return problems


def every_row_is_accounted_for(connection: Connection, record: ImportRecord) -> Checked:
    """Whether each row of the file is counted once: inserted, updated, unchanged, a duplicate or rejected."""
    problems = ledger_gaps(connection, record)
    return Checked(
        passed=not problems,
        words="; ".join(problems) or "each row of the file is counted once",
        numbers={"rows": record.total_rows or 0, **record.counts},
    )


def contacts_are_in_the_table(connection: Connection, record: ImportRecord) -> Checked:
    """Whether the contacts that the ledger says were inserted are in the table.

    There may be more: an undo of an earlier import leaves its contacts to those that have rows of them.
    """
    made = import_history.contacts_made(connection, record.upload_id)
    missing = record.inserted - made
    return Checked(
        passed=missing <= 0,
        words=f"{missing} of {record.inserted} are gone" if missing > 0 else "all that were inserted are there",
        numbers={"inserted": record.inserted, "in_the_table": made},
    )


def rejects_are_as_usual(connection: Connection, record: ImportRecord) -> Checked:
    """Whether the share of rejected rows is like that of the owner's earlier files of this source."""
    before = import_history.imports_before(connection, record, _USUAL_OF)
    share = _share(record)
    if not before:
        return Checked(passed=True, words="it is the first file of its source", numbers={"share": round(share, 4)})
    usual = median(map(_share, before))
    return Checked(
        passed=share <= max(usual * _TIMES_THE_USUAL, usual + _MORE_THAN_USUAL),
        words=f"{share:.2%} of the rows are rejected; in the {len(before)} files before it, {usual:.2%} were",
        numbers={"share": round(share, 4), "usual": round(usual, 4), "files": len(before)},
    )


def titles_are_as_before(connection: Connection, record: ImportRecord) -> Checked:
    """Whether the file has the columns of the owner's last file of this source."""
    before = import_history.imports_before(connection, record, 1)
    if not before:
        return Checked(passed=True, words="it is the first file of its source", numbers={})
    now, then = _titles(record), _titles(before[0])
    new, gone = [title for title in now if title not in then], [title for title in then if title not in now]
    return Checked(
        passed=not (new or gone),
        words=f"{len(new)} columns are new, {len(gone)} are gone" if new or gone else "it has the same columns",
        numbers={"new": new, "gone": gone, "compared_with": before[0].upload_id},
    )


def _share(record: ImportRecord) -> float:
    return record.rejected / record.total_rows if record.total_rows else 0.0


def _titles(record: ImportRecord) -> Sequence[str]:
    titles: Sequence[str] = (record.dialect or {}).get("header", ())
    return titles
