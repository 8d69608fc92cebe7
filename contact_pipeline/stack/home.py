"""A home folder: its layout, its ports and its secrets."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from pydantic import AliasChoices, ValidationError

from contact_pipeline.errors import StackError
from contact_pipeline.settings import PREFIX, Settings, SettingsMissing

DEFAULT_HOME: Final = Path(".contact-pipeline")

_PORTS: Final = (
    "postgres",
    "redis",
    "s3",
    "s3_grpc",
    "s3_master",
    "s3_master_grpc",
    "s3_volume",
    "s3_volume_grpc",
    "s3_filer",
    "s3_filer_grpc",
    "api",
    "dagster",
    "code",
)


_SERVERS: Final = ("database_url", "redis_url", "s3_bucket", "s3_endpoint_url")
"""Settings that tell one installation from another."""

_PORT_RANGE: Final = range(20_000, 32_000)


class Home:
    """One home folder and what is kept in it. `stack.json` holds ports and secrets (mode 0600)."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    @property
    def logs(self) -> Path:
        """Where each server's log is."""
        return self.path / "logs"

    @property
    def dagster(self) -> Path:
        """Dagster's home."""
        return self.path / "dagster"

    @property
    def _file(self) -> Path:
        return self.path / "stack.json"

    @property
    def _restarts(self) -> Path:
        return self.path / "restarts.json"

    def folder(self, name: str) -> Path:
        """A folder below the home, made if need be, for its owner only."""
        folder = self.path / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the home: two `up` or `down` at once take turns."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.path / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def exists(self) -> bool:
        """Whether a stack was ever started here."""
        return self._file.exists()

    def load(self) -> dict[str, Any]:
        """What `stack.json` holds.

        Raises:
            StackError: no stack was started here.
        """
        try:
            state: dict[str, Any] = json.loads(self._file.read_text())
            return state
        except FileNotFoundError:
            raise self._nothing_here() from None

    def save(self, state: dict[str, Any]) -> None:
        """Replace `stack.json` in one step."""
        draft = self._file.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(state, indent=2))
        draft.replace(self._file)

    def restarts(self) -> dict[str, int]:
        """How often each server was started again since the stack was started."""
        try:
            found: dict[str, int] = json.loads(self._restarts.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return found

    def count_restarts(self, names: Iterable[str]) -> None:
        """Count that these servers were started again."""
        counts = self.restarts()
        self._restarts.write_text(json.dumps({**counts, **{name: counts.get(name, 0) + 1 for name in names}}))

    def forget_restarts(self) -> None:
        """Count anew."""
        self._restarts.unlink(missing_ok=True)

    def prepare(self) -> dict[str, Any]:
        """Secrets made on first use, and ports."""
        state = self.load() if self.exists() else {}
        state.setdefault(
            "secrets",
            {
                "postgres_password": secrets.token_urlsafe(24),
                "redis_password": secrets.token_urlsafe(24),
                "s3_access_key_id": secrets.token_hex(10),
                "s3_secret_access_key": secrets.token_urlsafe(30),
                "api_token": secrets.token_urlsafe(32),
            },
        )
        state.setdefault("ports", {})
        missing = [name for name in _PORTS if name not in state["ports"]]
        state["ports"].update(zip(missing, free_ports(len(missing)), strict=True))
        self.save(state)
        return state

    def settings(self) -> Settings:
        """The settings that the running stack uses; the environment has the last word, and alone will do.

        An environment that names other servers than the stack's is that of another installation: nothing is filled in.

        Raises:
            StackError: no stack was started here, and the environment names no server.
            SettingsMissing: the environment names some of the servers, and not all.
        """
        saved = self.load().get("settings") if self.exists() else {}
        named = [name for name in _SERVERS if _is_given(name)]
        if saved is None and not named:
            raise StackError(f"the stack in {self.path} never came up: run `contact-pipeline up --home {self.path}`")
        known = {name: value for name, value in (saved or {}).items() if name in Settings.model_fields}
        if any(os.environ.get(PREFIX + name.upper()) != known.get(name) for name in named):
            known = {}
        try:
            return Settings(**{name: value for name, value in known.items() if not _is_given(name)})
        except ValidationError as error:
            if named:
                raise SettingsMissing(error) from None
            raise self._nothing_here() from None

    def _nothing_here(self) -> StackError:
        return StackError(f"nothing was started in {self.path}: run `contact-pipeline up --home {self.path}`")


def _is_given(name: str) -> bool:
    """Whether the environment says a setting, by its name or the one that it had before."""
    alias = Settings.model_fields[name].validation_alias
    names = [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else [PREFIX + name.upper()]
    return any(variable in os.environ for variable in names)


def free_ports(count: int) -> list[int]:
    """Ports that are free right now, all different.

    By chance, and below those that systems give to connections (from 32,768 on Linux, 49,152 elsewhere): between this
    and the start of a server neither a connection nor another stack that starts meanwhile is likely to take one.

    Raises:
        StackError: there are not so many.
    """
    found: list[int] = []
    for port in secrets.SystemRandom().sample(_PORT_RANGE, len(_PORT_RANGE)):
        if len(found) == count:
            return found
        if port_is_free(port):
            found.append(port)
    raise StackError(
        f"no {count} ports between {_PORT_RANGE.start} and {_PORT_RANGE.stop} are free: stop what uses them"
    )


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
