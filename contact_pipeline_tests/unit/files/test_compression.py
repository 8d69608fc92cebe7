import gzip
import io
import subprocess
import sys
import tracemalloc
import zipfile

import pyarrow
import pytest

from contact_pipeline.errors import FileRefused
from contact_pipeline.files import compression
from contact_pipeline_tests.unit.files.reading import dialect_of, read, rows

TABLE = b"Email,First Name\n" + b"".join(b"a%d@example.com,Ann\n" % i for i in range(1000))


def zipped(*entries: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return out.getvalue()


def zstd(data: bytes) -> bytes:
    answer: bytes = pyarrow.compress(data, codec="zstd", asbytes=True)
    return answer


PACKED = {
    "gzip": gzip.compress(TABLE),
    "gzip of two members": gzip.compress(TABLE[:500]) + gzip.compress(TABLE[500:]),
    "gzip padded with zeros": gzip.compress(TABLE) + b"\x00" * 512,
    "zstd": zstd(TABLE),
    "zip": zipped(("leads.csv", TABLE)),
    "zip, stored": zipped(("leads.csv", TABLE), method=zipfile.ZIP_STORED),
    "zip by a Mac": zipped(("leads.csv", TABLE), ("__MACOSX/._leads.csv", b"x"), (".DS_Store", b"x")),
    "zip with a note": zipped(("leads.csv", TABLE), ("README.md", b"x")),
}


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("block", [13, 1 << 20])
def test_a_packed_table_reads_as_the_table(name, block):
    assert rows(read(PACKED[name], block)) == rows(read(TABLE))


def test_progress_is_what_was_read_of_the_packed_file():
    data = PACKED["gzip"]
    assert read(data, 100)[-1].bytes_read == len(data)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (zipped(("a.csv", TABLE), ("b.csv", TABLE)), "not_one_table"),
        (zipped(), "not_one_table"),
        (zipped(("inner.zip", zipped(("a.csv", TABLE)))), "packed_twice"),
        (gzip.compress(zipped(("a.csv", TABLE))), "packed_twice"),
        (gzip.compress(gzip.compress(gzip.compress(TABLE))), "packed_twice"),
        (zipped(("a.csv", TABLE))[:-30], "damaged_archive"),
    ],
)
def test_what_is_no_single_packed_table_is_refused(data, code):
    with pytest.raises(FileRefused) as refused:
        read(data)
    assert refused.value.code == code


def test_the_tables_of_an_archive_with_several_are_listed():
    with pytest.raises(FileRefused, match=r"2 files \('a.csv', 'b.csv'\)"):
        dialect_of(zipped(("a.csv", TABLE), ("b.csv", TABLE)))


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_a_file_that_ends_in_the_middle_is_refused_when_its_end_is_reached(name):
    with pytest.raises(FileRefused) as refused:
        read(PACKED[name][:-20])
    assert refused.value.code == "damaged_archive"


def test_an_encrypted_archive_is_refused():
    data = bytearray(zipped(("a.csv", TABLE)))
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + at] |= 1
    with pytest.raises(FileRefused) as refused:
        dialect_of(bytes(data))
    assert refused.value.code == "encrypted"


def test_an_entry_that_lies_about_its_size_is_refused():
    data = bytearray(zipped(("a.csv", TABLE)))
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = (100).to_bytes(4, "little")
    with pytest.raises(FileRefused) as refused:
        read(bytes(data))
    assert refused.value.code == "damaged_archive"


def test_an_archive_with_a_directory_beyond_all_bounds_is_refused():
    data = zipped(*[(f"{i:0200}.csv", b"") for i in range(20_000)])
    with pytest.raises(FileRefused) as refused:
        dialect_of(data)
    assert refused.value.code == "archive_too_large"


@pytest.mark.parametrize("pack", [gzip.compress, zstd, lambda data: zipped(("a.csv", data))])
def test_a_bomb_of_rows_is_given_up_and_takes_no_memory(pack, monkeypatch):
    monkeypatch.setattr(compression, "_FREE_BYTES", 8 << 20)
    bomb = pack(TABLE[:17] + b"a@example.com,A\n" * (8 << 20))
    tracemalloc.start()
    with pytest.raises(FileRefused) as refused:
        for _ in compression.bounded(_unpack(bomb), lambda: len(bomb) // 8):
            pass
    assert refused.value.code == "decompression_bomb"
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


def _unpack(data):
    match compression.recognise(data):
        case compression.GZIP:
            return compression.gunzipped([data])
        case compression.ZSTD:
            return compression.unzstd([data])
        case _:
            from contact_pipeline_tests.unit.files.reading import MemoryBlob

            archive, _ = compression.open_zip(MemoryBlob(data))
            return compression.unzipped(archive, "a.csv")


def test_a_bomb_of_zeros_is_no_table():
    with pytest.raises(FileRefused) as refused:
        dialect_of(gzip.compress(bytes(64 << 20)))
    assert refused.value.code in ("no_header", "not_a_table")


@pytest.mark.skipif(sys.platform == "win32", reason="needs gzip")
def test_what_the_gzip_program_writes_is_read(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(TABLE)
    subprocess.run(["gzip", str(path)], check=True)
    assert rows(read((tmp_path / "a.csv.gz").read_bytes())) == rows(read(TABLE))
