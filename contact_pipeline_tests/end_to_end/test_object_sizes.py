"""What the embedded S3 server makes of what it is sent."""

from __future__ import annotations

from pathlib import Path


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.dat"))


def test_a_part_that_looks_like_text_is_stored_as_it_is(home, store):
    """Compressed, it would have to be unpacked each time that it is read."""
    body = b"Email,Title\n" + b"somebody@x.example,Boss\n" * 250_000
    before = size_of(home.path / "s3")
    place = {"Bucket": store.bucket, "Key": "uploads/text.csv"}
    upload = {**place, "UploadId": store.s3.create_multipart_upload(**place)["UploadId"]}
    part = store.s3.upload_part(**upload, PartNumber=1, Body=body)
    parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
    store.s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert size_of(home.path / "s3") - before >= len(body)
    found = store.find(place["Key"])
    assert found is not None
    assert b"".join(store.stream(found[0], 0)) == body
