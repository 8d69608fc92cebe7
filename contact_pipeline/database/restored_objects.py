"""Objects that a backup has brought back, told from those that somebody has put."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from enum import Enum, auto

from contact_pipeline.database import registration
from contact_pipeline.database.events import audit
from contact_pipeline.database.postgres import Connection, fetch_one, scrubbed
from contact_pipeline.database.retention import Removed
from contact_pipeline.object_store import StoredObject, id_in_key


class Told(Enum):
    """What can be told of an object that the ledger does not have as it is."""

    COPY = auto()
    UNSURE = auto()
    OTHER = auto()


def recognise(connection: Connection, item: StoredObject) -> Told:
    """Note an object as the copy of one that the ledger has, where that is sure.

    It is sure by key, size and ETag; and by key and size where the key is the upload service's own, which writes each
    one once. The ETag of an upload in parts depends on their sizes: of equal keys and sizes alone nothing follows. Such
    an object is kept from being imported, and that is noted. When a content counts as uploaded stays as it was.
    """
    parameters = {"key": item.key, "etag": item.etag, "size": item.size, "put_at": item.uploaded_at}
    parameters["id"] = id_in_key(item.key)
    with scrubbed(), connection.transaction():
        found = connection.execute(
            """SELECT upload_id, state, etag, etag = %(etag)s AS same_etag,
                      upload_id = %(id)s AS own_key
               FROM imports WHERE object_key = %(key)s AND size = %(size)s
               ORDER BY same_etag DESC, uploaded_at DESC""",
            parameters,
        ).fetchall()
        sure = next((row for row in found if row["same_etag"] or row["own_key"]), None)
        if sure is None:
            if not any("-" in etag for row in found for etag in (row["etag"], item.etag)):
                return Told.OTHER
            reason = "restored from a backup perhaps: to import it, put it under another key"
            registration.note_ignored(connection, item.key, item.etag, reason)
            return Told.UNSURE
        connection.execute(
            """INSERT INTO restored_objects (object_key, etag, put_at, upload_id)
               VALUES (%(key)s, %(etag)s, %(put_at)s, %(upload_id)s) ON CONFLICT DO NOTHING""",
            {**parameters, "upload_id": sure["upload_id"]},
        )
        connection.execute("UPDATE imports SET etag = %s WHERE upload_id = %s", (item.etag, sure["upload_id"]))
        # Retention has let it go, and has to do so again.
        connection.execute("DELETE FROM removals WHERE upload_id = %s AND what = %s", (sure["upload_id"], Removed.FILE))
        audit(connection, sure["upload_id"], "operator", sure["state"], why="its object is a copy of a backup")
    return Told.COPY


def is_copy(connection: Connection, upload_id: str, key: str, etag: str, put_at: datetime) -> bool:
    """Whether an object is noted as a copy of an import's."""
    found = fetch_one(
        connection,
        """SELECT FROM restored_objects
           WHERE upload_id = %s AND object_key = %s AND etag = %s AND put_at = %s""",
        upload_id,
        key,
        etag,
        put_at,
    )
    return found is not None


def imports_without_object(connection: Connection, keys: Collection[str]) -> int:
    """How many imports have an object whose key is none of these, and no retention has let it go."""
    found = fetch_one(
        connection,
        """SELECT count(*) AS imports FROM imports i
           WHERE NOT EXISTS (SELECT FROM removals r WHERE r.upload_id = i.upload_id AND r.what = %s)
             AND NOT EXISTS (SELECT FROM unnest(%s::text[]) AS listed (object_key)
                             WHERE listed.object_key = i.object_key)""",
        Removed.FILE,
        list(keys),
    )
    assert found is not None
    answer: int = found["imports"]
    return answer
