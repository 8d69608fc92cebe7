"""Objects of a bucket that was restored from a backup: a copy has another time, and often another ETag."""

from __future__ import annotations

from dataclasses import dataclass, field

from contact_pipeline.bucket_listing import KeyRange, list_pages
from contact_pipeline.database import listing_queries, restored_objects
from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.restored_objects import Told
from contact_pipeline.object_store import ObjectStore

_LIST_SECONDS = 60.0


@dataclass
class Restored:
    """What became of the bucket's objects.

    Attributes:
        known: objects that the ledger has as they are.
        copies: copies of those that it had.
        unsure: keys of objects that may be copies, or other files: they are not imported.
        others: objects that it does not know: the sensor imports those that are uploads.
        missing: imports whose object is not there.
    """

    known: int = 0
    copies: int = 0
    unsure: list[str] = field(default_factory=list)
    others: int = 0
    missing: int = 0


def recognise(connection: Connection, store: ObjectStore) -> Restored:
    """Take the objects of a restored bucket for those that the ledger has, so that none is imported again.

    Raises:
        StoreFailed: the bucket cannot be listed.
    """
    answer = Restored()
    keys: set[str] = set()
    left = [KeyRange()]
    while left:
        pages, left = list_pages(store, left, _LIST_SECONDS)
        listed = [item for page in pages for item in page.objects if "\0" not in item.key]
        keys |= {item.key for item in listed}
        unknown = listing_queries.unknown_objects(connection, [(i.key, i.etag, i.uploaded_at) for i in listed])
        answer.known += len(listed) - len(unknown)
        for place in unknown:
            told = restored_objects.recognise(connection, listed[place])
            answer.copies += told is Told.COPY
            answer.others += told is Told.OTHER
            if told is Told.UNSURE:
                answer.unsure.append(listed[place].key)
    answer.missing = restored_objects.imports_without_object(connection, keys)
    return answer
