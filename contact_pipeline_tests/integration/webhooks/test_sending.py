"""Others are told what becomes of imports, by a receiver that fails, hangs, redirects and comes back."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from contact_pipeline.database import cancelling, states, webhooks
from contact_pipeline.database.postgres import connect
from contact_pipeline.database.undo import undoing
from contact_pipeline.database.webhooks import Kind
from contact_pipeline.importing import retention
from contact_pipeline.webhooks import sending

FILE = "Email,First Name\nann@secret.example,Ann\n"


@dataclass
class Receiver:
    """An HTTP server that answers as it is told, and keeps what it was sent."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    location: str = ""
    hangs: threading.Event | None = None
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def topics(self) -> list[str]:
        return [json.loads(body)["type"] for _, body in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    told = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            told.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            if told.hangs is not None:
                told.hangs.wait(30)
                return
            status = told.answers.pop(0) if told.answers else 204
            self.send_response(status)
            if told.location:
                self.send_header("location", told.location)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.url = f"http://127.0.0.1:{server.server_port}/hook"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield told
        if told.hangs is not None:
            told.hangs.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def send(settings, connection):
    """Sends what is due now; `hurry` makes everything due."""

    def run(*, hurry: bool = True, **changed: Any) -> tuple[int, int]:
        if hurry:
            connection.execute("UPDATE deliveries SET due_at = now() - interval '1 s'")
        told = settings.model_copy(update={"webhooks_may_be_private": True, "api_url": "http://up.example", **changed})
        return sending.send_due(connection, told, 20)

    return run


def test_an_import_is_told_signed_once_and_without_a_value(connection, importer, write_csv, receiver, send):
    before = importer.run(write_csv("Email\nb@x.example\n"))["upload_id"]
    _, secret = webhooks.add(connection, "tester", receiver.url, Kind.STANDARD)
    webhooks.add(connection, "somebody", receiver.url, Kind.STANDARD)
    upload_id = importer.run(write_csv(FILE))["upload_id"]
    assert send() == (1, 0)
    assert send() == (0, 0)
    ((headers, body),) = receiver.got
    assert headers["content-type"] == "application/json"
    told = Webhook(secret).verify(body, headers)
    assert told["type"] == "import.succeeded"
    assert told["data"] == {
        "uploadId": upload_id, "owner": "tester", "inserted": 1, "updated": 0, "unchanged": 0, "duplicate_in_file": 0,
        "rejected": 0, "url": f"http://up.example/#import/{upload_id}",
    }  # fmt: skip
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body.replace(b"1", b"2"), headers)
    assert b"secret.example" not in body
    assert before not in body.decode()


def test_what_becomes_of_an_import_is_told_in_order_though_the_receiver_fails(
    connection, importer, write_csv, receiver, send
):
    number, _ = webhooks.add(connection, "*", receiver.url, Kind.STANDARD)
    upload_id = importer.run(write_csv(FILE))["upload_id"]
    undoing.undo(connection, upload_id, "tester")
    other = importer.register(write_csv("Email\nc@x.example\n"))
    cancelling.cancel(connection, other, "tester")
    receiver.answers = [500, 204]
    assert send() == (1, 1)
    assert receiver.topics == ["import.succeeded", "import.cancelled"]
    assert send(hurry=False) == (0, 0), "it waits, and what comes after it waits too"
    assert webhooks.listed(connection)[0]["trouble"] == "it answered 500"
    assert send() == (2, 0)
    assert receiver.topics == ["import.succeeded", "import.cancelled", "import.succeeded", "import.undone"]
    ids = [headers["webhook-id"] for headers, _ in receiver.got]
    assert ids[0] == ids[2], "the same message has the same id"
    kept = connection.execute("SELECT * FROM deliveries WHERE webhook = %s ORDER BY message", (number,)).fetchall()
    assert [one["delivered_at"] is not None for one in kept] == [True] * 3


def test_what_is_never_taken_is_given_up_and_can_be_replayed(connection, importer, write_csv, receiver, send):
    number, _ = webhooks.add(connection, "*", receiver.url, Kind.STANDARD)
    upload_id = importer.register(write_csv("Website\nx\n"))
    claim = importer.claim(upload_id)
    states.fail(connection, upload_id, claim.run_id, "no_identity_column", "no column says who a contact is")
    receiver.answers = [503] * webhooks.MAX_ATTEMPTS
    for _ in range(webhooks.MAX_ATTEMPTS):
        assert send() == (0, 1)
    assert send() == (0, 0)
    listed = webhooks.listed(connection)[0]
    assert (listed["waiting"], listed["dead"]) == (0, 1)
    assert webhooks.replay(connection, number) == 1
    assert send() == (1, 0)
    told = json.loads(receiver.got[-1][1])
    assert (told["type"], told["data"]["code"]) == ("import.failed", "no_identity_column")


def test_a_receiver_that_hangs_is_left_and_asked_again(connection, importer, write_csv, receiver, send, monkeypatch):
    monkeypatch.setitem(sending._TIMEOUT, "read", 0.5)
    webhooks.add(connection, "*", receiver.url, Kind.STANDARD)
    importer.run(write_csv(FILE))
    receiver.hangs = threading.Event()
    assert send() == (0, 1)
    assert webhooks.listed(connection)[0]["trouble"] == "ReadTimeout"
    receiver.hangs.set()
    receiver.hangs = None
    assert send() == (1, 0)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "169.254.169.254",
        "10.0.0.1",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[fec0::1]",
    ],
)
def test_private_addresses_are_refused(connection, importer, write_csv, receiver, send, host):
    webhooks.add(connection, "*", receiver.url.replace("127.0.0.1", host), Kind.STANDARD)
    importer.run(write_csv(FILE))
    assert send(webhooks_may_be_private=False) == (0, 1)
    assert receiver.got == []
    assert webhooks.listed(connection)[0]["trouble"] == "its address is a private one"


def test_a_redirect_is_an_answer_and_is_not_followed(connection, importer, write_csv, receiver, send):
    webhooks.add(connection, "*", receiver.url, Kind.STANDARD)
    importer.run(write_csv(FILE))
    receiver.answers, receiver.location = [307], receiver.url
    assert send() == (0, 1)
    assert len(receiver.got) == 1
    assert webhooks.listed(connection)[0]["trouble"] == "it answered 307"


def test_a_chat_gets_a_text(connection, importer, write_csv, receiver, send):
    webhooks.add(connection, "*", receiver.url, Kind.TEXT)
    upload_id = importer.run(write_csv(FILE + "no address,Bob\n"))["upload_id"]
    assert send() == (1, 0)
    ((headers, body),) = receiver.got
    assert "webhook-signature" not in headers
    assert json.loads(body) == {
        "text": f"Imported: upload {upload_id[:8]} (tester) · 1 inserted, 1 rejected · http://up.example/#import/{upload_id}"
    }


def test_an_import_that_waits_for_an_hour_is_told_once(connection, importer, write_csv, receiver, send):
    webhooks.add(connection, "*", receiver.url, Kind.STANDARD)
    upload_id = importer.register(write_csv(FILE))
    assert send() == (0, 0)
    connection.execute("UPDATE imports SET created_at = now() - interval '9 days' WHERE upload_id = %s", (upload_id,))
    assert send() == (0, 0), "it was uploaded long ago, and is queued since a moment ago"
    connection.execute("UPDATE launches SET created_at = now() - interval '61 min' WHERE upload_id = %s", (upload_id,))
    assert send() == (1, 0)
    assert send() == (0, 0)
    assert receiver.topics == ["import.waiting"]


def test_a_sender_that_dies_while_it_sends_is_followed_by_another(
    connection, importer, write_csv, receiver, send, settings
):
    webhooks.add(connection, "*", receiver.url, Kind.STANDARD)
    importer.run(write_csv(FILE))
    webhooks.dispatch(connection)
    with closing(connect(settings.database_url)) as other:
        assert webhooks.take_due(other) is not None
    assert send(hurry=False) == (0, 0), "for a minute it is the other's"
    assert send() == (1, 0)


def test_chunks_are_told_to_nobody(connection, importer, write_csv):
    importer.run(write_csv(FILE))
    topics = [row["topic"] for row in connection.execute("SELECT topic FROM outbox").fetchall()]
    assert topics == ["import.succeeded"]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x.example",
        "https://",
        "https://x.example/k\u00e4se",
        "https://x.example:99999/",
        f"http://{'a' * 64}.example/",
    ],
)
def test_what_is_no_address_is_refused_at_once(connection, url):
    with pytest.raises(webhooks.WebhookRefused):
        webhooks.add(connection, "*", url, Kind.STANDARD)


def test_a_receiver_that_sends_a_byte_now_and_then_is_not_waited_for(
    connection, importer, write_csv, send, monkeypatch
):
    monkeypatch.setattr(sending, "_WHOLE_SECONDS", 1.0)
    stop = threading.Event()
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def trickle() -> None:
            taken, _ = server.accept()
            with closing(taken), suppress(OSError):
                while not stop.wait(0.1):
                    taken.sendall(b"H")

        thread = threading.Thread(target=trickle)
        thread.start()
        webhooks.add(connection, "*", f"http://127.0.0.1:{server.getsockname()[1]}/", Kind.STANDARD)
        importer.run(write_csv(FILE))
        try:
            assert send() == (0, 1)
        finally:
            stop.set()
            thread.join()


def test_one_receiver_that_is_away_holds_up_no_other(connection, importer, write_csv, receiver, send, monkeypatch):
    asked = []
    resolve = socket.getaddrinfo

    def away(host, *others, **more):
        asked.append(host)
        if host == "away.example":
            raise socket.gaierror
        return resolve(host, *others, **more)

    monkeypatch.setattr(socket, "getaddrinfo", away)
    webhooks.add(connection, "*", "http://away.example/", Kind.STANDARD)
    webhooks.add(connection, "*", receiver.url, Kind.STANDARD)
    for number in range(3):
        importer.run(write_csv(FILE.replace("ann", f"a{number}")))
    asked.clear()
    assert send(hurry=False) == (3, 1)
    assert asked.count("away.example") == 1


def test_a_message_that_was_given_up_is_kept_for_a_replay(
    connection, importer, write_csv, receiver, send, settings, store
):
    number, _ = webhooks.add(connection, "*", receiver.url, Kind.STANDARD)
    importer.run(write_csv(FILE))
    webhooks.dispatch(connection)
    connection.execute("UPDATE deliveries SET dead_at = now() - interval '13 days'")
    connection.execute("UPDATE outbox SET created_at = now() - interval '15 days'")
    retention.apply(connection, store, settings)
    webhooks.replay(connection, number)
    assert send() == (1, 0)
