"""What the services answer. As JSON the names are in camel case."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from contact_pipeline.database.records import ImportState
from contact_pipeline.uploads.sessions import UploadState

EXAMPLE_ID: Final = "3f2c8a6f0f5b4c5f9d1f6a0c2b7e4d11"
EXAMPLE_KEY: Final = f"uploads/{EXAMPLE_ID}.csv"


class Phase(StrEnum):
    """The stages that a person sees."""

    UPLOADING = "uploading"
    REVIEW = "review"
    QUEUED = "queued"
    IMPORTING = "importing"
    UNDOING = "undoing"
    FINISHED = "finished"


class Body(BaseModel):
    """JSON in camel case."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class InitAnswer(Body):
    """How to send the file: `totalChunks` chunks of `chunkSize` bytes, the last one shorter."""

    upload_id: str = Field(examples=[EXAMPLE_ID])
    s3_key: str = Field(examples=[EXAMPLE_KEY])
    chunk_size: int = Field(examples=[8_388_608])
    total_chunks: int = Field(examples=[3])


class ChunkAnswer(Body):
    """A chunk that S3 has taken. `received`: how many different chunks have arrived."""

    upload_id: str = Field(examples=[EXAMPLE_ID])
    chunk_index: int = Field(examples=[0])
    received: int = Field(examples=[1])


class PartsAnswer(InitAnswer):
    """What is missing, by number from 0: send these, and complete."""

    state: UploadState = Field(examples=["uploading"])
    file_name: str = Field(examples=["people.csv"])
    file_size: int = Field(examples=[20_000_000])
    missing_chunks: list[int] = Field(examples=[[2]])


class CompleteAnswer(Body):
    """The file is in the bucket."""

    upload_id: str = Field(examples=[EXAMPLE_ID])
    s3_key: str = Field(examples=[EXAMPLE_KEY])
    state: UploadState = Field(examples=["completed"])
    size: int | None = Field(examples=[20_000_000])


class CancelAnswer(Body):
    """Nothing more of it happens."""

    upload_id: str = Field(examples=[EXAMPLE_ID])
    state: UploadState | ImportState = Field(examples=["cancelled"])


class ProgressAnswer(Body):
    """How an upload, and then its import, goes. `rate` is in bytes a second, `eta` in seconds."""

    upload_id: str = Field(examples=[EXAMPLE_ID])
    s3_key: str = Field(examples=[EXAMPLE_KEY])
    phase: Phase = Field(examples=["importing"])
    state: UploadState | ImportState = Field(
        description="state of the upload, then of the import", examples=["loading"]
    )
    percent: float = Field(examples=[41.5])
    bytes: int = Field(examples=[8_300_000])
    total_bytes: int = Field(examples=[20_000_000])
    rows: int = Field(examples=[10_000])
    loaded: int = Field(examples=[9_990])
    rejected: int = Field(examples=[10])
    rate: int = Field(examples=[33_000_000])
    eta: float | None = Field(examples=[0.4])
    error: str | None = None
    waits_for: str | None = Field(default=None, description="why a queued import is launched only after a pause")
    next_launch_at: datetime | None = Field(default=None, description="when a queued import is due")
    place: int | None = Field(default=None, description="its place in the queue, from 1")


class ImportAnswer(Body):
    """An import, and what became of its rows: every one is counted once."""

    upload_id: str = Field(examples=[EXAMPLE_ID])
    file_name: str = Field(examples=["people.csv"])
    owner: str = Field(examples=["sales"])
    size: int = Field(description="bytes", examples=[20_000_000])
    state: ImportState = Field(examples=["succeeded"])
    phase: Phase = Field(examples=["finished"])
    uploaded_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    attempt: int = Field(examples=[1])
    rows: int = Field(examples=[20_000])
    inserted: int = Field(examples=[19_000])
    updated: int = Field(examples=[500])
    unchanged: int = Field(examples=[400])
    duplicate_in_file: int = Field(examples=[80])
    rejected: int = Field(examples=[20])
    not_attempted: int | None = Field(examples=[0])
    warnings: int = Field(examples=[12])
    seconds: float = Field(examples=[1.9])
    error: str | None
    waits_for: str | None = Field(description="why it is launched again only after a pause")
    rejects_of: str | None = Field(description="the import whose rejects this file brings back")
    run_url: str | None = Field(description="its run in Dagster, for operators")


class Rejected(Body):
    """Rows that were rejected for one reason."""

    code: str = Field(examples=["invalid_email"])
    column: str | None = Field(examples=["Email"])
    rows: int = Field(examples=[20])
    message: str = Field(examples=["not an e-mail address"])


class Warned(Body):
    """Values that were dropped or changed, whose rows loaded."""

    code: str = Field(examples=["range"])
    field: str | None = Field(examples=["annual_revenue"])
    values: int = Field(examples=[12])
    message: str
    rows: list[int] = Field(description="numbers of the first rows that it is about, where these are known")


class ColumnAnswer(Body):
    """Where a column of the file went."""

    column: str = Field(description="its title", examples=["Email"])
    field: str | None = Field(description="the field that it feeds", examples=["email"])
    extra: str | None = Field(description="its key in `extra`, where it feeds none")
    values: int = Field(description="how many it had in the rows that were read for all columns", examples=[20_000])
    told: dict[str, int] = Field(description="how many values were dropped or changed, by code")
    looks_like: str | None = Field(description="the field that it may be meant for, where it feeds none")


class ImportDetail(ImportAnswer):
    """An import, and why rows were rejected."""

    options: dict[str, Any] = Field(description="what was chosen, otherwise than by default")
    stopped: str | None = Field(description="of a dry run: why the import would stop before the file's end")
    columns: list[ColumnAnswer]
    rejects_by_column: list[Rejected]
    warnings_by_field: list[Warned]


class ImportsAnswer(Body):
    """A page of imports, the newest first. `next`: the cursor of the next page, if there is one."""

    imports: list[ImportAnswer]
    next: str | None


class AgainAnswer(Body):
    """A run of it is asked for."""

    upload_id: str = Field(examples=[EXAMPLE_ID])
    state: ImportState = Field(examples=["queued"])


class UndoAnswer(Body):
    """What the undo has done so far."""

    upload_id: str = Field(examples=[EXAMPLE_ID])
    state: ImportState = Field(description="undone, or undoing: the rest follows by itself", examples=["undone"])
    removed: int = Field(description="contacts that only this import had rows of", examples=[19_000])
    restored: int = Field(description="contacts that are what other imports give", examples=[500])
    kept: int = Field(description="contacts left as they are: another has their former e-mail or id", examples=[0])


class SignedIn(Body):
    """Who is signed in, and what the page must know."""

    owner: str = Field(examples=["sales"])
    role: str = Field(examples=["uploader"])
    max_upload_bytes: int
    suffixes: list[str] = Field(examples=[[".csv", ".xlsx"]])


class FieldAnswer(Body):
    """A field that a column can feed."""

    name: str = Field(examples=["company"])
    title: str = Field(description="for people", examples=["Company"])
    kind: str = Field(examples=["text"])


class FieldsAnswer(Body):
    """All fields, in the order of the table."""

    fields: list[FieldAnswer]


class Reading(Body):
    """How the file is read. `confidence`: how sure that is, by what it is about."""

    packed: list[str]
    sheet: str | None
    other_sheets: list[str]
    encoding: str = Field(examples=["utf-8"])
    delimiter: str = Field(examples=[";"])
    quote: str
    backslash_escapes: bool
    first_data_line: int = Field(examples=[2])
    day_first: list[str] = Field(description="fields whose dates are read day first")
    dates_undecided: list[str]
    numbers_undecided: list[str]
    decimal_comma: list[str]
    in_thousands: list[str]
    confidence: dict[str, str] = Field(examples=[{"delimiter": "certain", "header": "likely"}])


class LookColumn(Body):
    """A column of the file."""

    column: str = Field(description="its title", examples=["Firma"])
    field: str | None = Field(description="the field that it feeds", examples=["company"])
    extra: str | None = Field(description="its key in `extra`, where it feeds none")
    mapped_by: str = Field(description="title, person, proposal or nothing", examples=["title"])
    suggestion: str | None = Field(description="the field that it may be meant for, where it feeds none")
    samples: list[str] = Field(description="its first different values")
    filled: float = Field(description="share of the rows looked at that have a value", examples=[0.93])


class LookMark(Body):
    """What is wrong with a cell. `column`: its place among the cells; null where the row as a whole is meant."""

    column: int | None
    code: str = Field(examples=["invalid_email"])
    message: str


class LookRow(Body):
    """A row as it would be stored; a rejected one as it is in the file."""

    row: int = Field(examples=[1])
    line: int = Field(examples=[2])
    rejected: bool
    cells: list[str | None]
    marks: list[LookMark]


class Proposed(Body):
    """Options that the look was made with beside those given: to be sent with the decision."""

    mapping: dict[str, str] | None = None
    header_row: int | None = None


class LookProblem(Body):
    """Why the file cannot be imported like this."""

    code: str
    message: str


class FirstLookAnswer(Body):
    """What an import would make of the file's first rows."""

    upload_id: str = Field(examples=[EXAMPLE_ID])
    file_name: str = Field(examples=["people.csv"])
    size: int
    reading: Reading
    source: str
    columns: list[LookColumn]
    further: list[str] = Field(description="fields that get values though no column feeds them: the last cells of rows")
    rows: list[LookRow] = Field(description="the first 100")
    looked_at: int = Field(description="rows that the columns were judged by")
    proposed: Proposed
    problem: LookProblem | None


class RejectedRows(Body):
    """The first rows of a rejects file: with their cells fixed and the same titles, they are uploaded as a file."""

    titles: list[str] = Field(examples=[["Email", "_row", "_errors", "_raw", "_rejects_of"]])
    rows: list[list[str]]
    total: int = Field(description="how many there are in all")
