"""Sending: each delivery at least once, in order for an import, tried again with pauses that grow."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from time import monotonic
from typing import Any, Final

import httpcore
from standardwebhooks import Webhook

from contact_pipeline.database import webhooks
from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.webhooks import DueDelivery, Kind
from contact_pipeline.settings import Settings
from contact_pipeline.webhooks.messages import body_of

_TIMEOUT: Final = {"connect": 5.0, "read": 10.0, "write": 10.0, "pool": 5.0}
_MAX_ANSWER_BYTES: Final = 64 << 10


class AddressRefused(Exception):
    """The receiver's name leads to a machine that is not on the internet."""


def send_due(connection: Connection, settings: Settings, seconds: float) -> tuple[int, int]:
    """Send what is due, for so many seconds at most.

    Returns:
        How many deliveries a receiver has taken, and how many it has not.
    """
    ends = monotonic() + seconds
    webhooks.note_long_waits(connection)
    webhooks.dispatch(connection)
    taken = refused = 0
    with httpcore.ConnectionPool(network_backend=_Guarded(settings.webhooks_may_be_private)) as pool:
        while monotonic() < ends and (due := webhooks.take_due(connection)):
            trouble = _send(pool, due, settings)
            webhooks.note_outcome(connection, due, trouble)
            taken += trouble is None
            refused += trouble is not None
    return taken, refused


def _send(pool: httpcore.ConnectionPool, due: DueDelivery, settings: Settings) -> str | None:
    """Send one; returns what went wrong, without a word of the receiver's: it may quote anything."""
    body = body_of(due, api_url=settings.api_url, show_file_name=settings.show_file_names)
    headers: dict[bytes | str, bytes | str] = {"Content-Type": "application/json", "User-Agent": "contact-pipeline"}
    if due.kind is Kind.STANDARD:
        now = datetime.now(UTC)
        # The id is that of the message, also when it is sent again: a receiver can leave out what it has had.
        message = f"msg_{due.message}"
        headers |= {
            "webhook-id": message,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(due.secret).sign(message, now, body.decode()),
        }
    try:
        with pool.stream("POST", due.url, headers=headers, content=body, extensions={"timeout": _TIMEOUT}) as answer:
            _drain(answer.iter_stream())
    except AddressRefused:
        return "its address is a private one"
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
        return type(error).__name__
    except httpcore.UnsupportedProtocol:
        return "its address is neither http nor https"
    # A redirect is an answer like any other that is not 2xx: it is not followed, wherever it leads.
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    return f"it answered {answer.status}"


def _drain(blocks: Iterable[bytes]) -> None:
    read = 0
    ends = monotonic() + _TIMEOUT["read"]
    for block in blocks:
        read += len(block)
        if read > _MAX_ANSWER_BYTES or monotonic() > ends:
            return


class _Guarded(httpcore.NetworkBackend):
    """Connects to public addresses only, unless told otherwise.

    A name is resolved once and its address connected to: what it leads to cannot change after it was looked at.
    """

    def __init__(self, may_be_private: bool) -> None:
        self._backend = httpcore.SyncBackend()
        self._may_be_private = may_be_private

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address of a name.

        Raises:
            AddressRefused: one of its addresses is private.
        """
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from None
        addresses = [str(entry[4][0]) for entry in found]
        if not self._may_be_private and not all(ipaddress.ip_address(one).is_global for one in addresses):
            raise AddressRefused
        return self._backend.connect_tcp(addresses[0], port, timeout, local_address, socket_options)
