"""What can be chosen for an import in Dagster's launchpad: `ImportOptions`, with plain types."""

from typing import Any

import dagster as dg
from pydantic import Field, ValidationError, create_model

from contact_pipeline.errors import FileRefused
from contact_pipeline.importing.options import ImportOptions, plain_type


class _Chosen(dg.Config):
    """Choices for this run and those after it. What is left out stays as it was chosen before."""

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


_fields: dict[str, Any] = {
    name: (plain_type(field.annotation) | None, Field(default=None, description=field.description))
    for name, field in ImportOptions.model_fields.items()
}
ImportConfig = create_model("ImportConfig", __base__=_Chosen, __doc__=_Chosen.__doc__, **_fields)
