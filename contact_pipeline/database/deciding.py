"""What people decide about imports that are over, or wait for them: import again, or run by other options."""

from __future__ import annotations

import json
from typing import Any

from contact_pipeline.database import launches, queries
from contact_pipeline.database.claims import free_the_row
from contact_pipeline.database.events import audit
from contact_pipeline.database.postgres import Connection, impatient
from contact_pipeline.database.queries import lock_import
from contact_pipeline.database.records import (
    OPEN_STATES,
    AskedBy,
    ImportRecord,
    ImportState,
)
from contact_pipeline.database.states import IMPORTABLE_AGAIN, queue_again
from contact_pipeline.errors import CannotBeImportedAgain, UnknownImport


def import_again(connection: Connection, upload_id: str, actor: str) -> None:
    """Have an import that failed, or was cancelled, undone or only checked, imported by a run that is asked for now.

    Raises:
        UnknownImport: there is no such import.
        CannotBeImportedAgain: it is under way, or has succeeded.
    """
    with impatient(connection):
        record = _locked(connection, upload_id)
        state = record.state
        if state not in IMPORTABLE_AGAIN:
            advice = "undo it first" if state is ImportState.SUCCEEDED else "wait for its end, or cancel it first"
            raise CannotBeImportedAgain(f"import {upload_id} is {state}: {advice}, to import it again")
        connection.execute(
            "UPDATE imports SET options = options - 'mode' - 'review' WHERE upload_id = %s", (upload_id,)
        )
        _ask_for_a_run(connection, record, actor, "to be imported again")


def decide(connection: Connection, upload_id: str, actor: str, chosen: dict[str, Any]) -> None:
    """Have an import run as a person decided on looking at it: by a dry run, where `mode` is `check`, or for good.

    A dry run that is under way is given up for it. What is not chosen stays as it was chosen before.

    Raises:
        UnknownImport: there is no such import.
        CannotBeImportedAgain: it is under way, has succeeded, or a part of it is loaded by what was chosen before.
    """
    free_the_row(connection, upload_id)
    with impatient(connection):
        record = _locked(connection, upload_id)
        is_dry_run = record.state in OPEN_STATES and record.options.get("mode") == "check"
        in_review = is_dry_run or record.state in (ImportState.IN_REVIEW, ImportState.CHECKED)
        is_check = chosen.get("mode") == "check"
        if not in_review and (is_check or record.state not in IMPORTABLE_AGAIN):
            raise CannotBeImportedAgain(f"import {upload_id} is {record.state}: nothing is left to decide")
        if record.state is not ImportState.UNDONE and queries.last_chunk(connection, upload_id) is not None:
            raise CannotBeImportedAgain(
                f"a part of import {upload_id} is loaded: import it again as it was, or undo it and decide anew"
            )
        before = {name: value for name, value in record.options.items() if name not in ("mode", "review")}
        connection.execute(
            "UPDATE imports SET options = %s, run_id = NULL, heartbeat_at = NULL WHERE upload_id = %s",
            (json.dumps(before | chosen | ({"review": True} if is_check else {})), upload_id),
        )
        _ask_for_a_run(connection, record, actor, "decided by a person")


def _locked(connection: Connection, upload_id: str) -> ImportRecord:
    record = lock_import(connection, upload_id)
    if record is None:
        raise UnknownImport(f"no import {upload_id} is known")
    return record


def _ask_for_a_run(connection: Connection, record: ImportRecord, actor: str, why: str) -> None:
    """Queue an import for a run that a person asks for, in place of every other."""
    queue_again(connection, record.upload_id, record.state)
    launches.end_open(connection, record.upload_id, "superseded")
    launches.plan(connection, record.upload_id, AskedBy.PERSON, actor=actor)
    audit(connection, record.upload_id, actor, "queued", why=f"{why}; it was {record.state}")
