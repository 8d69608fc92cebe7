"""Bars of what RESULTS.md says, for the page on speed.

python -m benchmarks.plots
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Final

_RESULTS: Final = Path(__file__).with_name("RESULTS.md")
_IMAGES: Final = Path(__file__).parents[1] / "docs" / "images"
_WIDTH: Final = 800
_LABELS: Final = 360
_BAR: Final = 22
_PLOTS: Final = {
    "speed-importing.svg": ("1,000,000 rows x 67 columns", 3, "seconds ÷ those of psql \\copy"),
    "speed-around.svg": ("Around an import", 1, "seconds, 200,000 rows"),
    "speed-reading.svg": ("Reading", 3, "seconds ÷ those of clean UTF-8, comma"),
}
"""By file: the section whose first table is drawn, its column, and what the bars are."""


def rows_of(results: str, section: str, column: int) -> list[tuple[str, float]]:
    """The first number of a column, by the first column, of a section's first table."""
    body = re.split(r"^### ", results, flags=re.MULTILINE)
    found = next(part for part in body if part.startswith(section))
    cells = [line[1:-1].split("|") for line in found.splitlines() if line.startswith("|")]
    table = cells[2 : next((at for at in range(2, len(cells)) if len(cells[at]) != len(cells[0])), len(cells))]
    numbers = [(row[0].strip(" `").replace("`", ""), row[column].split()) for row in table]
    # `0.84 of the UPDATE` is no share of the first row.
    return [(label, float(words[0].replace(",", ""))) for label, words in numbers if len(words) == 1]


def drawn(rows: list[tuple[str, float]], caption: str) -> str:
    """An SVG of bars."""
    scale = (_WIDTH - _LABELS - 60) / max(value for _, value in rows)
    height = (len(rows) + 1) * _BAR + 12
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif">',
        f"<title>{escape(caption)}</title><style>text {{ font-size: 13px }}</style>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="{_LABELS}" y="15" fill="#444">{escape(caption)}</text>',
    ]
    for at, (label, value) in enumerate(rows, 1):
        y = at * _BAR + 4
        lines += [
            f'<text x="{_LABELS - 8}" y="{y + 12}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{_LABELS}" y="{y}" width="{value * scale:.1f}" height="{_BAR - 7}" fill="#3f6fb5"/>',
            f'<text x="{_LABELS + value * scale + 6:.1f}" y="{y + 12}">{value:g}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])


def main() -> None:
    """Draw all."""
    results = _RESULTS.read_text()
    for name, (section, column, caption) in _PLOTS.items():
        (_IMAGES / name).write_text(drawn(rows_of(results, section, column), caption))


if __name__ == "__main__":
    main()
