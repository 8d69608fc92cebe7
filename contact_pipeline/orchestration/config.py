"""What can be chosen for an import in Dagster's launchpad."""

from typing import Any

import dagster as dg
from pydantic import Field, ValidationError

from contact_pipeline.files.errors import FileRefused
from contact_pipeline.importing.options import ImportOptions


class ImportConfig(dg.Config):
    """Choices for this run and those after it. What is left out stays as it was chosen before."""

    mode: str | None = Field(default=None, description="import, or check: do everything and write nothing")
    strictness: str | None = Field(default=None, description="lenient or strict")
    on_existing: str | None = Field(default=None, description="update, fill_blanks or skip")
    consent: str | None = Field(default=None, description="keep, or may_opt_in: rows may take back an opt-out")
    max_rejects: int | None = Field(default=None, description="stop when more rows than this are rejected")
    max_reject_ratio: float | None = Field(default=None, description="stop when more than this share is rejected")
    on_too_many_rejects: str | None = Field(default=None, description="keep or undo")
    encoding: str | None = Field(default=None, description="of the file, as Python names it")
    delimiter: str | None = Field(default=None, description="one of , ; | : or tab")
    header_row: int | None = Field(default=None, description="line that the header is on, from 1")
    sheet: str | None = Field(default=None, description="name of the sheet, of a workbook")
    day_first: bool | None = Field(default=None, description="whether 3/4/2024 is in April")
    mapping: dict[str, str] | None = Field(default=None, description="column title to field, full_name or extra")
    source: str | None = Field(default=None, description="the system whose contact ids the file carries")

    def chosen(self) -> dict[str, Any]:
        """What was chosen.

        Raises:
            FileRefused: it is no choice that there is.
        """
        given = {name: value for name, value in self.model_dump().items() if value is not None}
        try:
            options = ImportOptions.model_validate(given)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            name = ".".join(str(part) for part in first["loc"])
            raise FileRefused("invalid_option", f"the option {name} is wrong: {first['msg']}") from None
        return {name: getattr(options, name) for name in given}
