import pytest

from contact_pipeline.errors import FileRefused
from contact_pipeline.files.csv import grammar, reader
from contact_pipeline.files.csv.reader import read_chunks
from contact_pipeline_tests.unit.files.reading import dialect_of, malformed, read, rows, skipped

HEADER = "email,first_name,notes"


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(reader, "CHUNK_ROWS", 3)
    monkeypatch.setattr(reader, "_FIRST_GUESS", 16)
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
    assert malformed(chunks) == [(2, 4, "wrong_number_of_columns", None), (3, 5, "wrong_number_of_columns", None)]
    assert [chunks[0].record(item.row_index) for item in chunks[0].malformed] == [b"1,2", b"1,2,3,4"]
    assert chunks[0].rows == 4


@pytest.mark.parametrize(
    ("bad", "code"),
    [(b"a,\x00,c", "nul_byte"), (b"a,\xff\xfe,c", "invalid_utf8"), (b"a,\xed\xa0\x80,c", "invalid_utf8")],
)
def test_undecodable_rows_are_rejected_alone_with_their_column(bad, code):
    chunks = read(HEADER.encode() + b"\nx,y,z\n" + bad + b"\nd,e,f\n")
    assert rows(chunks) == [("x", "y", "z"), ("d", "e", "f")]
    assert malformed(chunks) == [(2, 3, code, "first_name")]


@pytest.mark.parametrize("following", ["d,e,f", '"d","e","f"', '"d",e,"f\ng"'])
def test_an_unclosed_quote_costs_its_own_record_only(following):
    text = f'{HEADER}\na,b,c\n"open,b,c\n{following}\n' + "g,h,i\n" * 50
    chunks = read(text.encode())
    assert malformed(chunks) == [(2, 3, "unclosed_quote", None)]
    assert len(rows(chunks)) == 52
    assert rows(chunks)[0] == ("a", "b", "c")


def test_an_unclosed_quote_at_the_end_is_one_reject():
    chunks = read(f'{HEADER}\na,b,c\nd,"e'.encode())
    assert rows(chunks) == [("a", "b", "c")]
    assert malformed(chunks) == [(2, 3, "unclosed_quote", None)]


def test_an_unclosed_quote_does_not_swallow_a_large_file():
    data = f'{HEADER}\n"open,b,c\n'.encode() + b"g,h,i\n" * 600_000
    chunks = read(data)
    assert sum(chunk.rows for chunk in chunks) == 600_001
    assert malformed(chunks) == [(1, 2, "unclosed_quote", None)]
    assert {chunk.rows for chunk in chunks[:-1]} == {10_000}


@pytest.mark.parametrize("value", ['24" screen', '"ann" lee', 'ann"', 'a""b', '"ann" '])
def test_a_record_that_only_a_lax_reading_accepts_is_a_reject(value):
    chunks = read(f"{HEADER}\na,{value},c\nd,e,f\n".encode())
    assert rows(chunks) == [("d", "e", "f")]
    assert malformed(chunks) == [(1, 2, "stray_quote", None)]


@pytest.mark.parametrize(("written", "value"), [('24" screen', '24" screen'), ('"ann" lee', "ann lee")])
def test_stray_quotes_are_text_where_the_file_is_written_so(written, value):
    data = HEADER + "\n" + f"a,{written},c\n" * 2 + "d,e,f\n"
    chunks = read(data.encode())
    assert rows(chunks) == [("a", value, "c")] * 2 + [("d", "e", "f")]
    assert malformed(chunks) == []


def test_stray_quotes_of_a_row_or_two_are_no_habit_where_others_quote_soundly():
    data = HEADER + "\n" + 'a,24" screen,c\n' * 2 + 'd,"e",f\n' * 3
    assert [code for _, _, code, _ in malformed(read(data.encode()))] == ["stray_quote"] * 2


def test_a_cell_of_sixty_megabytes_is_one_reject():
    data = HEADER.encode() + b'\na,b,c\nd,"' + b"lorem ipsum\n" * 5_000_000 + b'",f\ng,h,i\n'
    chunks = read(data)
    assert rows(chunks) == [("a", "b", "c"), ("g", "h", "i")]
    assert malformed(chunks) == [(2, 3, "too_long", None)]
    assert chunks[-1].line_of(2) == 5_000_004


def test_a_line_that_never_ends_is_refused_in_bounded_memory(monkeypatch):
    monkeypatch.setattr(grammar, "LOOK_AHEAD", 2 << 20)
    with pytest.raises(FileRefused) as refused:
        read(HEADER.encode() + b"\na,b,c\n" + b"x" * (24 << 20))
    assert refused.value.code == "row_too_long"


@pytest.mark.parametrize("piece", ["rest", "rest of a value"])
def test_a_piece_of_a_row_costs_the_rows_beside_it(piece, small_chunks):
    """A line end in the last value leaves a sound row with half a value; one in the first, likewise behind it."""
    sound = [f"a{at},b,c" for at in range(7)]
    for at in range(1, 7):
        lines = [*sound[:at], piece, *sound[at:]]
        chunks = read("\n".join([HEADER, *lines, ""]).encode(), 7)
        assert [row[0] for row in rows(chunks)] == [f"a{n}" for n in range(7) if n not in (at - 1, at)]
        assert [(row, code) for row, _, code, _ in malformed(chunks)] == [
            (at, "torn_row"),
            (at + 1, "row_piece"),
            (at + 2, "torn_row"),
        ]
        resumed = list(
            read_chunks(
                ["\n".join([HEADER, *lines, ""]).encode()[chunks[1].start.offset :]],
                dialect_of(f"{HEADER}\nx,y,z\n".encode()),
                chunks[1].start,
            )
        )
        assert malformed(resumed) == malformed(chunks[1:])


def test_many_lines_of_one_value_are_no_pieces_of_rows():
    data = HEADER + "\n" + "North\na,b,c\nd,e,f\n" * 20
    chunks = read(data.encode())
    assert len(rows(chunks)) == 40
    assert {code for _, _, code, _ in malformed(chunks)} == {"wrong_number_of_columns"}


@pytest.mark.parametrize(
    "again",
    [
        '"EMAIL","First Name",notes',
        "E-Mail,First Name,Notes",
        "E-mail Address,Vorname,x",
        "\ufeffEmail,First Name,Notes",
    ],
)
def test_the_header_again_is_no_row_whatever_its_spelling(again, small_chunks):
    chunks = read(f"{HEADER}\na,b,c\n{again}\nd,e,f\n{again}\n{again}\ng,h,i\nj,k,l\n".encode(), 7)
    assert [row[0] for row in rows(chunks)] == ["a", "d", "g", "j"]
    assert skipped(chunks) == {"repeated_header": 3}
    assert [chunk.rows for chunk in chunks] == [3, 1]


@pytest.mark.parametrize("titles", ["Company,Website,Industry", "Company,Website,Industry,City,Country"])
def test_rows_of_a_second_table_are_rejects_until_the_header_comes_again(titles, small_chunks):
    second = "Acme,acme.example,x" + ",y" * (titles.count(",") - 2)
    text = f"{HEADER}\na,b,c\n{titles}\n" + f"{second}\n" * 5 + f"{HEADER}\nd,e,f\n"
    chunks = read(text.encode(), 7)
    assert rows(chunks) == [("a", "b", "c"), ("d", "e", "f")]
    assert [code for _, _, code, _ in malformed(chunks)] == ["other_table"] * 6
    resumed = list(read_chunks([text.encode()[chunks[1].start.offset :]], dialect_of(text.encode()), chunks[1].start))
    assert malformed(resumed) == malformed(chunks[1:])


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
    assert malformed(chunks) == [(2, 3, "too_long", None)]
