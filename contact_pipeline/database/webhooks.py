"""Webhooks: whom an owner wants to be told, and what each has been told of the outbox."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

from contact_pipeline.database.postgres import Connection, fetch_one, scrubbed
from contact_pipeline.database.records import select_one
from contact_pipeline.errors import ContactPipelineError

EVERYBODY: Final = "*"
"""In the place of an owner: everybody's imports."""

MAX_ATTEMPTS: Final = 12
"""With pauses of 5 s, doubled: the last is about three hours after the first."""

_PAUSE_SECONDS: Final = 5
_LEASE_SECONDS: Final = 60
_LONG_WAIT: Final = "1 hour"


class Kind(StrEnum):
    """What a receiver understands."""

    STANDARD = "standard"
    TEXT = "text"


class WebhookRefused(ContactPipelineError):
    """There can be no such webhook, or there is none."""

    code = "webhook"


@dataclass(frozen=True, kw_only=True)
class DueDelivery:
    """A message that a receiver is to be sent now."""

    delivery: int
    attempts: int
    message: int
    topic: str
    payload: dict[str, Any]
    created_at: datetime
    upload_id: str
    owner: str
    file_name: str
    url: str
    secret: str
    kind: Kind

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", Kind(self.kind))


def add(connection: Connection, owner: str, url: str, kind: Kind) -> tuple[int, str]:
    """Have an owner's imports told to an address from now on; returns the webhook's number and its secret.

    Raises:
        WebhookRefused: the address is none.
    """
    if not _is_address(url):
        raise WebhookRefused("the address of a webhook is https:// or http://, a host, and what is written in ASCII")
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
    row = fetch_one(
        connection,
        "INSERT INTO webhooks (owner, url, kind, secret) VALUES (%s, %s, %s, %s) RETURNING webhook",
        owner,
        url,
        kind.value,
        secret,
    )
    assert row is not None
    return int(row["webhook"]), secret


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = (parts.hostname or "").encode("idna"), parts.port
    except ValueError:
        return False
    return url.isascii() and url.isprintable() and parts.scheme in ("http", "https") and bool(host)


def listed(connection: Connection) -> list[dict[str, Any]]:
    """All webhooks, with what waits for each and what it was never given; no secret."""
    with scrubbed():
        return connection.execute(
            """SELECT w.webhook, w.owner, w.url, w.kind, w.created_at,
                      count(d.delivery) FILTER (WHERE d.delivered_at IS NULL AND d.dead_at IS NULL) AS waiting,
                      count(d.delivery) FILTER (WHERE d.dead_at IS NOT NULL) AS dead,
                      max(d.delivered_at) AS last_delivered_at,
                      (array_agg(d.trouble ORDER BY d.delivery DESC) FILTER (WHERE d.trouble IS NOT NULL))[1] AS trouble
               FROM webhooks w LEFT JOIN deliveries d USING (webhook) GROUP BY w.webhook ORDER BY w.webhook"""
        ).fetchall()


def remove(connection: Connection, webhook: int) -> None:
    """Tell an address no more; what waits for it is given up.

    Raises:
        WebhookRefused: there is no such webhook.
    """
    with scrubbed(), connection.transaction():
        connection.execute("DELETE FROM deliveries WHERE webhook = %s", (webhook,))
        if connection.execute("DELETE FROM webhooks WHERE webhook = %s", (webhook,)).rowcount == 0:
            raise _unknown(webhook)


def replay(connection: Connection, webhook: int) -> int:
    """Have what a webhook was never given sent once more; returns how many messages that are.

    Raises:
        WebhookRefused: there is no such webhook.
    """
    if fetch_one(connection, "SELECT FROM webhooks WHERE webhook = %s", webhook) is None:
        raise _unknown(webhook)
    with scrubbed():
        return connection.execute(
            """UPDATE deliveries SET dead_at = NULL, attempts = 0, due_at = clock_timestamp()
               WHERE webhook = %s AND dead_at IS NOT NULL""",
            (webhook,),
        ).rowcount


def _unknown(webhook: int) -> WebhookRefused:
    return WebhookRefused(f"there is no webhook {webhook}: `contact-pipeline webhook list` has them")


def note_long_waits(connection: Connection) -> None:
    """Put into the outbox, once for an import, that it has been queued for long."""
    with scrubbed():
        connection.execute(
            f"""INSERT INTO outbox (upload_id, topic, payload)
                SELECT upload_id, 'import.waiting', '{{}}' FROM imports i
                WHERE state = 'queued' AND COALESCE(options ->> 'mode', '') <> 'check'
                  AND EXISTS (SELECT FROM launches l WHERE l.upload_id = i.upload_id AND l.ended_at IS NULL
                                AND l.started_at IS NULL AND l.created_at < now() - interval '{_LONG_WAIT}')
                  AND NOT EXISTS (SELECT FROM outbox o WHERE o.upload_id = i.upload_id
                                    AND o.topic = 'import.waiting')""".encode()
        )


def dispatch(connection: Connection) -> None:
    """Give each new message of the outbox to the webhooks that want it: those that were there when it was made."""
    with scrubbed():
        connection.execute(
            """WITH new AS (UPDATE outbox SET dispatched_at = clock_timestamp() WHERE dispatched_at IS NULL
                            RETURNING message, upload_id, topic, created_at)
               INSERT INTO deliveries (message, webhook, upload_id)
               SELECT new.message, w.webhook, new.upload_id
               FROM new JOIN imports i USING (upload_id)
                    JOIN webhooks w ON w.owner IN (i.owner, %s) AND w.created_at <= new.created_at
               -- A release before this one, which may still load, tells of chunks too.
               WHERE new.topic LIKE 'import.%%'
               ORDER BY new.message ON CONFLICT DO NOTHING""",
            (EVERYBODY,),
        )


def take_due(connection: Connection) -> DueDelivery | None:
    """The next delivery to be made, kept from others for a minute.

    Of one import, a webhook is told in order: what comes later waits for what is before it, until that is given up.
    """
    return select_one(
        connection,
        DueDelivery,
        f"""WITH due AS (
                SELECT delivery FROM deliveries d JOIN outbox USING (message)
                WHERE delivered_at IS NULL AND dead_at IS NULL AND due_at <= clock_timestamp()
                  AND attempts < {MAX_ATTEMPTS}
                  AND NOT EXISTS (SELECT FROM deliveries e
                                  WHERE e.webhook = d.webhook AND e.upload_id = d.upload_id AND e.message < d.message
                                    AND e.delivered_at IS NULL AND e.dead_at IS NULL)
                ORDER BY due_at, delivery LIMIT 1 FOR UPDATE OF d SKIP LOCKED)
            UPDATE deliveries d
            SET attempts = attempts + 1, due_at = clock_timestamp() + interval '{_LEASE_SECONDS} s'
            FROM due, outbox o, imports i, webhooks w
            WHERE d.delivery = due.delivery AND o.message = d.message AND i.upload_id = o.upload_id
              AND w.webhook = d.webhook
            RETURNING d.delivery, d.attempts, o.message, o.topic, o.payload, o.created_at, i.upload_id, i.owner,
                      i.file_name, w.url, w.secret, w.kind""",
    )


def give_up(connection: Connection) -> None:
    """Give up deliveries whose last try has not come back: its sender died, perhaps each time."""
    with scrubbed():
        connection.execute(
            """UPDATE deliveries SET dead_at = clock_timestamp(), trouble = COALESCE(trouble, 'its sender died')
               WHERE delivered_at IS NULL AND dead_at IS NULL AND attempts >= %s AND due_at < clock_timestamp()""",
            (MAX_ATTEMPTS,),
        )


def note_outcome(connection: Connection, due: DueDelivery, trouble: str | None, *, away: bool = False) -> None:
    """Note that a receiver has taken a delivery, or why not: then it is tried again later, until it is given up.

    Args:
        away: the receiver was not reached, or did not answer: whatever else waits for it waits as long.
    """
    pause = _PAUSE_SECONDS * 2 ** (due.attempts - 1)
    if away:
        with scrubbed():
            connection.execute(
                """UPDATE deliveries SET due_at = greatest(due_at, clock_timestamp() + make_interval(secs => %s))
                   WHERE webhook = (SELECT webhook FROM deliveries WHERE delivery = %s) AND delivery <> %s
                     AND delivered_at IS NULL AND dead_at IS NULL""",
                (pause, due.delivery, due.delivery),
            )
    if trouble is None:
        statement = "UPDATE deliveries SET delivered_at = clock_timestamp(), trouble = NULL WHERE delivery = %s"
        parameters: tuple[Any, ...] = (due.delivery,)
    elif due.attempts >= MAX_ATTEMPTS:
        statement = "UPDATE deliveries SET dead_at = clock_timestamp(), trouble = %s WHERE delivery = %s"
        parameters = (trouble, due.delivery)
    else:
        statement = """UPDATE deliveries SET due_at = clock_timestamp() + make_interval(secs => %s), trouble = %s
                       WHERE delivery = %s"""
        parameters = (pause, trouble, due.delivery)
    with scrubbed():
        connection.execute(statement.encode(), parameters)
