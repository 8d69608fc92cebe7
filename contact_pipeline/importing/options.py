"""What can be chosen for an import: how its file is read, what is rejected, what happens to contacts that are known."""

from __future__ import annotations

import codecs
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from contact_pipeline.contacts.resolution import MergePolicy
from contact_pipeline.files import encoding
from contact_pipeline.files.dialect import DELIMITERS, FormatOverrides

_DELIMITER_NAMES: Final = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "colon": ":"}
# What is called Latin-1 is Windows-1252 nearly everywhere, and the same where it is not.
_ENCODING_NAMES: Final = {
    "iso8859-1": "cp1252", "latin-1": "cp1252", "ascii": "utf-8", "utf-8-sig": "utf-8", "mac-roman": "mac_roman",
}  # fmt: skip

# Postgres stores no NUL.
Title = Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=r"^[^\x00]*$")]
Target = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class ImportOptions(BaseModel):
    """Choices for one import. Each can be left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["import", "check"] = Field(
        default="import", description="import; or check: do everything, and write nothing"
    )
    strictness: Literal["lenient", "strict"] = Field(
        default="lenient", description="lenient: a wrong value is dropped; strict: it rejects its row"
    )
    on_existing: MergePolicy = Field(
        default=MergePolicy.UPDATE,
        description="update, fill_blanks or skip: what a row does to a contact that was there before this import",
    )
    consent: Literal["keep", "may_opt_in"] = Field(
        default="keep",
        description="keep: no row takes back a do_not_call, unsubscribed or email_bounced; may_opt_in: it may",
    )
    max_rejects: int | None = Field(default=None, ge=0, description="stop when more rows than this are rejected")
    max_reject_ratio: float | None = Field(
        default=None, ge=0, le=1, description="stop when more than this share of the rows is rejected"
    )
    on_too_many_rejects: Literal["keep", "undo"] = Field(
        default="keep", description="after such a stop, keep what was loaded, or undo it"
    )
    encoding: str | None = Field(default=None, max_length=64, description="encoding of the file, as Python names it")
    delimiter: str | None = Field(default=None, max_length=16, description="one of , ; | : or tab")
    header_row: int | None = Field(default=None, ge=1, le=1_048_576, description="line that the header is on, from 1")
    sheet: str | None = Field(default=None, max_length=255, description="name of the sheet, of a workbook")
    day_first: bool | None = Field(default=None, description="whether 3/4/2024 is in April")
    mapping: dict[Title, Target] | None = Field(
        default=None,
        max_length=4096,
        description="column title to field, full_name, or extra",
    )
    save_mapping: bool = Field(default=True, description="remember the mapping, for files with the same titles")
    review: bool = Field(
        default=False, description="wait, once the file is uploaded, until a person has looked at it and decides"
    )
    source: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_\-]{0,63}$")] | None = Field(
        default=None, description="the system whose contact ids the file carries"
    )

    @field_validator("delimiter")
    @classmethod
    def _known_delimiter(cls, value: str | None) -> str | None:
        named = _DELIMITER_NAMES.get(value.lower(), value) if value else None
        if named is not None and named not in DELIMITERS:
            raise ValueError("the delimiter is one of , ; | : or tab")
        return named

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str | None) -> str | None:
        if not value:
            return None
        if not encoding.is_known(value):
            raise ValueError("Python knows no text encoding of this name")
        name = codecs.lookup(value).name
        return _ENCODING_NAMES.get(name, name)

    @property
    def overrides(self) -> FormatOverrides:
        """What is said about how the file is written."""
        return FormatOverrides(self.encoding, self.delimiter, self.header_row, tuple(self.mapping or ()), self.sheet)

    @property
    def is_dry_run(self) -> bool:
        """Whether nothing is to be written."""
        return self.mode == "check"

    @property
    def may_opt_in(self) -> bool:
        """Whether a row takes back what a contact does not want."""
        return self.consent == "may_opt_in"

    def chosen(self) -> dict[str, Any]:
        """What was chosen otherwise than by default."""
        return self.model_dump(exclude_defaults=True)

    def too_many(self, rejected: int, rows: int, *, at_end: bool) -> str | None:
        """Why the import is to stop, given how many rows of how many were rejected so far; None if it goes on.

        The share counts from 10,000 rows on, or at the file's end: a few rows say little.
        """
        if self.max_rejects is not None and rejected > self.max_rejects:
            return f"{rejected:,} rows of {rows:,} were rejected, and at most {self.max_rejects:,} are allowed"
        ratio = self.max_reject_ratio
        if ratio is not None and rows and (at_end or rows >= _ROWS_THAT_TELL) and rejected > ratio * rows:
            return f"{rejected:,} rows of {rows:,} were rejected, and at most {ratio:.2%} are allowed"
        return None


def plain_type(annotation: Any) -> Any:
    """The plain type behind an option's annotation: `str`, `int`, `float`, `bool` or `dict[str, str]`.

    Dagster's launchpad has no types for choices and limits; values are checked as `ImportOptions` anyway.
    """
    if get_origin(annotation) in (Union, UnionType):
        (annotation,) = (kind for kind in get_args(annotation) if kind is not type(None))
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is Literal or (isinstance(annotation, type) and issubclass(annotation, str)):
        return str
    return dict[str, str] if get_origin(annotation) is dict else annotation


_ROWS_THAT_TELL: Final = 10_000
READING: Final = ("encoding", "delimiter", "header_row", "sheet", "day_first", "mapping", "source")
"""Options that decide how a file is read: they cannot change once a chunk of it is loaded."""
