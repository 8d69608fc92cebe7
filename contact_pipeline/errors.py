"""Errors that are foreseen: each has a stable code and a sentence for the person who can act.

Those that wrap an error of a library are defined beside its use: `database.postgres.DatabaseFailed`, and
`uploads.errors.ApiError`, which has an HTTP status.
"""

from __future__ import annotations


class ContactPipelineError(Exception):
    """Something that is foreseen went wrong. The text says what, and what to do; no contact's value is in it.

    Attributes:
        code: a stable name of the reason, for programs.
        retryable: whether the fault lies outside the file, and trying the same again later can succeed.
    """

    code: str = "unexpected"
    retryable: bool = False


class FileRefused(ContactPipelineError):
    """The file cannot be imported at all, or not as it was asked for."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ObjectChanged(ContactPipelineError):
    """The object was deleted or replaced after it was registered."""

    code = "object_changed"


class StoreFailed(ContactPipelineError):
    """S3 does not answer, or answers with an error, after several attempts.

    Attributes:
        status: the HTTP status of its answer; 0 where there was none.
    """

    code = "store"
    retryable = True

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class SchemaMismatch(ContactPipelineError):
    """A chunk as a whole is not what the schema describes: a column is missing, or of the wrong type."""

    code = "schema"


class TooManyRejects(ContactPipelineError):
    """The import stopped: more rows were rejected than its options allow. The text says what became of the others."""

    code = "too_many_rejects"


class LedgerIncomplete(ContactPipelineError):
    """The committed chunks do not cover the file: the import cannot be called succeeded."""

    code = "ledger_incomplete"


class UnknownImport(ContactPipelineError):
    """There is no such import."""

    code = "unknown_import"


class ImportCancelled(ContactPipelineError):
    """The import was cancelled."""

    code = "import_cancelled"


class ClaimLost(ContactPipelineError):
    """Another run holds the import, or it is over."""

    code = "claim_lost"


class CannotBeImportedAgain(ContactPipelineError):
    """The import is in a state in which there is nothing to import again."""

    code = "not_importable_again"


class CannotBeUndone(ContactPipelineError):
    """The import is in a state that cannot be undone."""

    code = "not_undoable"


class InvalidOwner(ContactPipelineError):
    """A name that no owner can have."""

    code = "invalid_owner"


class StackError(ContactPipelineError):
    """The embedded servers cannot be started or used."""

    code = "stack"
