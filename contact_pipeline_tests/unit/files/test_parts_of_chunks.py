"""Chunks that are read for some columns only, and rows of which all columns are read after all."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contact_pipeline.files.chunks import Chunk
from contact_pipeline.files.csv import reader
from contact_pipeline_tests.unit.files.reading import dialect_of, read

HEADER = b"email,first_name,notes\n"
DAMAGED = (
    HEADER
    + b'a,b,"c\nd"\n1,2\n'
    + b"e,f,g,,\n"
    + b"h,\x00,i\n"
    + b"j,\xff,k\n"
    + b"\n"
    + b'"open,l,m\n'
    + "né,o,p\n".encode()
    + b"q,r,s"
)


def read_for(data: bytes, *columns: list[int] | None) -> list[Chunk]:
    """Chunks of three rows, each for some columns: the last ones named from there on."""
    asked = iter(columns)
    wanted: list[int] | None = None

    def next_columns() -> list[int] | None:
        nonlocal wanted
        wanted = next(asked, wanted)
        return wanted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "CHUNK_ROWS", 3)
        patch.setattr(reader, "_FIRST_GUESS", 16)
        return read(data, 7, dialect_of(HEADER + b"x,y,z\n"), next_columns)


def test_each_chunk_has_the_columns_that_were_asked_for_before_it():
    chunks = read_for(HEADER + b"a,b,c\n" * 8, [1], None, [2, 0])
    assert [chunk.whole for chunk in chunks] == [False, True, False]
    assert [chunk.table.rows() for chunk in chunks] == [[("b",)] * 3, [("a", "b", "c")] * 3, [("c", "a")] * 2]


def test_rows_of_a_damaged_file_are_what_they_are_in_a_whole_chunk():
    for whole, narrow in zip(read_for(DAMAGED, None), read_for(DAMAGED, [1]), strict=True):
        assert narrow.table["1"].equals(whole.table["1"])
        assert (narrow.row_indexes.to_list(), narrow.malformed) == (whole.row_indexes.to_list(), whole.malformed)
        assert narrow.part(None).table.equals(whole.table)
        for at in range(whole.table.height):
            mask = pl.Series([row_index == at for row_index in range(whole.table.height)])
            one, expected = narrow.part(mask), whole.part(mask)
            assert one.whole
            assert one.table.equals(expected.table)
            assert (one.row_indexes.to_list(), one.malformed) == (expected.row_indexes.to_list(), expected.malformed)


def test_rare_characters_are_told_of_the_columns_that_are_there():
    (narrow,) = read_for(HEADER + "a,b,c\nd,e,f\u200b\n".encode(), [0])
    assert not narrow.character_flags.zero_width
    assert [narrow.part(pl.Series(mask)).character_flags.zero_width for mask in ([True, False], [False, True])] == [
        False,
        True,
    ]
    (with_it,) = read_for(HEADER + "a\u200b,b,c\n".encode(), [0])
    assert with_it.character_flags.zero_width


def test_stray_quotes_that_make_up_for_each_other_are_told_of():
    """As many records as rows, but cut elsewhere."""
    data = HEADER + b'x"y,"a\nd",3\nz"w,2,9\n'
    for (chunk,) in (read_for(data, None), read_for(data, [0])):
        assert chunk.table.height == 0
        assert [item.code for item in chunk.malformed] == ["unclosed_quote", "stray_quote", "stray_quote"]


fragments = st.sampled_from(["a", ",", "\n", '"', '"b"', '"c\nd"', ",,", "e,f,g\n", '""', "\r\n", "\0", "é", " "])


@settings(deadline=None)
@given(st.lists(fragments, max_size=40), st.data())
def test_any_text_comes_to_the_same_rows_in_parts(pieces, draw):
    data = HEADER + "".join(pieces).encode()
    chunks = list(zip(read_for(data, None), read_for(data, [0]), strict=True))
    for whole, narrow in chunks:
        assert (narrow.start, narrow.rows, narrow.row_indexes.to_list()) == (
            whole.start,
            whole.rows,
            whole.row_indexes.to_list(),
        )
        mask = pl.Series(
            draw.draw(st.lists(st.booleans(), min_size=len(whole.row_indexes), max_size=len(whole.row_indexes)))
        )
        mask = mask.cast(pl.Boolean())
        part = narrow.part(mask)
        expected = dict(zip(whole.row_indexes.filter(mask).to_list(), whole.table.filter(mask).rows(), strict=True))
        told = {item.row_index for item in part.malformed} - {item.row_index for item in whole.malformed}
        found = dict(zip(part.row_indexes.to_list(), part.table.rows(), strict=True))
        # What stray quotes cut elsewhere is told of; every other row is what it was.
        assert found == {row_index: row for row_index, row in expected.items() if row_index not in told}
        assert told <= set(expected)
