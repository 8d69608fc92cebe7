"""How a file is written: decided once from its first bytes, and kept with the import.

Every attempt reads by what was decided at first, so that chunks are the same
each time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from contact_pipeline.files import encodings
from contact_pipeline.files.archives import EXCEL
from contact_pipeline.files.blobs import Blob
from contact_pipeline.files.errors import FileRefused
from contact_pipeline.files.headers import count_known, normalise
from contact_pipeline.files.records import Layout, exact_records, line_ends, values_of
from contact_pipeline.files.text import Text, Wrapping, unwrap

SAMPLE_BYTES: Final = 1 << 20
"""How much of the text the decision is taken from."""

DELIMITERS: Final = (",", ";", "\t", "|", ":")
QUOTES: Final = ('"', "'")

_BOM: Final = "\ufeff".encode()
_WINDOWS: Final = 8
_WINDOW_BYTES: Final = 256 << 10
_HEADER_WITHIN: Final = 30
_RECORDS_LOOKED_AT: Final = 200
_ENOUGH_KNOWN: Final = 2
_MOST_COLUMNS: Final = 4_096
_PDF: Final = b"%PDF"


@dataclass(frozen=True)
class Wishes:
    """What the user says about the file; None where it is to be found out.

    Attributes:
        header_line: physical line of the header, from 1 (of a workbook: its row).
        titles: column titles that the user's own mapping names.
    """

    encoding: str | None = None
    delimiter: str | None = None
    header_line: int | None = None
    titles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dialect:
    """How to read a file.

    Attributes:
        wrapping: what stands between its bytes and its text.
        delimiter, quote: what separates values, and what encloses them.
        header: its column titles, as written.
        header_record: the header as it stands in the text.
        data_offset: offset, in the text, of the first record after the header.
        data_line: physical line that this record is on, counted from 1.
        sheet: name of the worksheet, of a workbook.
        sure: how sure `encoding`, `delimiter` and `header` are: given, certain, likely or guessed.
    """

    wrapping: Wrapping
    delimiter: str
    quote: str
    header: tuple[str, ...]
    header_record: str
    data_offset: int
    data_line: int
    sheet: str = ""
    sure: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """`gzip, utf-8 (certain), delimiter ';' (likely), header on line 1 (certain)`."""
        said = [*self.wrapping.layers]
        if self.sheet:
            said.append(f"sheet {self.sheet!r}")
        if "encoding" in self.sure:
            said.append(f"{self.wrapping.encoding} ({self.sure['encoding']})")
        said.append(f"delimiter {self.delimiter!r} ({self.sure.get('delimiter', 'certain')})")
        said.append(f"data from line {self.data_line}, header {self.sure.get('header', 'certain')}")
        return ", ".join(said)

    @property
    def layout(self) -> Layout:
        """What tells its records and values apart."""
        return Layout(self.delimiter, self.quote, len(self.header), self.header_record.encode("utf-8", "surrogatepass"))

    @property
    def lines_are_rows(self) -> bool:
        """Whether a line is a row of a sheet, so that line ends within values do not count."""
        return EXCEL in self.wrapping.layers


def recalled(stored: Mapping[str, object]) -> Dialect:
    """A dialect from what `dataclasses.asdict` made of it."""
    values = dict(stored)
    wrapping = dict(values.pop("wrapping"))  # type: ignore[call-overload]  # JSON
    wrapping["layers"] = tuple(wrapping["layers"])
    values["header"] = tuple(values["header"])  # type: ignore[arg-type]  # JSON
    return Dialect(wrapping=Wrapping(**wrapping), **values)  # type: ignore[arg-type]  # JSON


def detect(blob: Blob, wishes: Wishes = Wishes()) -> tuple[Dialect, bytes]:
    """Decide how a file is written.

    Returns:
        The dialect, and the first bytes of the text behind the header.

    Raises:
        FileRefused: it is no table with a header row, or cannot be unpacked or decoded.
    """
    if not blob.size:
        raise FileRefused("empty_file", "the file is empty: it has no header row")
    head = blob.read(0, min(blob.size, SAMPLE_BYTES))
    wrapping = unwrap(blob, head)
    sure: dict[str, str] = {}
    sample = _Sample(head, whole=len(head) == blob.size) if wrapping.plain else _sample(blob, wrapping)
    if EXCEL not in wrapping.layers:
        name, sure["encoding"] = _encoding(blob, wrapping, sample.data, wishes)
        wrapping = replace(wrapping, encoding=name)
        if not wrapping.plain:
            sample = _sample(blob, wrapping)
    _refuse_other_kinds(sample.data)
    body, delimiter = _behind_separator_line(sample)
    if EXCEL in wrapping.layers:
        delimiter = ","
    elif wishes.delimiter:
        delimiter, sure["delimiter"] = wishes.delimiter, "given"
    elif delimiter:
        sure["delimiter"] = "certain"
    candidates = [
        _candidate(body, mark, quote, wishes) for mark in ([delimiter] if delimiter else DELIMITERS) for quote in QUOTES
    ]
    best = max((found for found in candidates if found), key=_Candidate.rank, default=None)
    if best is None or (best.known < 1 and wishes.header_line is None):
        raise _no_header(body.data, best)
    sure.setdefault("delimiter", "certain" if best.consistent else "likely")
    sure["header"] = "given" if wishes.header_line else "certain" if best.known > _ENOUGH_KNOWN else "likely"
    known = wrapping
    if encodings.escapes_by_backslash(body.data, best.delimiter, best.quote):
        wrapping = replace(wrapping, escape_for=best.quote)
    if EXCEL not in wrapping.layers and encodings.has_blanks_before_quotes(body.data, best.delimiter):
        wrapping = replace(wrapping, blank_after=best.delimiter)
    if wrapping != known:
        # The text is another one then, with plain quotes: where things are in it is found once more.
        body, _ = _behind_separator_line(_sample(blob, wrapping))
        best = _candidate(body, best.delimiter, best.quote, wishes) or best
    return _dialect(body, best, wrapping, sample.sheet, sure), body.data[best.end :]


class _Sample(NamedTuple):
    """The first bytes of a text, or what of them is looked at.

    Attributes:
        whole: whether the text ends with them.
        offset, line: where they begin in the text.
        sheet: name of the worksheet that they come from.
    """

    data: bytes
    whole: bool
    sheet: str = ""
    offset: int = 0
    line: int = 1


def _dialect(body: _Sample, found: _Candidate, wrapping: Wrapping, sheet: str, sure: Mapping[str, str]) -> Dialect:
    record = body.data[found.begin : found.end].rstrip(b"\r\n")
    if len(found.header) > _MOST_COLUMNS:
        raise FileRefused(
            "too_many_columns", f"the header row has {len(found.header):,} columns, {_MOST_COLUMNS:,} are read at most"
        )
    return Dialect(
        wrapping=wrapping,
        delimiter=found.delimiter,
        quote=found.quote,
        header=found.header,
        header_record=record.decode("utf-8", "replace"),
        data_offset=body.offset + found.end,
        data_line=found.data_line,
        sheet=sheet.strip(),
        sure=dict(sure),
    )


def _encoding(blob: Blob, wrapping: Wrapping, sample: bytes, wishes: Wishes) -> encodings.Encoding:
    if wishes.encoding:
        return encodings.Encoding(wishes.encoding, "given")
    decided = encodings.decide(sample)
    if decided.name == encodings.UTF8 and sample.isascii() and wrapping.plain and blob.size > len(sample):
        # The first accent may stand far down: look into the rest of the file as well.
        step = max((blob.size - len(sample)) // _WINDOWS, _WINDOW_BYTES)
        for begin in range(len(sample), blob.size, step):
            window = blob.read(begin, min(begin + _WINDOW_BYTES, blob.size)).lstrip(bytes(range(0x80, 0xC0)))
            if not window.isascii():
                return encodings.decide(window)._replace(sure="likely")
    return decided


def _sample(blob: Blob, wrapping: Wrapping) -> _Sample:
    text = Text(blob, wrapping)
    sample = bytearray()
    with closing(text.blocks()) as blocks:
        for block in blocks:
            sample += block
            if len(sample) > SAMPLE_BYTES:
                return _Sample(bytes(sample[:SAMPLE_BYTES]), whole=False, sheet=text.sheet)
    return _Sample(bytes(sample), whole=True, sheet=text.sheet)


def _refuse_other_kinds(sample: bytes) -> None:
    body = sample.removeprefix(_BOM)
    if not body.strip():
        raise FileRefused("empty_file", "the file is empty: it has no header row")
    if body.startswith(_PDF):
        raise FileRefused("not_a_table", "the file is a PDF document: a CSV or Excel file is needed")
    begin = body.lstrip()[:64].lower()
    if begin.startswith((b"<!doctype", b"<html", b"<table", b"<head", b"<meta")):
        raise FileRefused("not_a_table", "the file is a web page, perhaps an error page saved in place of the export")
    if begin.startswith(b"<?xml"):
        raise FileRefused("not_a_table", "the file is an XML document: save it as CSV or as an Excel workbook (.xlsx)")


def _behind_separator_line(sample: _Sample) -> tuple[_Sample, str | None]:
    """What comes after the byte order mark and a line `sep=;`, and the delimiter that this names."""
    start = len(_BOM) if sample.data.startswith(_BOM) else 0
    line = sample.data[start : start + 16].splitlines(keepends=True)[:1]
    bare = line[0].strip(b'"\r\n') if line else b""
    named = bare[4:].decode("latin-1") if bare.lower().startswith(b"sep=") else None
    if named in DELIMITERS and line[0].endswith((b"\n", b"\r")):
        start += len(line[0])
        return sample._replace(data=sample.data[start:], offset=start, line=2), named
    return sample._replace(data=sample.data[start:], offset=start), None


class _Candidate(NamedTuple):
    """One way to read the sample: where the header then stands, and how well it fits."""

    delimiter: str
    quote: str
    header: tuple[str, ...]
    begin: int
    end: int
    data_line: int
    known: int
    consistent: bool

    def rank(self) -> tuple[int, bool, int, int]:
        """The more known titles the better, then the same width in all rows, then the more columns."""
        return (
            self.known,
            self.consistent,
            len(self.header),
            -DELIMITERS.index(self.delimiter) - QUOTES.index(self.quote),
        )


def _candidate(sample: _Sample, delimiter: str, quote: str, wishes: Wishes) -> _Candidate | None:
    body = sample.data
    if quote != QUOTES[0] and quote.encode() not in body:
        return None
    layout = Layout(delimiter, quote)
    records = exact_records(body, layout, _RECORDS_LOOKED_AT, at_end=sample.whole)
    if not len(records):
        return None
    rows = [_values(body[begin:end], layout) for begin, end in zip(records.starts, records.ends, strict=True)]
    own = {normalise(title) for title in wishes.titles}
    if wishes.header_line is not None:
        lines = [sample.line + len(line_ends(body[:begin])) for begin in records.starts]
        if wishes.header_line not in lines:
            raise FileRefused(
                "no_such_line", f"the header is said to be on line {wishes.header_line}, and no row begins there"
            )
        at = lines.index(wishes.header_line)
        known = count_known(rows[at])
    else:
        scores = [count_known(row) + len(own & set(map(normalise, row))) for row in rows[:_HEADER_WITHIN]]
        known = max(scores)
        at = scores.index(known)
        if at > 0 and known < _ENOUGH_KNOWN:
            # One word that could be a title is in many a row of data.
            at = known = 0
    if quote != QUOTES[0] and not body[records.starts[at] :].startswith(quote.encode()):
        return None
    widths = Counter(len(row) for row in rows[at + 1 :])
    usual = widths.most_common(1)[0][0] if widths else len(rows[at])
    end = int(records.ends[at])
    return _Candidate(
        delimiter,
        quote,
        tuple(rows[at]),
        int(records.starts[at]),
        end,
        sample.line + len(line_ends(body[:end])),
        known,
        usual == len(rows[at]),
    )


def _values(record: bytes, layout: Layout) -> Sequence[str]:
    text = record.decode("utf-8", "replace").replace("\x00", "\ufffd")
    return values_of(text, layout) or [text.rstrip("\r\n")]


def _no_header(body: bytes, best: _Candidate | None) -> FileRefused:
    if best is None:
        return FileRefused(
            "no_header", f"no row ends within the first {len(body):,} bytes: the file is no table of text"
        )
    if b"\x00" in body[:4096]:
        return FileRefused("not_a_table", "the file is no text: a CSV or Excel file is needed")
    shown = ", ".join(repr(title[:60]) for title in best.header[:40])
    return FileRefused(
        "no_header",
        f"none of the first {_HEADER_WITHIN} rows has a column title that is known: a header row is needed, or a "
        f"mapping and the line of the header. The first row has {len(best.header)} columns: {shown}",
    )
