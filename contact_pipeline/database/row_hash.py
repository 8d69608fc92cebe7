"""What a row says, as one number: a row that says what the last one said is not written."""

from __future__ import annotations

from functools import cache, reduce
from operator import xor
from typing import Final
from zlib import crc32

import polars as pl

from contact_pipeline.contacts.identity import LINKEDIN_SLUG, NAME_COMPANY
from contact_pipeline.database.batch_columns import PERSON, RECORD_HASH, ROW_HASH, ROW_INDEX, ROW_INDEXES

_OPT_IN: Final = 0x6F70_745F_696E


_NOT_HASHED: Final = frozenset({LINKEDIN_SLUG, NAME_COMPANY, ROW_HASH, RECORD_HASH, ROW_INDEX, ROW_INDEXES, PERSON})


def rehash(rows: pl.DataFrame, *, may_opt_in: bool = False) -> pl.DataFrame:
    """Set `row_hash`: a hash of the row's values, whatever columns its file had.

    One that may take back what a contact does not want is another row than one that may not.

    Polars may hash otherwise in another version: rows are then compared value by value, once.
    """
    blanks = rows.null_count().row(0, named=True)
    # A blank adds nothing, so that a file without the column gives the same hash.
    hashes = [
        _hash_of(column, has_blanks=blanks[column] > 0)
        for column in sorted(rows.columns)
        if column not in _NOT_HASHED and blanks[column] < rows.height
    ]
    total = reduce(xor, hashes, pl.lit(_OPT_IN if may_opt_in else 0, pl.UInt64()))
    return rows.with_columns(total.reinterpret(signed=True).alias(ROW_HASH))


@cache
def _hash_of(column: str, *, has_blanks: bool) -> pl.Expr:
    hashed = pl.col(column).hash(seed=crc32(column.encode()))
    return pl.when(pl.col(column).is_not_null()).then(hashed).otherwise(0) if has_blanks else hashed
