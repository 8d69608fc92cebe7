"""Which objects in the bucket are new uploads. Pure, but for `discover`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic
from typing import Final
from urllib.parse import unquote

from contact_pipeline.bucket_listing import as_cursor, from_cursor, list_pages, split
from contact_pipeline.database import listing_queries, registration, saved_mappings
from contact_pipeline.database.postgres import Connection, DatabaseFailed
from contact_pipeline.database.records import ImportState
from contact_pipeline.errors import StoreFailed
from contact_pipeline.object_store import SUFFIXES, UPLOADS, ObjectStore, StoredObject

AT_ONCE: Final = 100
"""Uploads taken in one tick."""

_LIST_SECONDS: Final = 0.7
"""A tick lists for so long; the next goes on from there."""

_RANGES: Final = 8
_FORGET_SECONDS: Final = 600.0

_ID: Final = re.compile(r"[0-9a-f]{32}")
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]")
_MAX_NAME_LENGTH: Final = 255


@dataclass(frozen=True)
class Chosen:
    """What a tick takes, and what it leaves for good."""

    new: list[StoredObject]
    ignored: list[StoredObject]


@dataclass(frozen=True)
class Found:
    """What a tick did.

    Attributes:
        registered: ids of the uploads that it entered.
        notes: what is to be told of objects that it did not enter.
        cursor: where the next tick goes on.
    """

    registered: list[str]
    notes: list[str]
    cursor: str


class SettledPages:
    """Digests of pages of the listing whose objects are all in the ledger.

    They are forgotten after ten minutes: a database that was restored may know less than it did.
    """

    def __init__(self) -> None:
        self._digests: set[bytes] = set()
        self._since = monotonic()

    def add(self, digest: bytes) -> None:
        """Note a page."""
        self._digests.add(digest)

    def __contains__(self, digest: bytes) -> bool:
        if monotonic() - self._since > _FORGET_SECONDS:
            self._digests, self._since = set(), monotonic()
        return digest in self._digests


def choose(unknown: Iterable[StoredObject], limit: int = AT_ONCE) -> Chosen:
    """Of the objects that the ledger does not have, those to be entered: the oldest first.

    No time is a cursor: a multipart object is as old as its beginning, so one that took long completes behind any.
    """
    unknown = list(unknown)
    fit = [item for item in unknown if _is_upload(item.key)]
    ignored = [item for item in unknown if not _is_upload(item.key)]
    return Chosen(sorted(fit, key=lambda item: (item.uploaded_at, item.key))[:limit], ignored)


def _is_upload(key: str) -> bool:
    stem, suffix = _split(key)
    return key.startswith(UPLOADS) and suffix in SUFFIXES and bool(stem)


def _split(key: str) -> tuple[str, str]:
    """The object's name without prefix and suffix, and its suffix in lower case."""
    stem, dot, suffix = key.removeprefix(UPLOADS).rpartition(".")
    return stem, (dot + suffix).lower()


def upload_id(stored: StoredObject, taken: Collection[str]) -> str:
    """The id in the object's name if it has one that is free, else one made of its key, content and time."""
    stem, _ = _split(stored.key)
    if _ID.fullmatch(stem) and stem not in taken:
        return stem
    identity = f"{stored.key}\0{stored.etag}\0{stored.uploaded_at.isoformat()}"
    return hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def discover(
    connection: Connection, store: ObjectStore, cursor: str | None = None, settled: SettledPages | None = None
) -> Found:
    """Enter into the ledger the uploads that are new in the bucket, as far as a tick's time allows.

    Each by itself: an object that cannot be entered is noted once, and does not hold up others.

    Args:
        cursor: where the tick before stopped.
        settled: pages that need not be looked into again; what this tick learns of them is added.

    Raises:
        StoreFailed: the bucket cannot be listed.
    """
    settled = settled if settled is not None else SettledPages()
    ranges = from_cursor(cursor) or split(listing_queries.key_bounds(connection, _RANGES))
    pages, left = list_pages(store, ranges, _LIST_SECONDS, settled.__contains__)
    # No database takes a key with a NUL, nor does anything else: it cannot even be noted.
    listed = list({item.key: item for page in pages for item in page.objects if "\0" not in item.key}.values())
    places = listing_queries.unknown_objects(
        connection, [(_ledger_key(item.key), item.etag, item.uploaded_at) for item in listed]
    )
    unknown = [listed[place] for place in places]
    keys = {item.key for item in unknown}
    for page in pages:
        if page.objects and not any(item.key in keys for item in page.objects):
            settled.add(page.digest)
    chosen = choose(unknown)
    registered, notes = [], []
    for item in chosen.new:
        try:
            identity = _register(connection, store, item)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one object, the others are to be entered
            if not _is_its_own_fault(error):
                notes.append(f"{item.key!r} could not be entered ({type(error).__name__}): it is tried again")
                continue
            if registration.note_ignored(
                connection, _ledger_key(item.key), item.etag, f"it cannot be entered: {error}"
            ):
                notes.append(f"{item.key!r} cannot be entered ({error}): it is ignored")
        else:
            registered += [identity] if identity else []
    notes += [
        f"{item.key!r} is no file of a kind that is read: it is ignored"
        for item in chosen.ignored
        if registration.note_ignored(connection, _ledger_key(item.key), item.etag, "no file of a kind that is read")
    ]
    # Where not all were taken, the next tick lists the same again.
    return Found(registered, notes, as_cursor(ranges if len(chosen.new) == AT_ONCE else left))


def _register(connection: Connection, store: ObjectStore, item: StoredObject) -> str | None:
    """Enter an object; None if it was deleted or replaced meanwhile."""
    failed: tuple[str, str] | None = None
    metadata: dict[str, str] = {}
    try:
        here = store.find(item.key)
    except StoreFailed as error:
        if not 400 <= error.status < 500 or error.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise
        failed = ("object_unreadable", f"S3 does not let it be read ({error.status}): allow it, and import it again")
    else:
        if here is None or here[0].etag != item.etag:
            return None
        metadata = here[1]
    stem, _ = _split(item.key)
    identity = upload_id(item, listing_queries.known_ids(connection, [stem]) if _ID.fullmatch(stem) else ())
    registration.register(
        connection,
        registration.Registration(
            upload_id=identity,
            bucket=store.bucket,
            object_key=item.key,
            etag=item.etag,
            size=item.size,
            uploaded_at=item.uploaded_at,
            file_name=_said(metadata, "file-name") or _storable(item.key.removeprefix(UPLOADS)),
            owner=_said(metadata, "owner") or "bucket",
            options=saved_mappings.upload_options(connection, identity),
        ),
        state=ImportState.FAILED if failed else ImportState.QUEUED,
        error=failed,
    )
    return identity


def _said(metadata: dict[str, str], name: str) -> str:
    """What somebody wrote into the object's metadata, made printable: it is data, and may be anything."""
    return _storable(unquote(metadata.get(name, "")))[-_MAX_NAME_LENGTH:].strip()


def _ledger_key(key: str) -> str:
    """A key as the ledger has it: as it is, but for one that no database takes."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return _storable(key)
    return key


def _storable(text: str) -> str:
    """Text as a database, a tag and a terminal take it."""
    return _CONTROLS.sub(" ", text.encode("utf-8", "replace").decode())


def _is_its_own_fault(error: Exception) -> bool:
    """Whether the object is to blame, and trying it again is of no use."""
    if isinstance(error, DatabaseFailed):
        return error.about_values
    return isinstance(error, UnicodeError | ValueError)
