"""Dagster's code server, whose runs are forked from a process that has the code loaded already.

Dagster starts each run in a fresh interpreter, which takes seconds to import what a run needs. Here the standard
library's fork server does that once, and each run begins as a fork of it. That is sound since it computes nothing:
Polars has started no pool of threads there, and what threads there are (of jemalloc, an idle one of Polars) hold no
lock over a fork. Everything else is Dagster's own: `dagster api grpc`.

python -m contact_pipeline.orchestration.code_server -m contact_pipeline.definitions -h HOST -p PORT
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
from multiprocessing import forkserver, util
from types import FrameType, SimpleNamespace
from typing import Final

from dagster._cli import main as dagster_command
from dagster._grpc import server

from contact_pipeline.orchestration.code_server import LOADED

_LONGEST_SOCKET_PATH: Final = 107
"""In bytes: `sun_path` of unix(7), less the NUL at its end."""


def main() -> None:
    """Serve, by the arguments of `dagster api grpc`."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(LOADED))
    # `DagsterApiServer` has no setting for how it starts processes: it asks this module for "spawn".
    server.multiprocessing = SimpleNamespace(get_context=lambda _method: context)  # type: ignore[assignment, attr-defined]
    _find_a_place_for_sockets()
    forkserver.ensure_running()
    sys.argv[1:1] = ["api", "grpc"]
    # Dagster has SIGTERM do what SIGINT does.
    signal.signal(signal.SIGINT, _end_runs)
    dagster_command()  # type: ignore[no-untyped-call]  # Dagster's own


def _end_runs(_number: int, _frame: FrameType | None) -> None:
    """Ask runs to end: each does so after the chunk that it loads, and its import is launched again.

    Dagster's server waits for them, then ends.
    """
    for run in multiprocessing.active_children():
        run.terminate()
    raise KeyboardInterrupt


def _find_a_place_for_sockets() -> None:
    """Have multiprocessing keep its sockets below /tmp, where TMPDIR is too long a path for one."""
    before = tempfile.tempdir
    if len(os.fsencode(tempfile.gettempdir())) + len("/pymp-xxxxxxxx/listener-xxxxxxxx") > _LONGEST_SOCKET_PATH:
        tempfile.tempdir = "/tmp"  # noqa: S108 - a folder of its own is made in it, for this user only
    util.get_temp_dir()
    tempfile.tempdir = before


if __name__ == "__main__":
    main()
