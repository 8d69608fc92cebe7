"""Where a file's header row stands, by each way to read its first bytes, and whether it is damaged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from contact_pipeline.errors import FileRefused
from contact_pipeline.files.csv.grammar import exact_records, swallows, values_of
from contact_pipeline.files.csv.records import CsvFormat, Records, line_ends
from contact_pipeline.files.dialect import DELIMITERS, QUOTES, FormatOverrides
from contact_pipeline.files.titles import count_known, field_of, is_known, normalise, says_who

HEADER_WITHIN_ROWS: Final = 30

_RECORDS_LOOKED_AT: Final = 200

MIN_KNOWN_TITLES: Final = 2

_TIMES_MORE: Final = 3
_LEAST_QUOTED: Final = 2


class Sample(NamedTuple):
    """The first bytes of a text, or what of them is looked at.

    Attributes:
        whole: whether the text ends with them.
        offset, line: where they begin in the text.
        sheet, other_sheets: name of the worksheet that they come from, and of the others.
        has_number_formats: whether numbers are as the workbook shows them.
    """

    data: bytes
    whole: bool
    sheet: str = ""
    other_sheets: tuple[str, ...] = ()
    has_number_formats: bool = True
    offset: int = 0
    line: int = 1


class HeaderCandidate(NamedTuple):
    """One way to read the sample: where the header then stands, and how well it fits."""

    delimiter: str
    quote: str
    header: tuple[str, ...]
    begin: int
    end: int
    data_line: int
    known: int
    usual: int
    of_other_width: int
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

    def rank(self) -> tuple[int, bool, int, int, bool, int]:
        """The more known titles the better, then the same width in all rows, then the more columns."""
        return (
            self.known,
            self.consistent,
            len(self.header),
            # An apostrophe that begins one value and ends another encloses nothing: read so, the row lacks a value.
            -self.of_other_width,
            self.quoted,
            -DELIMITERS.index(self.delimiter) - QUOTES.index(self.quote),
        )


def find_header(sample: Sample, delimiter: str, quote: str, overrides: FormatOverrides) -> HeaderCandidate | None:
    """Where the header stands if the sample is read by this delimiter and quote; None where it cannot be."""
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
        at, known = _header_row(rows[:HEADER_WITHIN_ROWS], overrides)
    quoted = _is_quoted(body, records, quote.encode(), at)
    if quote != QUOTES[0] and not (quoted or body[records.starts[at] :].startswith(quote.encode())):
        return None
    widths = Counter(len(row) for row in rows[at + 1 :])
    usual = widths.most_common(1)[0][0] if widths else len(rows[at])
    end = int(records.ends[at])
    return HeaderCandidate(
        delimiter,
        quote,
        tuple(rows[at]),
        int(records.starts[at]),
        end,
        sample.line + len(line_ends(body[:end])),
        known,
        usual,
        widths.total() - widths[usual],
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
        if score >= max(MIN_KNOWN_TITLES, known / _TIMES_MORE) and says_who(rows[at])
    ]
    at = of_people[0] if of_people else scores.index(known)
    if at > 0 and scores[at] < MIN_KNOWN_TITLES:
        # One word that could be a title is in many a row of data.
        return 0, 0
    return at, scores[at]


def _is_quoted(body: bytes, records: Records, quote: bytes, header: int) -> bool:
    """Whether values below the header are enclosed by this quote, and none holds it otherwise."""
    spans = list(zip(records.starts[header + 1 :], records.ends[header + 1 :], strict=True))
    quoted = sum(quote in body[begin:end] for begin, end in spans)
    return (
        2 * quoted >= len(spans)
        and quoted >= _LEAST_QUOTED
        and not any(row_index > header for row_index, _ in records.malformed)
    )


def refuse_torn_header(sample: Sample, found: HeaderCandidate) -> None:
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
        # A line of dashes, to underline the header, is no half of a title.
        if len(found.header) > 1 and any(map(normalise, piece)) and ((is_torn and len(piece) == 1) or is_half):
            raise FileRefused(
                "torn_header",
                f"a line end within a title has torn the header row above line {found.data_line}: "
                "take it out, and upload the file again",
            )


def refuse_damaged_header(sample: Sample, found: HeaderCandidate) -> None:
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
    return not is_known(title) and any(
        # Titles of two words are no damage: `Company Notes`.
        not (title[at - 1] + title[at]).count(" ") and is_known(title[:at]) and is_known(title[at:])
        for at in range(1, len(title))
    )


def _values(record: bytes, csv_format: CsvFormat) -> Sequence[str]:
    text = record.decode("utf-8", "replace").replace("\x00", "\ufffd")
    return values_of(text, csv_format) or [text.rstrip("\r\n")]
