"""What clients can do with an import: cancel it, have it imported again, undo it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from contact_pipeline.database import cancelling, queries, states, tokens
from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.tokens import Caller
from contact_pipeline.database.undo import undoing
from contact_pipeline.uploads.auth import Database
from contact_pipeline.uploads.authorization import find_import
from contact_pipeline.uploads.errors import ApiError
from contact_pipeline.uploads.sessions import CANCELLED

_UNDO_SECONDS: Final = 20.0


class ImportService:
    """The operations on imports behind the API."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def import_again(self, caller: Caller, upload_id: str) -> dict[str, Any]:
        """Have an import that is over, and has not succeeded, imported again."""
        with self._database() as connection:
            find_import(connection, caller, upload_id)
            try:
                states.import_again(connection, upload_id, caller.owner)
            except states.CannotBeImportedAgain as error:
                raise ApiError(HTTPStatus.CONFLICT, "not_importable_again", str(error)) from None
            tokens.record(connection, caller, "import_again", upload_id)
        return {"uploadId": upload_id, "state": "queued"}

    def undo(self, caller: Caller, upload_id: str) -> dict[str, Any]:
        """Undo an import, or begin with it: what takes longer than a call may take, the reconciler goes on with."""
        with self._database() as connection:
            find_import(connection, caller, upload_id)
            try:
                done = undoing.undo(connection, upload_id, caller.owner, seconds=_UNDO_SECONDS)
            except undoing.CannotBeUndone as error:
                raise ApiError(HTTPStatus.CONFLICT, "not_undoable", str(error)) from None
            tokens.record(connection, caller, "import_undone", upload_id)
        return {
            "uploadId": upload_id,
            "state": "undone" if done.finished else "undoing",
            "removed": done.removed,
            "restored": done.restored,
            "kept": done.kept,
        }


def cancel_import(connection: Connection, caller: Caller, upload_id: str) -> dict[str, Any]:
    """Cancel an import of the caller's. When this returns, no further chunk of it commits.

    Raises:
        ApiError: there is nothing to cancel.
    """
    state = cancelling.cancel(connection, upload_id, caller.owner)
    if state != CANCELLED:
        raise ApiError(HTTPStatus.CONFLICT, "import_ended", f"the import has {state}: there is nothing to cancel")
    tokens.record(connection, caller, "import_cancelled", upload_id)
    # What was over and asked for again stays as it was: only its launch is cancelled.
    record = queries.find(connection, upload_id)
    return {"uploadId": upload_id, "state": record["state"] if record else state}
