"""Logging: one logger a module, and the ids of what is being worked on in every line.

No log line has a value of a contact in it: errors are named by their kind and place, never by their text, unless the
text is a sentence of ours (`ContactPipelineError`).
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Final

from pythonjsonlogger.json import JsonFormatter

from contact_pipeline.errors import ContactPipelineError
from contact_pipeline.settings import LogFormat

_LOGGERS: Final = ("contact_pipeline", "uvicorn", "uvicorn.error")
_ids: ContextVar[dict[str, str]] = ContextVar("ids", default={})  # noqa: B039 - never changed, only replaced


@contextmanager
def log_ids(**ids: object) -> Iterator[None]:
    """Name ids (`upload_id`, `run_id`, `attempt`, `request_id`) in every line that is logged within."""
    token = _ids.set({**_ids.get(), **{name: str(value) for name, value in ids.items() if value is not None}})
    try:
        yield
    finally:
        _ids.reset(token)


class _WithIds(logging.Filter):
    """Adds the ids to a record: as fields of their own for JSON, as one text for people."""

    def filter(self, record: logging.LogRecord) -> bool:
        ids = _ids.get()
        record.__dict__.update(ids)
        record.ids = "".join(f" {name}={value}" for name, value in ids.items())
        return True


def configure(log_format: LogFormat) -> None:
    """Have this process log to standard error, as text or as a JSON object a line."""
    handler = logging.StreamHandler()
    handler.addFilter(_WithIds())
    if log_format == "json":
        handler.setFormatter(
            JsonFormatter(
                "{asctime}{levelname}{name}{message}",
                style="{",
                rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
                rename_fields_keep_missing=True,
                reserved_attrs=[*logging.makeLogRecord({}).__dict__, "ids", "taskName", "color_message"],
            )
        )
    else:
        handler.setFormatter(logging.Formatter("{asctime} {levelname} {name}: {message}{ids}", style="{"))
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(logging.INFO)


def describe(error: BaseException) -> str:
    """What may be said of an error: the sentence of one that is foreseen; else its kind, and where it arose."""
    if isinstance(error, ContactPipelineError):
        return f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""
    return f"{type(error).__name__}{place}"
