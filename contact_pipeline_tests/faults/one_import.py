"""One attempt at an import, or an undo, in a process of its own: to be killed."""

from __future__ import annotations

import sys
import uuid
from contextlib import closing
from datetime import UTC, datetime

from contact_pipeline.crash_points import reached
from contact_pipeline.database import claims
from contact_pipeline.database.postgres import KeptConnection, connect
from contact_pipeline.database.undo import undoing
from contact_pipeline.importing import loading, planning, publishing
from contact_pipeline.importing.progress import ProgressBoard
from contact_pipeline.object_store import ObjectStore
from contact_pipeline.settings import get_settings


def main(what: str, upload_id: str) -> None:
    settings = get_settings()
    with closing(connect(settings.database_url)) as connection:
        if what == "undo":
            undoing.undo(connection, upload_id, "tester")
            return
        store, board = ObjectStore.from_settings(settings), ProgressBoard.from_url(settings.redis_url)
        reached("before_claim")
        claim = claims.claim(connection, upload_id, uuid.uuid4().hex, datetime.now(UTC), lambda _: True)
        reached("claimed")
        plan = planning.open_import(connection, store, claim)
        claim = claims.claim(connection, upload_id, claim.run_id, datetime.now(UTC), lambda _: True)
        with closing(KeptConnection(settings.database_url)) as database:
            loading.load_chunks(database, store, board, claim, plan, lambda *_: None)
        publishing.verify_import(connection, claim)
        publishing.publish_import(connection, store, board, claim)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
