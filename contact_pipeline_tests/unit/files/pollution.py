"""The pollution test: sound tables, one record damaged at each place in each way.

    python -m contact_pipeline_tests.unit.files.pollution [DAMAGES]

A reading is right where it gives the values that were there, or a reject for the
damaged record, and every other row as it was. The kinds that cannot be told apart
even in principle are in `docs/explanation/damaged-files.md`, and in `excused` here.
"""

from __future__ import annotations

import csv
import io
import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from contact_pipeline.errors import FileRefused
from contact_pipeline.files.header_mapping import map_header
from contact_pipeline.files.titles import normalise
from contact_pipeline_tests.unit.files.reading import dialect_of, read

SHAPES: Final = ("native", "bare", "mixed", "long", "narrow", "blanks")
DELIMITERS: Final = (",", ";", "\t", "|")
LINE_ENDS: Final = ("\n", "\r\n")
HEADER_ROW: Final = -1
_ROWS: Final = 6


@dataclass(frozen=True)
class Table:
    """A sound table.

    Attributes:
        titles, rows: what it says.
        records: its records as written, the header first.
    """

    titles: list[str]
    rows: list[list[str]]
    records: list[str]
    delimiter: str
    line_end: str
    shape: str

    def text(self, damaged: int | None = None, record: str = "") -> bytes:
        """The file, with one record (-1: the header) written otherwise."""
        records = [record if at - 1 == damaged else known for at, known in enumerate(self.records)]
        return "".join(known + self.line_end for known in records).encode()


def table(shape: str, delimiter: str, line_end: str, seed: int = 0) -> Table:
    """A table of some shape: all values quoted, none, those that need it, with line ends within values, narrow, or with
    a last column that nobody filled.
    """
    rng = random.Random(f"{shape}{seed}")
    titles = ["Apollo Contact Id", "First Name", "Company", "City", "Email", "Website", "Tertiary Email"]
    rows = []
    for at in range(_ROWS):
        company = rng.choice(["Acme", "", "Beta"])
        if shape in ("mixed", "long"):
            company = rng.choice([f"Acme{delimiter} Inc.", 'The "Old" Mill', "Beta", ""])
        city = "12 Main St\nParis" if shape == "long" and at % 2 else rng.choice(["Rome", "", "Bern"])
        rows.append(
            [
                f"c{at}",
                rng.choice(["Ada", "Bea", ""]),
                company,
                city,
                f"p{at}@acme.example",
                rng.choice(["acme.example", ""]),
                "" if shape == "blanks" else rng.choice(["", "", f"q{at}@b.example"]),
            ]
        )
    if shape == "narrow":
        titles, rows = titles[1:5:3], [row[1:5:3] for row in rows]
        titles, rows = [*titles, "Notes"], [[*row, "x" if at % 2 else ""] for at, row in enumerate(rows)]
    quoting = csv.QUOTE_ALL if shape == "native" else csv.QUOTE_MINIMAL
    return Table(
        titles,
        rows,
        [_written(row, delimiter, quoting) for row in [titles, *rows]],
        delimiter,
        line_end,
        shape,
    )


def _written(row: list[str], delimiter: str, quoting: int) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator="\n").writerow(row)  # type: ignore[arg-type]
    return out.getvalue().removesuffix("\n")


@dataclass(frozen=True)
class Damage:
    """What is done to one record: a character more or less, at a place."""

    row: int
    way: str
    at: int
    record: str


def damages(sound: Table) -> Iterator[Damage]:
    """Every way to damage one record of a table by one delimiter, quote or line end more or less."""
    for row in range(-1, len(sound.rows)):
        record = sound.records[row + 1]
        for at in range(len(record) + 1):
            for way, mark in (("delimiter", sound.delimiter), ("quote", '"'), ("line end", sound.line_end)):
                yield Damage(row, f"{way} more", at, record[:at] + mark + record[at:])
            if record[at : at + 1] in (sound.delimiter, '"'):
                way = "quote" if record[at] == '"' else "delimiter"
                yield Damage(row, f"{way} less", at, record[:at] + record[at + 1 :])


def excused(sound: Table, damage: Damage) -> str | None:
    """Why nobody could tell: a delimiter or a line end within quotes, or in rows that end in blanks as a rule."""
    before = sound.records[damage.row + 1][: damage.at]
    if damage.way in ("delimiter more", "line end more", "delimiter less") and before.count('"') % 2:
        return "within quotes"
    if sound.shape == "blanks" and damage.row != HEADER_ROW:
        return "rows end in blanks as a rule"
    return None


def verdict(sound: Table, damage: Damage) -> str | None:  # noqa: PLR0911 - one for each thing that can be wrong
    """What is wrong with the reading of a damaged table; None where all is right."""
    try:
        data = sound.text(damage.row, damage.record)
        dialect = dialect_of(data)
        mapping = map_header(dialect.header)
        chunks = read(data, dialect=dialect)
    except FileRefused:
        return None if damage.row == HEADER_ROW else "the file is refused"
    keys = [field or extra for field, extra in zip(mapping.fields, mapping.extra, strict=True)]
    wanted_mapping = map_header(sound.titles)
    wanted_keys = [field or extra for field, extra in zip(wanted_mapping.fields, wanted_mapping.extra, strict=True)]
    found = [_said(keys, row) for chunk in chunks for row in chunk.table.rows()]
    wanted = [_said(wanted_keys, row) for row in sound.rows]
    rejects = sum(len(chunk.malformed) for chunk in chunks)
    if damage.row == HEADER_ROW:
        return None if all(row in wanted for row in found) and len(found) + rejects >= len(wanted) else "columns moved"
    # A line end in the first or the last value tears a row: the rows beside the piece are rejects with it.
    neighbours = {damage.row - 1, damage.row, damage.row + 1} if damage.way == "line end more" else {damage.row}
    kept = [row for row in wanted if row in found]
    if any(row not in wanted for row in found):
        return "a wrong row"
    if len(found) != len(kept):
        return "a row twice"
    missing = {at for at, row in enumerate(wanted) if row not in found}
    if not missing <= neighbours:
        return "a sound row is missing"
    if missing and not rejects:
        return "a row is missing unsaid"
    return None


def _said(keys: list[str | None], row: list[str] | tuple[str, ...]) -> dict[str, str]:
    return {normalise(str(key)): value for key, value in zip(keys, row, strict=True) if value}


def tables(seeds: int) -> Iterator[Table]:
    """Tables of each shape and dialect."""
    for seed in range(seeds):
        for shape in SHAPES:
            for delimiter in DELIMITERS:
                for line_end in LINE_ENDS:
                    yield table(shape, delimiter, line_end, seed)


def main(most: int) -> int:
    """Damage records until there were `most`; prints what was wrong. Returns how many were."""
    tried: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for sound in tables(1_000):
        for damage in damages(sound):
            if excused(sound, damage):
                tried["excused"] += 1
                continue
            tried[damage.way] += 1
            found = verdict(sound, damage)
            if found is not None:
                where = "header" if damage.row == HEADER_ROW else "row"
                kind = f"{sound.shape}, {damage.way}, {where}: {found}"
                if wrong[kind] < 2:
                    print(kind, repr(sound.delimiter), damage.at, repr(damage.record))
                wrong[kind] += 1
        if tried.total() - tried["excused"] >= most:
            break
    print(dict(tried))
    for kind, count in wrong.most_common():
        print(f"{count:6} {kind}")
    print(f"{tried.total() - tried['excused']} damaged records, {wrong.total()} wrong")
    return wrong.total()


if __name__ == "__main__":
    sys.exit(bool(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)))
