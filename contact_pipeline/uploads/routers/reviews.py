"""Looking at an upload before it is imported: how it is read, what its rows become, and the decision."""

from typing import Any

from fastapi import APIRouter
from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from contact_pipeline.contacts.fields import FIELDS, FULL_NAME
from contact_pipeline.importing.options import ImportOptions
from contact_pipeline.uploads.models import AgainAnswer, FieldAnswer, FieldsAnswer, FirstLookAnswer
from contact_pipeline.uploads.routers.common import CallerOf, Services, UploadIdInPath, new_router


class OptionsBody(ImportOptions):
    """What is chosen for an import; what is left out stays as it was chosen before."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        json_schema_extra={"example": {"mapping": {"Firma": "company"}, "onExisting": "fill_blanks"}},
    )

    def chosen(self) -> dict[str, Any]:
        """What was said, by name; `review` and `mode` are said by the call."""
        return self.model_dump(mode="json", exclude_unset=True, exclude={"mode", "review"})


def router(services: Services) -> APIRouter:
    """The calls about uploads that a person decides about."""
    api, reviews = new_router("reviews"), services.reviews

    @api.get("/api/fields/")
    def fields(_: CallerOf) -> FieldsAnswer:
        """The fields that a column can feed."""
        found = [FieldAnswer(name=one.name, title=one.headers[0] or one.name, kind=one.kind.value) for one in FIELDS]
        return FieldsAnswer(fields=[*found, FieldAnswer(name=FULL_NAME, title="Full Name", kind="text")])

    @api.post("/api/imports/{upload_id}/first-look")
    def first_look(upload_id: UploadIdInPath, body: OptionsBody, caller: CallerOf) -> FirstLookAnswer:
        """How its first rows would be read and stored by these options. Nothing is written, nothing remembered."""
        return reviews.first_look(caller, upload_id, body.chosen())

    @api.post("/api/imports/{upload_id}/check")
    def check(upload_id: UploadIdInPath, body: OptionsBody, caller: CallerOf) -> AgainAnswer:
        """Count what an import by these options would do with the whole file: follow its events, then ask for it."""
        return reviews.check(caller, upload_id, body.chosen())

    @api.post("/api/imports/{upload_id}/import")
    def start_import(upload_id: UploadIdInPath, body: OptionsBody, caller: CallerOf) -> AgainAnswer:
        """Import it by these options."""
        return reviews.start_import(caller, upload_id, body.chosen())

    return api
