"""Which chunks have rows of which contacts, held in memory while imports are undone."""

from __future__ import annotations

from typing import Any

import numpy as np

from contact_pipeline.database import contributions
from contact_pipeline.database.contributions import UNDO
from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.retention import SETTLED

Keys = np.ndarray[Any, np.dtype[np.int64]]


class Others:
    """Which chunks of other imports have rows of which contacts."""

    def __init__(self, upload_id: str) -> None:
        self._upload_id = upload_id
        self._seen = 0
        self._touched: dict[int, Keys] = {}

    def look(self, connection: Connection) -> None:
        """Look what has been committed since the last time."""
        while True:
            found = connection.execute(
                f"""SELECT number, keys, rows FROM contributions c
                    WHERE number > %s AND chunk <> %s AND (keys IS NOT NULL OR rows IS NOT NULL) AND NOT {SETTLED}
                    ORDER BY number LIMIT 100""".encode(),
                (self._seen, UNDO),
            ).fetchall()
            if not found:
                return
            for row in found:
                self._touched[row["number"]] = np.unique(contributions.touched_keys(row))
            self._seen = found[-1]["number"]

    def forget(self, number: int) -> None:
        """The contributions of a chunk are other ones now."""
        self._touched.pop(number, None)
        self._seen = min(self._seen, number - 1)

    def numbers(self, keys: Keys) -> list[int]:
        """The chunks that have rows of any of these contacts."""
        return [number for number, touched in self._touched.items() if np.isin(keys, touched, assume_unique=True).any()]

    def touch(self, keys: Keys, but: int | None = None) -> Keys:
        """Those of these contacts that any chunk, other than one perhaps, has rows of."""
        found = np.zeros(len(keys), bool)
        for number, touched in self._touched.items():
            if number != but:
                found |= np.isin(keys, touched, assume_unique=True)
        return keys[found]
