"""One import, from open to publish, in this process: prints what it took as JSON.

python -m benchmarks.one_import UPLOAD_ID [OPTIONS AS JSON]
"""

from __future__ import annotations

import json
import resource
import sys
import uuid
from contextlib import closing
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from contact_pipeline.database import claims, postgres
from contact_pipeline.importing import loading, planning, publishing
from contact_pipeline.importing.progress import ProgressBoard
from contact_pipeline.object_store import ObjectStore
from contact_pipeline.settings import get_settings


def main(upload_id: str, options: dict[str, Any]) -> None:
    """Import, or check, an upload that the ledger has."""
    settings = get_settings()
    started = perf_counter()
    store, board = ObjectStore.from_settings(settings), ProgressBoard.from_url(settings.redis_url)
    url = settings.database_url
    with closing(postgres.connect(url)) as connection, closing(postgres.KeptConnection(url)) as database:
        claim = claims.claim(connection, upload_id, uuid.uuid4().hex, datetime.now(UTC), lambda _: True)
        plan = planning.open_import(connection, store, claim, options)
        # With the options that are chosen now.
        claim = claims.claim(connection, upload_id, claim.run_id, datetime.now(UTC), lambda _: True)
        report = loading.load_chunks(database, store, board, claim, plan, lambda *_: None)
        counts = report.progress.counts
        if options.get("mode") != "check":
            publishing.verify_import(connection, claim)
            counts = publishing.publish_import(connection, store, board, claim).counts
    told = {
        "seconds": perf_counter() - started,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        "counts": dict(counts),
        "parts": report.seconds,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]) if len(sys.argv) > 2 else {})
