import codecs
import csv
import io
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from contact_pipeline.errors import FileRefused
from contact_pipeline.files.csv import reader
from contact_pipeline.files.detection import detect
from contact_pipeline.files.dialect import DELIMITERS
from contact_pipeline_tests.unit.files.reading import MemoryBlob, dialect_of, malformed, read, rows, skipped

HEADER = ["Email", "First Name", "Notes"]
ROWS = [
    ("zoë@example.com", "Zoë", 'says "hi", twice'),
    ("b@example.com", "Bob", "two\nlines"),
    ("c@example.com", "", ""),
]

cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00\ufeff"), max_size=8)
tables = st.lists(
    # A row of blanks is none, and a single value below it a footer.
    st.lists(cells, min_size=3, max_size=3).filter(lambda row: any(re.search(r"[^\s'\",;|:]", cell) for cell in row)),
    min_size=1,
    max_size=12,
)


def written(table, delimiter=",", line_end="\n", quoting=csv.QUOTE_MINIMAL, quote='"'):
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_end, quoting=quoting, quotechar=quote)
    writer.writerow(HEADER)
    writer.writerows(table)
    return text.getvalue()


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    tables,
    st.sampled_from(DELIMITERS),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be", "utf-16"]),
    st.integers(1, 40),
)
# Apostrophes that could enclose a value, in one row and in all.
@example([["", "", "0"], ["", "'0", "'"]], ",", "\n", csv.QUOTE_MINIMAL, "utf-8", 1)
@example([["", "'0", "'"], ["", "'0", "'"]], ",", "\n", csv.QUOTE_MINIMAL, "utf-8", 1)
@example([["", "", "0"], ["x", "'0'", ""]], ",", "\n", csv.QUOTE_MINIMAL, "utf-8", 1)
def test_any_table_in_any_dialect_reads_back_as_python_reads_it(table, delimiter, line_end, quoting, encoding, block):
    # Python's writer leaves a CR or LF bare where rows end otherwise: to every reader it then ends a row.
    bare = {"\n": "\r", "\r": "\n"}.get(line_end, "")
    if bare and quoting == csv.QUOTE_MINIMAL:
        table = [[cell.replace(bare, "") for cell in row] for row in table]
    text = written(table, delimiter, line_end, quoting)
    data = text.encode(encoding)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "CHUNK_ROWS", 3)
        patch.setattr(reader, "_FIRST_GUESS", 16)
        # What cannot be told from a few accidental characters is said, as a user can say it.
        chunks = read(data, block, encoding=encoding.removesuffix("-sig"), delimiter=delimiter, header_line=1)
    # What is left may be empty, and no row then.
    found = [tuple(row) for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)][1:]
    expected = [row for row in found if any(cell.strip(" \t") for cell in row)]
    assert rows(chunks) == [row for row in expected if len(row) == 3]
    assert len(malformed(chunks)) == sum(len(row) != 3 for row in expected)
    assert all(chunk.rows == 3 for chunk in chunks[:-1])


words = st.lists(
    st.sampled_from(["Zoë", "naïve", "l’été", "“hi”", "a – b", "x,y", 'say "x"', "", "two\nlines"]),
    min_size=3,
    max_size=3,
)


@settings(deadline=None)
@given(
    st.lists(words.filter(any), min_size=1, max_size=12),
    st.sampled_from(DELIMITERS),
    st.sampled_from(["cp1252", "mac_roman", "utf-8"]),
    st.booleans(),
    st.integers(1, 40),
)
def test_a_table_in_a_code_page_or_with_backslashes_reads_back(table, delimiter, encoding, backslash, block):
    text = io.StringIO(newline="")
    options: dict[str, Any] = {"doublequote": False, "escapechar": "\\"} if backslash else {}
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL, **options)
    writer.writerow(HEADER)
    # What shows that quotes are escaped by backslashes stands in the first row.
    writer.writerows([["a", 'b "c" d', "e"], *table])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "CHUNK_ROWS", 3)
        patch.setattr(reader, "_FIRST_GUESS", 16)
        chunks = read(text.getvalue().encode(encoding), block, encoding=encoding, delimiter=delimiter)
    assert rows(chunks) == [("a", 'b "c" d', "e"), *map(tuple, table)]


@pytest.mark.parametrize("delimiter", DELIMITERS)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16-le"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("cp1252", "cp1252"),
        ("mac_roman", "mac_roman"),
    ],
)
def test_a_files_dialect_is_found_by_itself(delimiter, line_end, encoding, name):
    # Python's writer leaves an LF bare where rows end otherwise.
    data = written(ROWS, delimiter, line_end, csv.QUOTE_ALL).encode(encoding)
    if encoding == "utf-16-be":
        data = codecs.BOM_UTF16_BE + data
    dialect = dialect_of(data)
    assert (dialect.content_encoding.encoding, dialect.delimiter, dialect.header) == (name, delimiter, tuple(HEADER))
    assert rows(read(data)) == ROWS


def test_how_sure_the_decisions_are_is_kept():
    assert dialect_of(written(ROWS).encode()).confidence == {
        "encoding": "certain",
        "delimiter": "certain",
        "header": "certain",
    }
    given = dialect_of("x\nmail;who\na@b.c;Ann\n".encode("cp1252"), encoding="cp1252", delimiter=";", header_line=2)
    assert given.confidence == {"encoding": "given", "delimiter": "given", "header": "given"}
    assert given.header == ("mail", "who")


@pytest.mark.parametrize(("first", "delimiter"), [("sep=;\r\n", ";"), ('"sep=|"\n', "|"), ("\ufeffSEP=\t\n", "\t")])
def test_a_line_that_names_the_separator_is_followed_and_dropped(first, delimiter):
    data = (first + written(ROWS, delimiter)).encode()
    assert dialect_of(data).delimiter == delimiter
    assert rows(read(data)) == ROWS


def test_a_preamble_is_passed_over():
    text = 'Notes:\n"When exporting your connection data, you may notice, etc. ""missing"""\n\n' + written(ROWS)
    chunks = read(text.encode())
    assert rows(chunks) == ROWS
    assert chunks[0].line_of(0) == 5


def test_a_header_on_a_line_that_is_none_is_refused():
    with pytest.raises(FileRefused) as refused:
        dialect_of(b"Email\na@b.c\n", header_line=9)
    assert refused.value.code == "no_such_line"


def test_backslashes_escape_quotes_where_they_must():
    data = b'Email,First Name,Notes\n"a@b.c","Ann \\"Annie\\" Lee","C:\\\\x"\n"b@b.c","Bob, \\"B\\"","y"\n'
    chunks = read(data, block=7)
    assert rows(chunks) == [("a@b.c", 'Ann "Annie" Lee', "C:\\x"), ("b@b.c", 'Bob, "B"', "y")]
    plain = b'Email,First Name,Notes\n"a@b.c","Ann ""Annie"" Lee","C:\\x\\"\n'
    assert rows(read(plain)) == [("a@b.c", 'Ann "Annie" Lee', "C:\\x\\")]


@pytest.mark.parametrize("block", [1, 7, 1 << 20])
def test_a_blank_may_stand_between_delimiter_and_quote(block):
    data = b'Email, First Name, "Notes"\na@b.c, "Ann, Lee", "say ""hi, "" there"\nb@b.c, "", "x, "\n'
    assert rows(read(data, block)) == [("a@b.c", "Ann, Lee", 'say "hi, " there'), ("b@b.c", "", "x,")]


def test_single_quotes_quote_where_the_titles_are_quoted_so():
    data = b"'Email','First Name','Notes'\n'a@b.c','Ann, Lee','it''s'\n"
    assert rows(read(data)) == [("a@b.c", "Ann, Lee", "it's")]


def test_empty_rows_repeated_headers_and_footers_are_no_rows_but_counted():
    text = written(ROWS[:2]) + ",,\n" + '"","",""\n' + "Email,First Name,Notes\n" + "d@example.com,Di,x\n"
    chunks = read((text + "\nTotal,,3\nCopyright (c) 2026 Somebody\n").encode())
    assert [row[0] for row in rows(chunks)] == ["zoë@example.com", "b@example.com", "d@example.com"]
    assert skipped(chunks) == {"empty_row": 2, "repeated_header": 1, "footer": 2}
    assert malformed(chunks) == []


@pytest.mark.parametrize("last", ["An", "Total@example.com,5", "a@example.com,An", '"Total"@example.com,x'])
def test_a_last_row_that_was_cut_off_is_a_reject_and_no_footer(last):
    chunks = read((written(ROWS[:2]) + last).encode())
    assert [code for _, _, code, _ in malformed(chunks)] in (
        ["wrong_number_of_columns"],
        ["stray_quote"],
        ["torn_row", "row_piece"],
    )
    assert skipped(chunks) == {}


def test_blank_values_too_many_are_dropped_where_the_rows_have_them_as_a_rule():
    data = b"Email,First Name,Notes\na@b.c,Ann,x,,\nb@b.c,Bob,y,\nc@b.c,Cy,z\nd@b.c,Di,z,extra\n"
    assert rows(read(data.replace(b",extra", b",,"))) == [
        ("a@b.c", "Ann", "x"),
        ("b@b.c", "Bob", "y"),
        ("c@b.c", "Cy", "z"),
        ("d@b.c", "Di", "z"),
    ]
    # One that is wider by a value may be wider by a delimiter elsewhere, and so may the others.
    chunks = read(data)
    assert rows(chunks) == [("c@b.c", "Cy", "z")]
    assert {code for _, _, code, _ in malformed(chunks)} == {"wrong_number_of_columns"}


def test_a_blank_value_too_many_in_one_row_is_damage():
    """Any unquoted comma gives such a row where its last value is blank."""
    data = b"Email,Company,City,Notes\na@b.c,Acme,Rome,\nb@b.c,Acme, Inc.,Rome,\nc@b.c,Acme,Rome,\n"
    chunks = read(data)
    assert [row[0] for row in rows(chunks)] == ["a@b.c", "c@b.c"]
    assert malformed(chunks) == [(2, 3, "wrong_number_of_columns", None)]


def test_blank_values_too_many_are_damage_where_addresses_then_stand_under_other_titles():
    data = b"First NameFoo,Company,Email,Notes\n" + b"Ann,Lee,Acme,a@b.c,\n" * 5
    assert rows(read(data)) == []


def test_blanks_that_excel_leaves_out_at_the_end_are_blanks():
    header = b"First Name,Last Name,Email,City,Notes\n"
    whole, short = b"Ann,Lee,a@b.c,Rome,x\n" * 16, b"Bob,Ray,b@b.c\n" * 16
    assert len(rows(read(header + whole + short))) == 32
    assert rows(read(header + whole + short))[-1] == ("Bob", "Ray", "b@b.c", "", "")
    assert len(rows(read(header + whole + b"Bob,Ray,b@b.c\n"))) == 16
    assert rows(read(header.replace(b"Email", b"Em,ail") + whole)) == []


def test_a_table_below_another_does_not_take_its_place():
    data = b"Email,First Name\na@b.c,Ann\n\nCompany,Website,Industry,City,Country\nAcme,acme.example,x,Rome,Italy\n"
    assert rows(read(data)) == [("a@b.c", "Ann")]


@pytest.mark.parametrize("header", [b"Email,First Name,Job Ti\ntle", b"First\nName,Last Name,Email"])
def test_a_header_that_a_line_end_has_torn_is_refused(header):
    with pytest.raises(FileRefused) as refused:
        read(header + b"\n" + b"a,b,c\n" * 4)
    assert refused.value.code == "torn_header"


@pytest.mark.parametrize("line", [b"-----", b"#", b"====="])
def test_a_line_below_the_header_that_underlines_it_tears_nothing(line):
    chunks = read(b"Email,First Name,Notes\n" + line + b"\na@b.c,Ann,x\nb@b.c,Bob,y\n")
    # The line may as well be the first half of a row that a line end has torn: both rows are rejects.
    assert (rows(chunks), len(malformed(chunks))) == ([("b@b.c", "Bob", "y")], 2)


@pytest.mark.parametrize(
    "header",
    [
        b'Email,First Name,City,"Website,Tertiary Email',
        b'Email,First Name,City,"Notes,Remarks',
        b'"Email","First Name","City","Notes,"Remarks"',
        b"Email,First Name,City,WebsiteTertiary Email",
        b'"Email","First Name","City","Website""Tertiary Email"',
    ],
)
def test_a_header_whose_columns_cannot_be_told_apart_is_refused_although_the_last_one_is_blank(header):
    with pytest.raises(FileRefused) as refused:
        read(header + b"\n" + b"a@b.c,Ann,Rome,acme.example,\n" * 9)
    assert refused.value.code == "damaged_header"


def test_a_header_whose_quote_swallows_rows_is_refused():
    rest = b'a@b.c,Ann,"Rome",acme.example,x\n'
    with pytest.raises(FileRefused) as refused:
        read(b'Email,First Name,City,"Website,Notes\na@b.c,Ann,Rome,acme.example,x\nb@b.c,Ann,Rome,z",y\n' + rest * 9)
    assert refused.value.code == "damaged_header"


def test_titles_with_quotes_and_trailing_delimiters_are_no_damage():
    row = b"a@b.c,Ann,12,acme.example,\n"
    assert len(rows(read(b'Email,First Name,Size ("),Website\n' + row * 9))) == 9
    assert len(rows(read(b'Email,First Name,"Size\n(in, or cm)",Website,Notes\n' + row * 9))) == 9


def test_a_title_with_an_address_in_it_leaves_the_header_a_header():
    data = b"Email,First Name,Answer to https://forms.example/q1\na@b.c,Ann,yes\n"
    assert rows(read(data)) == [("a@b.c", "Ann", "yes")]


def test_apostrophes_quote_where_the_values_are_quoted_so():
    data = b"Email,First Name,Notes\n" + b"a@b.c,'Ann, Lee','it''s'\n" * 3
    assert rows(read(data)) == [("a@b.c", "Ann, Lee", "it's")] * 3
    data = b"Email,City,Notes\n" + b"a@b.c,'s-Hertogenbosch,'+1 415\n" * 3
    assert rows(read(data)) == [("a@b.c", "'s-Hertogenbosch", "'+1 415")] * 3


def test_utf8_within_a_code_page_is_kept():
    mac = "Email,First Name,Notes\na@b.c,Ann,humanity’s best\n".encode("mac_roman")
    hebrew = "b@b.c,דנה,שלום לך\n".encode()
    data = mac + hebrew + "c@b.c,Zoë,l’École\n".encode("mac_roman")
    assert dialect_of(data).content_encoding.encoding == "mac_roman"
    for block in (1, 3, 1 << 20):
        assert rows(read(data, block)) == [
            ("a@b.c", "Ann", "humanity’s best"),
            ("b@b.c", "דנה", "שלום לך"),
            ("c@b.c", "Zoë", "l’École"),
        ]


def test_the_first_accent_may_stand_far_down():
    plain = written([(f"a{i}@example.com", "Ann", "x" * 40) for i in range(40_000)]).encode()
    data = plain + "z@example.com,Zoë,café\n".encode("cp1252") * 2_000
    assert dialect_of(data).content_encoding.encoding == "cp1252"


@pytest.mark.parametrize("name", ["MÜLLER", "Émile", "Zoë", "O’Brien", "“Joe”", "JOSÉ", "Ångström", "François"])
@pytest.mark.parametrize("encoding", ["cp1252", "mac_roman"])
def test_one_accented_name_tells_the_code_page(encoding, name):
    assert rows(read(written([("a@b.c", name, "x")]).encode(encoding))) == [("a@b.c", name, "x")]


@pytest.mark.parametrize("bad", [b"A\xc0\x80", b"Jos\xc3(", b"\xff\xfe", b"\xed\xa0\x80", b"\xe2\x28\xa1"])
def test_bytes_that_are_no_text_in_any_code_page_are_rejected(bad):
    chunks = read(written([("a@b.c", "Ann", "x")]).encode() + b"b@b.c," + bad + b",x\n")
    assert [code for _, _, code, _ in malformed(chunks)] == ["invalid_utf8"]


def test_a_few_damaged_bytes_do_not_make_a_utf8_file_another():
    data = written(ROWS * 5).encode() + b"d@example.com,\xff\xfe,x\ne@example.com,caf\xe9,y\n"
    chunks = read(data)
    assert chunks[0].table.height == 15
    assert [(code, column) for _, _, code, column in malformed(chunks)] == [("invalid_utf8", "First Name")] * 2


def test_half_a_character_at_the_end_costs_its_row_only():
    data = codecs.BOM_UTF16_LE + written(ROWS[:1]).encode("utf-16-le") + "d@b.c,Di,x".encode("utf-16-le") + b"\x41"
    chunks = read(data)
    assert rows(chunks) == ROWS[:1]
    assert [code for _, _, code, _ in malformed(chunks)] == ["invalid_utf8"]


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
def test_a_chunk_of_a_decoded_file_can_be_read_from_where_the_one_before_it_ended(encoding, monkeypatch):
    monkeypatch.setattr(reader, "CHUNK_ROWS", 3)
    data = written([(f"a{i}@example.com", "Zoë", "né") for i in range(8)]).encode(encoding)
    dialect = dialect_of(data)
    chunks = read(data, 7, dialect)
    from contact_pipeline.files.text import Text

    second = chunks[0].next()
    text = Text(MemoryBlob(data, 7), dialect.content_encoding, second.offset)
    again = list(reader.read_chunks(text.blocks(), dialect, second, text.bytes_read))
    assert rows(again) == rows(chunks[1:])
    assert again[-1].bytes_read == len(data)


def test_detection_reads_little_of_a_large_file():
    class Counting(MemoryBlob):
        taken = 0

        def stream(self, begin):
            for block in super().stream(begin):
                Counting.taken += len(block)
                yield block

    detect(Counting(written([("a@b.c", "Ann", "x" * 50)]).encode() + b"b@b.c,Bob,y\n" * 2_000_000))
    assert Counting.taken < 6 << 20


NAMES = {
    "cp932": ["山田,太郎", "佐藤,花子", "鈴木,一郎", "高橋,美咲", "田中,健", "見本,テスト"],
    "euc_jp": ["山田,太郎", "佐藤,花子", "鈴木,一郎", "高橋,美咲", "田中,健", "見本,テスト"],
    "big5": ["陳,大文", "林,美麗", "黃,志明", "張,惠妹"],
    "gb18030": ["王,小明", "李,华", "张,伟", "刘,洋"],
    "euc_kr": ["김,철수", "이,영희", "박,지성"],
    "cp1251": ["Иванов,Иван", "Петров,Пётр", "Сидорова,Анна", "Кузнецов,Дмитрий"],
    "cp1253": ["Παπαδόπουλος,Γιώργος", "Νικολάου,Μαρία"],
    "cp1250": ["Wałęsa,Łukasz", "Żółć,Michał", "Kowalska,Zofia", "Dąbrowski,Paweł"],
}


@pytest.mark.parametrize("encoding", NAMES)
def test_a_code_page_of_another_script_is_told_and_told_to_be_a_guess(encoding):
    names = [tuple(name.split(",")) for name in NAMES[encoding]] * 8
    text = "Last Name,First Name,Email\n" + "".join(f"{last},{first},a@x.example\n" for last, first in names)
    dialect = dialect_of(text.encode(encoding))
    assert dialect.confidence["encoding"] == "guessed"
    assert [row[:2] for row in rows(read(text.encode(encoding)))] == names


def test_what_every_code_page_reads_alike_is_no_guess():
    text = written(
        [("a@b.c", "J\u00fcrgen", "K\u00f6ln"), ("b@b.c", "Jos\u00e9", "K\u00e4the"), ("c@b.c", "Bj\u00f6rn", "")]
    )
    assert dialect_of(text.encode("cp1252")).confidence["encoding"] == "likely"


@pytest.mark.parametrize("encoding", ["euc_kr", "cp1251"])
def test_an_encoding_that_cannot_be_told_is_asked_for(encoding):
    first = NAMES[encoding][0].split(",")
    data = f"Last Name,First Name,Email\n{first[0]},{first[1]},a@x.example\n".encode(encoding)
    with pytest.raises(FileRefused) as refused:
        dialect_of(data)
    assert refused.value.code == "unknown_encoding"
    assert "--encoding" in str(refused.value)
    assert rows(read(data, encoding=encoding)) == [(*first, "a@x.example")]


@pytest.mark.parametrize("above", [b"Liste\n", b"Company\n", b"Contact\n\n"])
def test_a_line_above_the_header_is_no_torn_one(above):
    assert rows(read(above + b"Email,First Name,Last Name\na@b.c,Ann,Lee\n")) == [("a@b.c", "Ann", "Lee")]


def test_a_row_that_is_wider_costs_no_other_where_a_trailing_delimiter_is_the_rule():
    data = b"First Name,Last Name,Email\n" + b"A,B,a@b.c,\n" * 50 + b"A, jr,B,a@b.c,\n"
    assert len(rows(read(data))) == 50
    assert rows(read(b"Name,Email\nAda,a@x.c,")) == [("Ada", "a@x.c")]


def test_a_row_that_is_shorter_by_itself_is_damage_where_others_are_by_rule():
    header = b"Email,First Name,Last Name,Title,Company,City\n"
    whole, short = b"a@b.c,Ann,Lee,CEO,Acme,Rome\n", b"b@b.c,Bob,Ray,Globex,Oslo\n"
    assert len(rows(read(header + whole * 40 + (short + whole) * 4))) == 44
    assert len(rows(read(header + whole * 40 + short * 16 + whole * 5 + short + whole))) == 62


@pytest.mark.parametrize("title", ["Id", "Nr", ""])
def test_the_header_again_is_no_row_where_its_first_title_is_short(title):
    header = f"{title},First Name,Last Name,Company\n"
    chunks = read((header + "1,Ann,Lee,Acme\n" + header + "2,Bob,Ray,Acme\n").encode())
    assert [row[1] for row in rows(chunks)] == ["Ann", "Bob"]
    assert skipped(chunks) == {"repeated_header": 1}


def test_rows_that_quotes_of_two_others_have_swallowed_are_found():
    rest = "".join(f"P{at},S,Acme,CEO,p{at}@x.c,Rome\n" for at in range(3))
    text = 'First Name,Last Name,Company,Title,Email,City\nAda,L,"Acme,CEO,ada@x.c,Rome\n' + rest
    chunks = read((text + 'Eve,O,Baz",COO,eve@x.c,Paris\n' + rest).encode())
    assert len(rows(chunks)) == 6
    assert [code for _, _, code, _ in malformed(chunks)] == ["unclosed_quote", "stray_quote"]
    ditto = read(b'Company,Name,Email\nAcme,Ann,a@x.c\n",Bob,b@x.c\n",Cy,c@x.c\n')
    assert rows(ditto) == [("Acme", "Ann", "a@x.c")]


def test_stray_quotes_that_are_a_habit_join_no_rows():
    header = "First Name,Company,Email\n"
    text = header + 'A,12" pipe,a@x.c\nB,Acme,b@x.c\nC,Acme,c@x.c\nD,3" nail,d@x.c\n' + header + "E,Acme,e@x.c\n"
    assert [row[0] for row in rows(read(text.encode()))] == list("ABCDE")


def test_an_apostrophe_here_and_there_is_no_quote():
    plain = "Al,Ally,Jones,a@x.c\n" * 30
    text = "First Name,Nickname,Last Name,Email\nBob,'Bobby',Smith,b@x.c\nAl,'Ally',Jones,a@x.c\n" + plain
    assert len(rows(read((text + "Pat,,O'Brien,p@x.c\n").encode()))) == 33


@pytest.mark.parametrize("name", ["Toma\u017e,\u017dagar", "Ale\u0161,Jan\u0161a", "Du\u0161an,\u0160ari\u0107"])
def test_carons_are_no_letters_of_the_mac(name):
    text = f"First Name,Last Name,Email\n{name},a@x.c\n"
    dialect = dialect_of(text.encode("cp1250"))
    assert dialect.content_encoding.encoding != "mac_roman"
    assert rows(read(text.encode("cp1250"), encoding="cp1250"))[0][0] == name.split(",")[0]


def test_a_sharp_s_alone_tells_the_code_page():
    assert dialect_of("Vorname;E-Mail;Stra\u00dfe\nAnn;a@b.c;x\n".encode("cp1252")).header[2] == "Stra\u00dfe"


@pytest.mark.parametrize("block", [1 << 20, 7_000])
def test_a_footer_behind_a_full_chunk_is_a_footer_wherever_an_attempt_begins(block, monkeypatch):
    monkeypatch.setattr(reader, "CHUNK_ROWS", 100)
    monkeypatch.setattr(reader, "_FIRST_GUESS", 500)
    data = (",".join(HEADER) + "\n" + "a@b.c,Ann,some words\n" * 200 + "Total: 200\n").encode()
    chunks = read(data, block)
    assert (len(rows(chunks)), malformed(chunks), skipped(chunks)) == (200, [], {"footer": 1})


def test_an_unclosed_quote_costs_no_more_memory_than_is_looked_ahead(monkeypatch):
    from contact_pipeline.files.csv import grammar

    monkeypatch.setattr(grammar, "LOOK_AHEAD", 4 << 20)
    monkeypatch.setattr(reader, "_LARGEST_STEP", 1 << 20)
    good = "Ann,Lee,Acme,a@b.c\n" * 150
    data = ("First Name,Last Name,Company,Email\n" + good + 'Bad,"Open,Acme,b@b.c\n' + good * 8_000).encode()
    held = []
    cut = reader._cut

    def noting(data, *rest, **more):
        held.append(len(data))
        return cut(data, *rest, **more)

    monkeypatch.setattr(reader, "_cut", noting)
    chunks = read(data)
    assert sum(chunk.rows for chunk in chunks) == 150 * 8_001 + 1
    assert max(held) < 20 << 20 < len(data)
