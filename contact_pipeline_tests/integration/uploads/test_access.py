"""Who may do what: tokens, cookies, limits; and that what is not yours is not there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from contact_pipeline.cli.app import app
from contact_pipeline.database import tokens
from contact_pipeline.uploads.auth import COOKIE
from contact_pipeline_tests.uploading import problem

MIB = 1 << 20
UNKNOWN = "0" * 32


def begin(service: Any, headers: dict[str, str], size: int = 9 * MIB) -> dict[str, Any]:
    answer = service.post("/api/upload/init/", json={"fileName": "people.csv", "fileSize": size}, headers=headers)
    assert answer.status_code == 200, answer.text
    begun: dict[str, Any] = answer.json()
    return begun


def every_call(upload_id: str, key: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Each call that concerns one upload or import."""
    sign = {"key": key, "uploadId": upload_id}
    return [
        ("POST", "/api/upload/chunk/", {"data": {"uploadId": upload_id, "chunkIndex": "0"}, "files": {"chunk": b"x"}}),
        ("GET", f"/api/upload/parts/?uploadId={upload_id}", {}),
        ("POST", "/api/upload/complete/", {"json": {"uploadId": upload_id}}),
        ("POST", "/api/upload/cancel/", {"json": {"uploadId": upload_id}}),
        ("GET", f"/api/upload/progress/?uploadId={upload_id}", {}),
        ("GET", f"/api/upload/progress/?s3Key={key}", {}),
        ("GET", f"/api/imports/{upload_id}", {}),
        ("GET", f"/api/imports/{upload_id}/events", {}),
        ("GET", f"/api/imports/{upload_id}/rejects", {}),
        ("GET", f"/api/imports/{upload_id}/contacts", {}),
        ("POST", f"/api/imports/{upload_id}/cancel", {}),
        ("POST", f"/api/imports/{upload_id}/import-again", {}),
        ("POST", f"/api/imports/{upload_id}/undo", {}),
        ("GET", f"/api/imports/{upload_id}/rejected-rows", {}),
        ("POST", f"/api/imports/{upload_id}/first-look", {"json": {}}),
        ("POST", f"/api/imports/{upload_id}/check", {"json": {}}),
        ("POST", f"/api/imports/{upload_id}/import", {"json": {}}),
        ("GET", f"/s3/multipart/{upload_id}/1?key={key}", {}),
        ("GET", f"/s3/multipart/{upload_id}?key={key}", {}),
        (
            "POST",
            f"/s3/multipart/{upload_id}/complete?key={key}",
            {"json": {"parts": [{"PartNumber": 1, "ETag": "x"}]}},
        ),
        ("DELETE", f"/s3/multipart/{upload_id}?key={key}", {}),
        *(("POST", "/s3/presign", {"json": {"method": method, **sign}}) for method in ("GET", "POST", "DELETE")),
        ("POST", "/s3/presign", {"json": {"method": "PUT", "partNumber": 1, **sign}}),
    ]


CALLS_THAT_BEGIN: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/api/upload/init/", {"json": {"fileName": "a.csv", "fileSize": 1}}),
    ("GET", "/api/imports/", {}),
    ("GET", "/api/fields/", {}),
    ("GET", "/metrics", {}),
    ("GET", "/api/session/", {}),
    ("GET", "/s3/params?filename=a.csv", {}),
    ("POST", "/s3/multipart", {"json": {"filename": "a.csv"}}),
    ("POST", "/s3/presign", {"json": {"method": "POST", "key": "a.csv"}}),
]


def test_these_are_all_calls_that_there_are(service):
    open_to_all = ("/api/session", "/health", "/ready")
    spoken = {path for path in service.get("/openapi.json").json()["paths"] if not path.startswith(open_to_all)}
    tried = {path.partition("?")[0] for _, path, _ in [*every_call(UNKNOWN, "uploads/x.csv"), *CALLS_THAT_BEGIN]}
    shapes = {path.replace(UNKNOWN, "{upload_id}").replace("/1", "/{number}") for path in tried}
    assert spoken <= shapes


def test_an_upload_of_somebody_else_is_not_there_and_asking_is_recorded(service, token, connection):
    ada, eve = token("ada"), token("eve")
    begun = begin(service, ada)
    for method, path, request in every_call(begun["uploadId"], begun["s3Key"]):
        if "/api/imports/" in path and path.split("/")[-1] in (
            begun["uploadId"], "rejects", "contacts", "undo", "import-again", "rejected-rows", "first-look", "check",
            "import",
        ):  # fmt: skip
            continue  # there is no import yet, for anybody
        before = connection.execute("SELECT count(*) AS n FROM audit_events").fetchone()["n"]
        assert (path, problem(service.request(method, path, headers=eve, **request))) == (path, (404, "unknown_upload"))
        seen = connection.execute("SELECT * FROM audit_events ORDER BY event DESC LIMIT 1").fetchone()
        after = connection.execute("SELECT count(*) AS n FROM audit_events").fetchone()["n"]
        assert (path, seen["what"], seen["actor"], seen["upload_id"]) == (
            path, "foreign_upload_refused", "eve", begun["uploadId"],
        )  # fmt: skip
        assert after > before
    mine = service.get(f"/api/upload/parts/?uploadId={begun['uploadId']}", headers=ada).json()
    assert (mine["state"], mine["missingChunks"]) == ("uploading", [0, 1])
    assert service.post("/api/upload/cancel/", json={"uploadId": begun["uploadId"]}, headers=ada).status_code == 200


def test_an_import_of_somebody_else_is_not_there_but_for_an_operator(service, token, importer, write_csv, connection):
    upload_id = importer.register(write_csv("Email\na@x.example\n"))
    assert importer.load(upload_id)["state"] == "succeeded"
    key = f"uploads/{upload_id}.csv"
    eve, boss, ada = token("eve"), token("boss", "operator"), token("tester")
    for method, path, request in every_call(upload_id, key):
        assert problem(service.request(method, path, headers=eve, **request)) == (404, "unknown_upload")
    assert service.get("/api/imports/", headers=eve).json()["imports"] == []
    for headers in (ada, boss):
        assert service.get(f"/api/imports/{upload_id}", headers=headers).json()["inserted"] == 1
        assert [one["uploadId"] for one in service.get("/api/imports/", headers=headers).json()["imports"]] == [
            upload_id
        ]
    refused = connection.execute(
        "SELECT count(*) AS n FROM audit_events WHERE actor = 'eve' AND upload_id = %s", [upload_id]
    )
    assert refused.fetchone()["n"] >= 6


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer nobody"}, {"Cookie": f"{COOKIE}=guessed"}])
def test_nobody_gets_anything(service, headers):
    for method, path, request in [*every_call(UNKNOWN, f"uploads/{UNKNOWN}.csv"), *CALLS_THAT_BEGIN]:
        answer = service.request(method, path, headers={"Origin": "http://testserver", **headers}, **request)
        assert (path, problem(answer)) == (path, (401, "unauthorized"))
        assert answer.headers["www-authenticate"] == "Bearer"


def test_a_revoked_token_is_refused_from_the_next_call_on(service, connection):
    token_id, token = tokens.create_token(connection, "ada", "uploader")
    headers = {"Authorization": f"Bearer {token}"}
    service.post("/api/session/", json={"token": token})
    assert service.get("/api/imports/", headers=headers).status_code == 200
    ticketed = service.post("/s3/presign", json={"method": "POST", "key": "a.csv"}, headers=headers).json()["url"]
    assert tokens.revoke_token(connection, token_id)
    assert problem(service.get("/api/imports/", headers=headers)) == (401, "unauthorized")
    assert problem(service.get("/api/imports/")) == (401, "unauthorized")
    assert problem(service.post(ticketed)) == (401, "unauthorized")
    assert problem(service.post("/api/session/", json={"token": token})) == (401, "unauthorized")


def test_only_a_hash_of_a_token_is_kept(connection):
    _, token = tokens.create_token(connection, "ada", "uploader")
    kept = json.dumps(connection.execute("SELECT * FROM api_tokens").fetchall(), default=str)
    assert token not in kept
    assert token.removeprefix("cp_") not in kept


def test_a_cookie_is_for_the_services_own_page_only(service, connection):
    _, token = tokens.create_token(connection, "ada", "uploader")
    signed_in = service.post("/api/session/", json={"token": token})
    assert signed_in.json()["owner"] == "ada"
    flags = signed_in.headers["set-cookie"].lower()
    assert "httponly" in flags
    assert "samesite=strict" in flags
    body = {"fileName": "a.csv", "fileSize": 1}
    for origin in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        assert problem(service.post("/api/upload/init/", json=body, headers=origin)) == (403, "foreign_page")
    own = service.post("/api/upload/init/", json=body, headers={"Origin": "http://testserver"})
    assert own.status_code == 200
    service.delete("/api/session/")
    service.cookies.set(COOKIE, signed_in.cookies[COOKIE])
    assert problem(service.get("/api/imports/")) == (401, "unauthorized")


def test_an_owner_has_only_so_many_uploads_under_way(serve, token):
    service, ada, eve = serve(max_open_uploads=2), token("limited"), token("another")
    first, _ = begin(service, ada), begin(service, ada)
    refused = service.post("/api/upload/init/", json={"fileName": "a.csv", "fileSize": 1}, headers=ada)
    assert problem(refused) == (429, "too_many_uploads")
    assert int(refused.headers["retry-after"]) > 0
    begin(service, eve)
    service.post("/api/upload/cancel/", json={"uploadId": first["uploadId"]}, headers=ada)
    begin(service, ada)


def test_a_token_that_calls_too_often_is_told_when_to_come_again(serve, token):
    service, ada, eve = serve(calls_per_minute=3), token("ada"), token("eve")
    answers = [service.get("/api/imports/", headers=ada) for _ in range(7)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert problem(refused[0]) == (429, "too_many_calls")
    assert 0 < int(refused[0].headers["retry-after"]) <= 61
    assert service.get("/api/imports/", headers=eve).status_code == 200


def test_answers_carry_what_keeps_browsers_in_bounds(service):
    page, api = service.get("/"), service.get("/api/imports/")
    assert "Contact Pipeline" in page.text
    for answer in (page, api):
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert api.headers["cache-control"] == "no-store"


def test_other_sites_may_call_only_where_they_are_named(serve):
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    named = serve(cors_origins=["https://app.example"]).options("/s3/multipart", headers=asked)
    assert named.headers["access-control-allow-origin"] == "https://app.example"
    assert "access-control-allow-origin" not in serve().options("/s3/multipart", headers=asked).headers


def test_tokens_on_the_command_line(settings, monkeypatch, service, tmp_path):
    for name, value in settings.model_dump(exclude_none=True).items():
        revealed = value.get_secret_value() if hasattr(value, "get_secret_value") else value
        monkeypatch.setenv(
            f"CONTACT_PIPELINE_{name.upper()}", json.dumps(revealed) if isinstance(revealed, list) else str(revealed)
        )

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["token", *arguments, "--home", str(tmp_path)])

    made = json.loads(run("create", "--owner", "sales", "--json").stdout)
    headers = {"Authorization": f"Bearer {made['token']}"}
    assert service.get("/api/session/", headers=headers).json()["role"] == "uploader"
    listed = json.loads(run("list", "--json").stdout)["tokens"]
    assert [(one["token_id"], one["owner"], one["revoked_at"]) for one in listed] == [(made["token_id"], "sales", None)]
    assert "sales" in run("list").stdout
    assert run("revoke", made["token_id"]).exit_code == 0
    assert service.get("/api/session/", headers=headers).status_code == 401
    assert run("revoke", "nosuch").exit_code != 0
    assert run("create", "--owner", "Not An Owner").exit_code != 0
