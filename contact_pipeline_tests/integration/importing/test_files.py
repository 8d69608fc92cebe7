"""Whole files that are odd: empty, refused, replaced while they are read."""

from __future__ import annotations

import pytest

from contact_pipeline.errors import FileRefused, ObjectChanged
from contact_pipeline.importing import planning
from contact_pipeline.samples import files as sample_files


def test_a_header_without_rows_succeeds(importer, write_csv):
    summary = importer.run(write_csv("Email,First Name\n"))
    assert (summary["state"], summary["rows"], summary["inserted"]) == ("succeeded", 0, 0)


def test_a_file_that_ends_in_blank_lines_is_complete(importer, write_csv):
    summary = importer.run(write_csv("Email,First Name\na@x.example,Ada\n\n\n"))
    assert (summary["state"], summary["rows"]) == ("succeeded", 1)


def test_an_empty_file_is_refused(importer, write_csv):
    with pytest.raises(FileRefused) as refused:
        importer.run(write_csv(""))
    assert refused.value.code == "empty_file"


def test_a_file_that_is_replaced_while_it_is_read_fails(importer, tmp_path):
    path = tmp_path / "long.csv"
    sample_files.write(path, 85_000, "A9", seed=5)
    upload_id = importer.register(path)
    key = f"uploads/{upload_id}.csv"

    def replace(_progress, chunks):
        if chunks == 1:
            importer.store.s3.put_object(Bucket=importer.store.bucket, Key=key, Body=b"Email,Title\n" * 4_000_000)

    with pytest.raises(ObjectChanged):
        importer.load(upload_id, replace)
    claim = importer.claim(upload_id)
    with pytest.raises(ObjectChanged):
        planning.open_import(importer.connection, importer.store, claim)


def test_a_deleted_object_fails_with_that_reason(importer, write_csv):
    upload_id = importer.register(write_csv("Email,Title\na@x.example,Boss\n"))
    importer.store.s3.delete_object(Bucket=importer.store.bucket, Key=f"uploads/{upload_id}.csv")
    with pytest.raises(ObjectChanged, match="deleted"):
        importer.load(upload_id)
