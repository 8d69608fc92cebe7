"""Starting, finding again and stopping server processes.

Each server leads a session of its own, so that it survives whoever started it
and everything that it started can be found by the session's id.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from contact_pipeline.errors import StackError
from contact_pipeline.stack.home import Home

Report = Callable[[str], None]


SUPERVISOR = "supervisor"


def start_missing(home: Home, wanted: list[Server], report: Report, *, wait: bool = True) -> None:
    """Start those of the servers that do not run, and wait until they answer."""
    for server in wanted:
        if not is_running(home, server.name):
            report(f"starting {server.name}")
            start(home, server)
    if wait:
        for server in wanted:
            wait_until_ready(home, server)


_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Server:
    """A process to keep running.

    Attributes:
        name: also of its log and its pid file.
        command: what to execute.
        ready: whether it answers; called again and again until it does.
        environment: variables beside those inherited.
        stop_signal: asks it to end in order.
        patience: seconds that it may take to get ready.
        stop_patience: seconds that it may take to end; then it is killed.
    """

    name: str
    command: Sequence[str]
    ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    patience: float = 60
    stop_patience: float = 20


def start(home: Home, server: Server) -> None:
    """Start a server and note its pid. Whatever was left of an earlier one is ended first."""
    stop(home, server.name)
    log = home.folder("logs") / f"{server.name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(server.command),
            cwd=home.path,
            env={**os.environ, **server.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    note = {
        "home": _identity(home),
        "pid": process.pid,
        "birth": _birth(process.pid),
        "stop_signal": int(server.stop_signal),
        "stop_patience": server.stop_patience,
    }
    _note(home, server.name).write_text(json.dumps(note))


def wait_until_ready(home: Home, server: Server) -> None:
    """Wait for a started server to answer.

    Raises:
        StackError: it ended, or another did, which it may wait for in vain; or it did not answer in time.
    """
    deadline = time.monotonic() + server.patience
    others = [name for name in noted(home) if name != server.name and is_running(home, name)]
    while not server.ready():
        ended = next((name for name in others if not is_running(home, name)), None)
        if ended is not None:
            raise StackError(
                f"{ended} ended while {server.name} was getting ready; its log says why:\n{_tail(home, ended)}"
            )
        if not is_running(home, server.name):
            raise StackError(f"{server.name} ended at once; its log says why:\n{_tail(home, server.name)}")
        if time.monotonic() > deadline:
            raise StackError(
                f"{server.name} did not get ready in {server.patience:.0f} seconds; its log:\n"
                f"{_tail(home, server.name)}"
            )
        time.sleep(_POLL_SECONDS)


def is_running(home: Home, name: str) -> bool:
    """Whether the noted process is alive, and is that process."""
    note = _read(home, name)
    return note is not None and _leader(note) is not None


def noted(home: Home) -> list[str]:
    """Names of all servers that have been started here and not stopped."""
    names = [path.stem for path in sorted((home.path / "run").glob("*.json"))]
    return [name for name in names if _read(home, name) is not None]


def ask_to_end(home: Home, name: str) -> None:
    """Ask a server to end, and do not wait."""
    note = _read(home, name)
    leader = _leader(note) if note is not None else None
    if note is not None and leader is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            leader.send_signal(int(note["stop_signal"]))


def stop(home: Home, name: str, *, asked: bool = False) -> None:
    """End a server and everything that it started, gently first.

    Args:
        asked: whether it was asked to end before: who is asked twice may end at once.
    """
    note = _read(home, name)
    if note is None:
        return
    if not asked:
        ask_to_end(home, name)
    patience = time.monotonic() + note["stop_patience"]
    # Not `Process.wait`: that takes one for living whose parent, busy elsewhere, has not heard yet that it ended.
    while _leader(note) is not None and time.monotonic() < patience:
        time.sleep(_POLL_SECONDS)
    deadline = time.monotonic() + 10
    while rest := _session(note):
        for process in rest:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(rest, timeout=1)
        if time.monotonic() > deadline:
            raise StackError(f"{name} (pid {note['pid']}) cannot be ended")
    _note(home, name).unlink(missing_ok=True)


def kill(home: Home, name: str) -> None:
    """Kill a server that does not answer; its note stays, as that of one that has died."""
    note = _read(home, name)
    if note is not None:
        for process in _session(note):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def _leader(note: dict[str, Any]) -> psutil.Process | None:
    try:
        process = psutil.Process(int(note["pid"]))
        same = _is_noted(note)
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def _is_noted(note: dict[str, Any]) -> bool:
    """Whether the process with the noted number is the noted one.

    Raises:
        psutil.NoSuchProcess: there is none with this number.
    """
    pid = int(note["pid"])
    if "birth" not in note:
        # Noted by the release before.
        return abs(psutil.Process(pid).create_time() - float(note["created"])) < 1
    return _birth(pid) == str(note["birth"])


def _birth(pid: int) -> str:
    """What tells a process from another one that has its number later.

    On Linux it is the boot and the ticks since then (proc_pid_stat(5), field 22). A time of day, which psutil gives,
    moves when the clock is set: every server would then look dead, and be started a second time on the same files.

    Raises:
        psutil.NoSuchProcess: there is none.
    """
    boot = Path("/proc/sys/kernel/random/boot_id")
    if not boot.exists():
        return str(psutil.Process(pid).create_time())
    try:
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        raise psutil.NoSuchProcess(pid) from None
    return f"{boot.read_text().strip()}:{ticks}"


def _session(note: dict[str, Any]) -> list[psutil.Process]:
    """The living processes of a server's session, whether or not its leader lives."""
    leader_id = int(note["pid"])
    with contextlib.suppress(psutil.NoSuchProcess):
        # A number is not given out again while a session still bears it.
        if not _is_noted(note):
            return []
    members = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError, PermissionError):
            if os.getsid(process.pid) == leader_id and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
    return members


def _note(home: Home, name: str) -> Path:
    return home.folder("run") / f"{name}.json"


def _identity(home: Home) -> str:
    """What tells a home from a copy of it; it stays when the home is moved."""
    found = home.path.stat()
    return f"{found.st_dev}:{found.st_ino}"


def _read(home: Home, name: str) -> dict[str, Any] | None:
    """The note of a process. One that was copied here with another home says nothing of this one."""
    try:
        note: dict[str, Any] = json.loads(_note(home, name).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return note if note.get("home", _identity(home)) == _identity(home) else None


def _tail(home: Home, name: str) -> str:
    log = home.path / "logs" / f"{name}.log"
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else "(no log)"
