"""What clients can do with an import: cancel it, have it imported again, undo it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from contact_pipeline.database import cancelling, deciding, queries, tokens
from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.records import ImportState
from contact_pipeline.database.tokens import Caller
from contact_pipeline.database.undo import undoing
from contact_pipeline.uploads.auth import Database
from contact_pipeline.uploads.authorization import find_import
from contact_pipeline.uploads.errors import ApiError
from contact_pipeline.uploads.models import AgainAnswer, CancelAnswer, UndoAnswer

_UNDO_SECONDS: Final = 20.0


class ImportService:
    """The operations on imports behind the API."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def import_again(self, caller: Caller, upload_id: str) -> AgainAnswer:
        """Have an import that is over, and has not succeeded, imported again."""
        with self._database() as connection:
            find_import(connection, caller, upload_id)
            deciding.import_again(connection, upload_id, caller.owner)
            tokens.record(connection, caller, "import_again", upload_id)
        return AgainAnswer(upload_id=upload_id, state=ImportState.QUEUED)

    def undo(self, caller: Caller, upload_id: str) -> UndoAnswer:
        """Undo an import, or begin with it: what takes longer than a call may take, the reconciler goes on with."""
        with self._database() as connection:
            find_import(connection, caller, upload_id)
            done = undoing.undo(connection, upload_id, caller.owner, seconds=_UNDO_SECONDS)
            tokens.record(connection, caller, "import_undone", upload_id)
        return UndoAnswer(
            upload_id=upload_id,
            state=ImportState.UNDONE if done.finished else ImportState.UNDOING,
            removed=done.removed,
            restored=done.restored,
            kept=done.kept,
        )


def cancel_import(connection: Connection, caller: Caller, upload_id: str) -> CancelAnswer:
    """Cancel an import of the caller's. When this returns, no further chunk of it commits.

    Raises:
        ApiError: there is nothing to cancel.
    """
    state = cancelling.cancel(connection, upload_id, caller.owner)
    if state != ImportState.CANCELLED:
        raise ApiError(HTTPStatus.CONFLICT, "import_ended", f"the import has {state}: there is nothing to cancel")
    tokens.record(connection, caller, "import_cancelled", upload_id)
    # What was over and asked for again stays as it was: only its launch is cancelled.
    record = queries.find(connection, upload_id)
    return CancelAnswer(upload_id=upload_id, state=record.state if record else ImportState.CANCELLED)
