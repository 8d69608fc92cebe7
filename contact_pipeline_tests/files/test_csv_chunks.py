import pytest

from contact_pipeline.files import csv_chunks
from contact_pipeline.files.csv_chunks import read_chunks
from contact_pipeline.files.errors import FileRefused
from contact_pipeline_tests.files.reading import broken, dialect_of, read, rows

HEADER = "email,first_name,notes"


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(csv_chunks, "CHUNK_ROWS", 3)
    monkeypatch.setattr(csv_chunks, "_FIRST_GUESS", 16)
    return 3


def test_every_line_end_ends_a_row():
    data = f"{HEADER}\na,b,c\r\nd,e,f\rg,h,i".encode()
    assert rows(read(data)) == [("a", "b", "c"), ("d", "e", "f"), ("g", "h", "i")]


def test_blank_lines_are_no_rows():
    assert rows(read(f"{HEADER}\n\na,b,c\n\r\n\nd,e,f\n\n\n".encode())) == [("a", "b", "c"), ("d", "e", "f")]


def test_bare_and_quoted_empties_are_the_same():
    assert rows(read(f'{HEADER}\na,,""\n'.encode())) == [("a", "", "")]


def test_a_chunk_can_be_read_from_where_the_one_before_it_ended(small_chunks):
    data = (HEADER + "\n" + "".join(f'a{i},"x\ny",c\n' for i in range(8))).encode()
    dialect = dialect_of(data)
    chunks = read(data, 7)
    assert [chunk.rows for chunk in chunks] == [3, 3, 2]
    second = chunks[0].next()
    again = list(read_chunks([data[second.offset :]], dialect, second))
    assert rows(again) == rows(chunks[1:])
    assert [chunk.start for chunk in again] == [chunk.start for chunk in chunks[1:]]


def test_ragged_rows_are_rejected_alone_with_their_lines():
    data = f'{HEADER}\na,"x\ny",c\n1,2\n1,2,3,4\nd,e,f\n'.encode()
    chunks = read(data)
    assert rows(chunks) == [("a", "x\ny", "c"), ("d", "e", "f")]
    assert broken(chunks) == [(2, 4, "wrong_number_of_columns", None), (3, 5, "wrong_number_of_columns", None)]
    assert [chunks[0].record(item.place) for item in chunks[0].broken] == [b"1,2", b"1,2,3,4"]
    assert chunks[0].rows == 4


@pytest.mark.parametrize(
    ("bad", "code"),
    [(b"a,\x00,c", "nul_byte"), (b"a,\xff\xfe,c", "invalid_utf8"), (b"a,\xed\xa0\x80,c", "invalid_utf8")],
)
def test_undecodable_rows_are_rejected_alone_with_their_column(bad, code):
    chunks = read(HEADER.encode() + b"\nx,y,z\n" + bad + b"\nd,e,f\n")
    assert rows(chunks) == [("x", "y", "z"), ("d", "e", "f")]
    assert broken(chunks) == [(2, 3, code, "first_name")]


@pytest.mark.parametrize("following", ["d,e,f", '"d","e","f"', '"d",e,"f\ng"'])
def test_an_unclosed_quote_costs_its_own_record_only(following):
    text = f'{HEADER}\na,b,c\n"open,b,c\n{following}\n' + "g,h,i\n" * 50
    chunks = read(text.encode())
    assert broken(chunks) == [(2, 3, "unclosed_quote", None)]
    assert len(rows(chunks)) == 52
    assert rows(chunks)[0] == ("a", "b", "c")


def test_an_unclosed_quote_at_the_end_is_one_reject():
    chunks = read(f'{HEADER}\na,b,c\nd,"e'.encode())
    assert rows(chunks) == [("a", "b", "c")]
    assert broken(chunks) == [(2, 3, "unclosed_quote", None)]


def test_an_unclosed_quote_does_not_swallow_a_large_file():
    data = f'{HEADER}\n"open,b,c\n'.encode() + b"g,h,i\n" * 600_000
    chunks = read(data)
    assert sum(chunk.rows for chunk in chunks) == 600_001
    assert broken(chunks) == [(1, 2, "unclosed_quote", None)]
    assert {chunk.rows for chunk in chunks[:-1]} == {10_000}


def test_stray_quotes_inside_a_value_are_text():
    assert rows(read(f'{HEADER}\na,24" screen,c\nd,e,f\n'.encode())) == [("a", '24" screen', "c"), ("d", "e", "f")]


def test_header_only_has_no_chunk():
    assert read(HEADER.encode()) == []


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_file"),
        (b"\xef\xbb\xbf", "empty_file"),
        (b"\xff\xfe", "empty_file"),
        (b"PK\x03\x04whatever", "damaged_archive"),
        (b"\x1f\x8b\x08", "damaged_archive"),
        (b"\x28\xb5\x2f\xfd\x00", "damaged_archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "damaged_workbook"),
        (b"<!DOCTYPE html><html>", "not_a_table"),
        (b"<?xml version='1.0'?><Workbook/>", "not_a_table"),
        (b"%PDF-1.7\n", "not_a_table"),
        (bytes(range(256)) * 40, "not_a_table"),
        (b"Ann,Lee,ann@example.com\nBob,Ray,bob@example.com\n", "no_header"),
    ],
)
def test_what_is_no_table_is_refused_with_the_reason(data, code):
    with pytest.raises(FileRefused) as refused:
        dialect_of(data)
    assert refused.value.code == code


def test_a_row_too_long_to_be_one_is_rejected_alone():
    chunks = read(HEADER.encode() + b"\na,b,c\nd," + b"x" * (3 << 20) + b",f\ng,h,i\n")
    assert rows(chunks) == [("a", "b", "c"), ("g", "h", "i")]
    assert broken(chunks) == [(2, 3, "too_long", None)]
