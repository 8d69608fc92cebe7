"""The process that starts again what dies, and says so."""

from __future__ import annotations

import sys
import threading
import time

from contact_pipeline.errors import StackError
from contact_pipeline.stack import processes, servers
from contact_pipeline.stack.control import up
from contact_pipeline.stack.home import Home
from contact_pipeline.stack.processes import SUPERVISOR, Report

_LOOK_EVERY_SECONDS = 2.0

_MAX_PAUSE_SECONDS = 60.0

_SILENT_SECONDS = 60.0
"""A server that lives and does not answer for so long is frozen."""

_SOUND_AFTER_SECONDS = 120.0
"""A server that has run for so long since it was started again is started at once the next time."""


def leave_supervisor(home: Home, report: Report) -> None:
    """Leave a process behind that starts again what dies. One is enough."""
    with home.locked():
        if processes.is_running(home, SUPERVISOR):
            return
        report("leaving a supervisor")
        command = [sys.executable, "-m", "contact_pipeline.cli.main", "supervise", "--home", str(home.path)]
        processes.start(home, processes.Server(SUPERVISOR, command, lambda: True, {"PYTHONUNBUFFERED": "1"}))


def _end_silent(home: Home, living: list[str], silent: dict[str, float], now: float) -> list[str]:
    """End those servers that live and have not answered for a minute; returns their names.

    Args:
        silent: since when each has not answered.
    """
    ports = home.load()["ports"]
    ended = []
    for name in living:
        if servers.answers(name, ports):
            silent.pop(name, None)
        elif now - silent.setdefault(name, now) > _SILENT_SECONDS:
            silent.pop(name)
            processes.kill(home, name)
            ended.append(name)
    return ended


def supervise(home: Home, report: Report, stop: threading.Event) -> None:
    """Restart servers that die, or live and do not answer, after pauses that grow; until the stack is taken down."""
    pauses: dict[str, float] = {}
    silent: dict[str, float] = {}
    due: dict[str, float] = {}
    started: dict[str, float] = {}
    while not stop.wait(_LOOK_EVERY_SECONDS):
        now = time.monotonic()
        names = [name for name in processes.noted(home) if name != SUPERVISOR]
        if not names:
            return
        dead = [name for name in names if not processes.is_running(home, name)]
        dead += _end_silent(home, [name for name in names if name not in dead], silent, now)
        for name in dead:
            if name not in due:
                if now - started.get(name, float("-inf")) > _SOUND_AFTER_SECONDS:
                    pauses[name] = 0.0
                due[name] = now + pauses[name]
                pauses[name] = min(_MAX_PAUSE_SECONDS, max(1.0, 2 * pauses[name]))
        if not any(due[name] <= now for name in dead):
            continue
        with home.locked():
            # Whoever takes the stack down holds the lock meanwhile, and forgets what it has ended.
            noted = processes.noted(home)
            dead = [name for name in dead if name in noted and not processes.is_running(home, name)]
        if not dead:
            continue
        report(f"{', '.join(dead)} ended: starting again")
        try:
            up(home, report, dagster=any(name.startswith("dagster") for name in names))
            home.count_restarts(dead)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next round tries again
            report(f"{type(error).__name__}: {error}" if not isinstance(error, StackError) else str(error))
        finally:
            for name in dead:
                due.pop(name, None)
                started[name] = time.monotonic()
