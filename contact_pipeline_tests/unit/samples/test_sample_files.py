import csv

import pytest

from contact_pipeline.contacts.cleaning import clean
from contact_pipeline.contacts.schema import failing_rows
from contact_pipeline.contacts.texts import CharacterFlags
from contact_pipeline.files.header_mapping import map_header
from contact_pipeline.samples.files import rows, write
from contact_pipeline.samples.generations import HEADERS

WIDTHS = {
    "A1": 50,
    "A2": 52,
    "A3": 57,
    "A4": 59,
    "A5": 63,
    "A6": 58,
    "A7": 58,
    "A8": 63,
    "A9": 67,
    "A10": 70,
    "A11": 71,
}


def test_the_generations_have_their_measured_widths():
    assert {name: len(header) for name, header in HEADERS.items()} == WIDTHS
    assert all(len(set(header)) == len(header) for header in HEADERS.values())


def test_the_same_seed_gives_the_same_file(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write(tmp_path / name, 50, "A11", seed, dirty=0.1)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() != (tmp_path / "c").read_bytes()


def test_empty_cells_are_quoted_and_line_ends_are_lf(tmp_path):
    write(tmp_path / "a", 200, "A9")
    text = (tmp_path / "a").read_text()
    assert ',"",' in text
    assert ",," not in text
    assert "\r" not in text
    with (tmp_path / "a").open(newline="") as source:
        assert sum(1 for _ in csv.reader(source)) == 201


@pytest.mark.parametrize("generation", HEADERS)
def test_clean_samples_pass_every_check(generation):
    import polars as pl

    mapping = map_header(HEADERS[generation])
    table = list(zip(*rows(200, generation, seed=9), strict=True))
    raw = pl.DataFrame({field: table[at] for at, field in enumerate(mapping.fields) if field})
    assert failing_rows(clean(raw, CharacterFlags()).frame).sum() == 0
