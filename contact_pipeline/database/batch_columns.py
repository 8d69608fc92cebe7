"""Columns of the rows of a chunk, beside the fields of contacts."""

from __future__ import annotations

from typing import Final

EXTRA: Final = "extra"

ROW_HASH: Final = "row_hash"

RECORD_HASH: Final = "record_hash"

ROW_INDEX: Final = "row_index"

ROW_INDEXES: Final = "row_indexes"

KEY: Final = "key"

VERSION: Final = "version"

FILL_BLANKS: Final = "fill"

HASH: Final = "hash"

FIRST: Final = "first"

PERSON: Final = "person"
