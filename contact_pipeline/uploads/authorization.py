"""Uploads of other owners are answered as missing, and the request is recorded."""

from __future__ import annotations

from http import HTTPStatus
from typing import NoReturn

from contact_pipeline.database import queries, tokens
from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.records import ImportRecord
from contact_pipeline.database.tokens import Caller
from contact_pipeline.uploads.errors import ApiError


def find_import(connection: Connection, caller: Caller, upload_id: str) -> ImportRecord:
    """An import that the caller may see.

    Raises:
        ApiError: there is none.
    """
    record = find_import_if_any(connection, caller, upload_id)
    if record is None:
        raise unknown()
    return record


def find_import_if_any(connection: Connection, caller: Caller, upload_id: str) -> ImportRecord | None:
    """An import that the caller may see, or None where the upload has become none.

    Raises:
        ApiError: it is somebody else's.
    """
    record = queries.find(connection, upload_id)
    if record is not None and not caller.may_see(record.owner):
        refuse_foreign(connection, caller, upload_id)
    return record


def find_own_import(connection: Connection, caller: Caller, upload_id: str) -> ImportRecord:
    """An import whose rows the caller may see: operators see everybody's imports, and nobody else's rows.

    Raises:
        ApiError: there is none, or it is somebody else's.
    """
    record = find_import(connection, caller, upload_id)
    if record.owner != caller.owner:
        raise ApiError(HTTPStatus.FORBIDDEN, "owner_only", "its rows are shown to the owner of the upload only")
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
