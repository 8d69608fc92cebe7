"""An upload through the service, against boto3's own multipart upload of the same file to the same server.

    python -m benchmarks.uploading [MiB]

Sixteen chunks of 16 MiB at a time, as boto3 is told to do as well. Three rounds in turn, medians.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from time import perf_counter
from urllib.parse import urlsplit

import httpx
from boto3.s3.transfer import TransferConfig

from benchmarks.environment import table
from contact_pipeline.object_store import ObjectStore
from contact_pipeline.settings import Settings
from contact_pipeline.stack import control
from contact_pipeline.stack.home import Home

_PART = 16 << 20
_PARALLEL = 16
_ROUNDS = 3


def measure(home: Home, settings: Settings, folder: Path, mebibytes: int = 1024) -> str:
    """Upload a file of random bytes both ways; returns a Markdown section."""
    path = folder / "large.csv"
    with path.open("wb") as target:
        for _ in range(mebibytes):
            target.write(os.urandom(1 << 20))
    store = ObjectStore.from_settings(settings)
    service, direct = [], []
    for number in range(_ROUNDS):
        service.append(_through_service(settings, path))
        started = perf_counter()
        config = TransferConfig(multipart_chunksize=_PART, max_concurrency=_PARALLEL)
        store.s3.upload_file(str(path), store.bucket, f"other/{number}", Config=config)
        direct.append(perf_counter() - started)
        store.s3.delete_object(Bucket=store.bucket, Key=f"other/{number}")
    rows = [
        [name, f"{median(taken):.1f}", f"{mebibytes / median(taken):,.0f}", f"{median(taken) / median(direct):.2f}"]
        for name, taken in (("`/api/upload/chunk/`", service), ("boto3", direct))
    ]
    pid = json.loads((home.path / "run" / "api.json").read_text())["pid"]
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return "\n\n".join(
        [
            f"### Upload of {mebibytes:,} MiB, 16 x 16 MiB at a time",
            table(["by", "s (median)", "MiB/s", "÷ boto3"], rows),
            f"The service's process took {peak >> 10} MiB at its peak.",
        ]
    )


def _through_service(settings: Settings, path: Path) -> float:
    size = path.stat().st_size
    total = -(-size // _PART)
    token = {"Authorization": f"Bearer {settings.api_token.get_secret_value()}"}
    with httpx.Client(base_url=settings.api_url, headers=token, timeout=300, trust_env=False) as client:
        started = perf_counter()
        begun = client.post(
            "/api/upload/init/", json={"fileName": path.name, "fileSize": size, "totalChunks": total}
        ).raise_for_status()
        upload_id = begun.json()["uploadId"]

        def send(index: int) -> None:
            with path.open("rb") as source:
                source.seek(index * _PART)
                body = source.read(_PART)
            _post_chunk(settings, token, upload_id, index, body)

        with ThreadPoolExecutor(_PARALLEL) as pool:
            list(pool.map(send, range(total)))
        client.post("/api/upload/complete/", json={"uploadId": upload_id}).raise_for_status()
        taken = perf_counter() - started
        # No contacts: it is not to be imported beside what is measured next.
        client.post("/api/upload/cancel/", json={"uploadId": upload_id}).raise_for_status()
    return taken


def _post_chunk(settings: Settings, token: dict[str, str], upload_id: str, index: int, body: bytes) -> None:
    """Send a chunk as a browser does: without copying it about, on the same two cores, before it is sent."""
    boundary = "chunk-boundary"
    named = f"--{boundary}\r\nContent-Disposition: form-data; name="
    head = (
        f'{named}"uploadId"\r\n\r\n{upload_id}\r\n{named}"chunkIndex"\r\n\r\n{index}\r\n'
        f'{named}"chunk"; filename="chunk"\r\nContent-Type: application/octet-stream\r\n\r\n'
    ).encode()
    tail = f"\r\n--{boundary}--\r\n".encode()
    service = urlsplit(settings.api_url)
    connection = http.client.HTTPConnection(service.hostname or "", service.port, timeout=300)
    connection.putrequest("POST", "/api/upload/chunk/")
    for name, value in {
        **token,
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "Content-Length": str(len(head) + len(body) + len(tail)),
    }.items():
        connection.putheader(name, value)
    connection.endheaders()
    for piece in (head, body, tail):
        connection.send(piece)
    answer = connection.getresponse()
    assert answer.status == httpx.codes.OK, answer.read()
    connection.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        home_ = Home(Path(place) / "home")
        try:
            print(measure(home_, control.up(home_, lambda _: None), Path(place), *map(int, sys.argv[1:])))
        finally:
            control.down(home_, lambda _: None)
