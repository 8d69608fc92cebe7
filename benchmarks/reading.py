"""How long reading takes in each dialect and format, against a clean UTF-8 comma file of the same rows.

    python -m benchmarks.reading [rows]

Reading is from the file's bytes to chunks of text columns: unpacking, decoding,
cutting, parsing; not cleaning, validating or loading. Medians of three rounds,
each round over all variants in turn.
"""

from __future__ import annotations

import csv
import gzip
import io
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import pyarrow
import xlsxwriter

from benchmarks.environment import table
from contact_pipeline.files.csv.reader import read_chunks, start_of
from contact_pipeline.files.detection import detect
from contact_pipeline.files.excel.workbook import CPU_SECONDS
from contact_pipeline.files.text import Text
from contact_pipeline.samples import files as sample_files

_ROUNDS = 3


@dataclass(frozen=True)
class FileBlob:
    """A local file."""

    path: Path
    workbook_seconds: int = CPU_SECONDS

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def read(self, begin: int, end: int) -> bytes:
        with self.path.open("rb") as source:
            source.seek(begin)
            return source.read(end - begin)

    def stream(self, begin: int) -> Iterator[bytes]:
        with self.path.open("rb") as source:
            source.seek(begin)
            while block := source.read(4 << 20):
                yield block


def read(path: Path) -> int:
    """Read a file as an import does; returns its number of rows."""
    blob = FileBlob(path)
    dialect, _ = detect(blob)
    start = start_of(dialect)
    text = Text(blob, dialect.content_encoding, start.offset)
    with closing(text.blocks()) as blocks:
        return sum(chunk.rows for chunk in read_chunks(blocks, dialect, start))


def _rewritten(rows: list[list[str]], **options: Any) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n", **options).writerows(rows)
    return out.getvalue()


def _workbook(rows: list[list[str]], path: Path) -> None:
    with xlsxwriter.Workbook(
        str(path), {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    ) as book:
        sheet = book.add_worksheet()
        for at, row in enumerate(rows):
            for place, cell in enumerate(row):
                if cell:
                    sheet.write_string(at, place, cell)


def _variants(plain: Path, folder: Path) -> dict[str, Path]:
    data = plain.read_bytes()
    with plain.open(newline="", encoding="utf-8") as source:
        rows = list(csv.reader(source))
    # A code page has no letters but its own.
    western = [[cell.encode("cp1252", "replace").decode("cp1252") for cell in row] for row in rows]
    accented = [[*row[:-1], row[-1] + " Zoë, café"] for row in western]
    makers: dict[str, Callable[[], bytes]] = {
        "semicolon": lambda: _rewritten(rows, delimiter=";").encode(),
        "tab": lambda: _rewritten(rows, delimiter="\t").encode(),
        "CRLF": lambda: data.replace(b"\n", b"\r\n"),
        "UTF-16": lambda: data.decode().encode("utf-16"),
        "cp1252, an accent in every row": lambda: _rewritten(accented).encode("cp1252"),
        "Mac Roman, an accent in every row": lambda: _rewritten(accented).encode("mac_roman", "replace"),
        "backslash escapes": lambda: _rewritten(
            rows, doublequote=False, escapechar="\\", quoting=csv.QUOTE_ALL
        ).encode(),
        "gzip": lambda: gzip.compress(data, 6),
        "Zstandard": lambda: pyarrow.compress(data, codec="zstd", asbytes=True),
    }
    found = {"clean UTF-8, comma": plain}
    for name, make in makers.items():
        found[name] = folder / f"{len(found)}.bin"
        found[name].write_bytes(make())
    found["ZIP"] = folder / "contacts.zip"
    with zipfile.ZipFile(found["ZIP"], "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(plain, "contacts.csv")
    found["Excel (.xlsx)"] = folder / "contacts.xlsx"
    _workbook(rows, found["Excel (.xlsx)"])
    found["one quote never closed"] = folder / "open.csv"
    found["one quote never closed"].write_bytes(data.replace(b"\n", b'\n"open,', 2).replace(b'"open,', b"", 1))
    return found


def measure(rows: int = 100_000) -> str:
    """Read a file in each dressing; returns a Markdown section."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        plain = folder / "plain.csv"
        sample_files.write(plain, rows, "A9", seed=42, dirty=0)
        files = _variants(plain, folder)
        seconds: dict[str, list[float]] = {name: [] for name in files}
        for _ in range(_ROUNDS):
            for name, path in files.items():
                started = perf_counter()
                found = read(path)
                seconds[name].append(perf_counter() - started)
                assert found >= rows, (name, found)
        base = median(seconds["clean UTF-8, comma"])
        lines = [
            [
                name,
                f"{path.stat().st_size / 1e6:.0f}",
                f"{median(seconds[name]):.2f}",
                f"{median(seconds[name]) / base:.2f}",
            ]
            for name, path in files.items()
        ]
        title = f"### Reading {rows:,} rows in each dialect ({plain.stat().st_size / 1e6:.0f} MB as plain CSV)"
        return title + "\n\n" + table(["dressing", "MB", "s (median)", "÷ clean UTF-8, comma"], lines)


if __name__ == "__main__":
    print(measure(*map(int, sys.argv[1:])))
