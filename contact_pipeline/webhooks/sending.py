"""Sending: each delivery at least once, in order for an import, tried again with pauses that grow."""

from __future__ import annotations

import ipaddress
import socket
import ssl
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
_WHOLE_SECONDS: Final = 20.0
"""For one delivery in all: a receiver that sends a byte now and then is not waited for."""

# Of IPv6 that Python takes for public: what carries an IPv4 address within, and what was once for sites.
_NOT_PUBLIC: Final = [ipaddress.ip_network(net) for net in ("64:ff9b::/96", "2002::/16", "::/96", "fec0::/10")]
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
    webhooks.give_up(connection)
    taken = refused = 0
    with httpcore.ConnectionPool(
        network_backend=_Guarded(settings.webhooks_may_be_private), max_keepalive_connections=0
    ) as pool:
        while monotonic() < ends and (due := webhooks.take_due(connection)):
            trouble, away = _send(pool, due, settings)
            webhooks.note_outcome(connection, due, trouble, away=away)
            taken += trouble is None
            refused += trouble is not None
    return taken, refused


def _send(pool: httpcore.ConnectionPool, due: DueDelivery, settings: Settings) -> tuple[str | None, bool]:
    """Send one.

    Returns:
        What went wrong, without a word of the receiver's, which may quote anything; and whether that was not reached.
    """
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
        return "its address is a private one", False
    except Exception as error:  # noqa: BLE001 - whatever it is, the others are sent all the same
        return type(error).__name__, True
    # A redirect is an answer like any other that is not 2xx: it is not followed, wherever it leads.
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return None, False
    return f"it answered {answer.status}", False


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
        if not self._may_be_private and not all(map(_is_public, addresses)):
            raise AddressRefused
        stream = self._backend.connect_tcp(addresses[0], port, timeout, local_address, socket_options)
        return _Bounded(stream, monotonic() + _WHOLE_SECONDS)


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text)
    return address.is_global and not address.is_multicast and not any(address in net for net in _NOT_PUBLIC)


class _Bounded(httpcore.NetworkStream):
    """A connection that is used until a moment, and no longer."""

    def __init__(self, stream: httpcore.NetworkStream, ends: float) -> None:
        self._stream = stream
        self._ends = ends

    def _left(self, timeout: float | None) -> float:
        left = self._ends - monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("it takes too long in all")
        return left if timeout is None else min(timeout, left)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read."""
        return self._stream.read(max_bytes, self._left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write."""
        self._stream.write(buffer, self._left(timeout))

    def close(self) -> None:
        """Close."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Go on encrypted."""
        return _Bounded(self._stream.start_tls(ssl_context, server_hostname, self._left(timeout)), self._ends)

    def get_extra_info(self, info: str) -> Any:
        """What the connection says of itself."""
        return self._stream.get_extra_info(info)
