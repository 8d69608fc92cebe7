"""Which contacts are to be made together: those whose rows could have been matched otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from psycopg.rows import DictRow

from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.undo import replaying
from contact_pipeline.database.undo.gathering import Gathered, gather, keys_of
from contact_pipeline.database.undo.others import Keys, Others
from contact_pipeline.database.undo.replaying import Values

_MAX_TOGETHER: Final = 20_000
"""Contacts that are matched with each other anew. Where more share an inbox or a name, each is made by itself."""


def gather_together(connection: Connection, keys: Keys, others: Others) -> tuple[set[int], Gathered]:
    """The contacts that are to be matched with each other anew, and all contributions to them.

    They are those among these, and those that share an identity with them, that are not told apart by their contact
    ids alone, and all that share an identity with those.
    """
    single, without_id = _of_one_row(connection, keys, others)
    gathered = gather(connection, np.setdiff1d(keys, single).tolist(), others)
    mixed = {one.key for one in gathered.contributions if one.values.get("contact_id") is None} | without_id
    by_key: dict[int, set[tuple[str, Any]]] = {}
    for one in gathered.contributions:
        by_key.setdefault(one.key, set()).add((one.source, one.values.get("contact_id")))
    mixed |= {key for key, ids in by_key.items() if len(ids) > 1}
    current = _identities_of(connection, keys.tolist())
    seeds = mixed | _sharing(
        connection, [*current, *(one.values for one in gathered.contributions)], only_without_id=True
    )
    seeds |= _that_shared(gathered, [one.values for one in gather(connection, seeds, others).contributions])
    together: set[int] = set()
    new = seeds
    while new and len(together | new) <= _MAX_TOGETHER:
        together |= new
        found = gather(connection, new, others)
        rows = [*_identities_of(connection, list(new)), *(one.values for one in found.contributions)]
        new = _sharing(connection, rows, only_without_id=False) - together
    if new:
        together = set()
    if together:
        locked = keys_of(
            connection, "SELECT key FROM contacts WHERE key = ANY(%s) ORDER BY key FOR UPDATE", (sorted(together),)
        )
        together = set(locked.tolist())
    whole = gather(connection, together, others)
    return together - whole.unknown, whole


def _that_shared(gathered: Gathered, rows: Sequence[Values]) -> set[int]:
    """Contacts that at some time had an identity of these rows: without a later row they have it again."""
    told = {name: {*values} for name, values in replaying.shared_identities(rows).items()}
    return {
        one.key
        for one in gathered.contributions
        if any(one.values.get(name) in values for name, values in told.items())
    }


def _of_one_row(connection: Connection, keys: Keys, others: Others) -> tuple[Keys, set[int]]:
    """Those of these contacts that consist of the row that made them, which is all that the table has of them.

    Their identity now is all that they ever had: what they were made of need not be fetched. And those without id.
    """
    untouched = np.setdiff1d(keys, others.touch(keys))
    rows = connection.execute(
        """SELECT key, contact_id IS NULL AS without_id FROM contacts
           WHERE key = ANY(%s) AND updated_by_import IS NULL
             AND NOT EXISTS (SELECT FROM contact_versions v WHERE v.key = contacts.key)""",
        (untouched.tolist(),),
    ).fetchall()
    return np.array([row["key"] for row in rows], np.int64), {row["key"] for row in rows if row["without_id"]}


def _identities_of(connection: Connection, keys: list[int]) -> list[DictRow]:
    """What identifies contacts, by their keys."""
    return connection.execute(
        "SELECT contact_id, email, linkedin_slug, name_company FROM contacts WHERE key = ANY(%s)", (keys,)
    ).fetchall()


def _sharing(connection: Connection, rows: Sequence[Values | DictRow], *, only_without_id: bool) -> set[int]:
    """Contacts that share an e-mail, LinkedIn slug or name with any of the rows."""
    wanted = replaying.shared_identities(rows)
    condition = "contact_id IS NULL AND" if only_without_id else ""
    found: set[int] = set()
    for name, values in wanted.items():
        if values:
            found |= set(
                keys_of(
                    connection,
                    f"SELECT key FROM contacts WHERE {condition} {name} = ANY(%s) LIMIT {_MAX_TOGETHER + 1}",
                    (values,),
                ).tolist()
            )
    return found
