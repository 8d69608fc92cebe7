"""Realistic contact files, made to measure: deterministic by seed, no real person in them.

Every empty cell is `""`, phones carry a spreadsheet's apostrophe, industries
contain commas, technologies run long: as in the exports that were measured.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from contact_pipeline.samples.generations import HEADERS
from contact_pipeline.samples.values import VALUES, Row


class _Dirt:
    """Ways in which real rows go wrong; each is a row that loads with a warning, or a reject."""

    def __init__(self, header: list[str]) -> None:
        self.at = {title: position for position, title in enumerate(header)}

    def spoil(self, rng: random.Random, cells: list[str]) -> list[str]:
        """The row with one thing wrong with it."""
        ways = (self._bad_email, self._bad_amount, self._bad_number, self._nobody, self._ragged, self._lost_id)
        return rng.choice(ways)(rng, cells)

    def _set(self, cells: list[str], title: str, value: str) -> list[str]:
        if title in self.at:
            cells[self.at[title]] = value
        return cells

    def _bad_email(self, rng: random.Random, cells: list[str]) -> list[str]:
        return self._set(cells, "Email", rng.choice(["not an address", "someone@", "@nowhere.example"]))

    def _bad_amount(self, rng: random.Random, cells: list[str]) -> list[str]:
        return self._set(cells, "Annual Revenue", rng.choice(["n/a ~ 5M", "unknown", "$1M - $10M"]))

    def _bad_number(self, _rng: random.Random, cells: list[str]) -> list[str]:
        return self._set(cells, "# Employees", "11-50")

    def _nobody(self, _rng: random.Random, cells: list[str]) -> list[str]:
        for title in ("Apollo Contact Id", "Email", "Person Linkedin Url", "First Name", "Last Name"):
            self._set(cells, title, "")
        return cells

    def _lost_id(self, _rng: random.Random, cells: list[str]) -> list[str]:
        self._set(cells, "Apollo Contact Id", "")
        return self._set(cells, "Email", "not an address")

    def _ragged(self, _rng: random.Random, cells: list[str]) -> list[str]:
        return cells[:-3]


def rows(count: int, generation: str, seed: int, dirty: float = 0.0) -> Iterator[list[str]]:
    """The rows of a file, without its header.

    Args:
        count: how many.
        generation: `A1` to `A11`.
        seed: the same seed gives the same rows; another one gives other people.
        dirty: share of rows with something wrong.
    """
    header = HEADERS[generation]
    # Not for secrets: the rows must be the same each time.
    rng = random.Random(seed)  # noqa: S311
    makers = [VALUES.get(title) for title in header]
    dirt = _Dirt(header)
    for number in range(1, count + 1):
        row = Row(rng, number, seed)
        cells = [maker(rng, row) if maker is not None else "" for maker in makers]
        yield dirt.spoil(rng, cells) if dirty and rng.random() < dirty else cells


def write(path: Path, count: int, generation: str = "A9", seed: int = 42, dirty: float = 0.0) -> int:
    """Write a file as Apollo does: UTF-8, LF, every empty cell as `""`.

    Returns:
        Its size in bytes.
    """
    with path.open("w", encoding="utf-8", newline="") as output:
        output.write(_line(HEADERS[generation]))
        for cells in rows(count, generation, seed, dirty):
            output.write(_line(cells))
    return path.stat().st_size


def _line(cells: list[str]) -> str:
    return ",".join([_cell(cell) for cell in cells]) + "\n"


def _cell(text: str) -> str:
    if not text:
        return '""'
    if '"' in text:
        return '"' + text.replace('"', '""') + '"'
    return f'"{text}"' if "," in text or "\n" in text else text
