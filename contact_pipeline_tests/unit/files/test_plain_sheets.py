"""Rows and texts of a workbook that are taken by the stretch are what the XML parser makes of them."""

from __future__ import annotations

import io
import random
import zipfile

import pytest

from contact_pipeline.files.excel import xlsx
from contact_pipeline.files.excel.shared_strings import StringsReader
from contact_pipeline.files.excel.sheet_reader import SheetReader
from contact_pipeline.files.excel.xml_parsing import NotPlain, WorkbookDamaged

TEXTS = 12
PLAIN_CELLS = [
    '<c r="{at}" t="s"><v>{number}</v></c>',
    '<c r="{at}" s="1" t="s"><v>3</v></c>',
    '<c r="{at}" t="inlineStr"><is><t>{text}</t></is></c>',
    '<c r="{at}" t="inlineStr"><is><t xml:space="preserve"> {text} </t></is></c>',
    '<c r="{at}"><v>{number}</v></c>',
    '<c r="{at}"><v>1.5E5</v></c>',
    '<c r="{at}" s="1"><v>44000.5</v></c>',
    '<c r="{at}" s="2"><v>{number}</v></c>',
    '<c r="{at}" t="b"><v>1</v></c>',
    '<c r="{at}" t="e"><v>#N/A</v></c>',
    '<c r="{at}" t="str"><v>{text}</v></c>',
    '<c r="{at}" s="1"/>',
    '<c r="{at}" t="inlineStr"><is><t></t></is></c>',
    "",
]
OTHER_CELLS = [
    '<c r="{at}" s="1"><f>A1+1</f><v>{number}</v></c>',
    '<c r="{at}" t="inlineStr"><is><r><t>{text}</t></r><r><t>b</t></r></is></c>',
    '<c r="{at}" t="inlineStr"><is><t>{text}</t><rPh sb="0" eb="1"><t>guide</t></rPh></is></c>',
    '<c t="n" r="{at}"><v>{number}</v></c>',
    "<c><v>{number}</v></c>",
    '<c r="{at}"><v><![CDATA[{number}]]></v></c>',
    '<c r="{at}"><!-- said --><v>{number}</v></c>',
    '<c r="{at}" t="n"><is><t>no value</t></is></c>',
]
PIECES = [
    "a",
    "é",
    "1",
    ",",
    '"',
    "\n",
    "\r\n",
    "&amp;",
    "&lt;",
    "&#10;",
    "&#x41;",
    "_x000D_",
    ">",
    "/>",
    " ",
    "\U0001f600",
]


def written(rng: random.Random, patterns: list[str], at: str) -> str:
    text = "".join(rng.choice(PIECES) for _ in range(rng.randrange(5)))
    return rng.choice(patterns).format(at=at, number=rng.randrange(TEXTS), text=text)


def sheet_of(rng: random.Random, share_of_others: float) -> str:
    rows = []
    number = 0
    for _ in range(40):
        number += rng.choice([1, 1, 1, 3])
        cells = "".join(
            written(rng, OTHER_CELLS if rng.random() < share_of_others else PLAIN_CELLS, f"{letter}{number}")
            for letter in rng.choice(["ABCDE", "ACE", "DBA"])
        )
        said = rng.choice(["", ' spans="1:5" ht="15"', ' x14ac:dyDescent="0.25"'])
        rows.append(f'<row r="{number}"{said}>{cells}</row>' if rng.random() < 0.9 else f'<row r="{number}"{said}/>')
    return "".join(rows)


def workbook(rows: str, texts: str, encoding: str = "UTF-8", end: str = "</sheetData><y/></x>") -> bytes:
    relation = '<Relationship Id="r{}" Type="x/{}" Target="{}"/>'
    parts = {
        "_rels/.rels": f"<a>{relation.format(1, 'officeDocument', 'xl/workbook.xml')}</a>",
        "xl/workbook.xml": '<a xmlns:r="r"><sheet name="S" r:id="r1"/></a>',
        "xl/_rels/workbook.xml.rels": f"<a>{relation.format(1, 'worksheet', 'sheet.xml')}"
        f"{relation.format(2, 'sharedStrings', 'texts.xml')}{relation.format(3, 'styles', 'styles.xml')}</a>",
        "xl/styles.xml": '<a><numFmt numFmtId="164" formatCode="00000"/><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/>'
        '<xf numFmtId="164"/></cellXfs></a>',
        "xl/texts.xml": f"<sst>{texts}</sst>",
        "xl/sheet.xml": f'<?xml version="1.0" encoding="{encoding}"?><x><sheetData>{rows}{end}',
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text.encode(encoding))
    return out.getvalue()


def rows_of(data: bytes) -> list[tuple[int, list[str]]]:
    book = xlsx.Workbook(zipfile.ZipFile(io.BytesIO(data)), len(data))
    return list(book.rows(book.sheets[0]))


def by_the_parser(data: bytes, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, list[str]]]:
    def none(*_: object) -> None:
        raise NotPlain

    with monkeypatch.context() as patch:
        patch.setattr(SheetReader, "take_plain_rows", none)
        patch.setattr(StringsReader, "take_plain_texts", none)
        return rows_of(data)


@pytest.mark.parametrize("block", [97, 1 << 20])
@pytest.mark.parametrize("share_of_others", [0.0, 0.01, 0.5])
def test_rows_and_texts_are_those_of_the_parser(monkeypatch, share_of_others, block):
    monkeypatch.setattr(xlsx, "_BLOCK", block)
    taken = 0
    for seed in range(20):
        rng = random.Random(seed)
        texts = [f"<si><t>{rng.choice(PIECES)}x</t></si>" for _ in range(TEXTS)]
        if rng.random() < share_of_others:
            texts[rng.randrange(TEXTS)] = "<si><r><rPr/><t>a</t></r><r><t>b</t></r></si>"
        data = workbook(sheet_of(rng, share_of_others), "".join(texts))
        expected = by_the_parser(data, monkeypatch)
        calls: list[str] = []
        with monkeypatch.context() as patch:
            plain = SheetReader.take_plain_rows

            def counted(self: SheetReader, stretch: str, plain=plain, calls=calls) -> None:
                plain(self, stretch)
                calls.append(stretch)

            patch.setattr(SheetReader, "take_plain_rows", counted)
            assert rows_of(data) == expected
        taken += bool(calls)
    if share_of_others < 0.1:
        assert taken


@pytest.mark.parametrize("cell", [
    '<c r="A1"><v>&unknown;</v></c>', '<c r="A1"><v>\x01</v></c>', '<c r="A1"><v>&#1;</v></c>', '<c r="A1"><v>1</c>',
    '<c r="A1" t="s"><v>99</v></c>', '<c r="A1" t="s"><v>-1</v></c>', '<c r="ZZZ1"><v>1</v></c>',
])  # fmt: skip
def test_what_no_workbook_holds_is_refused_as_before(cell):
    with pytest.raises(WorkbookDamaged):
        rows_of(workbook(f'<row r="1">{cell}</row>', "<si><t>a</t></si>"))


PLAIN = '<row r="{0}"><c r="A{0}"><v>1</v></c></row>'


@pytest.mark.parametrize("end", ["</sheetDatA><y/></x>", "</sheetData>", ""])
def test_a_sheet_that_ends_in_the_middle_is_damaged(end):
    with pytest.raises(WorkbookDamaged):
        rows_of(workbook(PLAIN.format(1), "", end=end))


@pytest.mark.parametrize("rows", [
    f"<!-- {PLAIN.format(1)} -->{PLAIN.format(2)}",
    f"{PLAIN.format(1)}<!-- {PLAIN.format(2) * 40} -->{PLAIN.format(3)}",
    '<row r="1"><c r="A1" t="inlineStr"><v>no text</v></c></row>', '<row r="1">between<c r="A1"><v>1</v></c></row>',
    f'<row r="1"/>{"<row/>" * 50}{PLAIN.format(60)}',
])  # fmt: skip
@pytest.mark.parametrize("block", [60, 1 << 20])
def test_what_only_looks_like_cells_is_what_the_parser_says(monkeypatch, rows, block):
    monkeypatch.setattr(xlsx, "_BLOCK", block)
    data = workbook(rows, "")
    assert rows_of(data) == by_the_parser(data, monkeypatch)


def test_brackets_in_a_text_hide_no_cell():
    hiding = f'<c r="A1" t="inlineStr"><is><t>{"/>" * 6}</t></is></c>'
    row = f'<row r="1">{hiding}<c r="B1"><f>1</f><v>5</v></c></row>'
    assert rows_of(workbook(row, "")) == [(1, ["/>" * 6, "5"])]


def test_a_row_without_a_number_stands_behind_those_that_were_taken(monkeypatch):
    monkeypatch.setattr(xlsx, "_BLOCK", 50)
    assert [number for number, _ in rows_of(workbook(PLAIN.format(7) + "<row><c><v>2</v></c></row>", ""))] == [7, 8]


@pytest.mark.parametrize("encoding", ["ISO-8859-1", "UTF-16"])
def test_another_encoding_is_left_to_the_parser(encoding):
    # In Latin-1 its bytes are those of one letter in UTF-8.
    row = '<row r="1"><c r="A1" t="inlineStr"><is><t>Ã©</t></is></c></row>'
    assert rows_of(workbook(row, "", encoding)) == [(1, ["Ã©"])]
