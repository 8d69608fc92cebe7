"""Objects of a bucket that was restored from a backup: a copy has another time, and often another ETag."""

from __future__ import annotations

from dataclasses import dataclass

from contact_pipeline.bucket_listing import KeyRange, list_pages
from contact_pipeline.database import listing_queries, registration
from contact_pipeline.database.postgres import Connection
from contact_pipeline.object_store import ObjectStore

_LIST_SECONDS = 3600.0


@dataclass(frozen=True)
class Restored:
    """What became of the bucket's objects.

    Attributes:
        known: objects that the ledger had as they are.
        recognised: those that it had by key and size, and has now by time and ETag as well.
        new: those that it does not have: they will be imported.
        missing: imports whose object is not there.
    """

    known: int
    recognised: int
    new: int
    missing: int


def recognise(connection: Connection, store: ObjectStore) -> Restored:
    """Take the objects of a restored bucket for those that the ledger has, so that none is imported again.

    An object is one of the ledger's by its key, its size, and its ETag unless either is one of a multipart upload,
    which depends on the sizes of the parts.

    Raises:
        StoreFailed: the bucket cannot be listed.
    """
    pages, _ = list_pages(store, [KeyRange()], _LIST_SECONDS)
    listed = [item for page in pages for item in page.objects if "\0" not in item.key]
    unknown = [
        listed[place]
        for place in listing_queries.unknown_objects(connection, [(i.key, i.etag, i.uploaded_at) for i in listed])
    ]
    recognised = sum(
        registration.recognise(connection, item.key, item.etag, item.size, item.uploaded_at) for item in unknown
    )
    missing = listing_queries.imports_without_object(connection, [item.key for item in listed])
    return Restored(len(listed) - len(unknown), recognised, len(unknown) - recognised, missing)
