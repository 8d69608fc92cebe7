"""Which objects in the bucket are new uploads. Pure, but for `discover`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from contact_pipeline.object_store import SUFFIXES, UPLOADS, ObjectStore, StoredObject
from contact_pipeline.warehouse import choices, ledger, reports
from contact_pipeline.warehouse.database import Connection

AT_ONCE: Final = 25
"""Uploads taken in one tick."""

_ID: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Found:
    """What a tick takes, and what it leaves for good."""

    new: list[StoredObject]
    ignored: list[StoredObject]


def choose(listed: Iterable[StoredObject], known: Collection[tuple[str, str]], limit: int = AT_ONCE) -> Found:
    """Take away what is known by (key, ETag); of the rest, the oldest first.

    There is no cursor: a multipart object is as old as its beginning, so one that
    took long completes behind any cursor.
    """
    unknown = [item for item in listed if (item.key, item.etag) not in known]
    fit = [item for item in unknown if _is_upload(item.key)]
    ignored = [item for item in unknown if not _is_upload(item.key)]
    return Found(sorted(fit, key=lambda item: (item.uploaded_at, item.key))[:limit], ignored)


def _is_upload(key: str) -> bool:
    stem, suffix = _split(key)
    return key.startswith(UPLOADS) and suffix in SUFFIXES and bool(stem)


def _split(key: str) -> tuple[str, str]:
    """The object's name without prefix and suffix, and its suffix in lower case."""
    stem, dot, suffix = key.removeprefix(UPLOADS).rpartition(".")
    return stem, (dot + suffix).lower()


def upload_id(stored: StoredObject, taken: Collection[str]) -> str:
    """The id in the object's name if it has one that is free, else one made of its key and content."""
    stem, _ = _split(stored.key)
    if _ID.fullmatch(stem) and stem not in taken:
        return stem
    return hashlib.sha256(f"{stored.key}\0{stored.etag}".encode()).hexdigest()[:32]


def discover(connection: Connection, store: ObjectStore) -> Found:
    """Enter into the ledger the uploads that are new in the bucket; returns what was found."""
    listed = list(store.list_uploads())
    found = choose(listed, reports.known_objects(connection, [item.key for item in listed]))
    for item in found.new:
        here = store.find(item.key)
        if here is None or here[0].etag != item.etag:
            continue
        stem, _ = _split(item.key)
        metadata = here[1]
        identity = upload_id(item, reports.known_ids(connection, [stem]))
        ledger.register(
            connection,
            ledger.Registration(
                upload_id=identity,
                bucket=store.bucket,
                object_key=item.key,
                etag=item.etag,
                size=item.size,
                uploaded_at=item.uploaded_at,
                file_name=unquote(metadata.get("file-name", "")) or item.key.removeprefix(UPLOADS),
                owner=unquote(metadata.get("owner", "")) or "bucket",
                options=choices.upload_options(connection, identity),
            ),
        )
    ignored = [item for item in found.ignored if ledger.note_ignored(connection, item.key)]
    return Found(found.new, ignored)
