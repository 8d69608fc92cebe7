"""Imports, as the API tells of them."""

from __future__ import annotations

import csv
import io
import json

import pytest

from contact_pipeline.database import tokens
from contact_pipeline.database.undo import undoing
from contact_pipeline_tests.uploading import problem

DIRTY = "Email,First Name,Company,Annual Revenue\na@x.example,Ada,Acme,5\nnope,,,1\nb@x.example,Bo,Acme,$1M - $10M\n"


@pytest.fixture
def tester(token):
    return token("tester")


def test_an_import_tells_what_became_of_every_row(service, tester, token, importer, write_csv):
    upload_id = importer.register(write_csv(DIRTY))
    importer.load(upload_id)
    found = service.get(f"/api/imports/{upload_id}", headers=tester).json()
    assert {name: found[name] for name in ("state", "phase", "rows", "inserted", "rejected", "warnings")} == {
        "state": "succeeded", "phase": "finished", "rows": 3, "inserted": 2, "rejected": 1, "warnings": 1,
    }  # fmt: skip
    assert found["rejectsByColumn"] == [
        {"code": "invalid_email", "column": "Email", "rows": 1, "message": "not an e-mail address"}
    ]
    assert [(one["code"], one["field"], one["values"]) for one in found["warningsByField"]] == [
        ("range", "annual_revenue", 1)
    ]
    columns = [(one["column"], one["field"], one["values"], one["told"], one["looksLike"]) for one in found["columns"]]
    assert ("Annual Revenue", "annual_revenue", 3, {"range": 1}, None) in columns
    # Who reaches Dagster's UI can end everybody's runs.
    assert found["runUrl"] is None
    run_url = service.get(f"/api/imports/{upload_id}", headers=token("boss", "operator")).json()["runUrl"]
    assert run_url.startswith("http://127.0.0.1:")
    assert "/runs/" in run_url


def test_imports_come_in_pages_the_newest_first(service, tester, importer, write_csv):
    made = [importer.register(write_csv(f"Email\n{number}@x.example\n")) for number in range(5)]
    seen, cursor = [], None
    for _ in range(3):
        page = service.get(
            "/api/imports/", params={"limit": 2, **({"cursor": cursor} if cursor else {})}, headers=tester
        ).json()
        seen += [one["uploadId"] for one in page["imports"]]
        cursor = page["next"]
    assert seen == made[::-1]
    assert cursor is None


@pytest.mark.parametrize("cursor", ["x", "é", "W10=", "WzEsMl0=", "bnVsbA=="])
def test_a_cursor_that_was_made_up_is_refused(service, tester, cursor):
    answer = service.get("/api/imports/", params={"cursor": cursor}, headers=tester)
    assert problem(answer) == (422, "invalid_request")


def test_events_tell_of_the_import_until_it_has_ended(service, tester, importer, write_csv):
    upload_id = importer.register(write_csv(DIRTY))
    claim = importer.claim(upload_id)
    told = []
    with service.stream("GET", f"/api/imports/{upload_id}/events", headers=tester) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if line.startswith("data: "):
                told.append(json.loads(line.removeprefix("data: ")))
                if len(told) == 1:
                    importer.load(upload_id, run_id=claim.run_id)
    assert told[0]["phase"] == "importing"
    assert (told[-1]["phase"], told[-1]["rows"], told[-1]["rejected"]) == ("finished", 3, 1)


def test_events_end_when_the_token_is_revoked(service, importer, write_csv, connection):
    token_id, token = tokens.create_token(connection, "tester", "uploader")
    upload_id = importer.register(write_csv(DIRTY))
    lines = 0
    with service.stream(
        "GET", f"/api/imports/{upload_id}/events", headers={"Authorization": f"Bearer {token}"}
    ) as stream:
        for lines, _ in enumerate(stream.iter_lines(), start=1):
            if lines == 1:
                tokens.revoke_token(connection, token_id)
    # The import still waits: nothing but the token has ended.
    assert lines > 0
    assert importer.summary(upload_id)["state"] == "queued"


def test_cancelling_an_import_that_waits(service, tester, importer, write_csv):
    upload_id = importer.register(write_csv(DIRTY))
    assert service.post(f"/api/imports/{upload_id}/cancel", headers=tester).json() == {
        "uploadId": upload_id, "state": "cancelled",
    }  # fmt: skip
    assert service.get(f"/api/imports/{upload_id}", headers=tester).json()["state"] == "cancelled"
    assert service.get(f"/api/imports/{upload_id}/rejects", headers=tester).text == ""


def test_rejects_come_as_a_file_with_a_safe_name(service, tester, importer, tmp_path):
    path = tmp_path / 'evil"; é<script>.csv'
    path.write_text(DIRTY)
    upload_id = importer.register(path)
    importer.load(upload_id)
    answer = service.get(f"/api/imports/{upload_id}/rejects", headers=tester)
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith(f'attachment; filename="rejects-{upload_id}.csv"')
    assert "<" not in disposition
    assert "%C3%A9" in disposition
    assert "invalid_email:Email" in answer.text


def test_what_was_loaded_is_downloaded_and_imports_as_it_is(service, token, importer, write_csv):
    ada = {"headers": token("tester")}
    first = importer.run(write_csv("Email,First Name,Mobile Phone,Wish\na@x.example,Ann,+1 415 555 0100,=1+1\n"))
    again = importer.run(
        write_csv(
            "Email,First Name,Mobile Phone,Wish\na@x.example,Anna,,tea\nb@x.example,@Bea,+1 415 555 0101,\nnobody,,,\n"
        )
    )

    def downloaded(upload_id):
        answer = service.get(f"/api/imports/{upload_id}/contacts", **ada)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert "attachment" in answer.headers["content-disposition"]
        assert answer.headers["cache-control"] == "no-store"
        return answer.content

    rows = list(csv.DictReader(io.StringIO(downloaded(again["upload_id"]).decode("utf-8-sig"))))
    told = [(row["Email"], row["First Name"], row["Mobile Phone"], row["Wish"]) for row in rows]
    assert told == [
        ("b@x.example", "'@Bea", "+14155550101", ""),
        ("a@x.example", "Anna", "+14155550100", "tea"),
    ]
    everything = downloaded(first["upload_id"])
    assert everything.count(b"\n") == 2
    back = importer.run(write_csv(everything))
    assert (back["rows"], back["unchanged"], back["rejected"]) == (1, 1, 0)
    undone = service.post(f"/api/imports/{again['upload_id']}/undo", **ada)
    assert undone.json()["state"] == "undone"
    assert downloaded(again["upload_id"]).count(b"\n") == 1
    assert problem(service.get(f"/api/imports/{first['upload_id']}/contacts", headers=token("else")))[0] == 404
    operator = token("ops", "operator")
    assert problem(service.get(f"/api/imports/{first['upload_id']}/contacts", headers=operator))[0] == 403


def test_what_other_owners_know_of_somebody_is_not_downloaded(service, token, importer, write_csv, connection):
    ours = importer.run(write_csv("Email,First Name,Title\na@x.example,Ann,Ours\nb@x.example,Bea,Ours\n"))
    connection.execute("UPDATE imports SET owner = 'sales' WHERE upload_id = %s", (ours["upload_id"],))
    theirs = importer.run(write_csv("Email,Title\na@x.example,\nc@x.example,Theirs\n"))

    def emails(upload_id, owner):
        answer = service.get(f"/api/imports/{upload_id}/contacts", headers=token(owner))
        return [row["Email"] for row in csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))]

    assert emails(theirs["upload_id"], "tester") == ["c@x.example"]
    assert emails(ours["upload_id"], "sales") == ["a@x.example", "b@x.example"]


def test_a_contact_that_an_undo_has_left_to_an_import_is_downloaded(service, token, importer, write_csv, connection):
    first = importer.run(write_csv("Email,First Name\na@x.example,Ann\n"))
    second = importer.run(write_csv("Email,First Name\na@x.example,Anna\n"))
    undoing.undo(connection, first["upload_id"], "tester")
    found = service.get(f"/api/imports/{second['upload_id']}/contacts", headers=token("tester"))
    assert b"a@x.example" in found.content
