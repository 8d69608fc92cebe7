"""The queue of launches: whose run is asked for next, and who waits at which place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from contact_pipeline.database.postgres import Connection, scrubbed
from contact_pipeline.database.records import AskedBy, select_all, select_one

LARGE_BYTES: Final = 64 << 20
"""From this size on an import is `large`: it takes longer than the start of its run does."""


@dataclass(frozen=True)
class Slots:
    """How many runs may be under way at once: of large imports, and of all."""

    large: int
    total: int


@dataclass(frozen=True, kw_only=True)
class DueLaunch:
    """A launch whose run is to be asked for now, with what the run needs to know of its import."""

    upload_id: str
    launch: int
    asked_by: AskedBy
    owner: str
    size: int
    uploaded_at: datetime
    file_name: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "asked_by", AskedBy(self.asked_by))


def take_due(connection: Connection, slots: Slots) -> list[DueLaunch]:
    """Launches whose run is to be asked for now, and note that it is.

    Asked for are those that are due, as many as find a place soon: the rest waits here, where places can be seen and
    given fairly, and not in Dagster's queue. Owners take turns, whoever has fewer under way first; large imports take
    a part of the places only. A run that was asked for and has not been seen is asked for again: Dagster starts one run
    a key.
    """
    with scrubbed(), connection.transaction():
        return select_all(
            connection,
            DueLaunch,
            """WITH open AS (
                   SELECT l.upload_id, l.launch, l.asked_at, l.started_at, l.due_at, l.run_id, l.asked_by, l.actor,
                          i.owner, i.ordered_at,
                          i.size >= %(large_bytes)s AS large
                   FROM launches l JOIN imports i USING (upload_id)
                   WHERE l.ended_at IS NULL),
               busy AS (
                   SELECT owner, large, count(*) AS runs FROM open
                   -- What a backfill or a person has put into Dagster's queue waits there, and takes no place here;
                   -- what a person has asked of the ledger is asked for from here.
                   WHERE started_at IS NOT NULL
                      OR (asked_at IS NOT NULL AND (asked_by IN ('sensor', 'retry') OR actor IS NOT NULL))
                   GROUP BY 1, 2),
               waiting AS (
                   SELECT *, row_number() OVER (PARTITION BY owner, large
                                                ORDER BY asked_by = 'backfill', ordered_at) AS turn
                   FROM open WHERE asked_at IS NULL AND due_at <= clock_timestamp()),
               ranked AS (
                   SELECT w.upload_id, w.launch, w.large,
                          row_number() OVER (PARTITION BY w.large ORDER BY w.turn + COALESCE(b.runs, 0), w.ordered_at)
                              AS place
                   FROM waiting w LEFT JOIN busy b ON b.owner = w.owner AND b.large = w.large),
               chosen AS (
                   SELECT upload_id, launch FROM ranked
                   WHERE place <= CASE WHEN large THEN %(large)s ELSE %(small)s END
                         - COALESCE((SELECT sum(runs) FROM busy WHERE busy.large = ranked.large), 0)
                   UNION ALL
                   SELECT upload_id, launch FROM open WHERE asked_at IS NOT NULL AND run_id IS NULL)
               UPDATE launches l SET asked_at = COALESCE(l.asked_at, clock_timestamp())
               FROM chosen, imports i
               WHERE l.upload_id = chosen.upload_id AND l.launch = chosen.launch AND i.upload_id = l.upload_id
               RETURNING i.upload_id, l.launch, l.asked_by, i.owner, i.size, i.uploaded_at, i.file_name""",
            large_bytes=LARGE_BYTES,
            large=slots.large,
            # Two more behind each place, so that none is ever empty for the length of a tick.
            small=slots.total * 3,
        )


@dataclass(frozen=True, kw_only=True)
class WaitingLaunch:
    """A launch that has not started yet; `place`: in the queue, from 1, once it is due."""

    launch: int
    due_at: datetime
    asked_at: datetime | None
    place: int | None


def waiting_for(connection: Connection, upload_id: str) -> WaitingLaunch | None:
    """The launch of an import that has not started yet, or None.

    Large imports queue apart from the others.
    """
    return select_one(
        connection,
        WaitingLaunch,
        """WITH turns AS (
                   SELECT l.*, i.ordered_at, i.size >= %(large_bytes)s AS large,
                          row_number() OVER (PARTITION BY i.owner, i.size >= %(large_bytes)s
                                             ORDER BY l.asked_at, i.ordered_at) AS turn
                   FROM launches l JOIN imports i USING (upload_id)
                   WHERE l.ended_at IS NULL AND l.started_at IS NULL AND l.due_at <= clock_timestamp()),
               placed AS (SELECT *, row_number() OVER (PARTITION BY large ORDER BY asked_at, turn, ordered_at) AS place
                          FROM turns)
               SELECT l.launch, l.due_at, l.asked_at, placed.place
               FROM launches l LEFT JOIN placed USING (upload_id, launch)
               WHERE l.upload_id = %(upload_id)s AND l.ended_at IS NULL AND l.started_at IS NULL
               ORDER BY l.launch DESC LIMIT 1""",
        upload_id=upload_id,
        large_bytes=LARGE_BYTES,
    )


def without_launch(connection: Connection, limit: int = 1000) -> list[str]:
    """Imports that are not over and have no launch that is not over: there should be none."""
    with scrubbed():
        rows = connection.execute(
            """SELECT upload_id FROM imports i WHERE state IN ('queued', 'loading', 'verifying')
                 AND NOT EXISTS (SELECT FROM launches l WHERE l.upload_id = i.upload_id AND l.ended_at IS NULL)
               ORDER BY ordered_at LIMIT %s""",
            (limit,),
        ).fetchall()
    return [row["upload_id"] for row in rows]
