"""What the service says of a request that fails: its kind, to whom it concerns, and no value."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest

from contact_pipeline.logs import log_ids

VALUE = "ada@canary.example"


@pytest.fixture
def logged():
    """The lines that the service logs."""
    lines: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(logging.Formatter().format(record))

    handler, logger = Handler(), logging.getLogger("contact_pipeline")
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


def test_what_nobody_foresaw_is_logged_by_kind_and_place_and_answered_with_the_requests_id(
    service, token, logged, monkeypatch
):
    def fail(*_):
        raise RuntimeError(VALUE)

    monkeypatch.setattr(service.app.state.services.status_service, "imports", fail)
    answer = service.get("/api/imports/", headers={**token("ada"), "X-Request-ID": "abc-1"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert answer.headers["x-request-id"] == "abc-1"
    assert "request abc-1" in answer.json()["detail"]
    assert [line for line in logged if "GET /api/imports/ failed: RuntimeError at test_request_log.py" in line]
    assert VALUE not in answer.text + "".join(logged)


def test_an_id_that_is_no_id_is_replaced(service, token):
    answer = service.get("/api/imports/", headers={**token("ada"), "X-Request-ID": "a b\t<script>"})
    assert len(answer.headers["x-request-id"]) == 32


def test_a_server_behind_the_service_that_is_away_is_logged(serve, token, logged):
    away = serve(database_url="postgresql://nobody:x@127.0.0.1:1/none")
    answer = away.get("/api/imports/", headers=token("ada"))
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert [line for line in logged if "the database" in line]
    assert [line for line in logged if "GET /api/imports/ answered 503" in line]


def test_a_line_of_json_has_the_ids_as_fields():
    program = """
import logging
from contact_pipeline.logs import configure, log_ids
configure("json")
with log_ids(upload_id="u1", attempt=2, request_id=None):
    logging.getLogger("contact_pipeline.importing").warning("rows: %d", 3)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    line = json.loads(done.stderr)
    assert line.pop("time")
    assert line == {
        "level": "WARNING", "logger": "contact_pipeline.importing", "message": "rows: 3", "upload_id": "u1",
        "attempt": "2",
    }  # fmt: skip


def test_ids_are_gone_behind_the_block(logged):
    from contact_pipeline import logs

    with log_ids(upload_id="u1"):
        assert logs._ids.get() == {"upload_id": "u1"}
    assert logs._ids.get() == {}
