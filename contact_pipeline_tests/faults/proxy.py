"""A TCP proxy that misbehaves when it is told to."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """Stands before a server.

    Attributes:
        swallow: nothing passes any more in either direction, and connections stay open.
        away: connections are cut, and new ones refused.
        cut_at: bytes from the client that cut its connection, once they have been passed on.
        bytes_a_second: from the server to the client, where not None.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self.swallow = False
        self.away = False
        self.cut_at: bytes | None = None
        self.bytes_a_second: int | None = None
        self.cuts = 0
        self._open: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, url: str) -> str:
        """A URL of the server, by way of the proxy."""
        parts = urlsplit(url)
        login, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{login}{at}127.0.0.1:{self.port}"))

    def go_away(self) -> None:
        """Cut everything, and refuse what comes."""
        self.away = True
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def come_back(self) -> None:
        """Serve again."""
        self.away = False

    def close(self) -> None:
        """End it."""
        self.go_away()
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            if self.away:
                client.close()
                continue
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            self._open += [client, server]
            threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, from_client: bool) -> None:
        try:
            while data := source.recv(65_536):
                if self.swallow:
                    continue
                if not from_client and self.bytes_a_second is not None:
                    self._drip(target, data)
                else:
                    target.sendall(data)
                if from_client and self.cut_at is not None and self.cut_at in data:
                    self.cut_at = None
                    self.cuts += 1
                    source.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _drip(self, target: socket.socket, data: bytes) -> None:
        for at in range(len(data)):
            rate = self.bytes_a_second
            if rate is None:
                target.sendall(data[at:])
                return
            target.sendall(data[at : at + 1])
            time.sleep(1 / rate)
