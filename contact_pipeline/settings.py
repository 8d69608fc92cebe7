"""Every setting, typed, read once from the environment (`CONTACT_PIPELINE_…`)."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from contact_pipeline.errors import ContactPipelineError

PREFIX = "CONTACT_PIPELINE_"

LogFormat = Literal["text", "json"]


def _also(name: str, former: str) -> AliasChoices:
    """A variable, and the name that it had before this release."""
    return AliasChoices(PREFIX + name, PREFIX + former)


class Settings(BaseSettings):
    """Where the servers are, and the limits of the upload service."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, populate_by_name=True)

    database_url: str = Field(description="Postgres with the contacts: postgresql://user:password@host/database")
    session_database_url: str = Field(
        default="",
        description="The same database without a pooler before it, for checks; none means that there is no pooler",
    )
    dagster_database_url: str = Field(
        default="", description="Postgres for Dagster's own storage: postgresql+psycopg2://…"
    )
    redis_url: str = Field(description="Redis or Valkey: redis://:password@host:6379/0")
    s3_endpoint_url: str | None = Field(default=None, description="S3 endpoint; none means AWS")
    s3_bucket: str = Field(description="Bucket that uploads go to")
    s3_region: str = Field(default="us-east-1", description="Region of the bucket")
    s3_access_key_id: str | None = Field(default=None, description="S3 key; none means boto3's own search for one")
    s3_secret_access_key: SecretStr | None = Field(default=None, description="S3 secret")
    api_token: SecretStr = Field(default=SecretStr(""), description="Bearer token that the command line sends")
    api_url: str = Field(default="", description="Where the upload service is reached")
    dagster_url: str = Field(default="", description="Where the Dagster UI is reached, for links")
    session_seconds: int = Field(default=6 * 3600, ge=60, description="Life of an upload without a call, sliding")
    session_max_seconds: int = Field(
        default=7 * 86_400,
        ge=60,
        validation_alias=_also("SESSION_MAX_SECONDS", "SESSION_MOST_SECONDS"),
        description="Life of an upload, whatever is called",
    )
    presign_seconds: int = Field(default=3600, ge=60, le=7 * 86_400, description="Life of a signed URL for a part")
    max_open_uploads: int = Field(
        default=50,
        ge=1,
        validation_alias=_also("MAX_OPEN_UPLOADS", "MOST_OPEN_UPLOADS"),
        description="Uploads that an owner may have under way",
    )
    max_parts: int = Field(
        default=10_000,
        ge=1,
        le=10_000,
        validation_alias=_also("MAX_PARTS", "MOST_PARTS"),
        description="Parts of an upload; S3 takes 10,000",
    )
    calls_per_minute: int = Field(default=6000, ge=1, description="Calls of one token that are answered in a minute")
    cors_origins: list[str] = Field(default=[], description="Other sites whose pages may upload, as a JSON list")
    max_upload_bytes: int = Field(default=100 * 2**30, ge=1, description="Largest file taken")
    freshness_hours: float | None = Field(
        default=None, gt=0, description="Dagster tells when no import has succeeded for so many hours"
    )
    show_file_names: bool = Field(
        default=False, description="Files' names in Dagster's tags and metadata: a name may say something of a person"
    )
    webhooks_may_be_private: bool = Field(
        default=False, description="Webhooks may lead to private addresses, such as those of one's own network"
    )
    keep_files_days: int = Field(
        default=30, ge=1, description="Days that an uploaded file is kept after its import is over, or undecided"
    )
    keep_rejects_days: int = Field(default=30, ge=1, description="Days that rejected rows and their file are kept")
    keep_undo_days: int = Field(
        default=30, ge=1, description="Days after an import was over that it can be undone; what that needs goes then"
    )
    keep_messages_days: int = Field(default=14, ge=1, description="Days that messages are kept after webhooks had them")
    keep_launches_days: int = Field(default=90, ge=1, description="Days that launches are kept; the last one stays")
    keep_runs_days: int = Field(default=90, ge=1, description="Days that Dagster's runs and partitions are kept")
    keep_audit_days: int = Field(default=365, ge=1, description="Days that calls of the API are kept in audit_events")
    log_format: LogFormat = Field(default="text", description="Log lines for people, or `json`: an object a line")


class SettingsMissing(ContactPipelineError):
    """Variables that are needed are not set, or set to what cannot be."""

    code = "settings"

    def __init__(self, error: ValidationError) -> None:
        wrong = [(_variable(one["loc"]), one["type"] == "missing") for one in error.errors(include_input=False)]
        missing = [name for name, is_missing in wrong if is_missing]
        others = [name for name, is_missing in wrong if not is_missing]
        told = [f"{', '.join(missing)} must be set"] if missing else []
        told += [f"{', '.join(others)} is not what it can be"] if others else []
        super().__init__(
            f"{', and '.join(told)} in the environment or in .env (docs/reference/settings.md). While you develop: "
            "`contact-pipeline up --without-dagster` starts servers here, and `contact-pipeline env` prints what "
            "reaches them"
        )


def _variable(place: tuple[int | str, ...]) -> str:
    name = str(place[0])
    return name if name.startswith(PREFIX) else PREFIX + name.upper()


def settings_if_given() -> Settings | None:
    """The process's settings; None where what is needed is not set, as in a clone where nothing runs."""
    try:
        return get_settings()
    except ValidationError:
        return None


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The process's settings.

    Raises:
        pydantic.ValidationError: a required variable is missing or wrong.
    """
    return Settings.model_validate({})
