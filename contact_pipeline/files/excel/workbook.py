"""A workbook as a stream of CSV, made by a child process that is bounded and can be killed."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterable
from typing import IO, Final

from contact_pipeline.errors import FileRefused

LARGEST_WORKBOOK: Final = 4 << 30
_BLOCK: Final = 1 << 20


def read_sheet(blocks: Iterable[bytes], sheet: str = "") -> Generator[bytes]:
    """Turn a workbook's bytes into UTF-8 CSV: first a line of JSON about the sheet, then its rows.

    A workbook can be read only as a whole: it is kept in an unnamed temporary file,
    that the child reads. Closing the iterator kills the child.

    Args:
        sheet: name of the sheet; "" for the one that says who people are.

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
                [sys.executable, "-m", "contact_pipeline.files.excel.worker", sheet],
                stdin=spool,
                stdout=subprocess.PIPE,
                stderr=complaints,
            )
            try:
                assert child.stdout is not None
                while block := child.stdout.read1(_BLOCK):  # type: ignore[attr-defined]  # a BufferedReader has it
                    yield block
                if child.wait() != 0:
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
        "workbook_too_large", "the workbook could not be read within the bounds of memory and time: save it as CSV"
    )
