"""What, beside its CSV record, decides what a row becomes: how the file is read, and the rules themselves."""

from __future__ import annotations

import json
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path

from contact_pipeline.importing.planning import ReadingPlan


def hash_seed(plan: ReadingPlan, *, may_opt_in: bool) -> int:
    """What decides a row's outcome beside its CSV record: how the file is read, and the rules."""
    mapping, dialect, formats = plan.mapping, plan.dialect, plan.column_formats
    read = [dialect.delimiter, dialect.quote, dialect.header, mapping.fields, mapping.extra, mapping.source]
    read += [sorted(names) for names in (formats.day_first, formats.decimal_comma, formats.in_thousands)]
    read.append(["may_opt_in"] if may_opt_in else [])
    digest = blake2b(rules_digest() + json.dumps(read).encode(), digest_size=8)
    return int.from_bytes(digest.digest())


@cache
def rules_digest() -> bytes:
    """A digest of the code that says what a contact is: other code may read the same record otherwise."""
    modules = [item for item in files("contact_pipeline.contacts").iterdir() if item.name.endswith(".py")]
    modules.append(Path(__file__))
    texts = {module.name: blake2b(module.read_bytes()).hexdigest() for module in modules}
    return json.dumps(texts, sort_keys=True).encode()
