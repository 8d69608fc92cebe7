"""Looking at an upload before it is imported, and deciding on it."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from threading import BoundedSemaphore
from time import monotonic
from typing import Any, Final

from contact_pipeline.contacts.messages import MESSAGES
from contact_pipeline.database import deciding, tokens
from contact_pipeline.database.records import ImportState
from contact_pipeline.database.tokens import Caller
from contact_pipeline.errors import FileRefused
from contact_pipeline.importing import first_look
from contact_pipeline.importing.first_rows import SeenMark
from contact_pipeline.importing.options import ImportOptions
from contact_pipeline.importing.planning import blob_of
from contact_pipeline.object_store import ObjectStore
from contact_pipeline.uploads.auth import Database
from contact_pipeline.uploads.authorization import find_import, find_own_import
from contact_pipeline.uploads.errors import ApiError
from contact_pipeline.uploads.models import (
    AgainAnswer,
    FirstLookAnswer,
    LookColumn,
    LookMark,
    LookProblem,
    LookRow,
    Proposed,
    Reading,
)

_LOOK_SECONDS: Final = 20
_WAIT_SECONDS: Final = 3.0
_AT_ONCE: Final = 2
"""First looks side by side: each parses a MiB, on a machine that loads as well."""


class ReviewService:
    """The operations on an upload that a person decides about."""

    def __init__(self, store: ObjectStore, database: Database) -> None:
        self._store = store
        self._database = database
        self._free = BoundedSemaphore(_AT_ONCE)

    def first_look(self, caller: Caller, upload_id: str, chosen: dict[str, Any]) -> FirstLookAnswer:
        """What an import by some options would make of the first rows.

        Raises:
            ApiError: there is no such upload, or it is somebody else's.
            FileRefused: the file is no table.
        """
        with self._database() as connection:
            record = find_own_import(connection, caller, upload_id)
        options = ImportOptions.model_validate(record.options | chosen)
        if not self._free.acquire(timeout=_WAIT_SECONDS):
            raise ApiError(
                HTTPStatus.SERVICE_UNAVAILABLE, "busy", "other files are being looked at: try again", retryAfter=2
            )
        try:
            with self._database() as connection:
                blob = blob_of(self._store, record, _deadline(_LOOK_SECONDS), workbook_seconds=_LOOK_SECONDS)
                seen = first_look.look(connection, blob, record, options)
        except FileRefused as refused:
            if refused.code != "workbook_too_slow":
                raise
            raise _too_slow() from None
        finally:
            self._free.release()
        return FirstLookAnswer(
            upload_id=upload_id,
            file_name=record.file_name,
            size=record.size,
            reading=Reading(**seen.reading),
            source=seen.source,
            columns=[LookColumn.model_validate(column, from_attributes=True) for column in seen.columns],
            further=seen.further,
            rows=[
                LookRow(
                    row=row.row,
                    line=row.line,
                    rejected=row.rejected,
                    cells=row.cells,
                    marks=[_mark(mark) for mark in row.marks],
                )
                for row in seen.rows
            ],
            looked_at=seen.looked_at,
            proposed=Proposed(**seen.proposed),
            problem=LookProblem(code=seen.problem[0], message=seen.problem[1]) if seen.problem else None,
        )

    def check(self, caller: Caller, upload_id: str, chosen: dict[str, Any]) -> AgainAnswer:
        """Have a dry run count what an import by some options would do with the whole file."""
        return self._decide(caller, upload_id, chosen | {"mode": "check"}, "import_checked")

    def start_import(self, caller: Caller, upload_id: str, chosen: dict[str, Any]) -> AgainAnswer:
        """Have an upload imported by some options."""
        return self._decide(caller, upload_id, chosen | {"mode": "import"}, "import_decided")

    def _decide(self, caller: Caller, upload_id: str, chosen: dict[str, Any], what: str) -> AgainAnswer:
        with self._database() as connection:
            find_import(connection, caller, upload_id)
            deciding.decide(connection, upload_id, caller.owner, chosen)
            tokens.record(connection, caller, what, upload_id)
        return AgainAnswer(upload_id=upload_id, state=ImportState.QUEUED)


def _deadline(seconds: float) -> Callable[[], None]:
    """Called whenever some bytes have come: ends what takes too long for somebody who waits."""
    ends = monotonic() + seconds

    def check() -> None:
        if monotonic() > ends:
            raise _too_slow()

    return check


def _too_slow() -> ApiError:
    return ApiError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "too_slow_to_show",
        "the file takes too long to be shown: import it as it is, or save it as CSV and upload that",
    )


def _mark(mark: SeenMark) -> LookMark:
    return LookMark(column=mark.column, code=mark.code, message=MESSAGES[mark.code])
