"""Turns one sheet of a workbook into CSV on standard output, in a process of its own that can be killed.

Reads the workbook from standard input, an open file. Writes a line of JSON (the
sheet's name and number of rows, 0 if not known), then UTF-8 CSV, one line end for
each row of the sheet, so that line numbers are row numbers. What is wrong goes to
standard error as JSON with `code` and `message`.
"""

from __future__ import annotations

import datetime
import json
import os
import resource
import sys
import zipfile
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any, BinaryIO, Final, NamedTuple

from contact_pipeline.errors import FileRefused
from contact_pipeline.files.excel import number_formats, xlsx, xml_parsing
from contact_pipeline.files.titles import count_known, says_who

MEMORY_BYTES: Final = 1 << 30
_LOOKED_AT: Final = 100
_ROWS_A_WRITE: Final = 1000

Rows = Iterator[tuple[int, list[str]]]


class _Sheet(NamedTuple):
    name: str
    height: int
    rows: Rows
    others: list[str]
    has_formats: bool


def main() -> int:
    """Write the sheet; 0 if all went well."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    wanted, cpu_seconds = sys.argv[1], int(sys.argv[2])
    # The first bound ends it with a signal of its own.
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 5))
    source = os.fdopen(os.dup(0), "rb")
    try:
        _write(_xlsx(source, wanted) or _other(source, wanted))
    except FileRefused as refused:
        return _tell(refused.code, str(refused))
    except (xml_parsing.WorkbookTooLarge, MemoryError):
        return _tell("workbook_too_large", "the workbook unpacks to far more than a sheet holds: save it as CSV")
    except xml_parsing.WorkbookDamaged as damaged:
        return _tell("damaged_workbook", f"the Excel workbook is damaged: {damaged}. Save it again, or as CSV")
    except BrokenPipeError:
        return 1
    return 0


def _tell(code: str, message: str) -> int:
    print(json.dumps({"code": code, "message": message}), file=sys.stderr)
    return 1


def _xlsx(source: BinaryIO, wanted: str) -> _Sheet | None:
    """The best sheet of an `.xlsx` file; None where it is of another kind."""
    if source.read(4) != b"PK\x03\x04":
        return None
    try:
        archive = zipfile.ZipFile(source)
    except (zipfile.BadZipFile, ValueError, OSError):
        raise FileRefused("damaged_workbook", "the Excel workbook is damaged or incomplete: save it again") from None
    # A binary workbook (`.xlsb`) has another main part.
    if xlsx.WORKBOOK not in {name.lower() for name in archive.namelist()}:
        return None
    workbook = xlsx.Workbook(archive, os.fstat(source.fileno()).st_size)
    sheets = [sheet for sheet in workbook.sheets if sheet.visible] or workbook.sheets
    if not sheets:
        raise FileRefused("no_sheet", "the workbook has no worksheet")
    if wanted:
        # Hidden ones too. And the others are not opened: they may be damaged.
        chosen = workbook.sheets[_named(wanted, [sheet.name for sheet in workbook.sheets])]
        others = [sheet.name for sheet in sheets if sheet is not chosen]
    else:
        heads = [list(islice(workbook.rows(sheet), _LOOKED_AT)) for sheet in sheets]
        best = _best(heads)
        chosen, others = sheets[best], _filled([sheet.name for sheet in sheets], heads, best)
    return _Sheet(chosen.name, workbook.height(chosen), workbook.rows(chosen), others, has_formats=True)


def _other(source: BinaryIO, wanted: str) -> _Sheet:
    """The best sheet of a workbook that calamine reads whole (`.xls`, `.xlsb`, `.ods`)."""
    import python_calamine as calamine

    source.seek(0)
    _refuse_encrypted(source)
    try:
        workbook = calamine.CalamineWorkbook.from_filelike(source)
        visible = [
            sheet.name
            for sheet in workbook.sheets_metadata
            if sheet.visible == calamine.SheetVisibleEnum.Visible and sheet.typ == calamine.SheetTypeEnum.WorkSheet
        ]
        names = visible or workbook.sheet_names
        if not names:
            raise FileRefused("no_sheet", "the workbook has no worksheet")
        if wanted:
            chosen = workbook.sheet_names[_named(wanted, workbook.sheet_names)]
            others = [name for name in names if name != chosen]
        else:
            heads = [list(islice(_calamine_rows(workbook.get_sheet_by_name(name)), _LOOKED_AT)) for name in names]
            best = _best(heads)
            chosen, others = names[best], _filled(names, heads, best)
        sheet = workbook.get_sheet_by_name(chosen)
        return _Sheet(sheet.name, sheet.total_height, _calamine_rows(sheet), others, has_formats=False)
    except calamine.PasswordError:
        raise FileRefused("encrypted", "the workbook is protected by a password: save it without one") from None
    except (calamine.CalamineError, OSError, ValueError):
        raise FileRefused(
            "damaged_workbook", "the workbook is damaged, encrypted, or no Excel file: save it again, or as CSV"
        ) from None


def _refuse_encrypted(source: BinaryIO) -> None:
    """Refuse a workbook with a password: an OLE container that holds a stream of this name ([MS-OFFCRYPTO] 2.3.4.4)."""
    sought = "EncryptedPackage".encode("utf-16-le")
    tail = b""
    while block := source.read(1 << 20):
        if sought in tail + block:
            raise FileRefused("encrypted", "the workbook is protected by a password: save it without one")
        tail = block[-len(sought) :]
    source.seek(0)


def _calamine_rows(sheet: Any) -> Rows:
    if sheet.start is None:
        return
    # The rows above the first that holds anything are among them.
    for number, row in enumerate(sheet.iter_rows(), 1):
        cells = [_text(cell) for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            yield number, cells


def _text(cell: Any) -> str:  # noqa: PLR0911 - one for each type
    match cell:
        case bool():
            return "true" if cell else "false"
        case float() | int():
            return number_formats.number_text(repr(cell))
        case datetime.datetime():
            return number_formats.moment_text(cell)
        case datetime.date():
            return cell.isoformat()
        case datetime.time():
            return cell.strftime("%H:%M:%S")
        case datetime.timedelta():
            return number_formats.duration_text(cell.total_seconds())
        case _:
            return str(cell)


def _best(heads: list[list[tuple[int, list[str]]]]) -> int:
    """Which sheet has titles that say who somebody is, and of those the most that are known; the first of several."""
    scores = [max(((says_who(cells), count_known(cells)) for _, cells in head), default=(False, 0)) for head in heads]
    return scores.index(max(scores))


def _filled(names: list[str], heads: list[list[tuple[int, list[str]]]], but: int) -> list[str]:
    """The names of the other sheets that hold anything."""
    return [name for at, (name, head) in enumerate(zip(names, heads, strict=True)) if head and at != but]


def _named(wanted: str, names: list[str]) -> int:
    """Where a sheet is, by its name, whatever its case."""
    lower = [name.strip().lower() for name in names]
    if wanted.strip().lower() not in lower:
        listed = ", ".join(repr(name[:60]) for name in names[:40])
        raise FileRefused("no_such_sheet", f"the workbook has no sheet {wanted[:60]!r}: it has {listed}")
    return lower.index(wanted.strip().lower())


def _write(sheet: _Sheet) -> None:
    out = sys.stdout.buffer
    head = list(islice(sheet.rows, _LOOKED_AT))
    # A sheet leaves out empty cells at the end of a row: every row is made as wide as the first ones are at most.
    width = max((len(cells) for _, cells in head), default=0)
    out.write(
        json.dumps(
            {"sheet": sheet.name, "rows": sheet.height, "others": sheet.others, "formats": sheet.has_formats}
        ).encode()
        + b"\n"
    )
    line = 1
    pending: list[str] = []
    for number, cells in chain(head, sheet.rows):
        if number > line:
            pending.append("\n" * (number - line))
            line = number
        pending.append(_csv_line(cells, width))
        line += 1
        if len(pending) >= _ROWS_A_WRITE:
            out.write("".join(pending).encode("utf-8", "surrogatepass"))
            pending.clear()
    out.write("".join(pending).encode("utf-8", "surrogatepass"))
    out.flush()


def _is_special(text: str) -> bool:
    return '"' in text or "\n" in text or "\r" in text


def _csv_cell(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if "," in cell or _is_special(cell) else cell


def _csv_line(cells: list[str], width: int) -> str:
    line = ",".join(cells)
    if _is_special(line):
        line = ",".join([_csv_cell(cell) for cell in cells])
    elif line.count(",") >= len(cells):
        line = ",".join([f'"{cell}"' if "," in cell else cell for cell in cells])
    return line + "," * (width - len(cells)) + "\n"


if __name__ == "__main__":
    sys.exit(main())
