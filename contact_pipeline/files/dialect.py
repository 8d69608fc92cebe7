"""How a file is written: decided once from its first bytes, and kept with the import.

Every attempt reads by what was decided at first, so that chunks are the same
each time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, fields, replace
from typing import Final, NamedTuple

from contact_pipeline.files import encoding
from contact_pipeline.files.blob import Blob
from contact_pipeline.files.compression import EXCEL
from contact_pipeline.files.csv.grammar import exact_records, swallows, values_of
from contact_pipeline.files.csv.records import CsvFormat, Records, line_ends
from contact_pipeline.files.csv.shape import Shape, shape_of
from contact_pipeline.files.errors import FileRefused
from contact_pipeline.files.header_mapping import count_known, field_of, is_known, normalise, says_who
from contact_pipeline.files.text import ContentEncoding, Text, unwrap

SAMPLE_BYTES: Final = 1 << 20
"""How much of the text the decision is taken from."""

DELIMITERS: Final = (",", ";", "\t", "|", ":")
QUOTES: Final = ('"', "'")

_BOM: Final = "\ufeff".encode()
_WINDOWS: Final = 8
_WINDOW_BYTES: Final = 256 << 10
_HEADER_WITHIN: Final = 30
_RECORDS_LOOKED_AT: Final = 200
_MIN_KNOWN_TITLES: Final = 2
_TIMES_MORE: Final = 3
_MAX_COLUMNS: Final = 4_096
_PDF: Final = b"%PDF"


@dataclass(frozen=True)
class FormatOverrides:
    """What the user says about the file; None where it is to be found out.

    Attributes:
        header_line: physical line of the header, from 1 (of a workbook: its row).
        titles: column titles that the user's own mapping names.
        sheet: name of the worksheet.
    """

    encoding: str | None = None
    delimiter: str | None = None
    header_line: int | None = None
    titles: tuple[str, ...] = ()
    sheet: str | None = None


@dataclass(frozen=True)
class Dialect:
    """How to read a file.

    Attributes:
        content_encoding: what stands between its bytes and its text.
        delimiter, quote: what separates values, and what encloses them.
        header: its column titles, as written.
        data_offset: offset, in the text, of the first record after the header.
        data_line: physical line that this record is on, counted from 1.
        sheet: name of the worksheet, of a workbook.
        other_sheets: names of those that are not read and hold anything, where none was asked for.
        lax, widths: what its rows have as a rule and the CSV grammar has not: see `CsvFormat`.
        confidence: how sure `encoding`, `delimiter` and `header` are: given, certain, likely or guessed.
    """

    content_encoding: ContentEncoding
    delimiter: str
    quote: str
    header: tuple[str, ...]
    data_offset: int
    data_line: int
    sheet: str = ""
    other_sheets: tuple[str, ...] = ()
    lax: bool = False
    widths: tuple[int, ...] = ()
    confidence: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """`gzip, utf-8 (certain), delimiter ';' (likely), header on line 1 (certain)`."""
        said = [*self.content_encoding.layers]
        if self.sheet:
            said.append(f"sheet {self.sheet!r}")
        if "encoding" in self.confidence:
            said.append(f"{self.content_encoding.encoding} ({self.confidence['encoding']})")
        said.append(f"delimiter {self.delimiter!r} ({self.confidence.get('delimiter', 'certain')})")
        said.append(f"data from line {self.data_line}, header {self.confidence.get('header', 'certain')}")
        return ", ".join(said)

    @property
    def csv_format(self) -> CsvFormat:
        """What tells its records and values apart."""
        return CsvFormat(self.delimiter, self.quote, len(self.header), self.lax, self.widths, self.header)

    @property
    def lines_are_rows(self) -> bool:
        """Whether a line is a row of a sheet, so that line ends within values do not count."""
        return EXCEL in self.content_encoding.layers


def recalled(stored: Mapping[str, object]) -> Dialect:
    """A dialect from what `dataclasses.asdict` made of it."""
    known = {item.name for item in fields(Dialect)}
    values = {name: value for name, value in stored.items() if name in known}
    content_encoding = dict(values.pop("content_encoding"))  # type: ignore[call-overload]  # JSON
    content_encoding["layers"] = tuple(content_encoding["layers"])
    for name in ("header", "widths", "other_sheets"):
        values[name] = tuple(values.get(name, ()))  # type: ignore[arg-type]  # JSON
    return Dialect(content_encoding=ContentEncoding(**content_encoding), **values)  # type: ignore[arg-type]  # JSON


def detect(blob: Blob, overrides: FormatOverrides = FormatOverrides()) -> tuple[Dialect, bytes]:
    """Decide how a file is written.

    Returns:
        The dialect, and the first bytes of the text behind the header.

    Raises:
        FileRefused: it is no table with a header row, or cannot be unpacked or decoded.
    """
    if not blob.size:
        raise FileRefused("empty_file", "the file is empty: it has no header row")
    head = blob.read(0, min(blob.size, SAMPLE_BYTES))
    content_encoding = replace(unwrap(blob, head), sheet=overrides.sheet or "")
    if content_encoding.sheet and EXCEL not in content_encoding.layers:
        raise FileRefused("no_such_sheet", "a sheet is asked for, and the file is no workbook")
    confidence: dict[str, str] = {}
    sample = _Sample(head, whole=len(head) == blob.size) if content_encoding.plain else _sample(blob, content_encoding)
    if EXCEL not in content_encoding.layers:
        name, confidence["encoding"] = _encoding(blob, content_encoding, sample.data, overrides)
        content_encoding = replace(content_encoding, encoding=name)
        if not content_encoding.plain:
            sample = _sample(blob, content_encoding)
    _refuse_other_kinds(sample.data)
    body, delimiter = _behind_separator_line(sample)
    if EXCEL in content_encoding.layers:
        delimiter = ","
    elif overrides.delimiter:
        delimiter, confidence["delimiter"] = overrides.delimiter, "given"
    elif delimiter:
        confidence["delimiter"] = "certain"
    candidates = [
        _candidate(body, mark, quote, overrides)
        for mark in ([delimiter] if delimiter else DELIMITERS)
        for quote in QUOTES
    ]
    best = max((found for found in candidates if found), key=_Candidate.rank, default=None)
    if best is None or (best.known < 1 and overrides.header_line is None):
        raise _no_header(body.data, best)
    confidence.setdefault("delimiter", "certain" if best.consistent else "likely")
    confidence["header"] = (
        "given" if overrides.header_line else "certain" if best.known > _MIN_KNOWN_TITLES else "likely"
    )
    known = content_encoding
    if encoding.escapes_by_backslash(body.data, best.delimiter, best.quote):
        content_encoding = replace(content_encoding, escape_for=best.quote)
    if EXCEL not in content_encoding.layers and encoding.has_blanks_before_quotes(body.data, best.delimiter):
        content_encoding = replace(content_encoding, blank_after=best.delimiter)
    if content_encoding != known:
        # The text is another one then, with plain quotes: where things are in it is found once more.
        body, _ = _behind_separator_line(_sample(blob, content_encoding))
        best = _candidate(body, best.delimiter, best.quote, overrides) or best
    _refuse_torn_header(body, best)
    _refuse_damaged_header(body, best)
    shape = shape_of(body.data[best.end :], best.csv_format, best.header, whole=body.whole)
    return _dialect(body, best, content_encoding, shape, confidence), body.data[best.end :]


class _Sample(NamedTuple):
    """The first bytes of a text, or what of them is looked at.

    Attributes:
        whole: whether the text ends with them.
        offset, line: where they begin in the text.
        sheet, other_sheets: name of the worksheet that they come from, and of the others.
    """

    data: bytes
    whole: bool
    sheet: str = ""
    other_sheets: tuple[str, ...] = ()
    offset: int = 0
    line: int = 1


def _dialect(
    body: _Sample, found: _Candidate, content_encoding: ContentEncoding, shape: Shape, confidence: Mapping[str, str]
) -> Dialect:
    if len(found.header) > _MAX_COLUMNS:
        raise FileRefused(
            "too_many_columns", f"the header row has {len(found.header):,} columns, {_MAX_COLUMNS:,} are read at most"
        )
    return Dialect(
        content_encoding=content_encoding,
        delimiter=found.delimiter,
        quote=found.quote,
        header=found.header,
        data_offset=body.offset + found.end,
        data_line=found.data_line,
        sheet=body.sheet.strip(),
        other_sheets=body.other_sheets,
        lax=shape.lax,
        widths=shape.widths,
        confidence=dict(confidence),
    )


def _encoding(
    blob: Blob, content_encoding: ContentEncoding, sample: bytes, overrides: FormatOverrides
) -> encoding.Encoding:
    if overrides.encoding:
        return encoding.Encoding(overrides.encoding, "given")
    decided = encoding.decide(sample)
    if decided.name == encoding.UTF8 and sample.isascii() and content_encoding.plain and blob.size > len(sample):
        # The first accent may stand far down: look into the rest of the file as well.
        step = max((blob.size - len(sample)) // _WINDOWS, _WINDOW_BYTES)
        for begin in range(len(sample), blob.size, step):
            window = blob.read(begin, min(begin + _WINDOW_BYTES, blob.size)).lstrip(bytes(range(0x80, 0xC0)))
            if not window.isascii():
                return encoding.decide(window)._replace(confidence="likely")
    return decided


def _sample(blob: Blob, content_encoding: ContentEncoding) -> _Sample:
    text = Text(blob, content_encoding)
    sample = bytearray()
    with closing(text.blocks()) as blocks:
        for block in blocks:
            sample += block
            if len(sample) > SAMPLE_BYTES:
                return _Sample(bytes(sample[:SAMPLE_BYTES]), False, text.sheet, text.other_sheets)
    return _Sample(bytes(sample), True, text.sheet, text.other_sheets)


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
    usual: int
    quoted: bool
    is_damaged: bool

    @property
    def consistent(self) -> bool:
        """Whether most rows are as wide as the header."""
        return self.usual == len(self.header)

    @property
    def csv_format(self) -> CsvFormat:
        """What then tells records and values apart."""
        return CsvFormat(self.delimiter, self.quote, len(self.header))

    def rank(self) -> tuple[int, bool, int, bool, int]:
        """The more known titles the better, then the same width in all rows, then the more columns."""
        return (
            self.known,
            self.consistent,
            len(self.header),
            self.quoted,
            -DELIMITERS.index(self.delimiter) - QUOTES.index(self.quote),
        )


def _candidate(sample: _Sample, delimiter: str, quote: str, overrides: FormatOverrides) -> _Candidate | None:
    body = sample.data
    if quote != QUOTES[0] and quote.encode() not in body:
        return None
    if delimiter != DELIMITERS[0] and delimiter.encode() not in body:
        return None
    csv_format = CsvFormat(delimiter, quote)
    records = exact_records(body, csv_format, _RECORDS_LOOKED_AT, at_end=sample.whole)
    if not len(records):
        return None
    rows = [_values(body[begin:end], csv_format) for begin, end in zip(records.starts, records.ends, strict=True)]
    if overrides.header_line is not None:
        lines = [sample.line + len(line_ends(body[:begin])) for begin in records.starts]
        if overrides.header_line not in lines:
            raise FileRefused(
                "no_such_line", f"the header is said to be on line {overrides.header_line}, and no row begins there"
            )
        at = lines.index(overrides.header_line)
        known = count_known(rows[at])
    else:
        at, known = _header_row(rows[:_HEADER_WITHIN], overrides)
    quoted = _is_quoted(body, records, quote.encode(), at)
    if quote != QUOTES[0] and not (quoted or body[records.starts[at] :].startswith(quote.encode())):
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
        usual,
        quoted,
        at in dict(records.malformed),
    )


def _header_row(rows: Sequence[Sequence[str]], overrides: FormatOverrides) -> tuple[int, int]:
    """Which of the first rows is the header, and how many known titles it has.

    It is the first that says who somebody is and has a third as many known titles as any other: another table may stand
    below. Where none says so, it is the one that has the most.
    """
    own = {normalise(title) for title in overrides.titles}
    scores = [count_known(row) + len(own & set(map(normalise, row))) for row in rows]
    known = max(scores)
    of_people = [
        at
        for at, score in enumerate(scores)
        if score >= max(_MIN_KNOWN_TITLES, known / _TIMES_MORE) and says_who(rows[at])
    ]
    at = of_people[0] if of_people else scores.index(known)
    if at > 0 and scores[at] < _MIN_KNOWN_TITLES:
        # One word that could be a title is in many a row of data.
        return 0, 0
    return at, scores[at]


def _is_quoted(body: bytes, records: Records, quote: bytes, header: int) -> bool:
    """Whether values below the header are enclosed by this quote, and none holds it otherwise."""
    spans = list(zip(records.starts[header + 1 :], records.ends[header + 1 :], strict=True))
    quoted = sum(quote in body[begin:end] for begin, end in spans)
    return 2 * quoted >= len(spans) >= _MIN_KNOWN_TITLES and not any(
        row_index > header for row_index, _ in records.malformed
    )


def _refuse_torn_header(sample: _Sample, found: _Candidate) -> None:
    """Refuse a file whose header row a line end has torn in two: columns would change their meaning unsaid."""
    rest = sample.data[found.end :].split(b"\n", 1)[0]
    above = sample.data[: found.begin].removesuffix(b"\n").removesuffix(b"\r").rsplit(b"\n", 1)[-1]
    for line, at in ((rest, -1), (above, 0)):
        piece = _values(line, found.csv_format)
        halves = (found.header[-1], piece[0]) if at else (piece[-1], found.header[0])
        joined = [between.join(halves) for between in ("", " ")]
        # `Job` and `Title` are titles by themselves; half a name is one too, and another.
        is_torn = any(is_known(title) for title in joined) and not all(map(is_known, halves))
        is_torn |= any(field_of(title) in ("first_name", "last_name") for title in joined)
        is_half = found.usual != len(found.header) == found.usual + 1 - len(piece) and count_known(piece) >= 1
        if len(found.header) > 1 and any(map(str.strip, piece)) and ((is_torn and len(piece) == 1) or is_half):
            raise FileRefused(
                "torn_header",
                f"a line end within a title has torn the header row above line {found.data_line}: "
                "take it out, and upload the file again",
            )


def _refuse_damaged_header(sample: _Sample, found: _Candidate) -> None:
    """Refuse a file whose header has a quote or a delimiter too many or too few: rows would read under other titles.

    The width of the rows does not tell where their last values are blank: blanks beyond the header are habit.
    """
    header = sample.data[found.begin : found.end]
    holds_delimiters = found.is_damaged and header.count(found.delimiter.encode()) >= len(found.header)
    rows_are_wider = found.usual > len(found.header)
    if swallows(header, replace(found.csv_format, width=found.usual)) or (
        rows_are_wider and (holds_delimiters or any(map(_is_two_titles, found.header)))
    ):
        raise FileRefused(
            "damaged_header",
            f"the header row above line {found.data_line} has a quote or a delimiter too many or too few, so that its "
            "columns cannot be told apart: mend it, and upload the file again",
        )


def _is_two_titles(title: str) -> bool:
    """Whether two known titles are run together: `WebsiteTertiary Email`."""
    return not is_known(title) and any(is_known(title[:at]) and is_known(title[at:]) for at in range(1, len(title)))


def _values(record: bytes, csv_format: CsvFormat) -> Sequence[str]:
    text = record.decode("utf-8", "replace").replace("\x00", "\ufffd")
    return values_of(text, csv_format) or [text.rstrip("\r\n")]


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
