"""A workbook as a stream of CSV, made by a child process that is bounded and can be killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterable
from typing import IO, Final

from contact_pipeline.errors import FileRefused

LARGEST_WORKBOOK: Final = 4 << 30

CPU_SECONDS: Final = 1800
"""Enough for the largest sheet; an import may take as long."""

_BLOCK: Final = 1 << 20


def read_sheet(blocks: Iterable[bytes], sheet: str = "", cpu_seconds: int = CPU_SECONDS) -> Generator[bytes]:
    """Turn a workbook's bytes into UTF-8 CSV: first a line of JSON about the sheet, then its rows.

    A workbook can be read only as a whole: it is kept in an unnamed temporary file,
    that the child reads. Closing the iterator kills the child.

    Args:
        sheet: name of the sheet; "" for the one that says who people are.
        cpu_seconds: how long the child may compute.

    Raises:
        FileRefused: the workbook cannot be read, or not within the child's bounds.
    """
    with tempfile.TemporaryFile() as spool:
        size = 0
        for block in blocks:
            size += len(block)
            if size > LARGEST_WORKBOOK:
                raise FileRefused("workbook_too_large", "the workbook is larger than any sheet: save it as CSV")
            spool.write(block)
        spool.flush()
        spool.seek(0)
        with tempfile.TemporaryFile() as complaints:
            child = subprocess.Popen(
                [sys.executable, "-m", "contact_pipeline.files.excel.worker", sheet, str(cpu_seconds)],
                stdin=spool,
                stdout=subprocess.PIPE,
                stderr=complaints,
            )
            try:
                assert child.stdout is not None
                while block := child.stdout.read1(_BLOCK):  # type: ignore[attr-defined]  # a BufferedReader has it
                    yield block
                if child.wait() == -signal.SIGXCPU:
                    raise FileRefused("workbook_too_slow", "the workbook takes too long to be read: save it as CSV")
                if child.returncode != 0:
                    raise _refusal(complaints)
            finally:
                child.kill()
                child.wait()
                if child.stdout is not None:
                    child.stdout.close()


def _refusal(complaints: IO[bytes]) -> FileRefused:
    complaints.seek(0)
    last = complaints.read().splitlines()[-1:]
    try:
        told = json.loads(last[0]) if last else {}
    except ValueError:
        told = {}
    if isinstance(told, dict) and "code" in told:
        return FileRefused(str(told["code"]), str(told["message"]))
    return FileRefused(
        "workbook_too_large", "the workbook could not be read within the bounds of memory: save it as CSV"
    )
