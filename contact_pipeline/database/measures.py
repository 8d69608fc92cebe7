"""What is measured of imports for whoever watches: numbers, no name and no value."""

from __future__ import annotations

from dataclasses import dataclass

from contact_pipeline.database.postgres import Connection, fetch_one, scrubbed
from contact_pipeline.database.records import COUNTS, ImportState


@dataclass(frozen=True, kw_only=True)
class Measures:
    """The ledger in numbers.

    Attributes:
        imports: how many are in each state.
        rows: of imports that have succeeded, by what became of them.
        rejected: rows of imports of the last day, by the code of their reject.
        failed: imports that failed in the last day, by the code of why.
        due: launches whose time has come and that no run has taken.
        oldest_due_seconds: how long the oldest of them has been due.
        relaunches: launches after something outside a file, of the last day.
        oldest_waiting_seconds: how long the oldest import that is queued has waited for a run.
    """

    imports: dict[str, int]
    rows: dict[str, int]
    rejected: dict[str, int]
    failed: dict[str, int]
    due: int
    oldest_due_seconds: float
    relaunches: int
    oldest_waiting_seconds: float


def measure(connection: Connection) -> Measures:
    """Measure what the ledger has now.

    Raises:
        DatabaseFailed: as named.
    """
    sums = ", ".join(f"COALESCE(sum({name}), 0)::bigint AS {name}" for name in COUNTS)
    rows = fetch_one(connection, f"SELECT {sums} FROM imports WHERE state = 'succeeded'")
    waiting = fetch_one(
        connection,
        """SELECT COALESCE(max(extract(epoch FROM clock_timestamp() - l.created_at)), 0)::float8 AS seconds
           FROM launches l JOIN imports i USING (upload_id)
           WHERE l.ended_at IS NULL AND l.started_at IS NULL AND i.state = 'queued'
             AND COALESCE(i.options ->> 'mode', '') <> 'check'""",
    )
    due = fetch_one(
        connection,
        """SELECT count(*) AS due,
                  COALESCE(max(extract(epoch FROM clock_timestamp() - due_at)), 0)::float8 AS seconds
           FROM launches WHERE ended_at IS NULL AND started_at IS NULL AND due_at < clock_timestamp()""",
    )
    again = fetch_one(
        connection,
        "SELECT count(*) AS launches FROM launches WHERE asked_by = 'retry' AND created_at > now() - interval '1 day'",
    )
    assert rows is not None
    assert waiting is not None
    assert due is not None
    assert again is not None
    states = _counted(connection, "SELECT state AS name, count(*) AS number FROM imports GROUP BY 1")
    return Measures(
        imports={state.value: states.get(state.value, 0) for state in ImportState},
        rows=dict(rows),
        rejected=_counted(
            connection,
            """SELECT code AS name, count(*) AS number
               FROM imports JOIN rejected_rows USING (upload_id), unnest(codes) AS code
               WHERE finished_at > now() - interval '1 day' GROUP BY 1""",
        ),
        failed=_counted(
            connection,
            """SELECT COALESCE(error_code, 'unknown') AS name, count(*) AS number FROM imports
               WHERE state = 'failed' AND finished_at > now() - interval '1 day' GROUP BY 1""",
        ),
        due=due["due"],
        oldest_due_seconds=due["seconds"],
        relaunches=again["launches"],
        oldest_waiting_seconds=waiting["seconds"],
    )


def _counted(connection: Connection, query: str) -> dict[str, int]:
    with scrubbed():
        return {row["name"]: row["number"] for row in connection.execute(query.encode()).fetchall()}
