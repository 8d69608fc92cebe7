"""Uploads of other owners are answered as missing, and the request is recorded."""

from __future__ import annotations

from http import HTTPStatus
from typing import NoReturn

from contact_pipeline.database import queries, tokens
from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.records import ImportRecord
from contact_pipeline.database.tokens import Caller
from contact_pipeline.uploads.errors import ApiError


def find_import(
    connection: Connection, caller: Caller, upload_id: str, *, missing_is_fine: bool = False
) -> ImportRecord | None:
    """An import of the caller's, as the ledger has it.

    Raises:
        ApiError: there is none, unless that is fine.
    """
    record = queries.find(connection, upload_id)
    if record is None:
        if missing_is_fine:
            return None
        raise unknown()
    if not caller.may_see(record.owner):
        refuse_foreign(connection, caller, upload_id)
    return record


def refuse_foreign(connection: Connection, caller: Caller, upload_id: str) -> NoReturn:
    """Tell somebody that what is not theirs is not there, and record that they asked."""
    tokens.record(connection, caller, "foreign_upload_refused", upload_id)
    raise unknown()


def unknown() -> ApiError:
    """There is no such upload, for this caller."""
    return ApiError(
        HTTPStatus.NOT_FOUND, "unknown_upload", "no such upload: it never began, or nothing was heard of it for hours"
    )
